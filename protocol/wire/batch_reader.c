/*
 * Reading batches: foreign bytes to records, without allocating per record. The body is copied or
 * decompressed into the reader's own memory; values point into it.
 */
#include "protocol/wire/batch.h"

#include "protocol/base/arena.h"
#include "protocol/wire/batch_form.h"
#include "protocol/wire/unpack.h"

#include <lz4.h>
#include <stdlib.h>

enum {
    HEAD_ARENA_BYTES = 16 << 20,
    LZ4_RATIO_MAX = 255, /* of the format: a length byte stands for at most so many bytes */
};

struct batch_reader {
    struct buf body;
    struct buf rows;    /* of the subset being made */
    struct arena arena; /* names and paths of head, values */
    struct batch_head head;
    bool compressed;
    uint32_t count;
    const uint8_t *rows_at;
    struct value *values; /* of the record given last: keys, then fields */
    struct unpack at;
    uint32_t next; /* index of the next record */
    uint32_t ordinal_min;
};

struct batch_reader *batch_reader_new(void)
{
    struct batch_reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    buf_init(&r->body, BATCH_BYTES_MAX);
    buf_init(&r->rows, BATCH_BYTES_MAX);
    arena_init(&r->arena, HEAD_ARENA_BYTES);
    return r;
}

void batch_reader_free(struct batch_reader *r)
{
    if (!r)
        return;
    buf_done(&r->body);
    buf_done(&r->rows);
    arena_done(&r->arena);
    free(r);
}

static enum err_code malformed(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "malformed batch: %s", what);
}

static enum err_code load_body(struct batch_reader *r, struct slice payload, struct err *err)
{
    struct unpack u = unpack_of(payload);
    uint64_t codec, raw;
    if (!unpack_be(&u, 1, &codec) || !unpack_be(&u, PREFIX_BYTES - 1, &raw))
        return malformed(err, "shorter than its prefix");
    if (codec > CODEC_LZ4)
        return malformed(err, "unknown codec");
    if (raw > BATCH_BYTES_MAX)
        return malformed(err, "larger than 64 MiB");
    r->compressed = codec == CODEC_LZ4;
    size_t left = unpack_left(&u);
    if (left > BATCH_BYTES_MAX)
        return malformed(err, "larger than 64 MiB");
    if (r->compressed ? !raw || raw / LZ4_RATIO_MAX > left : left != raw)
        return malformed(err, "length differs from its prefix");
    buf_reset(&r->body);
    enum err_code rc = buf_reserve(&r->body, (size_t)raw);
    if (rc)
        return err_set(err, rc, "no memory for a batch of %zu bytes", (size_t)raw);
    if (!r->compressed)
        return buf_put(&r->body, u.p, left);
    if (LZ4_decompress_safe((const char *)u.p, r->body.p, (int)left, (int)raw) != (int)raw)
        return malformed(err, "compressed body is damaged");
    r->body.len = (size_t)raw;
    return ERR_OK;
}

static bool read_names(struct unpack *u, uint32_t n, struct slice *names)
{
    for (uint32_t i = 0; i < n; i++)
        if (!unpack_text(u, &names[i]))
            return false;
    return true;
}

static enum err_code read_keys(struct batch_reader *r, struct err *err)
{
    uint32_t n;
    if (!unpack_array(&r->at, BATCH_KEY_FIELDS_MAX, &n))
        return malformed(err, "key names");
    struct slice *names = arena_alloc(&r->arena, n * sizeof *names);
    if (!names)
        return err_set(err, ERR_NOMEM, "no memory for a batch's key names");
    if (!read_names(&r->at, n, names))
        return malformed(err, "key names");
    r->head.key_names = names;
    r->head.key_count = n;
    return ERR_OK;
}

static enum err_code read_path(struct batch_reader *r, struct field_path *path, struct err *err)
{
    uint32_t n;
    if (!unpack_array(&r->at, BATCH_PATH_MAX, &n) || !n)
        return malformed(err, "path of a field");
    struct slice *names = arena_alloc(&r->arena, n * sizeof *names);
    if (!names)
        return err_set(err, ERR_NOMEM, "no memory for a batch's fields");
    if (!read_names(&r->at, n, names))
        return malformed(err, "path of a field");
    *path = (struct field_path){names, n};
    return ERR_OK;
}

static enum err_code read_fields(struct batch_reader *r, struct err *err)
{
    uint32_t n;
    if (!unpack_array(&r->at, BATCH_FIELDS_MAX, &n))
        return malformed(err, "fields");
    struct field_path *paths = arena_alloc(&r->arena, n * sizeof *paths);
    r->values = arena_alloc(&r->arena, (n + r->head.key_count) * sizeof *r->values);
    if (!paths || !r->values)
        return err_set(err, ERR_NOMEM, "no memory for a batch's fields");
    for (uint32_t i = 0; i < n; i++) {
        enum err_code rc = read_path(r, &paths[i], err);
        if (rc)
            return rc;
    }
    r->head.fields = paths;
    r->head.field_count = n;
    return ERR_OK;
}

