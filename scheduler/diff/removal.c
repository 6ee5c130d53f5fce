/*
 * Reads: the keys whose slots no row has named, the identities that rows have left. Writes: absent
 * marks; entries that were never accepted go. Invariant: runs only after a read that reached its
 * end; gives out each removal once; never one of an identity that a live row has. A crash here: the
 * next read finds the same rows gone.
 */
#include "scheduler/diff/core.h"

enum { SCAN_KEYS = 1000, IDENTITY_THERE = IDENTITY_ACCEPTED | IDENTITY_MAYBE };

/* ---- what one entry has left ---- */

static enum err_code put_pending(struct diff *d, struct slice identity, struct err *err)
{
    const uint8_t n[2] = {(uint8_t)identity.n, (uint8_t)(identity.n >> 8)};
    enum err_code code = buf_put(&d->gone_ids, n, sizeof n);
    if (!code)
        code = buf_put(&d->gone_ids, identity.p, identity.n);
    return code ? err_set(err, code, "diff: out of memory") : ERR_OK;
}

/* A removal that was refused under this mapping is not sent again. */
static enum err_code refused_removal(struct diff *d, enum refusal_kind kind, bool *ret,
                                     struct err *err)
{
    struct refusal r;
    enum err_code code = state_refusal_get(d->o.entries, d->slot, kind, &r, err);
    *ret = !code && memcmp(r.hash, d->o.mapping.bytes, sizeof r.hash) == 0;
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

/* A single change does not tell when a row that had the identity was seen last. */
static bool is_held(struct diff *d, const struct identity_owner *o)
{
    if (!d->o.stream)
        return o->held == state_sync_generation(d->o.entries);
    if (o->held)
        diff_want_read(d, "the removal of an identity is kept back, since another row may have it");
    return o->held;
}

/* Collects the identities to remove: all of a row that is gone, else those its row does not have.
 */
static enum err_code collect(struct diff *d, const struct identity_list *list, bool gone,
                             bool *ret_there, struct err *err)
{
    enum err_code code = ERR_OK;
    *ret_there = false;
    for (size_t i = 0; i < list->count && !code; i++) {
        const struct identity *it = &list->items[i];
        struct identity_owner o;
        bool refused = false;
        if (!(it->marks & IDENTITY_THERE) || (!gone && (it->marks & IDENTITY_LIVE)))
            continue;
        *ret_there = true;
        code = state_identity_find(d->o.entries, it->bytes, &o, err);
        if (!code && (it->marks & IDENTITY_REFUSED))
            code = refused_removal(d, REFUSAL_IDENTITY, &refused, err);
        if (!code && !refused && !is_held(d, &o))
            code = put_pending(d, it->bytes, err);
    }
    return code;
}

enum err_code diff_moved_row(struct diff *d, struct err *err)
{
    struct identity_list list;
    bool there;
    if (!d->removes)
        return ERR_OK;
    d->gone_why = REMOVAL_IDENTITY_CHANGED;
    enum err_code code = state_identity_list(d->o.entries, d->slot, &list, err);
    return code ? code : collect(d, &list, false, &there, err);
}

/* Only what may be at the destination is worth keeping of a row that is gone. */
static enum err_code keep_there(struct diff *d, struct identity_list *list, struct err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].marks & IDENTITY_THERE)
            list->items[kept++] = list->items[i];
    if (kept == list->count)
        return ERR_OK;
    list->count = kept;
    return state_identity_set(d->o.entries, d->slot, list, err);
}

static enum err_code mark_absent(struct diff *d, struct err *err)
{
    struct entry e;
    enum err_code code = state_entry_get(d->o.entries, d->slot, &e, err);
    if (code || (e.flags & ENTRY_ABSENT))
        return code;
    e.flags |= ENTRY_ABSENT;
    return state_entry_put(d->o.entries, d->slot, &e, err);
}

static enum err_code gone_with_identities(struct diff *d, bool *ret_there, struct err *err)
{
    struct identity_list list;
    enum err_code code = state_identity_list(d->o.entries, d->slot, &list, err);
    if (!code)
        code = collect(d, &list, true, ret_there, err);
    if (!code && *ret_there)
        code = keep_there(d, &list, err);
    if (!d->removes)
        buf_reset(&d->gone_ids);
    return code;
}

enum err_code diff_gone_row(struct diff *d, struct err *err)
{
    struct entry e;
    bool there, refused = false;
    d->gone_why = REMOVAL_ROW_GONE;
    enum err_code code = state_entry_get(d->o.entries, d->slot, &e, err);
    if (code)
        return code;
    if (d->o.has_identity) {
        code = gone_with_identities(d, &there, err);
    } else {
        there = e.flags & (ENTRY_ACCEPTED | ENTRY_DOUBT);
        if (there && d->removes && (e.flags & ENTRY_REMOVAL_REFUSED))
            code = refused_removal(d, REFUSAL_REMOVAL, &refused, err);
        d->gone_plain = there && d->removes && !refused;
    }
    if (code)
        return code;
    if (!there)
        return state_entry_delete(d->o.entries, buf_slice(&d->gone_key), d->slot, err);
    /* A stream knows of no later read that would find the row gone again. */
    return d->removes && !d->o.stream ? ERR_OK : mark_absent(d, err);
}

