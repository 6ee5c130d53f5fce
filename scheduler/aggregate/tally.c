/*
 * Reads and writes: the entry of one record, its identities, its refusal, its line in the error
 * list. Invariant: the accepted part changes only by an answer of the destination; whatever may be
 * there without one stays known, so that it is sent or removed again. A crash here: nothing of the
 * transaction stands; the verdict comes again.
 */
#include "scheduler/aggregate/tally.h"

#include "scheduler/state/key.h"
#include "scheduler/state/rejected.h"

#include <stdlib.h>

enum { IDENTITY_THERE = IDENTITY_ACCEPTED | IDENTITY_MAYBE, NOT_FOUND_DUE_MS = 24 * 3600 * 1000 };

struct tally {
    struct tally_options o;
    struct buf text;
    /* the record in hand */
    const struct tally_record *r;
    const struct tally_verdict *v;
    uint32_t slot;
    struct entry entry;
};

enum err_code tally_new(const struct tally_options *opts, struct tally **ret_tally, struct err *err)
{
    struct tally *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(err, ERR_NOMEM, "tally: out of memory");
    t->o = *opts;
    buf_init(&t->text, 64 << 10);
    *ret_tally = t;
    return ERR_OK;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    buf_done(&t->text);
    free(t);
}

static bool is_removal(enum record_op op)
{
    return op == OP_DELETE || op == OP_CLEAR;
}

/* ---- the entry in hand ---- */

static enum err_code put_entry(struct tally *t, struct err *err)
{
    return state_entry_put(t->o.entries, t->slot, &t->entry, err);
}

/* The refusal of the row is past, and so is what the list says of it. */
static enum err_code forget_refusal(struct tally *t, struct err *err)
{
    enum err_code code = ERR_OK;
    if (t->entry.flags & ENTRY_REFUSED)
        code = state_refusal_delete(t->o.entries, t->slot, REFUSAL_ROW, err);
    if (!code && (t->entry.flags & ENTRY_REMOVAL_REFUSED))
        code = state_refusal_delete(t->o.entries, t->slot, REFUSAL_REMOVAL, err);
    if (!code && (t->entry.flags & ENTRY_LISTED))
        code = state_rejected_clear(t->o.entries, t->r->key, err);
    t->entry.flags =
        (uint8_t)(t->entry.flags & ~(ENTRY_REFUSED | ENTRY_REMOVAL_REFUSED | ENTRY_LISTED));
    return code;
}

static enum err_code list_it(struct tally *t, enum rejected_kind kind, struct err *err)
{
    buf_reset(&t->text);
    enum err_code code = key_json(&t->text, t->r->key, t->o.primary_names, t->o.primary_count, err);
    struct rejected r = {
        .kind = kind,
        .key = t->r->key,
        .text = buf_slice(&t->text),
        .message = t->v->message,
        .run = slice_str(t->o.run),
        .time_ms = t->v->now_ms,
        .kills = t->v->kills,
    };
    if (!code)
        code = state_rejected_put(t->o.entries, &r, err);
    t->entry.flags |= ENTRY_LISTED;
    return code;
}

/* ---- identities ---- */

static struct identity *find_identity(struct identity_list *list, struct slice bytes)
{
    for (size_t i = 0; i < list->count; i++)
        if (slice_eq(list->items[i].bytes, bytes))
            return &list->items[i];
    return NULL;
}

/* Writes the list and takes over the flags that follow from it. */
static enum err_code set_identities(struct tally *t, struct identity_list *list, struct err *err)
{
    struct entry e;
    list->key = t->r->key;
    enum err_code code = state_identity_set(t->o.entries, t->slot, list, err);
    if (!code)
        code = state_entry_get(t->o.entries, t->slot, &e, err);
    if (code)
        return code;
    uint8_t follow = ENTRY_IDENTITY | ENTRY_STALE;
    t->entry.flags = (uint8_t)((t->entry.flags & ~follow) | (e.flags & follow));
    return ERR_OK;
}

