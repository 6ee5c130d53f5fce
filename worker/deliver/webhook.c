#include "worker/deliver/webhook.h"

#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <zlib.h>

#include "protocol/base/json.h"
#include "worker/deliver/classify.h"
#include "worker/deliver/program.h"

enum {
    PROGRAMS_KEPT = 16,
    PROGRAM_KEY_MAX = 16 << 20,
    HEADERS_MAX_BYTES = 1 << 20,
    DYNAMIC_HEADERS = 2,   /* Idempotency-Key, X-Sluice-Signature */
    GZIP_LEVEL = 3,        /* most of the gain on JSON at a third of the default level's time */
    GZIP_WINDOW = 15 + 16, /* zlib's way to ask for the gzip form */
};

/* A program with the head it was compiled for. */
struct cached {
    struct buf key;
    struct program *program;
};

struct webhook {
    const struct destination *destination;
    struct arena arena;
    const char **headers; /* those that never change */
    size_t header_count;
    struct cached programs[PROGRAMS_KEPT];
    size_t next; /* the one to be replaced next */
    struct buf key;
    z_stream deflate;
    bool deflating;
};

/* ---- headers ---- */

static bool is_clean(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7F)
            return false;
    return true;
}

static enum err_code add_header(struct webhook *w, const char *name, const char *value,
                                struct err *err)
{
    if (!is_clean(name) || !is_clean(value) || !*name || strpbrk(name, ": "))
        return err_set(err, ERR_CONFIG,
                       "destination %s: header %s has a name or value that HTTP does not allow",
                       w->destination->name, is_clean(name) ? name : "(unreadable)");
    struct buf line;
    buf_init(&line, HEADERS_MAX_BYTES);
    /* libcurl's form for a header without a value ends in a semicolon. */
    enum err_code rc =
        *value ? buf_printf(&line, "%s: %s", name, value) : buf_printf(&line, "%s;", name);
    char *copy = rc ? NULL : arena_str(&w->arena, buf_slice(&line));
    if (line.p)
        OPENSSL_cleanse(line.p, line.len);
    buf_done(&line);
    if (!copy)
        return err_set(err, ERR_NOMEM, "no memory for the headers of destination %s",
                       w->destination->name);
    w->headers[w->header_count++] = copy;
    return ERR_OK;
}

static bool is_configured(const struct destination *d, const char *name)
{
    for (size_t i = 0; i < d->header_count; i++)
        if (strcasecmp(d->headers[i].name, name) == 0)
            return true;
    return false;
}

static enum err_code add_basic(struct webhook *w, struct err *err)
{
    const struct destination *d = w->destination;
    const char *password = d->basic_password ? d->basic_password : "";
    struct buf plain, header;
    buf_init(&plain, HEADERS_MAX_BYTES);
    buf_init(&header, 2 * HEADERS_MAX_BYTES);
    enum err_code rc = buf_printf(&plain, "%s:%s", d->basic_user, password);
    if (!rc)
        rc = buf_puts(&header, "Basic ");
    if (!rc)
        rc = buf_reserve(&header, plain.len / 3 * 4 + 5);
    if (!rc) {
        int n = EVP_EncodeBlock((unsigned char *)header.p + header.len, (unsigned char *)plain.p,
                                (int)plain.len);
        header.len += (size_t)n;
        rc = add_header(w, "Authorization", header.p, err);
        OPENSSL_cleanse(header.p, header.len);
    }
    if (plain.p)
        OPENSSL_cleanse(plain.p, plain.len);
    buf_done(&plain);
    buf_done(&header);
    return rc;
}

static enum err_code add_bearer(struct webhook *w, struct err *err)
{
    struct buf value;
    buf_init(&value, HEADERS_MAX_BYTES);
    enum err_code rc = buf_printf(&value, "Bearer %s", w->destination->bearer);
    if (!rc)
        rc = add_header(w, "Authorization", value.p, err);
    if (value.p)
        OPENSSL_cleanse(value.p, value.len);
    buf_done(&value);
    return rc;
}