/* ---- scan ---- */

struct found {
    struct diff *d;
    bool any;
    enum err_code code;
};

static bool on_key(void *ctx, uint32_t slot, struct slice key)
{
    struct found *f = ctx;
    f->any = true;
    f->d->slot = slot;
    buf_reset(&f->d->gone_key);
    f->code = buf_put(&f->d->gone_key, key.p, key.n);
    return false;
}

/* Rows that were seen and have moved are looked at like those that are gone. */
static void begin_scan(struct diff *d)
{
    size_t n = d->moved.bytes < d->seen.bytes ? d->moved.bytes : d->seen.bytes;
    for (size_t i = 0; i < n; i++)
        d->seen.p[i] = (uint8_t)(d->seen.p[i] & ~d->moved.p[i]);
}

static enum err_code scan_step(struct diff *d, struct err *err)
{
    struct found f = {.d = d};
    bool was;
    uint32_t slots = state_sync_slots(d->o.entries);
    if (!d->scan.after_bytes) {
        begin_scan(d);
        if (slots) { /* the bitmap must be as long as the slots are many */
            bool last = bits_has(&d->seen, slots - 1);
            enum err_code code = bits_set(&d->seen, slots - 1, &was, err);
            if (code)
                return code;
            if (!last)
                bits_clear(&d->seen, slots - 1);
        }
    }
    enum err_code code =
        state_scan_unseen(d->o.entries, &d->scan, d->seen.p, SCAN_KEYS, on_key, &f, err);
    if (code || f.code)
        return code ? code : err_set(err, f.code, "diff: out of memory");
    if (!f.any) {
        d->phase = d->scan.ended ? PHASE_END : PHASE_SCAN;
        return ERR_OK;
    }
    diff_removals_reset(d);
    code = bits_has(&d->moved, d->slot) ? diff_moved_row(d, err) : diff_gone_row(d, err);
    if (!code && diff_removals_left(d))
        d->phase = PHASE_EMIT;
    return code;
}

/* ---- giving out ---- */

void diff_removals_reset(struct diff *d)
{
    buf_reset(&d->gone_ids);
    d->gone_at = 0;
    d->gone_plain = false;
}

bool diff_removals_left(const struct diff *d)
{
    return d->gone_plain || d->gone_at < d->gone_ids.len;
}

enum err_code diff_removal_emit(struct diff *d, struct diff_decision *ret, struct err *err)
{
    ret->class = DIFF_REMOVED;
    ret->op = d->remove_op;
    ret->why = d->gone_why;
    ret->slot = d->slot;
    ret->key = buf_slice(&d->gone_key);
    ret->keys = d->values_of_key;
    struct slice name = ret->key;
    if (!d->gone_plain) {
        const uint8_t *p = (const uint8_t *)d->gone_ids.p + d->gone_at;
        name = slice_of(p + 2, (size_t)p[0] | (size_t)p[1] << 8);
        d->gone_at += 2 + name.n;
        ret->identity = name;
    }
    d->gone_plain = false;
    enum err_code code = key_decode(name, d->values_of_key, d->o.key_count, err);
    if (!code)
        d->counts.removed++;
    return code;
}

static enum err_code emit(struct diff *d, struct diff_decision *ret, struct err *err)
{
    enum err_code code = diff_removal_emit(d, ret, err);
    if (!diff_removals_left(d))
        d->phase = PHASE_SCAN;
    return code;
}

enum err_code diff_removal_next(struct diff *d, struct diff_decision *ret, enum diff_step *ret_step,
                                struct err *err)
{
    *ret_step = DIFF_STEP_ONE;
    if (d->phase == PHASE_EMIT)
        return emit(d, ret, err);
    *ret_step = DIFF_STEP_MORE;
    bool needed = d->seen_count < state_sync_counts(d->o.entries).stored || d->moved_count ||
                  d->scan.after_bytes;
    if (!needed) {
        d->phase = PHASE_END;
        *ret_step = DIFF_STEP_END;
        return ERR_OK;
    }
    enum err_code code = scan_step(d, err);
    if (!code && d->phase == PHASE_END)
        *ret_step = DIFF_STEP_END;
    if (code || d->phase != PHASE_EMIT)
        return code;
    *ret_step = DIFF_STEP_ONE;
    return emit(d, ret, err);
}
