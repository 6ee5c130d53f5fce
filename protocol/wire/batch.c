/*
 * Writing batches. Rows are written with raw stores after one reservation, since this is done for
 * every row of every run; the head goes through msgpack-c.
 *
 * Payload: codec (1 byte), raw length (4 bytes, big-endian), body. Body: one msgpack array, see
 * seal_head.
 */
#include "protocol/wire/batch.h"

#include "protocol/wire/batch_form.h"
#include "protocol/wire/pack.h"
#include "protocol/wire/unpack.h"

#include <lz4.h>
#include <stdlib.h>

enum {
    VALUE_OVERHEAD = 6, /* of the largest form: tag, 4 bytes of length, type */
    ROW_OVERHEAD = 32,  /* array headers, ordinal, op */
    COMPRESS_MIN = 512, /* bytes; below, the gain is not worth the call */
    COMPRESS_GAIN = 16, /* must save at least this fraction (1/16) */
};

const char *record_op_name(enum record_op op)
{
    static const char *const names[] = {
        [OP_UPSERT] = "upsert", [OP_INSERT] = "insert", [OP_UPDATE] = "update",
        [OP_DELETE] = "delete", [OP_CLEAR] = "clear",   [OP_APPEND] = "append",
    };
    return (size_t)op < ARRAY_LEN(names) ? names[op] : "unknown";
}

uint32_t batch_conflicts(const uint8_t *policies, size_t field_count, int32_t newest_field)
{
    uint32_t bits = newest_field >= 0 ? CONFLICTS_NEWEST : 0;
    for (size_t i = 0; policies && i < field_count; i++)
        if (policies[i] != POLICY_OVERWRITE)
            bits |= 1u << policies[i];
    return bits;
}

static char *put_be(char *o, uint64_t v, int bytes)
{
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
        *o++ = (char)(v >> shift);
    return o;
}

static char *put_array(char *o, size_t n)
{
    if (n < 16) {
        *o++ = (char)(FORM_FIXARRAY | n);
        return o;
    }
    *o++ = (char)FORM_ARRAY16;
    return put_be(o, n, 2);
}

static char *put_uint(char *o, uint32_t v)
{
    if (v < 128) {
        *o++ = (char)v;
        return o;
    }
    int bytes = v < 256 ? 1 : v < 65536 ? 2 : 4;
    *o++ = (char)(bytes == 1 ? FORM_UINT8 : bytes == 2 ? FORM_UINT16 : FORM_UINT32);
    return put_be(o, v, bytes);
}

static char *put_bytes(char *o, const char *p, size_t n)
{
    return n ? mempcpy(o, p, n) : o;
}

static char *put_text(char *o, struct value v)
{
    if (v.n < 32) {
        *o++ = (char)(FORM_FIXSTR | v.n);
    } else {
        int bytes = v.n < 256 ? 1 : v.n < 65536 ? 2 : 4;
        *o++ = (char)(bytes == 1 ? FORM_STR8 : bytes == 2 ? FORM_STR16 : FORM_STR32);
        o = put_be(o, v.n, bytes);
    }
    return put_bytes(o, v.p, v.n);
}

/* Always the ext 8/16/32 forms: the fixext forms would save a byte for five lengths and cost a
 * branch. */
static char *put_ext(char *o, struct value v, char type)
{
    int bytes = v.n < 256 ? 1 : v.n < 65536 ? 2 : 4;
    *o++ = (char)(bytes == 1 ? FORM_EXT8 : bytes == 2 ? FORM_EXT16 : FORM_EXT32);
    o = put_be(o, v.n, bytes);
    *o++ = type;
    return put_bytes(o, v.p, v.n);
}

/* NULL for VALUE_BAD: it must have been stopped before. */
static char *put_value(char *o, struct value v)
{
    switch (v.kind) {
    case VALUE_NULL:
        *o++ = (char)FORM_NIL;
        return o;
    case VALUE_FALSE:
        *o++ = (char)FORM_FALSE;
        return o;
    case VALUE_TRUE:
        *o++ = (char)FORM_TRUE;
        return o;
    case VALUE_NUMBER:
        return put_ext(o, v, EXT_NUMBER);
    case VALUE_TEXT:
        return put_text(o, v);
    case VALUE_JSON:
        return put_ext(o, v, EXT_JSON);
    case VALUE_ABSENT:
        *o++ = (char)FORM_EXT8;
        *o++ = 0;
        *o++ = EXT_ABSENT;
        return o;
    case VALUE_BAD:
        break;
    }
    return NULL;
}