static enum err_code add_headers(struct webhook *w, struct err *err)
{
    const struct destination *d = w->destination;
    enum err_code rc = ERR_OK;
    w->headers = arena_alloc(&w->arena, (d->header_count + 4) * sizeof *w->headers);
    if (!w->headers)
        return err_set(err, ERR_NOMEM, "no memory for the headers of destination %s", d->name);
    if (!is_configured(d, "Content-Type"))
        rc = add_header(w, "Content-Type", "application/json", err);
    for (size_t i = 0; !rc && i < d->header_count; i++)
        rc = add_header(w, d->headers[i].name, d->headers[i].value, err);
    if (!rc && d->bearer)
        rc = add_bearer(w, err);
    else if (!rc && d->basic_user)
        rc = add_basic(w, err);
    if (!rc && d->gzip)
        rc = add_header(w, "Content-Encoding", "gzip", err);
    return rc;
}

/* ---- life ---- */

static void webhook_close(void *state)
{
    struct webhook *w = state;
    if (!w)
        return;
    for (size_t i = 0; i < PROGRAMS_KEPT; i++) {
        buf_done(&w->programs[i].key);
        program_free(w->programs[i].program);
    }
    buf_done(&w->key);
    if (w->deflating)
        deflateEnd(&w->deflate);
    for (size_t i = 0; i < w->header_count; i++)
        OPENSSL_cleanse((char *)(uintptr_t)w->headers[i], strlen(w->headers[i]));
    arena_done(&w->arena);
    free(w);
}

static enum err_code webhook_open(const struct destination *d, const struct settings *settings,
                                  void **ret_state, struct err *err)
{
    (void)settings;
    if (!d->url || !*d->url)
        return err_set(err, ERR_CONFIG, "destination %s has no url", d->name);
    struct webhook *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(err, ERR_NOMEM, "no memory for destination %s", d->name);
    w->destination = d;
    arena_init(&w->arena, 2 * HEADERS_MAX_BYTES);
    buf_init(&w->key, PROGRAM_KEY_MAX);
    for (size_t i = 0; i < PROGRAMS_KEPT; i++)
        buf_init(&w->programs[i].key, PROGRAM_KEY_MAX);
    enum err_code rc = add_headers(w, err);
    if (!rc && d->gzip) {
        w->deflating = deflateInit2(&w->deflate, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8,
                                    Z_DEFAULT_STRATEGY) == Z_OK;
        rc = w->deflating
                 ? ERR_OK
                 : err_set(err, ERR_NOMEM, "no memory to compress for destination %s", d->name);
    }
    if (rc)
        webhook_close(w);
    else
        *ret_state = w;
    return rc;
}

/* ---- rendering ---- */

static enum err_code find_program(struct webhook *w, const struct batch_head *head,
                                  const struct program **ret_program, struct err *err)
{
    buf_reset(&w->key);
    if (program_key(&w->key, head))
        return err_set(err, ERR_NOMEM, "no memory for the names of a batch");
    for (size_t i = 0; i < PROGRAMS_KEPT; i++) {
        struct cached *c = &w->programs[i];
        if (c->program && slice_eq(buf_slice(&c->key), buf_slice(&w->key))) {
            *ret_program = c->program;
            return ERR_OK;
        }
    }
    struct program *fresh;
    enum err_code rc = program_new(head, &fresh, err);
    if (rc)
        return rc;
    struct cached *c = &w->programs[w->next++ % PROGRAMS_KEPT];
    program_free(c->program);
    c->program = fresh;
    struct buf old = c->key;
    c->key = w->key;
    w->key = old;
    *ret_program = fresh;
    return ERR_OK;
}

static enum err_code put_opening(struct buf *b, const struct batch_head *head, uint32_t attempt)
{
    enum err_code rc = buf_puts(b, "{\"sync\":");
    if (!rc)
        rc = json_put_string(b, head->sync);
    if (!rc)
        rc = buf_puts(b, ",\"run\":");
    if (!rc)
        rc = json_put_string(b, head->run);
    if (!rc)
        rc = buf_puts(b, ",\"batch\":");
    if (!rc)
        rc = json_put_string(b, head->id);
    return rc ? rc : buf_printf(b, ",\"attempt\":%u,\"records\":[", attempt);
}

