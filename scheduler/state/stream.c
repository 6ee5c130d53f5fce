/*
 * Reads or writes: a stream. Form (msgpack):
 *   {"format": "sluice-state", "version": 1, "store": 1, "id": text, "commit": integer}
 *   [table, key, value]            for every pair: text, bytes, bytes
 *   {"pairs": integer, "digest": 16 bytes}   XXH3-128 of everything before this map, big endian
 * A crash here: a cut stream, which its reader refuses.
 */
#include "scheduler/state/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    MAP_HEAD = 0x85,
    MAP_END = 0x82,
    ARRAY_PAIR = 0x93,
    FIXSTR = 0xa0,
    BIN8 = 0xc4,
    BIN16 = 0xc5,
    BIN32 = 0xc6,
    UINT64 = 0xcf,
    FIXSTR_MAX = 31,
    DIGEST_BYTES = 16,
    TEXT_BYTES = 64,
    VALUE_BYTES_MAX = 64 << 20,
};

static const char format_name[] = "sluice-state", part_name[] = "sluice-syncs";

struct stream {
    FILE *file;
    XXH3_state_t *hash;
    uint64_t bytes;
    uint64_t pairs;
};

static enum err_code stream_init(struct stream *s, FILE *file, struct err *err)
{
    *s = (struct stream){.file = file, .hash = XXH3_createState()};
    if (!s->hash)
        return err_set(err, ERR_NOMEM, "state: out of memory");
    XXH3_128bits_reset(s->hash);
    return ERR_OK;
}

static void digest_of(const struct stream *s, uint8_t out[DIGEST_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s->hash));
    memcpy(out, canonical.digest, DIGEST_BYTES);
}

/* ---- writing: a failure shows in ferror at the end ---- */

static void put(struct stream *s, const void *p, size_t n)
{
    if (!n)
        return;
    fwrite(p, 1, n, s->file);
    XXH3_128bits_update(s->hash, p, n);
    s->bytes += n;
}

static void put_byte(struct stream *s, int byte)
{
    uint8_t b = (uint8_t)byte;
    put(s, &b, 1);
}

static void put_big(struct stream *s, uint64_t n, size_t bytes)
{
    uint8_t b[8];
    for (size_t i = 0; i < bytes; i++)
        b[i] = (uint8_t)(n >> 8 * (bytes - 1 - i));
    put(s, b, bytes);
}

/* Names and ids: short. */
static void put_text(struct stream *s, const char *text)
{
    size_t n = strlen(text);
    if (n <= FIXSTR_MAX) {
        put_byte(s, FIXSTR | (int)n);
    } else {
        put_byte(s, 0xd9);
        put_byte(s, (int)n);
    }
    put(s, text, n);
}

static void put_number(struct stream *s, const char *name, uint64_t n)
{
    put_text(s, name);
    put_byte(s, UINT64);
    put_big(s, n, 8);
}

static void put_bytes(struct stream *s, struct slice b)
{
    size_t width = b.n <= UINT8_MAX ? 1 : b.n <= UINT16_MAX ? 2 : 4;
    put_byte(s, width == 1 ? BIN8 : width == 2 ? BIN16 : BIN32);
    put_big(s, b.n, width);
    put(s, b.p, b.n);
}

static enum err_code put_pair(void *ctx, enum store_table t, struct slice key, struct slice value,
                              struct err *err)
{
    struct stream *s = ctx;
    put_byte(s, ARRAY_PAIR);
    put_text(s, store_table_names[t]);
    put_bytes(s, key);
    put_bytes(s, value);
    s->pairs++;
    return ferror(s->file) ? err_errno(err, errno, "the export cannot be written") : ERR_OK;
}

static enum err_code write_all(void *ctx, pair_cb cb, void *cb_ctx, struct err *err)
{
    return store_each_pair(ctx, cb, cb_ctx, err);
}

static enum err_code write_as(struct state *state, const char *format, stream_source source,
                              void *ctx, FILE *out, struct transfer_counts *ret, struct err *err)
{
    struct stream s;
    uint8_t digest[DIGEST_BYTES];
    enum err_code code = stream_init(&s, out, err);
    if (code)
        return code;
    put_byte(&s, MAP_HEAD);
    put_text(&s, "format");
    put_text(&s, format);
    put_number(&s, "version", TRANSFER_VERSION);
    put_number(&s, "store", STORE_VERSION);
    put_text(&s, "id");
    put_text(&s, state_id(state));
    put_number(&s, "commit", state_commit_number(state));
    code = source(ctx, put_pair, &s, err);
    digest_of(&s, digest);
    put_byte(&s, MAP_END);
    put_number(&s, "pairs", s.pairs);
    put_text(&s, "digest");
    put_bytes(&s, slice_of(digest, sizeof digest));
    if (!code && (fflush(out) || ferror(out)))
        code = err_errno(err, errno, "the export cannot be written");
    ret->pairs = s.pairs;
    ret->bytes = s.bytes;
    XXH3_freeState(s.hash);
    return code;
}