/* Changes the marks of the record's identity; one that the entry does not have yet is added. */
static enum err_code mark_identity(struct tally *t, uint8_t set, uint8_t clear, struct err *err)
{
    struct identity items[IDENTITY_MAX];
    struct identity_list old, list = {.items = items};
    enum err_code code = state_identity_list(t->o.entries, t->slot, &old, err);
    if (code)
        return code;
    memcpy(items, old.items, old.count * sizeof *items);
    list.count = old.count;
    struct identity *mine = find_identity(&list, t->r->identity);
    uint8_t before = mine ? mine->marks : 0;
    if (!mine) {
        if (list.count == IDENTITY_MAX) /* the earliest goes: there is no room for all */
            list.count--;
        memmove(items + 1, items, list.count * sizeof *items);
        list.count++;
        mine = items;
        *mine = (struct identity){0, t->r->identity};
    }
    if (set & IDENTITY_LIVE)
        for (size_t i = 0; i < list.count; i++)
            items[i].marks = (uint8_t)(items[i].marks & ~IDENTITY_LIVE);
    mine->marks = (uint8_t)((before & ~clear) | set);
    if (mine->marks == before)
        return ERR_OK;
    return set_identities(t, &list, err);
}

/* ---- verdicts on rows ---- */

static enum err_code row_accepted(struct tally *t, struct err *err)
{
    enum err_code code = forget_refusal(t, err);
    if (!code && t->o.has_identity)
        code = mark_identity(t, IDENTITY_LIVE | IDENTITY_ACCEPTED,
                             IDENTITY_MAYBE | IDENTITY_REFUSED, err);
    if (code)
        return code;
    t->entry.flags = (uint8_t)((t->entry.flags | ENTRY_ACCEPTED) & ~(ENTRY_DOUBT | ENTRY_ABSENT));
    memcpy(t->entry.hash, t->r->hash, sizeof t->entry.hash);
    return put_entry(t, err);
}

/*
 * The destination refused these values. What an earlier, unanswered attempt left there is not known
 * any better than before: a doubt stays until something is accepted or removed.
 */
static enum err_code row_refused(struct tally *t, bool not_found, struct err *err)
{
    struct refusal r = {.reason = t->v->message};
    for (size_t i = 0; i < sizeof r.hash; i++)
        r.hash[i] = t->r->hash[i] ^ t->o.mapping.bytes[i];
    if (not_found)
        r.due_ms = t->v->now_ms + NOT_FOUND_DUE_MS;
    enum err_code code = state_refusal_put(t->o.entries, t->slot, REFUSAL_ROW, &r, err);
    if (!code)
        code = list_it(t, not_found ? REJECTED_NOT_FOUND : REJECTED_REFUSED, err);
    if (!code && not_found && t->o.has_identity)
        code = mark_identity(t, 0, IDENTITY_THERE, err);
    if (code)
        return code;
    t->entry.flags |= ENTRY_REFUSED;
    if (not_found) /* there is surely nothing */
        t->entry.flags = (uint8_t)(t->entry.flags & ~(ENTRY_ACCEPTED | ENTRY_DOUBT));
    return put_entry(t, err);
}

static enum err_code in_doubt(struct tally *t, struct err *err)
{
    enum err_code code = ERR_OK;
    if (t->o.has_identity)
        code = mark_identity(t, IDENTITY_MAYBE, is_removal(t->r->op) ? IDENTITY_ACCEPTED : 0, err);
    t->entry.flags |= ENTRY_DOUBT;
    return code ? code : put_entry(t, err);
}

/* Failed or cancelled: without doubt the entry stays as it was. */
static enum err_code unanswered(struct tally *t, struct err *err)
{
    enum err_code code = ERR_OK;
    bool listed = t->entry.flags & ENTRY_LISTED;
    if (t->v->verdict == VERDICT_FAILED)
        code = list_it(t, REJECTED_FAILED, err);
    if (!code && t->v->doubt)
        return in_doubt(t, err);
    if (!code && !listed && (t->entry.flags & ENTRY_LISTED))
        code = put_entry(t, err);
    return code;
}

/* ---- verdicts on removals ---- */

/* The row lives on under another identity: is anything of it at the destination? */
static enum err_code keep_rest(struct tally *t, struct identity_list *list, struct err *err)
{
    bool there = false;
    for (size_t i = 0; i < list->count; i++)
        there = there || (list->items[i].marks & IDENTITY_THERE);
    enum err_code code = set_identities(t, list, err);
    if (code)
        return code;
    if (!there)
        t->entry.flags = (uint8_t)(t->entry.flags & ~(ENTRY_ACCEPTED | ENTRY_DOUBT));
    return put_entry(t, err);
}

