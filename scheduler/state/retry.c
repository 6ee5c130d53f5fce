/*
 * `sluice retry`: forgets refusals, so that the next diff finds their rows added or changed again.
 * Reads and writes: the table `refused`, the flags of entries and the marks of identities.
 * A crash here: what was not committed was not forgotten.
 */
#include "scheduler/state/rejected.h"

#include "protocol/base/buf.h"
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

/* ---- by key: a refusal does not know its key's text, the list for people does ---- */

enum { KEYS_BYTES_MAX = 64 << 20 };

struct matches {
    const char *text;
    uint64_t skip; /* matches that earlier calls have handled */
    size_t left;   /* to be found in this call */
    struct buf keys;
    enum err_code code;
};

static bool collect(void *ctx, const struct rejected *r)
{
    struct matches *m = ctx;
    uint8_t length[4];
    if (r->kind == REJECTED_DUPLICATE || !r->key.n ||
        !memmem(r->text.p, r->text.n, m->text, strlen(m->text)))
        return true;
    if (m->skip) {
        m->skip--;
        return true;
    }
    key_put_u32(length, (uint32_t)r->key.n);
    m->code = buf_put(&m->keys, length, sizeof length);
    if (!m->code)
        m->code = buf_put(&m->keys, r->key.p, r->key.n);
    return !m->code && --m->left;
}

static enum err_code retry_one(struct state_sync *ss, const struct retry_filter *f,
                               struct slice key, uint64_t *ret_count, struct err *err)
{
    uint32_t slot;
    bool any = false;
    enum err_code code = state_key_find(ss, key, &slot, err);
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

static enum err_code retry_keys(struct state_sync *ss, const struct retry_filter *f,
                                uint64_t *position, size_t max, uint64_t *ret_count, bool *ret_more,
                                struct err *err)
{
    struct matches m = {.text = f->key, .skip = *position, .left = max};
    buf_init(&m.keys, KEYS_BYTES_MAX);
    enum err_code code = state_rejected_list(ss->state, ss->name, 0, collect, &m, err);
    if (!code && m.code)
        code = err_set(err, m.code, "state: no memory for keys");
    const uint8_t *p = (const uint8_t *)m.keys.p;
    size_t left = m.keys.len;
    while (!code && left) {
        size_t n = key_get_u32(p);
        code = retry_one(ss, f, slice_of(p + 4, n), ret_count, err);
        p += 4 + n;
        left -= 4 + n;
    }
    buf_done(&m.keys);
    *position += max - m.left;
    *ret_more = !m.left;
    return code;
}

/* ---- all, or those with a message ---- */

/* Looks at the refusal at or behind *position (slot * 4 + kind); ERR_NOTFOUND at the end. */
static enum err_code retry_next(struct state_sync *ss, const struct retry_filter *f,
                                uint64_t *position, uint64_t *ret_count, struct err *err)
{
    uint32_t slot;
    enum refusal_kind kind;
    struct refusal r;
    enum err_code code = sync_refusal_next(ss, position, &slot, &kind, &r, err);
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
        return retry_keys(ss, filter, position, max, ret_count, ret_more, err);
    while (!code && max--)
        code = retry_next(ss, filter, position, ret_count, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    *ret_more = !code;
    return code;
}
