/*
 * Reads and writes: as diff.c and removal.c, for single changes. Invariant: a change that is not
 * taken has changed nothing; identities are given away only by a row that comes last. A crash here:
 * what was written says nothing about the destination; the source gives the changes again.
 */
#include "scheduler/diff/change.h"
#include "scheduler/diff/core.h"

enum { TURN_HANDLED = TURN_GONE | TURN_MOVED | TURN_PLANNED };

const char *diff_wants_read(const struct diff *d)
{
    return d->wants_read;
}

void diff_want_read(struct diff *d, const char *why)
{
    if (!d->wants_read)
        d->wants_read = why;
}

static bool in_flight(const struct diff *d, uint32_t slot)
{
    return d->o.stream->busy(d->o.stream->ctx, slot);
}

static bool may_plan(const struct diff *d, enum diff_class class)
{
    return !d->o.stream->may_plan || d->o.stream->may_plan(d->o.stream->ctx, class);
}

/* Of an earlier turn: what this one planned names only the identity that its owner has now. */
static bool owner_is_busy(const struct diff *d, uint32_t owner)
{
    const struct turn_item *item = turn_find(&d->turn, owner);
    return !(item && (item->flags & TURN_HANDLED)) && in_flight(d, owner);
}

/* ---- rows ---- */

/* What is known of the row before anything is done. */
struct look {
    bool invalid; /* d->reason says why, unless the mapping does */
    bool keeps;   /* insert, append: nothing of it is sent */
    bool others;  /* its identity is another entry's */
};

static bool would_change(struct diff *d, uint8_t marks, const struct diff_decision *ret,
                         enum err_code *code, struct err *err)
{
    bool sure =
        !(d->entry.flags & ENTRY_DOUBT) && (!d->o.has_identity || marks & IDENTITY_ACCEPTED);
    bool refused = false;
    if (!d->known || d->o.skip_first ||
        (sure && !d->full && memcmp(ret->hash, d->entry.hash, sizeof ret->hash) == 0))
        return false;
    *code = diff_is_quarantined(d, ret->hash, &refused, err);
    return !*code && !refused;
}

static enum err_code look_at_guard(struct diff *d, const struct identity_owner *o, bool moves,
                                   const struct diff_decision *ret, enum diff_taken *ret_taken,
                                   struct err *err)
{
    enum err_code code = ERR_OK;
    uint8_t marks = o->slot == d->slot ? o->marks : 0;
    if (would_change(d, marks, ret, &code, err) && !may_plan(d, DIFF_CHANGED))
        *ret_taken = DIFF_BUSY;
    if (!code && moves && d->removes && d->known && !may_plan(d, DIFF_REMOVED))
        *ret_taken = DIFF_BUSY;
    return code;
}

/* The row's identity, where it is its own, and whether it may be decided now. */
static enum err_code look_at_identity(struct diff *d, struct diff_decision *ret, bool last,
                                      struct look *look, enum diff_taken *ret_taken,
                                      struct err *err)
{
    struct identity_owner o = {.slot = SLOT_NONE};
    struct turn_item *item;
    enum err_code code = ERR_OK;
    bool moves = false;
    if (d->o.has_identity) {
        code = state_identity_find(d->o.entries, buf_slice(&d->identity), &o, err);
        look->others = o.slot != SLOT_NONE && o.slot != d->slot;
        moves = o.slot != d->slot || !(o.marks & IDENTITY_LIVE);
    }
    if (code)
        return code;
    if (look->others && owner_is_busy(d, o.slot)) {
        *ret_taken = DIFF_BUSY;
        return ERR_OK;
    }
    if (!look->others || last)
        return look_at_guard(d, &o, moves, ret, ret_taken, err);
    *ret_taken = DIFF_WAITS;
    if (d->slot == SLOT_NONE)
        return ERR_OK;
    code = turn_note(&d->turn, d->slot, ret->key, &item, err);
    if (!code)
        item->flags |= (uint8_t)(TURN_ASIDE | (d->known ? TURN_KNOWN : 0));
    return code;
}

static enum err_code look_at_row(struct diff *d, const struct mapped *mapped, bool last,
                                 struct diff_decision *ret, struct look *look,
                                 enum diff_taken *ret_taken, struct err *err)
{
    enum err_code code = diff_hash_row(d, mapped, ret, err);
    if (!code && d->o.has_identity)
        code = diff_encode_identity(d, mapped, err);
    if (code == ERR_INVALID) {
        look->invalid = true;
        return ERR_OK;
    }
    if (code)
        return code;
    look->keeps =
        !d->sends_changes && (d->entry.flags & (ENTRY_ACCEPTED | ENTRY_DOUBT)) == ENTRY_ACCEPTED;
    return look->keeps ? ERR_OK : look_at_identity(d, ret, last, look, ret_taken, err);
}