enum err_code stream_write(struct state *state, FILE *out, struct transfer_counts *ret,
                           struct err *err)
{
    return write_as(state, format_name, write_all, state, out, ret, err);
}

enum err_code stream_write_part(struct state *state, stream_source source, void *ctx, FILE *out,
                                struct transfer_counts *ret, struct err *err)
{
    return write_as(state, part_name, source, ctx, out, ret, err);
}

/* ---- reading ---- */

static enum err_code damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "the export is damaged: %s", what);
}

static enum err_code get(struct stream *s, void *p, size_t n, struct err *err)
{
    if (n && fread(p, 1, n, s->file) != n)
        return ferror(s->file) ? err_errno(err, errno, "the export cannot be read")
                               : damaged(err, "it ends too soon");
    if (n)
        XXH3_128bits_update(s->hash, p, n);
    s->bytes += n;
    return ERR_OK;
}

static enum err_code get_big(struct stream *s, size_t bytes, uint64_t *ret, struct err *err)
{
    uint8_t b[8];
    enum err_code code = get(s, b, bytes, err);
    *ret = 0;
    for (size_t i = 0; !code && i < bytes; i++)
        *ret = *ret << 8 | b[i];
    return code;
}

static enum err_code get_text(struct stream *s, char out[TEXT_BYTES], struct err *err)
{
    uint64_t head, n;
    enum err_code code = get_big(s, 1, &head, err);
    n = head & FIXSTR_MAX;
    if (!code && head == 0xd9)
        code = get_big(s, 1, &n, err);
    else if (!code && (head & ~(uint64_t)FIXSTR_MAX) != FIXSTR)
        code = damaged(err, "a text is missing");
    if (!code && n >= TEXT_BYTES)
        code = damaged(err, "a text is too long");
    if (!code)
        code = get(s, out, (size_t)n, err);
    if (!code)
        out[n] = '\0';
    return code;
}

static enum err_code get_name(struct stream *s, const char *want, struct err *err)
{
    char name[TEXT_BYTES];
    enum err_code code = get_text(s, name, err);
    return code || strcmp(name, want) == 0 ? code : damaged(err, "a name is missing");
}

static enum err_code get_number(struct stream *s, const char *name, uint64_t *ret, struct err *err)
{
    uint64_t head;
    enum err_code code = get_name(s, name, err);
    if (!code)
        code = get_big(s, 1, &head, err);
    if (!code && head != UINT64)
        code = damaged(err, "a number is missing");
    return code ? code : get_big(s, 8, ret, err);
}

static enum err_code get_bytes(struct stream *s, struct buf *out, struct err *err)
{
    uint64_t head, n;
    enum err_code code = get_big(s, 1, &head, err);
    if (!code && (head < BIN8 || head > BIN32))
        code = damaged(err, "bytes are missing");
    if (!code)
        code = get_big(s, (size_t)1 << (head - BIN8), &n, err);
    if (!code && n > VALUE_BYTES_MAX)
        code = damaged(err, "a value is too long");
    buf_reset(out);
    if (!code && buf_reserve(out, (size_t)n))
        code = err_set(err, ERR_NOMEM, "no memory for a value of the export");
    if (!code)
        code = get(s, out->p, (size_t)n, err);
    if (!code)
        out->len = (size_t)n;
    return code;
}

static enum err_code read_format(struct stream *s, bool part, struct err *err)
{
    char text[TEXT_BYTES];
    uint64_t head;
    struct err ignored;
    if (get_big(s, 1, &head, &ignored) || head != MAP_HEAD || get_name(s, "format", &ignored) ||
        get_text(s, text, &ignored) ||
        (strcmp(text, format_name) != 0 && strcmp(text, part_name) != 0))
        return err_set(err, ERR_INVALID, "this is not an export of `sluice state export`");
    if (strcmp(text, part ? part_name : format_name) == 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID,
                   part ? "this is the export of a whole state: import it without --merge"
                        : "this is the export of single syncs: import it with --merge, into the "
                          "state that is to have them");
}

