/*
 * Progress as a flat msgpack array:
 * [version, ensuring, step, polls, jumps, since_ms, refusals, refused_new, sent, open, [var or
 * nil…],
 *  [[ordinal, id or nil, left_out, verdict or nil, message]…]]
 */
#include "worker/deliver/progress.h"

#include "protocol/base/utf8.h"
#include "protocol/connector/connector.h"
#include "protocol/wire/pack.h"
#include "protocol/wire/unpack.h"

enum {
    PROGRESS_ITEMS = 12,
    RECORD_ITEMS = 5,
    RECORD_BYTES_MIN = 6, /* array header and five items */
    NIL = 0xc0,
};

enum err_code progress_init(struct progress *p, struct arena *a, uint32_t var_count)
{
    struct slice *vars = arena_alloc(a, var_count * sizeof *vars);
    if (!vars)
        return ERR_NOMEM;
    *p = (struct progress){.vars = vars, .var_count = var_count};
    return ERR_OK;
}

/* ---- writing ---- */

static int pack_known(msgpack_packer *pk, struct slice s)
{
    return s.p ? pack_text(pk, s) : msgpack_pack_nil(pk);
}

static int pack_record(msgpack_packer *pk, const struct progress_record *r)
{
    int rc = msgpack_pack_array(pk, RECORD_ITEMS);
    rc = rc ? rc : msgpack_pack_uint32(pk, r->ordinal);
    rc = rc ? rc : pack_known(pk, r->id);
    rc = rc ? rc : msgpack_pack_uint64(pk, r->left_out);
    if (!rc)
        rc = r->has_verdict ? msgpack_pack_uint32(pk, r->verdict) : msgpack_pack_nil(pk);
    return rc ? rc : pack_text(pk, utf8_prefix(r->message, RESULT_MESSAGE_MAX));
}

static int pack_progress(msgpack_packer *pk, const struct progress *p)
{
    int rc = msgpack_pack_array(pk, PROGRESS_ITEMS);
    rc = rc ? rc : msgpack_pack_uint32(pk, PROGRESS_VERSION);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->ensuring);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->step);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->polls);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->jumps);
    rc = rc ? rc : msgpack_pack_uint64(pk, p->since_ms > 0 ? (uint64_t)p->since_ms : 0);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->refusals);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->refused_new);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->sent);
    rc = rc ? rc : msgpack_pack_uint32(pk, p->open);
    rc = rc ? rc : msgpack_pack_array(pk, p->var_count);
    for (uint32_t i = 0; !rc && i < p->var_count; i++)
        rc = pack_known(pk, p->vars[i]);
    rc = rc ? rc : msgpack_pack_array(pk, p->record_count);
    for (uint32_t i = 0; !rc && i < p->record_count; i++)
        rc = pack_record(pk, &p->records[i]);
    return rc;
}

enum err_code progress_put(struct buf *out, const struct progress *p)
{
    size_t start = out->len, max = out->max;
    if (max - start > PROGRESS_BYTES_MAX)
        out->max = start + PROGRESS_BYTES_MAX;
    msgpack_packer pk = pack_into(out);
    enum err_code rc = (enum err_code)pack_progress(&pk, p);
    out->max = max;
    if (!rc && out->len - start > PROGRESS_BYTES_MAX) /* there was room already */
        rc = ERR_FULL;
    if (rc)
        out->len = start;
    return rc;
}

/* ---- reading ---- */

static bool take_nil(struct unpack *u)
{
    if (u->p == u->end || *u->p != NIL)
        return false;
    u->p++;
    return true;
}

static bool read_known(struct unpack *u, struct slice *ret)
{
    *ret = (struct slice){0};
    return take_nil(u) || (unpack_text(u, ret) && utf8_valid(*ret));
}

static bool read_verdict(struct unpack *u, struct progress_record *r)
{
    uint32_t verdict;
    if (take_nil(u))
        return true;
    if (!unpack_u32(u, VERDICT_FAILED, &verdict))
        return false;
    r->has_verdict = true;
    r->verdict = verdict;
    return true;
}

