#include "scheduler/report/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "protocol/base/random.h"
#include "protocol/base/utf8.h"

enum {
    BODY_BYTES_MAX = 64 << 10,
    TITLE_BYTES = 300,
    TEXT_BYTES_MAX = 8 << 10,
    WORDS_MAX = 600,
    NAMES_MAX = 50
};

const char *news_name(enum alert_on what)
{
    switch (what) {
    case ALERT_ON_FAILED:
        return "failed";
    case ALERT_ON_WARNING:
        return "warning";
    case ALERT_ON_HELD:
        return "held";
    case ALERT_ON_LATE:
        return "late";
    case ALERT_ON_RECOVERED:
        return "recovered";
    case ALERT_ON_ALL:
        break;
    }
    return "unknown";
}

/* ---- words for people ---- */

static void put_title_of_many(const struct news *n, char *out)
{
    const char *what = n->what == ALERT_ON_WARNING     ? "had records that were not accepted"
                       : n->what == ALERT_ON_HELD      ? "have a run that waits for approval"
                       : n->what == ALERT_ON_LATE      ? "are late"
                       : n->what == ALERT_ON_RECOVERED ? "have recovered"
                                                       : "failed";
    snprintf(out, TITLE_BYTES, "Sluice: %zu syncs %s", n->sync_count, what);
}

static void put_title(const struct news *n, char *out)
{
    if (n->sync_count) {
        put_title_of_many(n, out);
        return;
    }
    const struct run_counts none = {0}, *c = n->run ? &n->run->counts : &none;
    const char *sync = n->sync ? n->sync : "";
    if (!n->sync)
        snprintf(out, TITLE_BYTES, "Sluice: this is a test");
    else if (n->why && n->what == ALERT_ON_WARNING)
        snprintf(out, TITLE_BYTES, "Sluice: the slot of %s was given up", sync);
    else if (n->why && n->what == ALERT_ON_FAILED)
        snprintf(out, TITLE_BYTES, "Sluice: %s does not flow", sync);
    else if (n->what == ALERT_ON_WARNING)
        snprintf(out, TITLE_BYTES, "Sluice: %s: %" PRIu64 " records were not accepted", sync,
                 c->rejected + c->failed + c->invalid);
    else if (n->what == ALERT_ON_HELD)
        snprintf(out, TITLE_BYTES, "Sluice: a run of %s waits for approval", sync);
    else if (n->what == ALERT_ON_RECOVERED)
        snprintf(out, TITLE_BYTES, "Sluice: %s has recovered", sync);
    else
        snprintf(out, TITLE_BYTES,
                 n->what == ALERT_ON_LATE ? "Sluice: %s is late" : "Sluice: %s failed", sync);
}

static enum err_code put_counts(struct buf *b, const struct run_record *r)
{
    const struct run_counts *c = &r->counts;
    char when[CLOCK_TEXT_BYTES];
    enum err_code rc = buf_printf(b, "Run %s, %s, begun %s\n", r->id, run_status_name(r->status),
                                  clock_text(r->started_ms, when));
    if (rc || !c->rows)
        return rc;
    return buf_printf(b,
                      "%" PRIu64 " rows: %" PRIu64 " added, %" PRIu64 " changed, %" PRIu64
                      " removed, %" PRIu64 " invalid\n%" PRIu64 " planned: %" PRIu64
                      " succeeded, %" PRIu64 " rejected, %" PRIu64 " failed, %" PRIu64
                      " cancelled\n",
                      c->rows, c->added, c->changed, c->removed, c->invalid, c->planned,
                      c->succeeded, c->rejected, c->failed, c->cancelled);
}

static enum err_code put_words(struct buf *b, const char *words)
{
    struct slice s = utf8_prefix(slice_str(words), WORDS_MAX);
    return s.n ? buf_printf(b, "%.*s\n", (int)s.n, s.p) : ERR_OK;
}

static enum err_code put_late(struct buf *b, const struct news *n)
{
    char when[CLOCK_TEXT_BYTES];
    if (!n->fresh_ms)
        return buf_printf(b, "It never was up to date; its objective is %" PRIu64 " s.\n",
                          n->objective_ms / 1000);
    return buf_printf(
        b, "It was up to date at %s, %" PRId64 " s ago; its objective is %" PRIu64 " s.\n",
        clock_text(n->fresh_ms, when), (n->at_ms - n->fresh_ms) / 1000, n->objective_ms / 1000);
}

