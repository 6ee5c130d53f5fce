#include "worker/deliver/http.h"

#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "protocol/base/buf.h"
#include "protocol/base/clock.h"
#include "protocol/transfer/curl_loop.h"
#include "worker/deliver/sigv4.h"

enum {
    UPLOAD_BUFFER_BYTES = 256 << 10,
    RETRY_AFTER_MAX_MS = 86400000,
    BODY_KEPT_BYTES = 1 << 20, /* a buffer that grew beyond this is given back */
    SIGHT_MS = 15,             /* see charge_instant: 1.5 % of a window of a second */
};

/* One request and the easy handle that carries it; handles go back to the pool and are used again.
 */
struct transfer {
    CURL *easy;
    struct http *http;
    struct transfer *next_all;
    struct transfer *next_idle;
    struct curl_slist *headers;
    struct buf body;
    bool body_cut;
    bool active;
    unsigned sends; /* how often libcurl was about to send the request */
    uint64_t request_bytes;
    int64_t started_ms;
    int64_t written_ms; /* when the body's last byte was written; 0: not yet */
    http_cb cb;
    void *ctx;
    struct http_header answer_headers[HTTP_HEADERS_MAX];
    char words[CURL_ERROR_SIZE];
};

struct http {
    struct curl_loop *loop;
    CURLM *multi; /* the loop's */
    struct transfer *all;
    struct transfer *idle;
    const curl_version_info_data *version;
};

/* ---- what libcurl calls ---- */

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t bytes = size * n;
    size_t room = t->body.max - t->body.len;
    size_t kept = bytes < room ? bytes : room;
    if (buf_put(&t->body, p, kept))
        return 0;
    t->body_cut |= kept < bytes;
    return bytes;
}

/* libcurl sends a request again by itself when a reused connection dies before the answer. What may
 * have left once must not leave twice unseen, so the second time is refused, unless no byte had
 * left before. */
static int on_about_to_send(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    struct transfer *t = ctx;
    long written = 0;
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &written);
    if (t->sends++ && written > 0)
        return CURL_PREREQFUNC_ABORT;
    return CURL_PREREQFUNC_OK;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total, (void)down, (void)up_total;
    struct transfer *t = ctx;
    if (!t->written_ms && t->sends && (uint64_t)up >= t->request_bytes)
        t->written_ms = clock_mono_ms();
    return 0;
}

/* ---- the answer ---- */

int64_t http_retry_after_ms(const char *text, int64_t now_wall_ms)
{
    while (*text == ' ' || *text == '\t')
        text++;
    if (*text >= '0' && *text <= '9') {
        int64_t ms = 0;
        for (; *text >= '0' && *text <= '9'; text++)
            if (ms < RETRY_AFTER_MAX_MS)
                ms = ms * 10 + (*text - '0') * 1000;
        while (*text == ' ' || *text == '\t')
            text++;
        if (*text)
            return -1;
        return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
    }
    time_t at = curl_getdate(text, NULL);
    if (at < 0)
        return -1;
    int64_t ms = (int64_t)at * 1000 - now_wall_ms;
    if (ms < 0)
        return 0;
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

static const char *header_text(CURL *easy, const char *name)
{
    struct curl_header *header;
    return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value
                                                                                   : NULL;
}

/* A date in Retry-After is measured from the answer's own Date, so that a skewed clock does no
 * harm. */
static int64_t retry_after_of(CURL *easy)
{
    const char *text = header_text(easy, "Retry-After");
    if (!text)
        return -1;
    const char *date = header_text(easy, "Date");
    time_t at = date ? curl_getdate(date, NULL) : -1;
    return http_retry_after_ms(text, at < 0 ? clock_wall_ms() : (int64_t)at * 1000);
}

/* libcurl keeps the bytes until the handle's next request. It takes the line's end for the value of
 * a header that has none. */
static size_t keep_headers(struct transfer *t)
{
    size_t n = 0;
    struct curl_header *at = NULL;
    while (n < HTTP_HEADERS_MAX && (at = curl_easy_nextheader(t->easy, CURLH_HEADER, -1, at)))
        t->answer_headers[n++] =
            (struct http_header){at->name, at->value + strspn(at->value, "\r\n")};
    return n;
}

static const char *error_words(const struct transfer *t, CURLcode code)
{
    if (code == CURLE_OK)
        return NULL;
    if (code == CURLE_ABORTED_BY_CALLBACK && t->sends > 1)
        return "the connection was closed before an answer came";
    return t->words[0] ? t->words : curl_easy_strerror(code);
}

/* The window counts from the last byte written, and a little later where the answer shows that the
 * server may have seen it later: a server that stands still for a moment counts from its own sight.
 * Where the connection was opened for this request that may be much later, so it counts from the
 * answer or the abort. */
static int64_t charge_instant(const struct transfer *t, int64_t now_ms)
{
    long opened = 0;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &opened);
    if (opened || !t->written_ms)
        return now_ms;
    int64_t seen_ms = t->written_ms + SIGHT_MS;
    return seen_ms < now_ms ? seen_ms : now_ms;
}

static void read_answer(struct transfer *t, CURLcode code, struct http_answer *ret_answer)
{
    long status = 0;
    curl_off_t sent = 0;
    long request_bytes = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    int64_t now_ms = clock_mono_ms();
    *ret_answer = (struct http_answer){
        .status = (uint32_t)status,
        .body = buf_slice(&t->body),
        .body_cut = t->body_cut,
        .error = error_words(t, code),
        .reached = t->sends > 0 && (request_bytes > 0 || sent > 0 || status > 0),
        .retry_after_ms = retry_after_of(t->easy),
        .location = header_text(t->easy, "Location"),
        .headers = t->answer_headers,
        .header_count = keep_headers(t),
        .body_bytes_sent = (uint64_t)sent,
        .charge_at_ms = charge_instant(t, now_ms),
        .duration_ms = (uint64_t)(now_ms - t->started_ms),
    };
}

