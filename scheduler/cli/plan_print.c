#include "scheduler/cli/plan_print.h"

#include "protocol/base/json.h"
#include "scheduler/cli/print.h"
#include "scheduler/plan/first_request.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { REQUEST_BYTES_MAX = 256 << 20, BODY_SHOWN = 2000, LINE_SHOWN = 400, MORE_BYTES = 8 };

static enum err_code request_of(const struct plan_show *s, struct buf *out, struct err *err)
{
    buf_init(out, REQUEST_BYTES_MAX);
    if (!s->plan->first.len)
        return ERR_OK;
    return first_request(s->worker_program, s->project_dir, buf_slice(&s->plan->first), out, err);
}

/* ---- for people ---- */

static void print_cut(const char *text, int most)
{
    size_t n = strlen(text);
    if (n <= (size_t)most) {
        fputs(text, stdout);
        return;
    }
    size_t keep = (size_t)most;
    while (keep && (text[keep] & 0xC0) == 0x80) /* not inside a character */
        keep--;
    printf("%.*s… (%zu bytes)", (int)keep, text, n);
}

static void print_samples(const struct plan *p)
{
    static const char marks[PLAN_CLASSES] = {
        [RECORD_ADDED] = '+', [RECORD_CHANGED] = '~', [RECORD_REMOVED] = '-'};
    for (size_t class = 0; class < PLAN_CLASSES; class ++) {
        for (size_t i = 0; i < p->sample_count[class]; i++) {
            const struct plan_sample *one = &p->samples[class][i];
            printf("  %c %s ", marks[class], record_op_name(one->op));
            print_cut(one->key ? one->key : "(a key too long to be shown)", LINE_SHOWN);
            if (one->before) {
                fputs("\n      before ", stdout);
                print_cut(one->before, LINE_SHOWN);
            }
            if (one->fields) {
                fputs(one->before ? "\n      after  " : " ", stdout);
                print_cut(one->fields, LINE_SHOWN);
            }
            putchar('\n');
        }
    }
}

static void print_headers(json_t *headers)
{
    const char *name;
    json_t *value;
    json_object_foreach(headers, name, value)
        printf("    %s: %s\n", name, json_string_value(value) ? json_string_value(value) : "");
}

