/*
 * `sluice retry`: forgets refusals, so that the next diff finds their rows added or changed again.
 * Reads and writes: the table `refused`, the flags of entries and the marks of identities.
 * A crash here: what was not committed was not forgotten.
 */
#include "scheduler/state/rejected.h"

#include "scheduler/state/pack.h"
#include "scheduler/state/sync.h"

static enum err_code unmark_identities(struct state_sync *ss, uint32_t slot, struct err *err)
{
    struct identity_list list;
    enum err_code code = state_identity_list(ss, slot, &list, err);
    if (code)
        return code;
    for (size_t i = 0; i < list.count; i++)
        list.items[i].marks = (uint8_t)(list.items[i].marks & ~IDENTITY_REFUSED);
    return state_identity_set(ss, slot, &list, err);
}

static enum err_code forget(struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                            struct err *err)
{
    struct entry e;
    enum err_code code = state_refusal_delete(ss, slot, kind, err);
    if (!code && kind == REFUSAL_IDENTITY)
        return unmark_identities(ss, slot, err);
    if (!code)
        code = state_entry_get(ss, slot, &e, err);
    if (code)
        return code;
    int flag = kind == REFUSAL_ROW ? ENTRY_REFUSED : ENTRY_REMOVAL_REFUSED;
    e.flags = (uint8_t)(e.flags & ~flag);
    return state_entry_put(ss, slot, &e, err);
}

/* ---- one key ---- */

struct by_text {
    const char *text;
    uint8_t key[8192];
    size_t key_bytes;
};

static bool find_text(void *ctx, const struct rejected *r)
{
    struct by_text *b = ctx;
    if (!slice_eq_str(r->text, b->text) || !r->key.n || r->key.n > sizeof b->key ||
        r->kind == REJECTED_DUPLICATE)
        return true;
    memcpy(b->key, r->key.p, r->key.n);
    b->key_bytes = r->key.n;
    return false;
}

static bool reason_matches(struct slice reason, const char *want)
{
    char text[REFUSAL_REASON_MAX + 1];
    if (!want)
        return true;
    size_t n = reason.n < sizeof text - 1 ? reason.n : sizeof text - 1;
    if (n)
        memcpy(text, reason.p, n);
    text[n] = '\0';
    return strcasestr(text, want) != NULL;
}

static enum err_code retry_key(struct state_sync *ss, const struct retry_filter *f,
                               uint64_t *ret_count, struct err *err)
{
    struct by_text b = {.text = f->key};
    uint32_t slot;
    enum err_code code = state_rejected_list(ss->state, ss->name, 0, find_text, &b, err);
    if (code || !b.key_bytes)
        return code;
    code = state_key_find(ss, slice_of(b.key, b.key_bytes), &slot, err);
    bool any = false;
    for (int kind = REFUSAL_ROW; !code && slot != SLOT_NONE && kind <= REFUSAL_IDENTITY; kind++) {
        struct refusal r;
        enum err_code got = state_refusal_get(ss, slot, (enum refusal_kind)kind, &r, err);
        if (got == ERR_NOTFOUND || (!got && !reason_matches(r.reason, f->message)))
            continue;
        code = got ? got : forget(ss, slot, (enum refusal_kind)kind, err);
        any = true;
    }
    *ret_count += any;
    return code;
}

/* ---- all, or those with a message ---- */

/* Looks at the refusal at or behind *position (slot * 4 + kind); ERR_NOTFOUND at the end. */
static enum err_code retry_next(struct state_sync *ss, const struct retry_filter *f,
                                uint64_t *position, uint64_t *ret_count, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    uint8_t from[9];
    size_t n = sync_slot_key(ss, (uint32_t)(*position / 4), from);
    from[n] = (uint8_t)(*position % 4);
    MDB_val k, v;
    enum err_code code = store_cursor(ss->state, TABLE_REFUSED, &c, err);
    if (!code)
        code = store_seek(ss->state, c, slice_of(from, n + 1), 4, &k, &v, err);
    if (code)
        return code;
    if (k.mv_size != 9 || ((uint8_t *)k.mv_data)[8] > REFUSAL_IDENTITY)
        return err_set(err, ERR_INVALID, "state: damaged: a refusal");
    uint32_t slot = key_get_u32((uint8_t *)k.mv_data + 4);
    enum refusal_kind kind = (enum refusal_kind)((uint8_t *)k.mv_data)[8];
    *position = (uint64_t)slot * 4 + (uint64_t)kind + 1;
    struct refusal r;
    code = state_refusal_get(ss, slot, kind, &r, err);
    if (code || !reason_matches(r.reason, f->message))
        return code;
    ++*ret_count;
    return forget(ss, slot, kind, err);
}

enum err_code state_retry(struct state_sync *ss, const struct retry_filter *filter,
                          uint64_t *position, size_t max, uint64_t *ret_count, bool *ret_more,
                          struct err *err)
{
    *ret_more = false;
    enum err_code code = *position ? ERR_OK : state_sync_touch(ss, err);
    if (!code && filter->key)
        return retry_key(ss, filter, ret_count, err);
    while (!code && max--)
        code = retry_next(ss, filter, position, ret_count, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    *ret_more = !code;
    return code;
}