/* From here on the change counts. */
static enum err_code take(struct diff *d, struct diff_decision *ret, struct err *err)
{
    bool added;
    enum err_code code = ERR_OK;
    struct turn_item *item = d->slot == SLOT_NONE ? NULL : turn_find(&d->turn, d->slot);
    if (d->slot == SLOT_NONE)
        code = state_key_take(d->o.entries, ret->key, &d->slot, &added, err);
    if (code)
        return code;
    ret->slot = d->slot;
    d->counts.rows++;
    if (item && (item->flags & TURN_GONE)) { /* it came back at once */
        item->flags = (uint8_t)(item->flags & ~TURN_GONE);
        d->counts.unchanged++;
    }
    if (d->entry.flags & (ENTRY_ABSENT | ENTRY_REMOVAL_REFUSED))
        code = diff_row_returned(d, err);
    if (!code && (d->entry.flags & ENTRY_STALE))
        code = diff_mark_moved(d, err);
    return code;
}

static enum err_code decide_identity(struct diff *d, bool others, struct diff_decision *ret,
                                     struct err *err)
{
    enum identity_answer answer = IDENTITY_NONE;
    bool taken = false;
    uint8_t marks;
    ret->identity = buf_slice(&d->identity);
    enum err_code code = others ? diff_identity_decide(d, &taken, &marks, err)
                                : diff_identity(d, &answer, &marks, err);
    if (!code && (taken || answer == IDENTITY_OURS)) {
        struct turn_item *item = turn_find(&d->turn, d->slot);
        if (item) /* it has what it waited for, and keeps it */
            item->flags = (uint8_t)(item->flags & ~TURN_ASIDE);
        return diff_classify(d, marks, ret, err);
    }
    if (!code && others)
        code = diff_identity_noted(d, err);
    return code ? code : diff_invalid(d, REJECTED_INVALID, slice_str(d->reason.text), ret, err);
}

static enum err_code decide(struct diff *d, const struct look *look, struct slice invalid,
                            struct diff_decision *ret, struct err *err)
{
    enum err_code code;
    struct turn_item *item;
    if (look->invalid)
        return diff_invalid(d, REJECTED_INVALID, invalid.n ? invalid : slice_str(d->reason.text),
                            ret, err);
    if (look->keeps)
        return diff_keep_known(d, ret, err);
    code = d->o.has_identity ? decide_identity(d, look->others, ret, err)
                             : diff_classify(d, 0, ret, err);
    if (code || (ret->class != DIFF_ADDED && ret->class != DIFF_CHANGED))
        return code;
    if (!d->o.has_identity)
        return ERR_OK; /* nobody asks for it */
    code = turn_note(&d->turn, d->slot, ret->key, &item, err);
    if (!code)
        item->flags |= TURN_PLANNED;
    return code;
}

/* The slot of the key in hand, and what is known of it. */
static enum err_code find(struct diff *d, struct slice key, struct err *err)
{
    d->entry = (struct entry){0};
    enum err_code code = state_key_find(d->o.entries, key, &d->slot, err);
    if (!code && d->slot != SLOT_NONE)
        code = state_entry_get(d->o.entries, d->slot, &d->entry, err);
    return code;
}

enum err_code diff_change_row(struct diff *d, const struct mapped *mapped, struct slice invalid,
                              struct slice extra, bool last, struct diff_decision *ret,
                              enum diff_taken *ret_taken, struct err *err)
{
    struct look look = {.invalid = invalid.n != 0};
    *ret = (struct diff_decision){.slot = SLOT_NONE, .keys = mapped->keys, .extra = extra};
    *ret_taken = DIFF_TAKEN;
    buf_reset(&d->key);
    enum err_code code =
        key_encode(&d->key, mapped->primary, d->o.primary_count, d->o.primary_names, &d->reason);
    if (code == ERR_INVALID) {
        d->counts.rows++;
        return diff_key_unreadable(d, mapped, ret, err);
    }
    if (code)
        return err_set(err, code, "diff: %s", d->reason.text);
    ret->key = buf_slice(&d->key);
    code = find(d, ret->key, err);
    if (code)
        return code;
    struct turn_item *item = d->slot == SLOT_NONE ? NULL : turn_find(&d->turn, d->slot);
    bool gone = item && (item->flags & TURN_GONE); /* nothing is planned for it yet */
    if (d->slot != SLOT_NONE && !gone && in_flight(d, d->slot)) {
        *ret_taken = DIFF_BUSY;
        return ERR_OK;
    }
    d->known = (d->entry.flags & ENTRY_ACCEPTED) || (item && (item->flags & TURN_KNOWN));
    if (!look.invalid)
        code = look_at_row(d, mapped, last, ret, &look, ret_taken, err);
    if (code || *ret_taken != DIFF_TAKEN)
        return code;
    code = take(d, ret, err);
    if (!code)
        code = decide(d, &look, invalid, ret, err);
    item = code || !d->removes ? NULL : turn_find(&d->turn, d->slot);
    if (item && (item->flags & TURN_MOVED))
        *ret_taken = DIFF_OPEN;
    return code;
}

/* ---- gone keys ---- */