static enum err_code put_names(struct buf *b, const struct news *n)
{
    enum err_code rc = ERR_OK;
    size_t shown = n->sync_count < NAMES_MAX ? n->sync_count : NAMES_MAX;
    for (size_t i = 0; i < shown && !rc; i++)
        rc = buf_printf(b, "%s\n", n->syncs[i]);
    if (!rc && shown < n->sync_count)
        rc = buf_printf(b, "and %zu more\n", n->sync_count - shown);
    return rc;
}

static enum err_code put_detail(struct buf *b, const struct news *n)
{
    const struct run_record *r = n->run;
    enum err_code rc = ERR_OK;
    if (n->sync_count)
        return put_names(b, n);
    if (!n->sync)
        return buf_puts(b, "An alert of this project reaches you. Nothing happened.\n");
    if (n->what == ALERT_ON_LATE && n->objective_ms)
        rc = put_late(b, n);
    if (!rc && n->why)
        rc = put_words(b, n->why);
    if (!rc && r)
        rc = put_counts(b, r);
    if (!rc && r && n->what == ALERT_ON_FAILED)
        rc = put_words(b, *r->error ? r->error : r->reason);
    if (!rc && r && n->what == ALERT_ON_HELD)
        rc = put_words(b, r->reason);
    if (!rc && r && n->what == ALERT_ON_HELD)
        rc = buf_printf(b, "To send it: sluice approve %s\n", r->id);
    if (!rc && r && n->what == ALERT_ON_WARNING)
        rc = buf_printf(b, "Why: sluice errors %s\n", n->sync);
    return rc;
}

/* ---- JSON ---- */

static enum err_code put_field(struct buf *b, const char *before, const char *key, const char *text)
{
    enum err_code rc = buf_printf(b, "%s\"%s\":", before, key);
    return rc ? rc : json_put_words(b, slice_str(text));
}

static enum err_code put_time(struct buf *b, const char *key, int64_t ms)
{
    char when[CLOCK_TEXT_BYTES];
    if (!ms)
        return buf_printf(b, ",\"%s\":null", key);
    return put_field(b, ",", key, clock_text(ms, when));
}

static enum err_code put_run(struct buf *b, const struct run_record *r)
{
    if (!r)
        return buf_puts(b, ",\"run\":null");
    enum err_code rc = put_field(b, ",\"run\":{", "id", r->id);
    if (!rc)
        rc = put_field(b, ",", "status", run_status_name(r->status));
    if (!rc)
        rc = put_time(b, "started_at", r->started_ms);
    if (!rc)
        rc = put_time(b, "ended_at", r->ended_ms);
    for (size_t i = 0; i < RUN_COUNTS_TOLD && !rc; i++)
        rc = buf_printf(b, ",\"%s\":%" PRIu64, run_count_name(i), run_count(&r->counts, i));
    if (!rc)
        rc = put_field(b, ",", "error", r->error);
    if (!rc)
        rc = put_field(b, ",", "reason", r->reason);
    return rc ? rc : buf_putc(b, '}');
}

static enum err_code put_webhook(struct buf *b, const struct alert *a, const struct news *n,
                                 const char *title)
{
    enum err_code rc = put_field(b, "{", "event", n->sync ? news_name(n->what) : "test");
    if (!rc)
        rc = put_field(b, ",", "alert", a->name);
    if (!rc)
        rc = n->sync ? put_field(b, ",", "sync", n->sync) : buf_puts(b, ",\"sync\":null");
    if (!rc)
        rc = put_field(b, ",", "title", title);
    if (!rc)
        rc = put_time(b, "at", n->at_ms);
    if (!rc)
        rc = put_time(b, "fresh_at", n->fresh_ms);
    if (!rc)
        rc = put_field(b, ",", "why", n->why ? n->why : "");
    if (!rc)
        rc = put_run(b, n->run);
    return rc ? rc : buf_putc(b, '}');
}