static enum err_code read_policies(struct batch_reader *r, struct err *err)
{
    uint32_t n, policy;
    if (!unpack_array(&r->at, BATCH_FIELDS_MAX, &n) || (n && n != r->head.field_count))
        return malformed(err, "policies");
    uint8_t *policies = n ? arena_alloc(&r->arena, n) : NULL;
    if (n && !policies)
        return err_set(err, ERR_NOMEM, "no memory for a batch's policies");
    for (uint32_t i = 0; i < n; i++) {
        if (!unpack_u32(&r->at, POLICY_MERGE, &policy))
            return malformed(err, "policy of a field");
        policies[i] = (uint8_t)policy;
    }
    r->head.policies = policies;
    return ERR_OK;
}

/* What version 2 put behind the number of planned records. */
static bool read_place(struct unpack *u, struct batch_head *h)
{
    uint32_t last, newest;
    if (!unpack_u32(u, UINT32_MAX, &h->sequence) || !unpack_u32(u, 1, &last) ||
        !unpack_u32(u, BATCH_FIELDS_MAX, &newest))
        return false;
    h->last = last;
    h->newest_field = (int32_t)newest - 1;
    return true;
}

static enum err_code read_head(struct batch_reader *r, struct err *err)
{
    struct batch_head *h = &r->head;
    struct slice *const texts[] = {&h->sync,        &h->run,         &h->id,
                                   &h->destination, &h->fingerprint, &h->object};
    uint32_t items, version;
    if (!unpack_array(&r->at, HEAD_ITEMS, &items) || !unpack_u32(&r->at, UINT32_MAX, &version))
        return malformed(err, "no head");
    if (version < BATCH_VERSION_LEAST || version > BATCH_VERSION)
        return err_set(err, ERR_INVALID, "batch of wire version %u; this program reads %d to %d",
                       version, BATCH_VERSION_LEAST, BATCH_VERSION);
    bool first = version == BATCH_VERSION_LEAST;
    if (items != (first ? HEAD_ITEMS_1 : HEAD_ITEMS))
        return malformed(err, "head of another length");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!unpack_text(&r->at, texts[i]))
            return malformed(err, "names in the head");
    if (!unpack_u32(&r->at, BATCH_RECORDS_MAX, &h->planned))
        return malformed(err, "number of planned records");
    h->newest_field = -1;
    if (!first && !read_place(&r->at, h))
        return malformed(err, "place in the run");
    enum err_code rc = read_keys(r, err);
    if (!rc)
        rc = read_fields(r, err);
    if (!rc && !first)
        rc = read_policies(r, err);
    if (!rc && h->newest_field >= (int32_t)h->field_count)
        rc = malformed(err, "field of the timestamp");
    return rc;
}

enum err_code batch_reader_open(struct batch_reader *r, struct slice payload, struct err *err)
{
    arena_reset(&r->arena);
    r->head = (struct batch_head){0};
    r->count = r->next = 0;
    r->at = (struct unpack){0};
    enum err_code rc = load_body(r, payload, err);
    if (rc)
        return rc;
    r->at = unpack_of(buf_slice(&r->body));
    rc = read_head(r, err);
    uint32_t count = 0;
    if (!rc && !unpack_array(&r->at, r->head.planned, &count))
        rc = malformed(err, "number of records");
    if (rc)
        return rc;
    r->count = count;
    r->rows_at = r->at.p;
    batch_reader_rewind(r);
    return ERR_OK;
}

const struct batch_head *batch_reader_head(const struct batch_reader *r)
{
    return &r->head;
}

uint32_t batch_reader_count(const struct batch_reader *r)
{
    return r->count;
}

void batch_reader_rewind(struct batch_reader *r)
{
    if (!r->count)
        return;
    r->at.p = r->rows_at;
    r->next = 0;
    r->ordinal_min = 0;
}

static bool take_bytes(struct unpack *u, size_t n, enum value_kind kind, struct value *ret)
{
    if (UNLIKELY(unpack_left(u) < n))
        return false;
    *ret = (struct value){kind, (uint32_t)n, (const char *)u->p};
    u->p += n;
    return true;
}

static bool read_ext(struct unpack *u, size_t length_bytes, struct value *ret)
{
    uint64_t n, type;
    if (!unpack_be(u, length_bytes, &n) || !unpack_be(u, 1, &type))
        return false;
    if (type == EXT_NUMBER)
        return take_bytes(u, (size_t)n, VALUE_NUMBER, ret);
    if (type == EXT_JSON)
        return take_bytes(u, (size_t)n, VALUE_JSON, ret);
    *ret = (struct value){.kind = VALUE_ABSENT};
    return type == EXT_ABSENT && n == 0;
}

static bool read_text(struct unpack *u, size_t length_bytes, struct value *ret)
{
    uint64_t n;
    return unpack_be(u, length_bytes, &n) && take_bytes(u, (size_t)n, VALUE_TEXT, ret);
}