static enum err_code read_head(struct stream *s, bool part, struct stream_head *ret,
                               struct err *err)
{
    char text[TEXT_BYTES];
    uint64_t version = 0, store = 0;
    if (read_format(s, part, err))
        return err->code;
    enum err_code code = get_number(s, "version", &version, err);
    if (!code)
        code = get_number(s, "store", &store, err);
    if (!code && (version > TRANSFER_VERSION || store > STORE_VERSION))
        return err_set(err, ERR_INVALID,
                       "the export was written by a later version of Sluice (its form %" PRIu64
                       ".%" PRIu64 ", this one reads up to %d.%d): use that version",
                       version, store, TRANSFER_VERSION, STORE_VERSION);
    if (!code)
        code = get_name(s, "id", err);
    if (!code)
        code = get_text(s, text, err);
    if (!code && strlen(text) >= sizeof ret->id)
        code = damaged(err, "an id is too long");
    if (!code)
        strcpy(ret->id, text);
    return code ? code : get_number(s, "commit", &ret->commit, err);
}

static enum err_code find_table(const char *name, enum store_table *ret, struct err *err)
{
    for (int t = 0; t < TABLE_COUNT; t++)
        if (strcmp(store_table_names[t], name) == 0) {
            *ret = (enum store_table)t;
            return ERR_OK;
        }
    return damaged(err, "it has a table that is not known");
}

struct pair {
    struct buf key, value;
};

static enum err_code read_pair(struct stream *s, struct pair *p, pair_cb cb, void *ctx,
                               struct err *err)
{
    char name[TEXT_BYTES];
    enum store_table t = TABLE_META;
    enum err_code code = get_text(s, name, err);
    if (!code)
        code = find_table(name, &t, err);
    if (!code)
        code = get_bytes(s, &p->key, err);
    if (!code)
        code = get_bytes(s, &p->value, err);
    if (!code)
        code = cb(ctx, t, buf_slice(&p->key), buf_slice(&p->value), err);
    s->pairs++;
    return code;
}

static enum err_code read_end(struct stream *s, const uint8_t *digest, struct pair *p,
                              struct err *err)
{
    uint64_t pairs;
    enum err_code code = get_number(s, "pairs", &pairs, err);
    if (!code)
        code = get_name(s, "digest", err);
    if (!code)
        code = get_bytes(s, &p->value, err);
    if (code)
        return code;
    if (pairs != s->pairs)
        return damaged(err, "pairs are missing");
    if (!slice_eq(buf_slice(&p->value), slice_of(digest, DIGEST_BYTES)))
        return damaged(err, "its digest is another");
    return getc(s->file) == EOF ? ERR_OK : damaged(err, "something stands behind its end");
}

static enum err_code read_pairs(struct stream *s, struct pair *p, pair_cb cb, void *ctx,
                                struct err *err)
{
    enum err_code code = ERR_OK;
    while (!code) {
        uint8_t digest[DIGEST_BYTES];
        uint64_t head;
        digest_of(s, digest);
        code = get_big(s, 1, &head, err);
        if (!code && head == MAP_END)
            return read_end(s, digest, p, err);
        if (!code && head != ARRAY_PAIR)
            code = damaged(err, "a pair is missing");
        if (!code)
            code = read_pair(s, p, cb, ctx, err);
    }
    return code;
}

static enum err_code read_as(FILE *in, bool part, struct stream_head *head, pair_cb cb, void *ctx,
                             struct transfer_counts *ret, struct err *err)
{
    struct stream s;
    struct pair p;
    enum err_code code = stream_init(&s, in, err);
    if (code)
        return code;
    buf_init(&p.key, STORE_KEY_MAX + 1);
    buf_init(&p.value, VALUE_BYTES_MAX);
    code = read_head(&s, part, head, err);
    if (!code)
        code = read_pairs(&s, &p, cb, ctx, err);
    ret->pairs = s.pairs;
    ret->bytes = s.bytes;
    buf_done(&p.key);
    buf_done(&p.value);
    XXH3_freeState(s.hash);
    return code;
}

enum err_code stream_read(FILE *in, pair_cb cb, void *ctx, struct transfer_counts *ret,
                          struct err *err)
{
    struct stream_head head;
    return read_as(in, false, &head, cb, ctx, ret, err);
}

enum err_code stream_read_part(FILE *in, struct stream_head *ret_head, pair_cb cb, void *ctx,
                               struct transfer_counts *ret, struct err *err)
{
    return read_as(in, true, ret_head, cb, ctx, ret, err);
}