static bool read_record(struct unpack *u, struct progress_record *r)
{
    uint32_t items;
    if (!unpack_array(u, RECORD_ITEMS, &items) || items != RECORD_ITEMS ||
        !unpack_u32(u, BATCH_RECORDS_MAX - 1, &r->ordinal) || !read_known(u, &r->id) ||
        !unpack_uint(u, UINT64_MAX, &r->left_out) || !read_verdict(u, r) ||
        !unpack_text(u, &r->message) || !utf8_valid(r->message))
        return false;
    r->message = utf8_prefix(r->message, RESULT_MESSAGE_MAX);
    return true;
}

static bool read_fixed(struct unpack *u, struct progress *p)
{
    uint64_t since_ms;
    if (!unpack_flag(u, &p->ensuring) || !unpack_u32(u, CONNECTOR_STEPS_MAX, &p->step) ||
        !unpack_u32(u, UINT32_MAX, &p->polls) || !unpack_u32(u, UINT32_MAX, &p->jumps) ||
        !unpack_uint(u, INT64_MAX, &since_ms) || !unpack_u32(u, UINT32_MAX, &p->refusals) ||
        !unpack_u32(u, UINT32_MAX, &p->refused_new) || !unpack_flag(u, &p->sent) ||
        !unpack_flag(u, &p->open))
        return false;
    p->since_ms = (int64_t)since_ms;
    return true;
}

static enum err_code malformed(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "malformed progress: %s", what);
}

static enum err_code read_vars(struct unpack *u, struct progress *p, struct err *err)
{
    uint32_t n;
    if (!unpack_array(u, p->var_count, &n) || n != p->var_count)
        return malformed(err, "another number of values than the connector captures");
    for (uint32_t i = 0; i < n; i++)
        if (!read_known(u, &p->vars[i]))
            return malformed(err, "a captured value");
    return ERR_OK;
}

static enum err_code read_records(struct unpack *u, struct progress *p, struct arena *a,
                                  struct err *err)
{
    uint32_t n;
    if (!unpack_array(u, BATCH_RECORDS_MAX, &n) || n > unpack_left(u) / RECORD_BYTES_MIN)
        return malformed(err, "its list of records");
    p->records = arena_alloc(a, n * sizeof *p->records);
    if (!p->records)
        return err_set(err, ERR_NOMEM, "no memory for the progress of %u records", n);
    for (uint32_t i = 0; i < n; i++)
        if (!read_record(u, &p->records[i]) ||
            (i && p->records[i].ordinal <= p->records[i - 1].ordinal))
            return malformed(err, "a record");
    p->record_count = n;
    return ERR_OK;
}

enum err_code progress_read(struct progress *p, struct arena *a, struct slice bytes,
                            uint32_t var_count, struct err *err)
{
    struct progress read;
    uint32_t items, version;
    char *copy = bytes.n <= PROGRESS_BYTES_MAX ? arena_str(a, bytes) : NULL;
    if (bytes.n > PROGRESS_BYTES_MAX)
        return malformed(err, "it is too long");
    if (!copy || progress_init(&read, a, var_count))
        return err_set(err, ERR_NOMEM, "no memory for a batch's progress");
    if (!bytes.n) {
        *p = read;
        return ERR_OK;
    }
    struct unpack u = unpack_of(slice_of(copy, bytes.n));
    if (!unpack_array(&u, UINT16_MAX, &items) || !unpack_u32(&u, UINT32_MAX, &version))
        return malformed(err, "no head");
    if (version != PROGRESS_VERSION)
        return err_set(err, ERR_INVALID, "progress of version %u; this program reads %d", version,
                       PROGRESS_VERSION);
    if (items != PROGRESS_ITEMS || !read_fixed(&u, &read))
        return malformed(err, "its fixed part");
    enum err_code rc = read_vars(&u, &read, err);
    rc = rc ? rc : read_records(&u, &read, a, err);
    if (rc)
        return rc;
    if (unpack_left(&u))
        return malformed(err, "bytes after its end");
    *p = read;
    return ERR_OK;
}

const struct progress_record *progress_record(const struct progress *p, uint32_t ordinal)
{
    uint32_t low = 0, high = p->record_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (p->records[mid].ordinal < ordinal)
            low = mid + 1;
        else
            high = mid;
    }
    return low < p->record_count && p->records[low].ordinal == ordinal ? &p->records[low] : NULL;
}