static bool read_value(struct unpack *u, struct value *ret)
{
    if (UNLIKELY(u->p == u->end))
        return false;
    uint8_t tag = *u->p++;
    if ((tag & 0xe0) == FORM_FIXSTR)
        return take_bytes(u, tag & 0x1f, VALUE_TEXT, ret);
    switch (tag) {
    case FORM_NIL:
        *ret = (struct value){.kind = VALUE_NULL};
        return true;
    case FORM_FALSE:
        *ret = (struct value){.kind = VALUE_FALSE};
        return true;
    case FORM_TRUE:
        *ret = (struct value){.kind = VALUE_TRUE};
        return true;
    case FORM_EXT8:
        return read_ext(u, 1, ret);
    case FORM_EXT16:
        return read_ext(u, 2, ret);
    case FORM_EXT32:
        return read_ext(u, 4, ret);
    case FORM_STR8:
        return read_text(u, 1, ret);
    case FORM_STR16:
        return read_text(u, 2, ret);
    case FORM_STR32:
        return read_text(u, 4, ret);
    default:
        return false;
    }
}

static bool read_values(struct unpack *u, struct value *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (UNLIKELY(!read_value(u, &values[i])))
            return false;
    return true;
}

uint32_t batch_values_set(struct slice values)
{
    struct unpack u = unpack_of(values);
    uint32_t n, set = 0;
    struct value v;
    if (!values.n)
        return 0;
    bool whole = unpack_array(&u, BATCH_FIELDS_MAX, &n);
    for (uint32_t i = 0; whole && i < n; i++) {
        whole = read_value(&u, &v);
        set += whole && v.kind != VALUE_NULL && v.kind != VALUE_ABSENT;
    }
    ensure(whole); /* the bytes are our own */
    return set;
}

struct value batch_values_at(struct slice values, size_t index)
{
    struct unpack u = unpack_of(values);
    struct value v = {.kind = VALUE_ABSENT};
    uint32_t n;
    if (!values.n)
        return v;
    bool whole = unpack_array(&u, BATCH_FIELDS_MAX, &n) && index < n;
    for (size_t i = 0; whole && i <= index; i++)
        whole = read_value(&u, &v);
    ensure(whole); /* the bytes are our own */
    return v;
}

static bool read_row(struct batch_reader *r, struct record *ret)
{
    struct unpack *u = &r->at;
    size_t keys = r->head.key_count, fields = r->head.field_count;
    uint32_t items, op, n;
    if (!unpack_array(u, UINT16_MAX, &items) || items != ROW_FIXED_ITEMS + keys)
        return false;
    if (!unpack_u32(u, BATCH_RECORDS_MAX, &ret->ordinal) || !unpack_u32(u, OP_APPEND, &op))
        return false;
    if (ret->ordinal < r->ordinal_min || ret->ordinal >= r->head.planned)
        return false;
    bool bare = batch_op_is_bare(op);
    if (!read_values(u, r->values, keys) || !unpack_array(u, (uint32_t)fields, &n))
        return false;
    if (n != (bare ? 0 : fields) || !read_values(u, r->values + keys, n))
        return false;
    ret->op = op;
    ret->keys = r->values;
    ret->fields = bare ? NULL : r->values + keys;
    return true;
}

enum err_code batch_reader_next(struct batch_reader *r, struct record *ret_record, bool *ret_more,
                                struct err *err)
{
    *ret_more = false;
    if (r->next == r->count)
        return unpack_left(&r->at) ? malformed(err, "bytes after the last record") : ERR_OK;
    struct record record;
    if (!read_row(r, &record))
        return err_set(err, ERR_INVALID, "malformed batch: record %u of %u", r->next, r->count);
    r->next++;
    r->ordinal_min = record.ordinal + 1;
    *ret_record = record;
    *ret_more = true;
    return ERR_OK;
}

static enum err_code copy_kept(struct batch_reader *r, const uint8_t *keep, uint32_t *ret_count,
                               struct err *err)
{
    buf_reset(&r->rows);
    batch_reader_rewind(r);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const uint8_t *start = r->at.p;
        struct record record;
        bool more;
        enum err_code rc = batch_reader_next(r, &record, &more, err);
        if (!rc && keep[i]) {
            kept++;
            rc = buf_put(&r->rows, start, (size_t)(r->at.p - start));
        }
        if (rc)
            return rc;
    }
    *ret_count = kept;
    return ERR_OK;
}

enum err_code batch_reader_subset(struct batch_reader *r, const uint8_t *keep, struct buf *out,
                                  struct err *err)
{
    struct unpack at = r->at;
    uint32_t next = r->next, ordinal_min = r->ordinal_min, count = 0;
    enum err_code rc = copy_kept(r, keep, &count, err);
    r->at = at;
    r->next = next;
    r->ordinal_min = ordinal_min;
    if (rc)
        return rc;
    return batch_seal(out, &r->head, count, buf_slice(&r->rows), r->compressed, err);
}
