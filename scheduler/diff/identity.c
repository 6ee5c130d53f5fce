/*
 * Reads and writes: identities of entries. Invariant: an identity has one owner; while rows are
 * read only identities that nobody owns are given away, all other decisions wait for a read that
 * reached its end. A crash here: a claim without a record behind it is never removed and goes with
 * its row.
 */
#include "scheduler/diff/core.h"

enum { IDENTITY_THERE = IDENTITY_ACCEPTED | IDENTITY_MAYBE };

enum err_code diff_mark_moved(struct diff *d, struct err *err)
{
    bool was;
    if (d->o.stream) {
        struct turn_item *item;
        enum err_code noted = turn_note(&d->turn, d->slot, buf_slice(&d->key), &item, err);
        if (!noted)
            item->flags |= TURN_MOVED;
        return noted;
    }
    enum err_code code = bits_set(&d->moved, d->slot, &was, err);
    if (!code && !was)
        d->moved_count++;
    return code;
}

/* The list with d->identity in front as the live one; what never reached the destination goes. */
static enum err_code claim_list(struct diff *d, const struct identity_list *old, uint8_t marks,
                                struct identity_list *list)
{
    list->key = buf_slice(&d->key);
    list->items[0] = (struct identity){marks | IDENTITY_LIVE, buf_slice(&d->identity)};
    list->count = 1;
    for (size_t i = 0; i < old->count; i++) {
        const struct identity *it = &old->items[i];
        if (slice_eq(it->bytes, list->items[0].bytes)) {
            list->items[0].marks |= it->marks & IDENTITY_THERE;
        } else if (it->marks & IDENTITY_THERE) {
            if (list->count < IDENTITY_MAX)
                list->items[list->count++] =
                    (struct identity){(uint8_t)(it->marks & ~IDENTITY_LIVE), it->bytes};
            else if (d->removes)
                return err_set(&d->reason, ERR_INVALID,
                               "identity: %d earlier ones of this record are still to be removed",
                               IDENTITY_MAX);
        }
    }
    return ERR_OK;
}

/* The row had another one: whoever was refused for that may have it now. */
static enum err_code look_who_waits(struct diff *d, const struct identity_list *old,
                                    struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < old->count && !code; i++) {
        struct identity_owner o;
        if (!(old->items[i].marks & IDENTITY_LIVE) ||
            slice_eq(old->items[i].bytes, buf_slice(&d->identity)))
            continue;
        code = state_identity_find(d->o.entries, old->items[i].bytes, &o, err);
        if (!code && o.held)
            diff_want_read(d, "an identity is free again that another row was refused for");
    }
    return code;
}

/* d->identity is the row's from now on. */
static enum err_code claim(struct diff *d, uint8_t marks, enum identity_answer *ret,
                           uint8_t *ret_marks, struct err *err)
{
    struct identity items[IDENTITY_MAX];
    struct identity_list old, list = {.items = items};
    enum err_code code = state_identity_list(d->o.entries, d->slot, &old, err);
    if (code)
        return code;
    if (claim_list(d, &old, marks, &list)) {
        *ret = IDENTITY_NONE;
        return ERR_OK;
    }
    code = d->o.stream ? look_who_waits(d, &old, err) : ERR_OK;
    if (!code)
        code = state_identity_set(d->o.entries, d->slot, &list, err);
    if (!code)
        code = state_entry_get(d->o.entries, d->slot, &d->entry, err);
    if (!code && (d->entry.flags & ENTRY_STALE))
        code = diff_mark_moved(d, err);
    *ret = IDENTITY_OURS;
    *ret_marks = items[0].marks;
    return code;
}