static size_t values_bound(const struct value *values, size_t n)
{
    size_t bytes = n * VALUE_OVERHEAD;
    for (size_t i = 0; i < n; i++)
        bytes += values[i].n;
    return bytes;
}

static char *put_values(char *o, const struct value *values, size_t n)
{
    for (size_t i = 0; o && i < n; i++)
        o = put_value(o, values[i]);
    return o;
}

static enum err_code end_at(struct buf *b, const char *end)
{
    if (!end)
        return ERR_BUG;
    b->len = (size_t)(end - b->p);
    return ERR_OK;
}

enum err_code batch_put_values(struct buf *out, const struct value *fields, size_t field_count)
{
    if (field_count > BATCH_FIELDS_MAX)
        return ERR_BUG;
    enum err_code rc = buf_reserve(out, values_bound(fields, field_count) + ROW_OVERHEAD);
    if (rc)
        return rc;
    char *o = put_array(out->p + out->len, field_count);
    return end_at(out, put_values(o, fields, field_count));
}

/* Everything of a row before its field values. */
static char *put_row_start(char *o, uint32_t ordinal, enum record_op op, const struct value *keys,
                           size_t key_count)
{
    o = put_array(o, ROW_FIXED_ITEMS + key_count);
    o = put_uint(o, ordinal);
    *o++ = (char)op;
    return put_values(o, keys, key_count);
}

enum err_code batch_put_record(struct buf *rows, const struct record *r, size_t key_count,
                               size_t field_count, size_t *ret_values_at)
{
    bool bare = batch_op_is_bare(r->op);
    if (bare != !r->fields || key_count > BATCH_KEY_FIELDS_MAX || field_count > BATCH_FIELDS_MAX)
        return ERR_BUG;
    size_t n = bare ? 0 : field_count;
    size_t bound = values_bound(r->keys, key_count) + values_bound(r->fields, n) + ROW_OVERHEAD;
    enum err_code rc = buf_reserve(rows, bound);
    if (rc)
        return rc;
    char *o = put_row_start(rows->p + rows->len, r->ordinal, r->op, r->keys, key_count);
    if (!o)
        return ERR_BUG;
    size_t values_at = (size_t)(o - rows->p);
    rc = end_at(rows, put_values(put_array(o, n), r->fields, n));
    if (!rc)
        *ret_values_at = values_at;
    return rc;
}

enum err_code batch_put_record_raw(struct buf *rows, uint32_t ordinal, enum record_op op,
                                   const struct value *keys, size_t key_count, struct slice values)
{
    if (batch_op_is_bare(op) != !values.n || key_count > BATCH_KEY_FIELDS_MAX)
        return ERR_BUG;
    enum err_code rc = buf_reserve(rows, values_bound(keys, key_count) + values.n + ROW_OVERHEAD);
    if (rc)
        return rc;
    char *o = put_row_start(rows->p + rows->len, ordinal, op, keys, key_count);
    if (!o)
        return ERR_BUG;
    o = values.n ? mempcpy(o, values.p, values.n) : put_array(o, 0);
    return end_at(rows, o);
}

enum err_code batch_put_row(struct buf *rows, struct slice row, uint32_t ordinal)
{
    struct unpack u = unpack_of(row);
    uint32_t items, old;
    bool whole = unpack_array(&u, UINT16_MAX, &items) && unpack_u32(&u, BATCH_RECORDS_MAX, &old);
    ensure(whole); /* the bytes are our own */
    enum err_code rc = buf_reserve(rows, unpack_left(&u) + ROW_OVERHEAD);
    if (rc)
        return rc;
    char *o = put_uint(put_array(rows->p + rows->len, items), ordinal);
    return end_at(rows, put_bytes(o, (const char *)u.p, unpack_left(&u)));
}

static int pack_path(msgpack_packer *pk, const struct field_path *path)
{
    int rc = msgpack_pack_array(pk, path->count);
    for (size_t i = 0; !rc && i < path->count; i++)
        rc = pack_text(pk, path->names[i]);
    return rc;
}