static void transfer_release(struct transfer *t)
{
    struct http *h = t->http;
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    t->active = false;
    t->next_idle = h->idle;
    h->idle = t;
}

static void on_done(void *ctx, CURL *easy, CURLcode code)
{
    struct http *h = ctx;
    struct transfer *t;
    struct http_answer answer;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    curl_multi_remove_handle(h->multi, easy);
    read_answer(t, code, &answer);
    t->cb(t->ctx, &answer);
    transfer_release(t);
}

struct http *http_new(struct event_base *base, size_t connections)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->version = curl_version_info(CURLVERSION_NOW);
    h->loop = curl_loop_new(base, on_done, h);
    if (!h->loop) {
        http_free(h);
        return NULL;
    }
    h->multi = curl_loop_multi(h->loop);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)connections);
    curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    return h;
}

static void transfer_free(struct transfer *t)
{
    if (t->active)
        curl_multi_remove_handle(t->http->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    buf_done(&t->body);
    free(t);
}

void http_free(struct http *h)
{
    if (!h)
        return;
    while (h->all) {
        struct transfer *t = h->all;
        h->all = t->next_all;
        transfer_free(t);
    }
    curl_loop_free(h->loop);
    free(h);
}

/* ---- sending ---- */

/* What is the same for every request of this handle. */
static void set_constants(struct transfer *t)
{
    CURL *e = t->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->words);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_about_to_send);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(e, CURLOPT_XFERINFODATA, t);
}

static struct transfer *transfer_take(struct http *h)
{
    struct transfer *t = h->idle;
    if (t) {
        h->idle = t->next_idle;
        return t;
    }
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    buf_init(&t->body, HTTP_BODY_MAX);
    t->http = h;
    t->easy = curl_easy_init();
    if (!t->easy) {
        free(t);
        return NULL;
    }
    set_constants(t);
    t->next_all = h->all;
    h->all = t;
    return t;
}

static bool add_line(struct transfer *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);
    if (longer)
        t->headers = longer;
    return longer != NULL;
}

static enum err_code add_signature(struct transfer *t, const struct http_request *r,
                                   struct err *err)
{
    struct sigv4_lines lines;
    struct sigv4_request request = {
        .method = r->method ? r->method : "POST",
        .url = r->url,
        .body = r->body,
        .now_ms = clock_wall_ms(),
    };
    enum err_code rc = sigv4_sign(r->sigv4, &request, &lines, err);
    if (rc)
        return rc;
    bool whole = add_line(t, lines.authorization) && add_line(t, lines.date) &&
                 (!lines.content[0] || add_line(t, lines.content));
    return whole ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for a request");
}

static enum err_code copy_headers(struct transfer *t, const struct http_request *r, struct err *err)
{
    /* "Expect:" without a value keeps libcurl from asking before it sends a larger body. */
    bool whole = add_line(t, "Expect:");
    for (size_t i = 0; i < r->header_count && whole; i++)
        whole = add_line(t, r->headers[i]);
    if (!whole)
        return err_set(err, ERR_NOMEM, "no memory for a request");
    return r->sigv4 && r->sigv4->service ? add_signature(t, r, err) : ERR_OK;
}

/* libcurl writes `Content-Length: 0` for a request that may have a body: right for POST, PUT and
 * PATCH, while some servers refuse it from the others. */
static void set_method(CURL *e, const struct http_request *r)
{
    const char *method = r->method ? r->method : "POST";
    bool bodiless = !r->body.n && (strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, NULL);
    if (bodiless) {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    } else {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body.n ? r->body.p : "");
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static CURLcode set_request(struct transfer *t, const struct http_request *r)
{
    const curl_version_info_data *v = t->http->version;
    CURL *e = t->easy;
    bool tls = strncasecmp(r->url, "https:", 6) == 0;
    uint64_t connect_ms =
        r->timeout_ms < HTTP_CONNECT_TIMEOUT_MS ? r->timeout_ms : HTTP_CONNECT_TIMEOUT_MS;
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    /* Only TLS can turn out to be HTTP/2: there, rather share a connection that is being made. */
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, (long)tls);
    curl_easy_setopt(e, CURLOPT_CAINFO, r->ca_file ? r->ca_file : v->cainfo);
    curl_easy_setopt(e, CURLOPT_CAPATH, r->ca_file ? NULL : v->capath);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    set_method(e, r);
    return curl_easy_setopt(e, CURLOPT_URL, r->url);
}

enum err_code http_send(struct http *h, const struct http_request *r, http_cb cb, void *ctx,
                        struct err *err)
{
    struct transfer *t = transfer_take(h);
    if (!t)
        return err_set(err, ERR_NOMEM, "no memory for a request");
    if (t->body.cap > BODY_KEPT_BYTES)
        buf_done(&t->body);
    buf_reset(&t->body);
    t->body.max = r->answer_max ? r->answer_max : HTTP_BODY_MAX;
    t->body_cut = false;
    t->sends = 0;
    t->request_bytes = r->body.n;
    t->started_ms = clock_mono_ms();
    t->written_ms = 0;
    t->cb = cb;
    t->ctx = ctx;
    t->words[0] = '\0';
    enum err_code rc = copy_headers(t, r, err);
    if (!rc && (set_request(t, r) || curl_multi_add_handle(h->multi, t->easy)))
        rc = err_set(err, ERR_NOMEM, "no memory for a request");
    if (rc) {
        transfer_release(t);
        return rc;
    }
    t->active = true;
    return ERR_OK;
}
