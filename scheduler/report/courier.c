#include "scheduler/report/courier.h"

#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "protocol/base/buf.h"
#include "protocol/transfer/curl_loop.h"

enum { CONNECT_TIMEOUT_MS = 10000, PARCEL_BYTES_MAX = 1 << 20, ERROR_BYTES = 300 };

/* One message on its way, with all that libcurl borrows. */
struct errand {
    struct courier *courier;
    struct errand *next;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *recipients;
    struct buf body;
    size_t given; /* bytes of the body that libcurl has read */
    struct buf words;
    courier_cb cb;
    void *ctx;
    char error[CURL_ERROR_SIZE];
};

struct courier {
    struct curl_loop *loop;
    struct errand *errands;
};

/* ---- what libcurl calls ---- */

static size_t on_words(char *p, size_t size, size_t n, void *ctx)
{
    struct errand *e = ctx;
    size_t bytes = size * n, room = e->words.max - e->words.len;
    return buf_put(&e->words, p, bytes < room ? bytes : room) ? 0 : bytes;
}

static size_t on_read(char *out, size_t size, size_t n, void *ctx)
{
    struct errand *e = ctx;
    size_t room = size * n, left = e->body.len - e->given;
    size_t bytes = left < room ? left : room;
    if (bytes)
        memcpy(out, e->body.p + e->given, bytes);
    e->given += bytes;
    return bytes;
}

/* ---- the end of an errand ---- */

static void errand_free(struct errand *e)
{
    if (e->easy)
        curl_easy_cleanup(e->easy);
    curl_slist_free_all(e->headers);
    curl_slist_free_all(e->recipients);
    buf_done(&e->body);
    buf_done(&e->words);
    free(e);
}

static void errand_drop(struct errand *e)
{
    struct errand **at = &e->courier->errands;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    curl_multi_remove_handle(curl_loop_multi(e->courier->loop), e->easy);
    errand_free(e);
}

static void answer(struct errand *e, CURLcode code)
{
    char error[ERROR_BYTES];
    curl_off_t wait = 0;
    const char *words = buf_cstr(&e->words);
    struct courier_answer a = {.words = words ? words : "", .retry_after_ms = -1};
    curl_easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &a.status);
    if (curl_easy_getinfo(e->easy, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
        a.retry_after_ms = (int64_t)wait * 1000;
    bool http = !e->recipients;
    if (code != CURLE_OK) {
        snprintf(error, sizeof error, "%s", e->error[0] ? e->error : curl_easy_strerror(code));
        a.error = error;
    } else if (http && (a.status < 200 || a.status > 299)) {
        snprintf(error, sizeof error, "answered with status %ld", a.status);
        a.error = error;
    }
    e->cb(e->ctx, &a);
}

static void on_done(void *ctx, CURL *easy, CURLcode code)
{
    struct errand *e;
    (void)ctx;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &e);
    answer(e, code);
    errand_drop(e);
}

/* ---- life ---- */

struct courier *courier_new(struct event_base *base)
{
    struct courier *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->loop = curl_loop_new(base, on_done, c);
    if (!c->loop) {
        courier_free(c);
        return NULL;
    }
    return c;
}

void courier_free(struct courier *c)
{
    if (!c)
        return;
    while (c->errands)
        errand_drop(c->errands);
    curl_loop_free(c->loop);
    free(c);
}

/* ---- sending ---- */

static bool add(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool set_post(struct errand *e, const struct parcel *p)
{
    bool whole = add(&e->headers, "Content-Type: application/json") && add(&e->headers, "Expect:");
    for (size_t i = 0; i < p->header_count && whole; i++)
        whole = add(&e->headers, p->headers[i]);
    curl_easy_setopt(e->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e->easy, CURLOPT_HTTPHEADER, e->headers);
    curl_easy_setopt(e->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)e->body.len);
    curl_easy_setopt(e->easy, CURLOPT_POSTFIELDS, e->body.len ? e->body.p : "");
    return whole;
}

static bool set_mail(struct errand *e, const struct parcel *p)
{
    bool whole = true;
    for (size_t i = 0; i < p->to_count && whole; i++)
        whole = add(&e->recipients, p->to[i]);
    CURLcode code = curl_easy_setopt(e->easy, CURLOPT_MAIL_FROM, p->from);
    if (p->user && !code)
        code = curl_easy_setopt(e->easy, CURLOPT_USERNAME, p->user);
    if (p->password && !code)
        code = curl_easy_setopt(e->easy, CURLOPT_PASSWORD, p->password);
    curl_easy_setopt(e->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(e->easy, CURLOPT_USE_SSL,
                     (long)(p->encrypted ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    curl_easy_setopt(e->easy, CURLOPT_MAIL_RCPT, e->recipients);
    curl_easy_setopt(e->easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e->easy, CURLOPT_READDATA, e);
    curl_easy_setopt(e->easy, CURLOPT_UPLOAD, 1L);
    return whole && !code;
}

static bool set_parcel(struct errand *e, const struct parcel *p)
{
    CURL *easy = e->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, e);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)COURIER_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, e->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_words);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, e);
    if (p->ca_file && curl_easy_setopt(easy, CURLOPT_CAINFO, p->ca_file))
        return false;
    if (curl_easy_setopt(easy, CURLOPT_URL, p->url) || buf_put(&e->body, p->body.p, p->body.n))
        return false;
    return p->from ? set_mail(e, p) : set_post(e, p);
}

enum err_code courier_send(struct courier *c, const struct parcel *p, courier_cb cb, void *ctx,
                           struct err *err)
{
    struct errand *e = calloc(1, sizeof *e);
    if (!e)
        return err_set(err, ERR_NOMEM, "no memory for a message");
    *e = (struct errand){.courier = c, .cb = cb, .ctx = ctx};
    buf_init(&e->body, PARCEL_BYTES_MAX);
    buf_init(&e->words, COURIER_WORDS_MAX);
    e->easy = curl_easy_init();
    if (!e->easy || !set_parcel(e, p) || curl_multi_add_handle(curl_loop_multi(c->loop), e->easy)) {
        errand_free(e);
        return err_set(err, ERR_NOMEM, "no memory for a message");
    }
    e->next = c->errands;
    c->errands = e;
    return ERR_OK;
}