static void print_line(const char *line, size_t n)
{
    json_t *r = json_loadb(line, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    const char *what = json_string_value(json_object_get(r, "for"));
    if (!what) {
        json_decref(r);
        return;
    }
    bool records = strcmp(what, "records") == 0;
    printf("  %s: %s %s\n", records ? "first request" : "before it",
           json_string_value(json_object_get(r, "method")),
           json_string_value(json_object_get(r, "url")));
    print_headers(json_object_get(r, "headers"));
    json_t *body = json_object_get(r, "body");
    char *text = body ? json_dumps(body, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (text) {
        fputs("    ", stdout);
        print_cut(json_is_string(body) ? json_string_value(body) : text, BODY_SHOWN);
        putchar('\n');
    }
    free(text);
    json_decref(r);
}

/* Up to the first one that carries records. */
static void print_requests(struct slice lines)
{
    while (lines.n) {
        const char *end = memchr(lines.p, '\n', lines.n);
        size_t n = end ? (size_t)(end - lines.p) : lines.n;
        print_line(lines.p, n);
        if (n > 17 && memcmp(lines.p, "{\"for\":\"records\"", 16) == 0)
            return;
        lines = slice_of(lines.p + n, lines.n - n);
        if (lines.n)
            lines = slice_of(lines.p + 1, lines.n - 1);
    }
}

static void print_totals(const struct plan_show *s)
{
    const struct run_counts *c = &s->record->counts;
    char n[6][PRINT_NUMBER_BYTES];
    printf("%s: %s to add, %s to change, %s to remove; %s unchanged of %s rows", s->record->sync,
           print_number(c->added, n[0]), print_number(c->changed, n[1]),
           print_number(c->removed, n[2]), print_number(c->unchanged, n[3]),
           print_number(c->rows, n[4]));
    if (c->invalid)
        printf(", %s invalid", print_number(c->invalid, n[5]));
    if (c->quarantined)
        printf(", %s quarantined", print_number(c->quarantined, n[5]));
    putchar('\n');
    if (s->would_hold)
        printf("  a run would be held: %s\n", s->record->reason);
}

static void print_time(const struct plan_show *s)
{
    char n[PRINT_NUMBER_BYTES], t[PRINT_NUMBER_BYTES];
    if (!s->plan->batches)
        return;
    printf("  %s batch%s", print_number(s->plan->batches, n), s->plan->batches == 1 ? "" : "es");
    if (s->plan->least_ms)
        printf("; the limits let the last one begin after %s",
               print_duration(s->plan->least_ms, t));
    putchar('\n');
}

enum err_code plan_show_text(const struct plan_show *s, struct err *err)
{
    CLEANUP(buf_done) struct buf request;
    enum err_code rc = request_of(s, &request, err);
    print_totals(s);
    print_time(s);
    print_samples(s->plan);
    if (!rc)
        print_requests(buf_slice(&request));
    fflush(stdout);
    return rc;
}

/* ---- JSON ---- */

static enum err_code put_text_or_null(struct buf *b, const char *name, const char *json)
{
    return buf_printf(b, ",\"%s\":%s", name, json ? json : "null");
}

static enum err_code put_samples(struct buf *b, const struct plan *p)
{
    enum err_code rc = buf_puts(b, ",\"samples\":{");
    for (size_t class = 0; class < PLAN_CLASSES && !rc; class ++) {
        rc = buf_printf(b, "%s\"%s\":[", class ? "," : "",
                        plan_class_name((enum record_class) class));
        for (size_t i = 0; i < p->sample_count[class] && !rc; i++) {
            const struct plan_sample *one = &p->samples[class][i];
            rc = buf_printf(b, "%s{\"op\":\"%s\"", i ? "," : "", record_op_name(one->op));
            rc = rc ? rc : put_text_or_null(b, "key", one->key);
            rc = rc ? rc : put_text_or_null(b, "before", one->before);
            rc = rc ? rc : put_text_or_null(b, "fields", one->fields);
            rc = rc ? rc : buf_putc(b, '}');
        }
        rc = rc ? rc : buf_putc(b, ']');
    }
    return rc ? rc : buf_putc(b, '}');
}

static enum err_code put_requests(struct buf *b, struct slice lines)
{
    enum err_code rc = buf_puts(b, ",\"first_requests\":[");
    for (bool first = true; lines.n && !rc; first = false) {
        const char *end = memchr(lines.p, '\n', lines.n);
        size_t n = end ? (size_t)(end - lines.p) : lines.n;
        rc = first ? ERR_OK : buf_putc(b, ',');
        rc = rc ? rc : buf_put(b, lines.p, n);
        lines = end ? slice_of(end + 1, lines.n - n - 1) : (struct slice){0};
    }
    return rc ? rc : buf_putc(b, ']');
}

static enum err_code put_counts(struct buf *b, const struct plan_show *s)
{
    const struct run_counts *c = &s->record->counts;
    enum err_code rc = buf_puts(b, "{\"sync\":");
    rc = rc ? rc : json_put_string(b, slice_str(s->record->sync));
    rc = rc ? rc
            : buf_printf(b,
                         ",\"run\":\"%s\",\"status\":\"planned\",\"rows\":%" PRIu64
                         ",\"added\":%" PRIu64 ",\"changed\":%" PRIu64 ",\"removed\":%" PRIu64
                         ",\"unchanged\":%" PRIu64 ",\"invalid\":%" PRIu64
                         ",\"quarantined\":%" PRIu64 ",\"planned\":%" PRIu64,
                         s->record->id, c->rows, c->added, c->changed, c->removed, c->unchanged,
                         c->invalid, c->quarantined, c->planned);
    rc = rc ? rc
            : buf_printf(b, ",\"batches\":%" PRIu64 ",\"least_seconds\":%.3f,\"digest\":\"%s\"",
                         s->plan->batches, (double)s->plan->least_ms / 1000, s->plan->digest);
    rc = rc ? rc : buf_puts(b, ",\"would_hold\":");
    if (!rc && s->would_hold)
        return json_put_string(b, slice_str(s->record->reason));
    return rc ? rc : buf_puts(b, "null");
}

enum err_code plan_show_json(const struct plan_show *s, struct err *err)
{
    CLEANUP(buf_done) struct buf request;
    CLEANUP(buf_done) struct buf line;
    buf_init(&line, 2u * REQUEST_BYTES_MAX);
    enum err_code rc = request_of(s, &request, err);
    if (rc)
        return rc;
    rc = put_counts(&line, s);
    rc = rc ? rc : put_samples(&line, s->plan);
    rc = rc ? rc : put_requests(&line, buf_slice(&request));
    rc = rc ? rc : buf_puts(&line, "}\n");
    if (rc)
        return err_set(err, rc, "no memory to show a plan");
    fwrite(line.p, 1, line.len, stdout);
    fflush(stdout);
    return ERR_OK;
}

void plan_show_failed(const struct run_record *r, bool json)
{
    if (json)
        print_run_json(r);
    else
        printf("%s: no plan could be made: %s\n", r->sync, r->error);
}