static enum err_code removed(struct tally *t, struct err *err)
{
    if (!t->o.has_identity)
        return state_entry_delete(t->o.entries, t->r->key, t->slot, err);
    struct identity items[IDENTITY_MAX];
    struct identity_list old, list = {.items = items};
    enum err_code code = state_identity_list(t->o.entries, t->slot, &old, err);
    if (code)
        return code;
    bool refused = false; /* is another removal still refused? */
    for (size_t i = 0; i < old.count; i++)
        if (!slice_eq(old.items[i].bytes, t->r->identity)) {
            refused = refused || (old.items[i].marks & IDENTITY_REFUSED);
            items[list.count++] = old.items[i];
        }
    if (!list.count)
        return state_entry_delete(t->o.entries, t->r->key, t->slot, err);
    if (!refused)
        code = state_refusal_delete(t->o.entries, t->slot, REFUSAL_IDENTITY, err);
    return code ? code : keep_rest(t, &list, err);
}

static enum err_code removal_refused(struct tally *t, struct err *err)
{
    struct refusal r = {.reason = t->v->message};
    memcpy(r.hash, t->o.mapping.bytes, sizeof r.hash);
    enum refusal_kind kind = t->o.has_identity ? REFUSAL_IDENTITY : REFUSAL_REMOVAL;
    enum err_code code = state_refusal_put(t->o.entries, t->slot, kind, &r, err);
    if (!code)
        code = list_it(t, REJECTED_REMOVAL, err);
    if (!code && t->o.has_identity)
        code = mark_identity(t, IDENTITY_REFUSED, 0, err);
    if (code)
        return code;
    if (!t->o.has_identity)
        t->entry.flags |= ENTRY_REMOVAL_REFUSED;
    return put_entry(t, err);
}

/* ---- fold ---- */

static enum err_code fold_row(struct tally *t, enum tally_count *ret_count, struct err *err)
{
    switch (t->v->verdict) {
    case VERDICT_OK:
        *ret_count = TALLY_SUCCEEDED;
        return row_accepted(t, err);
    case VERDICT_REJECTED:
    case VERDICT_NOT_FOUND:
        *ret_count = TALLY_REJECTED;
        return row_refused(t, t->v->verdict == VERDICT_NOT_FOUND, err);
    case VERDICT_FAILED:
    case VERDICT_CANCELLED:
        *ret_count = t->v->verdict == VERDICT_FAILED ? TALLY_FAILED : TALLY_CANCELLED;
        return unanswered(t, err);
    case VERDICT_OPEN:
        break;
    }
    return err_set(err, ERR_BUG, "tally: a record without a verdict");
}

static enum err_code fold_removal(struct tally *t, enum tally_count *ret_count, struct err *err)
{
    switch (t->v->verdict) {
    case VERDICT_OK:
    case VERDICT_NOT_FOUND: /* it is not there: that is what was asked for */
        *ret_count = TALLY_SUCCEEDED;
        return removed(t, err);
    case VERDICT_REJECTED:
        *ret_count = TALLY_REJECTED;
        return removal_refused(t, err);
    case VERDICT_FAILED:
    case VERDICT_CANCELLED:
        *ret_count = t->v->verdict == VERDICT_FAILED ? TALLY_FAILED : TALLY_CANCELLED;
        return unanswered(t, err);
    case VERDICT_OPEN:
        break;
    }
    return err_set(err, ERR_BUG, "tally: a record without a verdict");
}

enum err_code tally_fold(struct tally *t, const struct tally_record *r,
                         const struct tally_verdict *v, enum tally_count *ret_count,
                         struct err *err)
{
    bool added;
    t->r = r;
    t->v = v;
    t->slot = r->slot;
    enum err_code code = state_sync_touch(t->o.entries, err);
    if (!code && r->slot == SLOT_NONE)
        code = state_key_take(t->o.entries, r->key, &t->slot, &added, err);
    if (!code)
        code = state_entry_get(t->o.entries, t->slot, &t->entry, err);
    if (code)
        return code;
    return is_removal(r->op) ? fold_removal(t, ret_count, err) : fold_row(t, ret_count, err);
}