static enum err_code put_records(const struct program *p, struct batch_reader *reader,
                                 struct rendered *out, struct err *err)
{
    uint32_t n = 0;
    for (;;) {
        struct record record;
        bool more;
        enum err_code rc = batch_reader_next(reader, &record, &more, err);
        if (rc)
            return rc;
        if (!more)
            break;
        if (n == out->records)
            return err_set(err, ERR_INVALID, "a batch holds more records than it says");
        rc = n ? buf_putc(&out->text, ',') : ERR_OK;
        if (!rc)
            rc = program_put(p, &out->text, &record);
        if (rc)
            return err_set(err, rc, "record %u of the batch: %s", record.ordinal, err_name(rc));
        out->ordinals[n] = record.ordinal;
        out->ops[n++] = record.op;
    }
    if (n != out->records)
        return err_set(err, ERR_INVALID, "a batch holds fewer records than it says");
    enum err_code rc = buf_puts(&out->text, "]}");
    return rc ? err_set(err, rc, "the request's body: %s", err_name(rc)) : ERR_OK;
}

static enum err_code compress_body(struct webhook *w, struct rendered *out, struct err *err)
{
    z_stream *z = &w->deflate;
    deflateReset(z);
    size_t most = deflateBound(z, (uLong)out->text.len);
    enum err_code rc = buf_reserve(&out->packed, most);
    if (rc)
        return err_set(err, rc, "no room to compress a request");
    z->next_in = (Bytef *)out->text.p;
    z->avail_in = (uInt)out->text.len;
    z->next_out = (Bytef *)out->packed.p;
    z->avail_out = (uInt)most;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return err_set(err, ERR_BUG, "zlib did not finish a request");
    out->packed.len = most - z->avail_out;
    out->body = buf_slice(&out->packed);
    return ERR_OK;
}

static enum err_code put_line(struct rendered *out, const char *name, struct slice value)
{
    struct slice start = slice_str(name);
    char *line = arena_alloc(&out->arena, start.n + value.n + 1);
    if (!line)
        return ERR_NOMEM;
    memcpy(line, start.p, start.n);
    memcpy(line + start.n, value.p, value.n);
    out->headers[out->header_count++] = line;
    return ERR_OK;
}

static enum err_code put_signature(struct rendered *out, const char *secret)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char mac[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)out->text.p,
              out->text.len, mac, &n))
        return ERR_NOMEM;
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = digits[mac[i] >> 4];
        hex[2 * i + 1] = digits[mac[i] & 15];
    }
    return put_line(out, "X-Sluice-Signature: sha256=", slice_of(hex, 2 * n));
}

static enum err_code put_headers(const struct webhook *w, const struct delivery *d,
                                 struct rendered *out)
{
    const char **lines =
        arena_alloc(&out->arena, (w->header_count + DYNAMIC_HEADERS) * sizeof *lines);
    if (!lines)
        return ERR_NOMEM;
    memcpy(lines, w->headers, w->header_count * sizeof *lines);
    out->headers = lines;
    out->header_count = w->header_count;
    enum err_code rc = put_line(out, "Idempotency-Key: ", d->part);
    if (!rc && w->destination->sign_secret)
        rc = put_signature(out, w->destination->sign_secret);
    return rc;
}

static enum err_code webhook_render(void *state, const struct delivery *d, struct rendered *out,
                                    struct err *err)
{
    struct webhook *w = state;
    const struct batch_head *head = batch_reader_head(d->reader);
    const struct program *program = NULL;
    enum err_code rc = find_program(w, head, &program, err);
    if (rc)
        return rc;
    rendered_reset(out);
    out->url = w->destination->url;
    out->records = batch_reader_count(d->reader);
    out->ordinals = arena_alloc(&out->arena, out->records * sizeof *out->ordinals);
    out->ops = arena_alloc(&out->arena, out->records * sizeof *out->ops);
    if (!out->ordinals || !out->ops || put_opening(&out->text, head, d->attempt))
        return err_set(err, ERR_NOMEM, "no memory for a request");
    rc = put_records(program, d->reader, out, err);
    if (rc)
        return rc;
    out->body = buf_slice(&out->text);
    if (put_headers(w, d, out))
        return err_set(err, ERR_NOMEM, "no memory for a request's headers");
    return w->deflating ? compress_body(w, out, err) : ERR_OK;
}

static enum err_code webhook_classify(void *state, const struct delivery *d, struct rendered *r,
                                      const struct http_answer *answer, struct outcome *ret_outcome,
                                      struct err *err)
{
    (void)state, (void)d;
    return classify(&r->arena, answer, r->ops, r->records, ret_outcome, err);
}

const struct driver webhook_driver = {
    .type = "webhook",
    .open = webhook_open,
    .close = webhook_close,
    .render = webhook_render,
    .classify = webhook_classify,
};
