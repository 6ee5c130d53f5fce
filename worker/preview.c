#include "worker/preview.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "worker/claim/setup.h"
#include "worker/deliver/json_check.h"
#include "worker/deliver/prelude.h"
#include "worker/deliver/redact.h"

enum { INPUT_BYTES_MAX = 2 * BATCH_BYTES_MAX, LINE_BYTES_MAX = 512 << 20, STEP_BYTES = 1 << 16 };

struct preview {
    struct target *target;
    struct rendered rendered;
    struct buf line;
};

static enum err_code read_input(struct buf *in, struct err *err)
{
    for (;;) {
        ssize_t n;
        if (buf_reserve(in, STEP_BYTES))
            return err_set(err, ERR_INVALID, "the batch on stdin is too long");
        n = read(STDIN_FILENO, in->p + in->len, STEP_BYTES);
        if (n < 0)
            return err_set(err, ERR_INVALID, "stdin cannot be read");
        if (n == 0)
            return ERR_OK;
        in->len += (size_t)n;
    }
}

/* ---- a line ---- */

static struct slice starred(struct preview *p, struct slice text)
{
    return redact_shown(&p->rendered.arena, p->target->destination, text);
}

static enum err_code put_member(struct preview *p, const char *name, struct slice value)
{
    enum err_code rc = buf_printf(&p->line, ",\"%s\":", name);
    return rc ? rc : json_put_string(&p->line, starred(p, value));
}

static enum err_code put_headers(struct preview *p)
{
    const struct rendered *r = &p->rendered;
    enum err_code rc = buf_puts(&p->line, ",\"headers\":{");
    for (size_t i = 0; !rc && i < r->header_count; i++) {
        const char *line = r->headers[i];
        size_t n = strcspn(line, ":;");
        const char *value = line + n + (line[n] != '\0');
        rc = i ? buf_putc(&p->line, ',') : ERR_OK;
        if (!rc)
            rc = json_put_string(&p->line, slice_of(line, n));
        if (!rc)
            rc = buf_putc(&p->line, ':');
        if (!rc)
            rc = json_put_string(&p->line, starred(p, slice_str(value + strspn(value, " "))));
    }
    return rc ? rc : buf_putc(&p->line, '}');
}

static enum err_code put_body(struct preview *p)
{
    const struct rendered *r = &p->rendered;
    bool packed = r->packed.len && r->body.p == r->packed.p;
    struct slice body = starred(p, packed ? buf_slice(&r->text) : r->body);
    if (!body.n)
        return ERR_OK;
    if (!json_check(body))
        return put_member(p, "body", body);
    enum err_code rc = buf_puts(&p->line, ",\"body\":");
    return rc ? rc : json_put_compact(&p->line, body);
}

static enum err_code print_request(struct preview *p, const char *what, struct err *err)
{
    const struct rendered *r = &p->rendered;
    buf_reset(&p->line);
    enum err_code rc = buf_printf(&p->line, "{\"for\":\"%s\"", what);
    if (!rc)
        rc = put_member(p, "method", slice_str(r->method ? r->method : "POST"));
    if (!rc)
        rc = put_member(p, "url", slice_str(r->url));
    if (!rc)
        rc = put_headers(p);
    if (!rc)
        rc = put_body(p);
    if (!rc)
        rc = buf_puts(&p->line, "}\n");
    if (rc)
        return err_set(err, rc, "no memory to print a request");
    if (fwrite(p->line.p, 1, p->line.len, stdout) != p->line.len)
        return err_set(err, ERR_IO, "stdout cannot be written");
    return ERR_OK;
}

/* ---- a batch ---- */

static enum err_code preview_batch(struct preview *p, struct slice payload, struct err *err);