enum err_code diff_identity(struct diff *d, enum identity_answer *ret, uint8_t *ret_marks,
                            struct err *err)
{
    struct identity_owner o;
    enum err_code code = state_identity_find(d->o.entries, buf_slice(&d->identity), &o, err);
    if (code)
        return code;
    *ret_marks = o.marks;
    *ret = IDENTITY_OURS;
    if (o.slot == d->slot && (o.marks & IDENTITY_LIVE))
        return ERR_OK;
    if (o.slot == d->slot || o.slot == SLOT_NONE)
        return claim(d, 0, ret, ret_marks, err);
    *ret = IDENTITY_OTHERS;
    return ERR_OK;
}

enum err_code diff_identity_noted(struct diff *d, struct err *err)
{
    return state_identity_hold(d->o.entries, buf_slice(&d->identity), err);
}

/* Says whose identity it is; the owner's list has its key. */
static enum err_code name_owner(struct diff *d, uint32_t owner, struct err *err)
{
    struct identity_list list;
    enum err_code code = state_identity_list(d->o.entries, owner, &list, err);
    buf_reset(&d->text);
    if (!code)
        code = key_json(&d->text, list.key, d->o.primary_names, d->o.primary_count, err);
    if (!code)
        err_set(&d->reason, ERR_INVALID, "same identity as key %.*s",
                (int)(d->text.len < 512 ? d->text.len : 512), d->text.p);
    return code;
}

/* The owner lost its last identity at the destination: nothing there is its any more. */
static enum err_code owner_robbed(struct diff *d, uint32_t owner, struct err *err)
{
    struct identity_list list;
    struct entry e;
    enum err_code code = state_identity_list(d->o.entries, owner, &list, err);
    for (size_t i = 0; i < list.count && !code; i++)
        if (list.items[i].marks & IDENTITY_THERE)
            return ERR_OK;
    if (!code)
        code = state_entry_get(d->o.entries, owner, &e, err);
    if (code)
        return code;
    e.flags = (uint8_t)(e.flags & ~(ENTRY_ACCEPTED | ENTRY_DOUBT));
    return state_entry_put(d->o.entries, owner, &e, err);
}

/* Has the owner's row this identity still, as far as this read or turn tells? */
static enum err_code owner_keeps(struct diff *d, const struct identity_owner *o, bool *ret,
                                 struct err *err)
{
    *ret = false;
    if (!(o->marks & IDENTITY_LIVE))
        return ERR_OK;
    if (!d->o.stream) {
        *ret = bits_has(&d->seen, o->slot) && !bits_has(&d->set_aside, o->slot);
        return ERR_OK;
    }
    struct entry e;
    const struct turn_item *item = turn_find(&d->turn, o->slot);
    if (item && (item->flags & (TURN_GONE | TURN_ASIDE)))
        return ERR_OK;
    enum err_code code = state_entry_get(d->o.entries, o->slot, &e, err);
    *ret = !code && !(e.flags & ENTRY_ABSENT);
    if (*ret && (e.flags & ENTRY_LISTED)) /* its row may be another one by now, and invalid */
        diff_want_read(d, "a row has the identity of another one that may have been invalid");
    return code;
}

enum err_code diff_identity_decide(struct diff *d, bool *ret_taken, uint8_t *ret_marks,
                                   struct err *err)
{
    struct identity_owner o;
    enum identity_answer answer;
    enum err_code code = state_identity_find(d->o.entries, buf_slice(&d->identity), &o, err);
    bool others = o.slot != SLOT_NONE && o.slot != d->slot, keeps = false;
    *ret_taken = false;
    if (!code && others)
        code = owner_keeps(d, &o, &keeps, err);
    if (code)
        return code;
    if (keeps)
        return name_owner(d, o.slot, err);
    /* What the last owner left there is this row's to replace or to remove. */
    uint8_t marks = others && (o.marks & IDENTITY_THERE) ? IDENTITY_MAYBE : 0;
    code = claim(d, marks, &answer, ret_marks, err);
    if (!code && answer == IDENTITY_OURS) {
        *ret_taken = true;
        bits_clear(&d->set_aside, d->slot);
        if (others)
            code = owner_robbed(d, o.slot, err);
    }
    return code;
}