/* In Slack's text these three stand for links and mentions. */
static enum err_code put_slack_text(struct buf *b, const char *text)
{
    enum err_code rc = ERR_OK;
    for (; *text && !rc; text++)
        rc = *text == '&'   ? buf_puts(b, "&amp;")
             : *text == '<' ? buf_puts(b, "&lt;")
             : *text == '>' ? buf_puts(b, "&gt;")
                            : buf_putc(b, *text);
    return rc;
}

static enum err_code put_slack(struct buf *b, const char *title, const char *detail)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, BODY_BYTES_MAX);
    enum err_code rc = buf_putc(&text, '*');
    if (!rc)
        rc = put_slack_text(&text, title);
    if (!rc)
        rc = buf_puts(&text, "*\n");
    if (!rc)
        rc = put_slack_text(&text, detail);
    if (!rc)
        rc = buf_puts(b, "{\"text\":");
    if (!rc)
        rc = json_put_words(b, buf_slice(&text));
    return rc ? rc : buf_putc(b, '}');
}

/* PagerDuty's Events API v2: an incident per sync and kind, which its recovery resolves. */
static enum err_code put_pagerduty(struct buf *b, const struct alert *a, const struct news *n,
                                   const char *title, const char *detail)
{
    char key[STATE_NAME_MAX + 100];
    bool resolves = n->what == ALERT_ON_RECOVERED;
    enum alert_on kind = resolves ? (enum alert_on)n->of : n->what;
    const char *severity = !n->sync                                           ? "info"
                           : kind == ALERT_ON_FAILED || kind == ALERT_ON_LATE ? "error"
                                                                              : "warning";
    snprintf(key, sizeof key, "sluice/%s/%s/%s", n->origin ? n->origin : "", n->sync ? n->sync : "",
             n->sync ? news_name(kind) : "test");
    enum err_code rc = put_field(b, "{", "routing_key", a->routing_key);
    if (!rc)
        rc = put_field(b, ",", "event_action", resolves ? "resolve" : "trigger");
    if (!rc)
        rc = put_field(b, ",", "dedup_key", key);
    if (!rc)
        rc = put_field(b, ",\"payload\":{", "summary", title);
    if (!rc)
        rc = put_field(b, ",", "source", "sluice");
    if (!rc)
        rc = put_field(b, ",", "severity", severity);
    if (!rc)
        rc = put_field(b, ",", "component", n->sync ? n->sync : "alerts");
    if (!rc)
        rc = put_field(b, ",\"custom_details\":{", "detail", detail);
    return rc ? rc : buf_puts(b, "}}}");
}

/* ---- e-mail (RFC 5322, 2045, 2047) ---- */

enum { LINE_BYTES = 57 }; /* of text on a line of base64: 76 characters */

static enum err_code put_base64(struct buf *b, struct slice text, const char *line_end)
{
    enum err_code rc = ERR_OK;
    for (size_t at = 0; at < text.n && !rc; at += LINE_BYTES) {
        unsigned char coded[LINE_BYTES * 2];
        size_t n = text.n - at < LINE_BYTES ? text.n - at : LINE_BYTES;
        int coded_n = EVP_EncodeBlock(coded, (const unsigned char *)text.p + at, (int)n);
        rc = buf_put(b, coded, (size_t)coded_n);
        if (!rc)
            rc = buf_puts(b, line_end);
    }
    return rc;
}

/* One encoded word holds 75 characters: 42 bytes of text, cut between characters. */
static enum err_code put_subject(struct buf *b, const char *title)
{
    enum { WORD_BYTES = 42 };
    struct slice left = slice_str(title);
    enum err_code rc = buf_puts(b, "Subject:");
    while (left.n && !rc) {
        struct slice word = utf8_prefix(left, WORD_BYTES);
        word.n = word.n ? word.n : 1;
        rc = buf_puts(b, " =?UTF-8?B?");
        if (!rc)
            rc = put_base64(b, word, "");
        left = slice_of(left.p + word.n, left.n - word.n);
        if (!rc)
            rc = buf_puts(b, left.n ? "?=\r\n" : "?=");
    }
    return rc ? rc : buf_puts(b, "\r\n");
}