/* May anything of the entry be at the destination? */
static enum err_code is_there(struct diff *d, bool *ret, struct err *err)
{
    *ret = d->entry.flags & (ENTRY_ACCEPTED | ENTRY_DOUBT);
    if (*ret || !(d->entry.flags & ENTRY_IDENTITY))
        return ERR_OK;
    struct identity_list list;
    enum err_code code = state_identity_list(d->o.entries, d->slot, &list, err);
    for (size_t i = 0; i < list.count && !code && !*ret; i++)
        *ret = list.items[i].marks & (IDENTITY_ACCEPTED | IDENTITY_MAYBE);
    return code;
}

enum err_code diff_change_gone(struct diff *d, struct slice key, uint32_t *ret_slot,
                               enum diff_taken *ret_taken, struct err *err)
{
    struct turn_item *item;
    bool there = false;
    *ret_taken = DIFF_TAKEN;
    enum err_code code = find(d, key, err);
    *ret_slot = d->slot;
    if (code)
        return code;
    item = d->slot == SLOT_NONE ? NULL : turn_find(&d->turn, d->slot);
    if (d->slot == SLOT_NONE || (item && (item->flags & TURN_GONE))) {
        d->counts.rows++;
        d->counts.unchanged++;
        return ERR_OK;
    }
    code = in_flight(d, d->slot) ? ERR_OK : is_there(d, &there, err);
    if (code)
        return code;
    if (in_flight(d, d->slot) || (there && d->removes && !may_plan(d, DIFF_REMOVED))) {
        *ret_taken = DIFF_BUSY;
        return ERR_OK;
    }
    code = turn_note(&d->turn, d->slot, key, &item, err);
    if (code)
        return code;
    item->flags |= TURN_GONE;
    d->counts.rows++;
    if (there && d->removes)
        *ret_taken = DIFF_OPEN;
    return ERR_OK;
}

/* ---- the end of a turn ---- */

/* Its live identity is free, and rows that were refused for having it too are not looked at by
 * themselves. */
static enum err_code look_who_waits(struct diff *d, struct err *err)
{
    struct identity_list list;
    enum err_code code = state_identity_list(d->o.entries, d->slot, &list, err);
    for (size_t i = 0; i < list.count && !code; i++) {
        struct identity_owner o;
        code = state_identity_find(d->o.entries, list.items[i].bytes, &o, err);
        if (!code && (o.marks & IDENTITY_LIVE) && o.held)
            diff_want_read(d, "an identity is free again that another row was refused for");
    }
    return code;
}

/* It may be listed as invalid, or as refused before it was ever accepted. */
static enum err_code unlist(struct diff *d, struct slice key, struct err *err)
{
    struct entry e;
    enum err_code code = state_entry_get(d->o.entries, d->slot, &e, err);
    if (code || e.flags & (ENTRY_ACCEPTED | ENTRY_DOUBT) || !(e.flags & ENTRY_LISTED))
        return code;
    return state_rejected_clear(d->o.entries, key, err);
}

static enum err_code end_gone(struct diff *d, struct slice key, struct err *err)
{
    enum err_code code = state_entry_get(d->o.entries, d->slot, &d->entry, err);
    if (!code && d->o.has_identity && !(d->entry.flags & ENTRY_ABSENT))
        code = look_who_waits(d, err);
    if (!code)
        code = unlist(d, key, err);
    if (!code)
        code = diff_gone_row(d, err);
    if (!code && !d->gone_plain && !d->gone_ids.len)
        d->counts.unchanged++;
    return code;
}

static enum err_code end_item(struct diff *d, const struct turn_item *item, struct err *err)
{
    struct slice key = turn_key(&d->turn, item);
    d->slot = item->slot;
    diff_removals_reset(d);
    buf_reset(&d->gone_key);
    if (buf_put(&d->gone_key, key.p, key.n))
        return err_set(err, ERR_NOMEM, "diff: out of memory");
    if (item->flags & TURN_GONE)
        return end_gone(d, key, err);
    return item->flags & TURN_MOVED ? diff_moved_row(d, err) : ERR_OK;
}

enum err_code diff_turn_next(struct diff *d, struct diff_decision *ret, enum diff_step *ret_step,
                             struct err *err)
{
    enum err_code code = ERR_OK;
    *ret = (struct diff_decision){.slot = SLOT_NONE};
    if (d->turn_at == d->turn.count) {
        turn_reset(&d->turn);
        d->turn_at = 0;
        *ret_step = DIFF_STEP_END;
        return ERR_OK;
    }
    const struct turn_item *item = &d->turn.items[d->turn_at];
    if (!d->turn_begun)
        code = end_item(d, item, err);
    d->turn_begun = !code;
    if (code)
        return code;
    if (diff_removals_left(d)) {
        *ret_step = DIFF_STEP_ONE;
        return diff_removal_emit(d, ret, err);
    }
    *ret_step = DIFF_STEP_MORE;
    ret->slot = item->slot;
    ret->key = turn_key(&d->turn, item);
    d->turn_begun = false;
    d->turn_at++;
    return ERR_OK;
}