/* The body up to its first row; the array of rows is the last item. */
static int pack_head(msgpack_packer *pk, const struct batch_head *head, uint32_t count)
{
    const struct slice texts[] = {head->sync,        head->run,         head->id,
                                  head->destination, head->fingerprint, head->object};
    int rc = msgpack_pack_array(pk, HEAD_ITEMS);
    rc = rc ? rc : msgpack_pack_uint32(pk, BATCH_VERSION);
    for (size_t i = 0; !rc && i < ARRAY_LEN(texts); i++)
        rc = pack_text(pk, texts[i]);
    rc = rc ? rc : msgpack_pack_uint32(pk, head->planned);
    rc = rc ? rc : msgpack_pack_uint32(pk, head->sequence);
    rc = rc ? rc : msgpack_pack_uint32(pk, head->last);
    rc = rc ? rc : msgpack_pack_uint32(pk, (uint32_t)(head->newest_field + 1));
    rc = rc ? rc : msgpack_pack_array(pk, head->key_count);
    for (size_t i = 0; !rc && i < head->key_count; i++)
        rc = pack_text(pk, head->key_names[i]);
    rc = rc ? rc : msgpack_pack_array(pk, head->field_count);
    for (size_t i = 0; !rc && i < head->field_count; i++)
        rc = pack_path(pk, &head->fields[i]);
    size_t policies = head->policies ? head->field_count : 0;
    rc = rc ? rc : msgpack_pack_array(pk, policies);
    for (size_t i = 0; !rc && i < policies; i++)
        rc = msgpack_pack_uint8(pk, head->policies[i]);
    return rc ? rc : msgpack_pack_array(pk, count);
}

static enum err_code check_head(const struct batch_head *head, uint32_t count, struct err *err)
{
    if (head->planned > BATCH_RECORDS_MAX || count > head->planned)
        return err_set(err, ERR_BUG, "a batch of %u records out of %u planned", count,
                       head->planned);
    if (head->key_count > BATCH_KEY_FIELDS_MAX || head->field_count > BATCH_FIELDS_MAX)
        return err_set(err, ERR_BUG, "a batch with %zu key fields and %zu fields", head->key_count,
                       head->field_count);
    for (size_t i = 0; i < head->field_count; i++)
        if (head->fields[i].count == 0 || head->fields[i].count > BATCH_PATH_MAX)
            return err_set(err, ERR_BUG, "field %zu of a batch has a path of %zu names", i,
                           head->fields[i].count);
    for (size_t i = 0; head->policies && i < head->field_count; i++)
        if (head->policies[i] > POLICY_MERGE)
            return err_set(err, ERR_BUG, "field %zu of a batch has the policy %u", i,
                           head->policies[i]);
    if (head->newest_field < -1 || head->newest_field >= (int32_t)head->field_count)
        return err_set(err, ERR_BUG,
                       "field %d of a batch with %zu fields is to carry the timestamp",
                       head->newest_field, head->field_count);
    return ERR_OK;
}

/* Replaces the plain body that starts at body by its compressed form, where that is smaller. */
static enum err_code compress_body(struct buf *out, size_t body, bool *ret_done)
{
    size_t raw = out->len - body;
    size_t room = raw - raw / COMPRESS_GAIN;
    char *packed = malloc(room);
    if (!packed)
        return ERR_NOMEM;
    int n = LZ4_compress_default(out->p + body, packed, (int)raw, (int)room);
    *ret_done = n > 0;
    if (n > 0) {
        memcpy(out->p + body, packed, (size_t)n);
        out->len = body + (size_t)n;
    }
    free(packed);
    return ERR_OK;
}

static enum err_code seal(struct buf *out, const struct batch_head *head, uint32_t count,
                          struct slice rows, bool compress)
{
    size_t start = out->len;
    enum err_code rc = buf_put(out, "\0\0\0\0", PREFIX_BYTES);
    if (rc)
        return rc;
    size_t body = out->len;
    msgpack_packer pk = pack_into(out);
    rc = (enum err_code)pack_head(&pk, head, count);
    rc = rc ? rc : buf_put(out, rows.p, rows.n);
    size_t raw = out->len - body;
    if (!rc && raw > BATCH_BYTES_MAX)
        rc = ERR_FULL;
    bool compressed = false;
    if (!rc && compress && raw >= COMPRESS_MIN)
        rc = compress_body(out, body, &compressed);
    if (rc)
        return rc;
    out->p[start] = compressed ? CODEC_LZ4 : CODEC_PLAIN;
    put_be(out->p + start + 1, raw, PREFIX_BYTES - 1);
    return ERR_OK;
}

enum err_code batch_seal(struct buf *out, const struct batch_head *head, uint32_t count,
                         struct slice rows, bool compress, struct err *err)
{
    enum err_code rc = check_head(head, count, err);
    if (rc)
        return rc;
    size_t start = out->len;
    rc = seal(out, head, count, rows, compress);
    if (rc) {
        out->len = start;
        return err_set(err, rc, "batch %.*s of %u records, %zu bytes: %s", (int)head->id.n,
                       head->id.p, count, rows.n, err_name(rc));
    }
    return ERR_OK;
}