/* What is too large for one request goes as two. */
static enum err_code preview_halves(struct preview *p, struct batch_reader *reader, struct err *err)
{
    uint32_t records = batch_reader_count(reader);
    uint8_t *keep = calloc(records + 1, 1);
    struct buf half;
    enum err_code rc = keep ? ERR_OK : err_set(err, ERR_NOMEM, "no memory to halve a batch");
    buf_init(&half, INPUT_BYTES_MAX);
    for (int second = 0; !rc && second < 2; second++) {
        for (uint32_t i = 0; i < records; i++)
            keep[i] = (i >= (records + 1) / 2) == second;
        buf_reset(&half);
        batch_reader_rewind(reader);
        rc = batch_reader_subset(reader, keep, &half, err);
        if (!rc)
            rc = preview_batch(p, buf_slice(&half), err);
    }
    buf_done(&half);
    free(keep);
    return rc;
}

static enum err_code preview_first(struct preview *p, const struct delivery *d, struct err *err)
{
    const struct driver *driver = p->target->driver;
    struct prelude *prelude = NULL;
    enum err_code rc =
        driver->prelude ? driver->prelude(p->target->state, d, &prelude, err) : ERR_OK;
    if (rc || !prelude)
        return rc;
    rc = prelude->ops->render(prelude, d, &p->rendered, err);
    bool token = strncmp(prelude->name, "ensure:", 7) != 0;
    return rc ? rc : print_request(p, token ? "token" : "ensure", err);
}

static enum err_code preview_batch(struct preview *p, struct slice payload, struct err *err)
{
    struct batch_reader *reader = batch_reader_new();
    enum err_code rc = reader ? batch_reader_open(reader, payload, err)
                              : err_set(err, ERR_NOMEM, "no memory for a batch");
    if (!rc) {
        struct delivery d = {
            .reader = reader,
            .part = batch_reader_head(reader)->id,
            .attempt = 1,
            .now_ms = clock_wall_ms(),
        };
        rc = p->target->driver->render(p->target->state, &d, &p->rendered, err);
        if (!rc)
            rc = print_request(p, "records", err);
        else if (rc == ERR_FULL && batch_reader_count(reader) > 1)
            rc = preview_halves(p, reader, err);
    }
    batch_reader_free(reader);
    return rc;
}

static enum err_code preview(struct preview *p, struct setup *setup, struct slice payload,
                             struct err *err)
{
    struct batch_reader *reader = batch_reader_new();
    enum err_code rc = reader ? batch_reader_open(reader, payload, err)
                              : err_set(err, ERR_NOMEM, "no memory for a batch");
    if (!rc) {
        const struct batch_head *head = batch_reader_head(reader);
        struct delivery d = {
            .reader = reader, .part = head->id, .attempt = 1, .now_ms = clock_wall_ms()};
        p->target = setup_target(setup, head->destination, head->fingerprint);
        rc = p->target ? preview_first(p, &d, err)
                       : err_set(err, ERR_CONFIG,
                                 "the batch's destination %.*s is not configured like this here",
                                 (int)head->destination.n, head->destination.p);
    }
    batch_reader_free(reader);
    return rc ? rc : preview_batch(p, payload, err);
}

int preview_run(const struct worker_options *options)
{
    struct log log = {.program = "sluice-worker", .level = LOG_WARN, .fd = STDERR_FILENO};
    struct preview p = {0};
    struct setup *setup = NULL;
    struct buf in;
    struct err err;
    buf_init(&in, INPUT_BYTES_MAX);
    buf_init(&p.line, LINE_BYTES_MAX);
    rendered_init(&p.rendered);
    enum err_code rc = setup_load(options->dir, &log, &setup, NULL, &err);
    if (!rc)
        rc = read_input(&in, &err);
    if (!rc)
        rc = preview(&p, setup, buf_slice(&in), &err);
    if (rc)
        log_event(&log, LOG_ERROR, "not_rendered", LOG_STR("error", err.text));
    rendered_done(&p.rendered);
    buf_done(&p.line);
    buf_done(&in);
    setup_release(setup);
    return rc == ERR_OK ? 0 : rc == ERR_INVALID ? EX_DATAERR : EX_CONFIG;
}
