/*
 * Results as a flat msgpack array, so that a Lua script can make one as easily as a worker:
 * [version, ordset, rest, flags, message, requests, retries, bytes, status, duration_ms, kills,
 *  [[ordinal, verdict, doubt, message], …]]
 */
#include "protocol/wire/result.h"

#include "protocol/base/utf8.h"
#include "protocol/wire/batch.h"
#include "protocol/wire/pack.h"
#include "protocol/wire/unpack.h"

#include <stdlib.h>

enum {
    RESULT_VERSION = 1,
    RESULT_ITEMS = 12,
    ENTRY_ITEMS = 4,
    ENTRY_BYTES_MIN = 5, /* array header and four items */
};

static int pack_entry(msgpack_packer *pk, const struct verdict_entry *e)
{
    int rc = msgpack_pack_array(pk, ENTRY_ITEMS);
    rc = rc ? rc : msgpack_pack_uint32(pk, e->ordinal);
    rc = rc ? rc : msgpack_pack_uint32(pk, e->verdict);
    rc = rc ? rc : msgpack_pack_uint32(pk, e->doubt);
    return rc ? rc : pack_text(pk, utf8_prefix(e->message, RESULT_MESSAGE_MAX));
}

static int pack_result(msgpack_packer *pk, const struct result *r)
{
    int rc = msgpack_pack_array(pk, RESULT_ITEMS);
    rc = rc ? rc : msgpack_pack_uint32(pk, RESULT_VERSION);
    rc = rc ? rc : pack_text(pk, r->ordset);
    rc = rc ? rc : msgpack_pack_uint32(pk, r->rest);
    rc = rc ? rc : msgpack_pack_uint32(pk, r->flags);
    rc = rc ? rc : pack_text(pk, utf8_prefix(r->message, RESULT_MESSAGE_MAX));
    rc = rc ? rc : msgpack_pack_uint32(pk, r->requests);
    rc = rc ? rc : msgpack_pack_uint32(pk, r->retries);
    rc = rc ? rc : msgpack_pack_uint64(pk, r->bytes);
    rc = rc ? rc : msgpack_pack_uint32(pk, r->status);
    rc = rc ? rc : msgpack_pack_uint32(pk, r->duration_ms);
    rc = rc ? rc : msgpack_pack_uint32(pk, r->kills);
    rc = rc ? rc : msgpack_pack_array(pk, r->entry_count);
    for (size_t i = 0; !rc && i < r->entry_count; i++)
        rc = pack_entry(pk, &r->entries[i]);
    return rc;
}

enum err_code result_put(struct buf *out, const struct result *r)
{
    size_t start = out->len;
    msgpack_packer pk = pack_into(out);
    enum err_code rc = (enum err_code)pack_result(&pk, r);
    if (rc)
        out->len = start;
    return rc;
}

struct result_reader {
    struct verdict_entry *entries;
    size_t cap;
};

struct result_reader *result_reader_new(void)
{
    return calloc(1, sizeof(struct result_reader));
}

void result_reader_free(struct result_reader *r)
{
    if (!r)
        return;
    free(r->entries);
    free(r);
}

static bool read_verdict(struct unpack *u, enum verdict *ret)
{
    uint32_t v;
    if (!unpack_u32(u, VERDICT_CANCELLED, &v))
        return false;
    *ret = v;
    return true;
}

static bool read_message(struct unpack *u, struct slice *ret)
{
    if (!unpack_text(u, ret))
        return false;
    *ret = utf8_prefix(*ret, RESULT_MESSAGE_MAX);
    return true;
}

static bool read_entry(struct unpack *u, struct verdict_entry *e)
{
    uint32_t items;
    return unpack_array(u, ENTRY_ITEMS, &items) && items == ENTRY_ITEMS &&
           unpack_u32(u, BATCH_RECORDS_MAX - 1, &e->ordinal) && read_verdict(u, &e->verdict) &&
           unpack_flag(u, &e->doubt) && read_message(u, &e->message);
}

static bool read_fixed(struct unpack *u, struct result *r)
{
    return unpack_text(u, &r->ordset) && read_verdict(u, &r->rest) &&
           unpack_u32(u, UINT32_MAX, &r->flags) && read_message(u, &r->message) &&
           unpack_u32(u, UINT32_MAX, &r->requests) && unpack_u32(u, UINT32_MAX, &r->retries) &&
           unpack_uint(u, UINT64_MAX, &r->bytes) && unpack_u32(u, UINT32_MAX, &r->status) &&
           unpack_u32(u, UINT32_MAX, &r->duration_ms) && unpack_u32(u, UINT32_MAX, &r->kills);
}

static enum err_code read_entries(struct result_reader *r, struct unpack *u, struct result *result,
                                  struct err *err)
{
    uint32_t n;
    if (!unpack_list(u, BATCH_RECORDS_MAX, &n) || n > unpack_left(u) / ENTRY_BYTES_MIN)
        return err_set(err, ERR_INVALID, "malformed result: its list of verdicts");
    if (n > r->cap) {
        struct verdict_entry *grown = realloc(r->entries, n * sizeof *grown);
        if (!grown)
            return err_set(err, ERR_NOMEM, "no memory for a result of %u verdicts", n);
        r->entries = grown;
        r->cap = n;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!read_entry(u, &r->entries[i]) ||
            (i && r->entries[i].ordinal <= r->entries[i - 1].ordinal))
            return err_set(err, ERR_INVALID, "malformed result: verdict %u of %u", i, n);
    result->entries = r->entries;
    result->entry_count = n;
    return ERR_OK;
}

enum err_code result_parse(struct result_reader *r, struct slice bytes, struct result *ret_result,
                           struct err *err)
{
    struct unpack u = unpack_of(bytes);
    struct result result = {0};
    uint32_t items, version;
    if (!unpack_array(&u, UINT16_MAX, &items) || !unpack_u32(&u, UINT32_MAX, &version))
        return err_set(err, ERR_INVALID, "malformed result: no head");
    if (version != RESULT_VERSION)
        return err_set(err, ERR_INVALID, "result of version %u; this program reads %d", version,
                       RESULT_VERSION);
    if (items != RESULT_ITEMS || !read_fixed(&u, &result))
        return err_set(err, ERR_INVALID, "malformed result: its fixed part");
    enum err_code rc = read_entries(r, &u, &result, err);
    if (!rc && unpack_left(&u))
        rc = err_set(err, ERR_INVALID, "malformed result: bytes after its end");
    if (!rc)
        *ret_result = result;
    return rc;
}