static enum err_code put_date(struct buf *b, int64_t at_ms)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t s = (time_t)(at_ms / 1000);
    struct tm t;
    gmtime_r(&s, &t);
    return buf_printf(b, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n", days[t.tm_wday],
                      t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static enum err_code put_mail(struct buf *b, const struct alert *a, const struct news *n,
                              const char *title, struct slice detail)
{
    char id[33];
    random_hex(id, 32);
    enum err_code rc = buf_printf(b, "From: Sluice <%s>\r\n", a->from);
    for (size_t i = 0; i < a->to_count && !rc; i++)
        rc = buf_printf(b, "%s<%s>", i ? ",\r\n " : "To: ", a->to[i]);
    if (!rc)
        rc = buf_puts(b, "\r\n");
    if (!rc)
        rc = put_subject(b, title);
    if (!rc)
        rc = put_date(b, n->at_ms);
    if (!rc)
        rc = buf_printf(b,
                        "Message-ID: <%s@sluice>\r\nMIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: base64\r\n"
                        "Auto-Submitted: auto-generated\r\n\r\n",
                        id);
    return rc ? rc : put_base64(b, detail, "\r\n");
}

/* ---- the parcel ---- */

static void sign(struct message *m, const char *secret)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)m->body.p,
              m->body.len, digest, &n))
        return;
    char *p = stpcpy(m->signature, "X-Sluice-Signature: sha256=");
    for (unsigned i = 0; i < n; i++) {
        *p++ = hex[digest[i] >> 4];
        *p++ = hex[digest[i] & 15];
    }
    *p = '\0';
    m->headers[0] = m->signature;
    m->parcel.headers = m->headers;
    m->parcel.header_count = 1;
}

/* A password goes in the clear to this machine only. */
static bool is_near(const char *smtp)
{
    const char *host = strstr(smtp, "://");
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; host && i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(host + 3, names[i], n) == 0 && strchr(":/", host[3 + n]))
            return true;
    }
    return false;
}

static void address(struct message *m, const struct alert *a)
{
    m->parcel.url = a->url;
    m->parcel.ca_file = a->ca_file;
    m->parcel.body = buf_slice(&m->body);
    if (a->secret)
        sign(m, a->secret);
    if (a->type != ALERT_EMAIL)
        return;
    m->parcel.url = a->smtp;
    m->parcel.from = a->from;
    m->parcel.to = a->to;
    m->parcel.to_count = a->to_count;
    m->parcel.user = a->user;
    m->parcel.password = a->password;
    m->parcel.encrypted = a->user && !is_near(a->smtp);
}

static enum err_code put_body(struct buf *b, const struct alert *a, const struct news *n,
                              const char *title, struct buf *detail)
{
    const char *text = buf_cstr(detail);
    if (!text)
        return ERR_NOMEM;
    switch (a->type) {
    case ALERT_SLACK:
        return put_slack(b, title, text);
    case ALERT_WEBHOOK:
        return put_webhook(b, a, n, title);
    case ALERT_PAGERDUTY:
        return put_pagerduty(b, a, n, title, text);
    case ALERT_EMAIL:
        return put_mail(b, a, n, title, buf_slice(detail));
    }
    return ERR_BUG;
}

enum err_code message_make(const struct alert *a, const struct news *n, struct message *ret,
                           struct err *err)
{
    char title[TITLE_BYTES];
    CLEANUP(buf_done) struct buf raw;
    CLEANUP(buf_done) struct buf detail;
    *ret = (struct message){0};
    buf_init(&ret->body, BODY_BYTES_MAX);
    buf_init(&raw, TEXT_BYTES_MAX);
    buf_init(&detail, 3 * (size_t)TEXT_BYTES_MAX);
    put_title(n, title);
    enum err_code rc = put_detail(&raw, n);
    if (!rc)
        rc = utf8_put(&detail, buf_slice(&raw));
    if (!rc)
        rc = put_body(&ret->body, a, n, title, &detail);
    if (rc)
        return err_set(err, rc, "a message of the alert %s: %s", a->name, err_name(rc));
    address(ret, a);
    return ERR_OK;
}

void message_done(struct message *m)
{
    buf_done(&m->body);
}
