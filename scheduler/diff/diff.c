/*
 * Reads: mapped rows, entries. Writes: slots of new keys, live identities, hashes that are taken
 * over, the list of invalid rows. Invariant: the first row of a key decides it; every row is in one
 * count. A crash here: what was written says nothing about the destination, so it may stand or go.
 */
#include "scheduler/diff/core.h"

#include <stdlib.h>
#include <xxhash.h>

enum { VALUES_BYTES_MAX = 32 << 20, TEXT_BYTES_MAX = 64 << 10, BITS_FIRST_BYTES = 4096 };

enum err_code bits_set(struct bits *b, uint32_t i, bool *ret_was, struct err *err)
{
    if (UNLIKELY(i / 8 >= b->bytes)) {
        size_t bytes = b->bytes ? b->bytes : BITS_FIRST_BYTES;
        while (bytes <= i / 8)
            bytes *= 2;
        uint8_t *p = realloc(b->p, bytes);
        if (!p)
            return err_set(err, ERR_NOMEM, "diff: out of memory for %zu bytes of slot bits", bytes);
        memset(p + b->bytes, 0, bytes - b->bytes);
        *b = (struct bits){p, bytes};
    }
    uint8_t bit = (uint8_t)(1u << i % 8);
    *ret_was = b->p[i / 8] & bit;
    b->p[i / 8] |= bit;
    return ERR_OK;
}

/* ---- life cycle ---- */

bool diff_removes(enum sync_mode mode, enum on_removed on_removed)
{
    return mode == MODE_MIRROR || on_removed != REMOVED_IGNORE;
}

static enum record_op op_of(enum sync_mode mode)
{
    switch (mode) {
    case MODE_INSERT:
        return OP_INSERT;
    case MODE_UPDATE:
        return OP_UPDATE;
    case MODE_APPEND:
        return OP_APPEND;
    case MODE_UPSERT:
    case MODE_FULL:
    case MODE_MIRROR:
        break;
    }
    return OP_UPSERT;
}

enum err_code diff_new(const struct diff_options *opts, struct diff **ret_diff, struct err *err)
{
    if (opts->key_count > KEY_VALUES_MAX || opts->primary_count > KEY_VALUES_MAX)
        return err_set(err, ERR_INVALID, "diff: a key of more than %d values", KEY_VALUES_MAX);
    struct diff *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(err, ERR_NOMEM, "diff: out of memory");
    d->o = *opts;
    d->removes = diff_removes(opts->mode, opts->on_removed);
    d->sends_changes = opts->mode != MODE_INSERT && opts->mode != MODE_APPEND;
    d->full = (opts->full || opts->mode == MODE_FULL) && d->sends_changes;
    d->send_op = op_of(opts->mode);
    d->remove_op = opts->on_removed == REMOVED_CLEAR ? OP_CLEAR : OP_DELETE;
    buf_init(&d->key, KEY_BYTES_MAX + 512);
    buf_init(&d->identity, KEY_BYTES_MAX + 512);
    buf_init(&d->values, VALUES_BYTES_MAX);
    buf_init(&d->text, TEXT_BYTES_MAX);
    buf_init(&d->aside_row, VALUES_BYTES_MAX + (1 << 20));
    buf_init(&d->gone_key, KEY_BYTES_MAX + 512);
    turn_init(&d->turn);
    buf_init(&d->gone_ids, (IDENTITY_BYTES_MAX + 2) * IDENTITY_MAX);
    enum err_code code = state_sync_begin(opts->entries, err);
    if (code)
        diff_free(d);
    else
        *ret_diff = d;
    return code;
}

void diff_free(struct diff *d)
{
    if (!d)
        return;
    struct buf *bufs[] = {&d->key,       &d->identity, &d->values,  &d->text,
                          &d->aside_row, &d->gone_key, &d->gone_ids};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_done(bufs[i]);
    turn_done(&d->turn);
    free(d->seen.p);
    free(d->set_aside.p);
    free(d->moved.p);
    if (d->aside)
        fclose(d->aside);
    free(d);
}

struct diff_counts diff_counts(const struct diff *d)
{
    return d->counts;
}

/* ---- invalid ---- */

static enum err_code list_invalid(struct diff *d, enum rejected_kind kind, struct slice key,
                                  struct slice reason, struct err *err)
{
    struct rejected r = {
        .kind = kind,
        .key = key,
        .text = buf_slice(&d->text),
        .message = reason,
        .run = slice_str(d->o.run),
        .time_ms = d->o.now_ms,
    };
    return state_rejected_put(d->o.entries, &r, err);
}

enum err_code diff_invalid(struct diff *d, enum rejected_kind kind, struct slice reason,
                           struct diff_decision *ret, struct err *err)
{
    ret->class = DIFF_INVALID;
    ret->reason = reason;
    if (ret->key.n) {
        buf_reset(&d->text);
        enum err_code code =
            key_json(&d->text, ret->key, d->o.primary_names, d->o.primary_count, err);
        if (code)
            return code;
    }
    enum err_code code = list_invalid(d, kind, ret->key, reason, err);
    if (!code && kind != REJECTED_DUPLICATE && ret->slot != SLOT_NONE &&
        !(d->entry.flags & ENTRY_LISTED)) {
        d->entry.flags |= ENTRY_LISTED;
        code = state_entry_put(d->o.entries, ret->slot, &d->entry, err);
    }
    if (!code)
        d->counts.invalid++;
    return code;
}

enum err_code diff_key_unreadable(struct diff *d, const struct mapped *mapped,
                                  struct diff_decision *ret, struct err *err)
{
    buf_reset(&d->text);
    enum err_code code =
        key_values_json(&d->text, mapped->primary, d->o.primary_names, d->o.primary_count, err);
    if (code == ERR_FULL) { /* a huge key: nobody needs all of it */
        buf_reset(&d->text);
        code = buf_puts(&d->text, "{}");
    }
    return code ? code : diff_invalid(d, REJECTED_INVALID, slice_str(d->reason.text), ret, err);
}

enum err_code diff_refuse(struct diff *d, const struct diff_decision *decision, struct slice reason,
                          struct err *err)
{
    ensure(decision->class == DIFF_ADDED || decision->class == DIFF_CHANGED);
    struct diff_decision row = *decision;
    enum err_code code = state_entry_get(d->o.entries, row.slot, &d->entry, err);
    if (!code)
        code = diff_invalid(d, REJECTED_INVALID, reason, &row, err);
    if (code)
        return code;
    if (decision->class == DIFF_ADDED)
        d->counts.added--;
    else
        d->counts.changed--;
    return ERR_OK;
}

/* ---- comparing ---- */

/* What the destination has is what the row says: whatever was refused or listed before is past. */
static enum err_code settle_unchanged(struct diff *d, const uint8_t *hash, uint8_t set,
                                      struct diff_decision *ret, struct err *err)
{
    struct entry e = d->entry;
    enum err_code code = ERR_OK;
    if (UNLIKELY(e.flags & ENTRY_REFUSED))
        code = state_refusal_delete(d->o.entries, d->slot, REFUSAL_ROW, err);
    if (UNLIKELY(!code && (e.flags & ENTRY_LISTED)))
        code = state_rejected_clear(d->o.entries, ret->key, err);
    e.flags = (uint8_t)((e.flags & ~(ENTRY_REFUSED | ENTRY_LISTED)) | set);
    memcpy(e.hash, hash, sizeof e.hash);
    if (!code && (e.flags != d->entry.flags || memcmp(e.hash, d->entry.hash, sizeof e.hash) != 0))
        code = state_entry_put(d->o.entries, d->slot, &e, err);
    if (code)
        return code;
    d->entry = e;
    ret->class = DIFF_UNCHANGED;
    d->counts.unchanged++;
    return ERR_OK;
}

/* Is it refused already, with these values and this mapping? */
enum err_code diff_is_quarantined(struct diff *d, const uint8_t *hash, bool *ret, struct err *err)
{
    *ret = false;
    if (LIKELY(!(d->entry.flags & ENTRY_REFUSED)))
        return ERR_OK;
    struct refusal r;
    enum err_code code = state_refusal_get(d->o.entries, d->slot, REFUSAL_ROW, &r, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    uint8_t mixed[16];
    hash_mix(hash, d->o.mapping.bytes, mixed);
    bool due = r.due_ms && d->o.now_ms >= r.due_ms;
    *ret = !due && memcmp(mixed, r.hash, sizeof mixed) == 0;
    return ERR_OK;
}

/* first_run: skip. The destination is taken to have the row, under its identity. */
static enum err_code take_as_synced(struct diff *d, struct diff_decision *ret, struct err *err)
{
    if (d->o.has_identity) {
        struct identity_list list;
        enum err_code code = state_identity_list(d->o.entries, d->slot, &list, err);
        for (size_t i = 0; i < list.count && !code; i++)
            if (slice_eq(list.items[i].bytes, ret->identity))
                list.items[i].marks |= IDENTITY_ACCEPTED;
        if (!code)
            code = state_identity_set(d->o.entries, d->slot, &list, err);
        if (!code)
            code = state_entry_get(d->o.entries, d->slot, &d->entry, err);
        if (code)
            return code;
    }
    return settle_unchanged(d, ret->hash, ENTRY_ACCEPTED, ret, err);
}

enum err_code diff_classify(struct diff *d, uint8_t marks, struct diff_decision *ret,
                            struct err *err)
{
    bool known = d->known;
    bool sure =
        !(d->entry.flags & ENTRY_DOUBT) && (!d->o.has_identity || (marks & IDENTITY_ACCEPTED));
    if (LIKELY(known && sure && !d->full &&
               memcmp(ret->hash, d->entry.hash, sizeof ret->hash) == 0))
        return settle_unchanged(d, d->entry.hash, 0, ret, err);
    bool refused;
    enum err_code code = diff_is_quarantined(d, ret->hash, &refused, err);
    if (code)
        return code;
    if (refused) {
        ret->class = DIFF_QUARANTINED;
        d->counts.quarantined++;
        return ERR_OK;
    }
    if (d->o.skip_first)
        return take_as_synced(d, ret, err);
    ret->class = known ? DIFF_CHANGED : DIFF_ADDED;
    ret->op = d->send_op;
    if (known)
        d->counts.changed++;
    else
        d->counts.added++;
    return ERR_OK;
}

/* ---- rows ---- */

/* The row is back: it is not absent, and a refused removal is past. */
enum err_code diff_row_returned(struct diff *d, struct err *err)
{
    enum err_code code = ERR_OK;
    if (d->entry.flags & ENTRY_REMOVAL_REFUSED)
        code = state_refusal_delete(d->o.entries, d->slot, REFUSAL_REMOVAL, err);
    if (code)
        return code;
    d->entry.flags = (uint8_t)(d->entry.flags & ~(ENTRY_ABSENT | ENTRY_REMOVAL_REFUSED));
    return state_entry_put(d->o.entries, d->slot, &d->entry, err);
}

enum err_code diff_encode_identity(struct diff *d, const struct mapped *mapped, struct err *err)
{
    buf_reset(&d->identity);
    enum err_code code = key_encode(&d->identity, mapped->keys, d->o.key_count, NULL, &d->reason);
    if (!code && d->identity.len > IDENTITY_BYTES_MAX)
        code =
            err_set(&d->reason, ERR_INVALID, "identity: longer than %d bytes", IDENTITY_BYTES_MAX);
    else if (code == ERR_INVALID)
        err_set(&d->reason, ERR_INVALID,
                "identity: the field of identify_by has no value that can "
                "name a record");
    return code == ERR_INVALID ? code : code ? err_set(err, code, "diff: out of memory") : ERR_OK;
}

/* A second row of a key. What it names at the destination is a live row's all the same. */
static enum err_code duplicate(struct diff *d, const struct mapped *mapped, struct slice invalid,
                               struct diff_decision *ret, struct err *err)
{
    if (d->o.has_identity && !invalid.n) {
        enum err_code code = diff_encode_identity(d, mapped, err);
        if (!code)
            code = diff_identity_noted(d, err);
        if (code && code != ERR_INVALID)
            return code;
    }
    return diff_invalid(d, REJECTED_DUPLICATE, SLICE_LIT("duplicate key: an earlier row has it"),
                        ret, err);
}

enum err_code diff_hash_row(struct diff *d, const struct mapped *mapped, struct diff_decision *ret,
                            struct err *err)
{
    buf_reset(&d->values);
    enum err_code code = batch_put_values(&d->values, mapped->fields, d->o.field_count);
    if (code == ERR_NOMEM)
        return err_set(err, code, "diff: out of memory");
    if (code) {
        err_set(&d->reason, ERR_INVALID,
                code == ERR_FULL ? "row: larger than 32 MiB" : "row: a value that cannot be sent");
        return ERR_INVALID;
    }
    ret->values = buf_slice(&d->values);
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(d->values.p, d->values.len));
    hash_mix(hash.digest, d->o.names.bytes, ret->hash);
    return ERR_OK;
}

/* insert and append: a change of a known row is not sent, and neither is one of its identity. */
/* Its own one it has for good: that is not removed before the row has gone. */
static enum err_code note_kept(struct diff *d, struct err *err)
{
    struct identity_owner o;
    enum err_code code = state_identity_find(d->o.entries, buf_slice(&d->identity), &o, err);
    bool own = o.slot == d->slot && (o.marks & IDENTITY_LIVE);
    return code || own ? code : diff_identity_noted(d, err);
}

enum err_code diff_keep_known(struct diff *d, struct diff_decision *ret, struct err *err)
{
    enum err_code code = d->o.has_identity ? note_kept(d, err) : ERR_OK;
    return code ? code : settle_unchanged(d, ret->hash, 0, ret, err);
}

static enum err_code keep_known(struct diff *d, const struct mapped *mapped,
                                struct diff_decision *ret, struct err *err)
{
    enum err_code code = d->o.has_identity ? diff_encode_identity(d, mapped, err) : ERR_OK;
    if (code == ERR_INVALID)
        return diff_invalid(d, REJECTED_INVALID, slice_str(d->reason.text), ret, err);
    return code ? code : diff_keep_known(d, ret, err);
}

static enum err_code decide(struct diff *d, const struct mapped *mapped, struct diff_decision *ret,
                            struct err *err)
{
    enum err_code code = diff_hash_row(d, mapped, ret, err);
    if (code)
        return code == ERR_INVALID
                   ? diff_invalid(d, REJECTED_INVALID, slice_str(d->reason.text), ret, err)
                   : code;
    if (!d->sends_changes && (d->entry.flags & (ENTRY_ACCEPTED | ENTRY_DOUBT)) == ENTRY_ACCEPTED)
        return keep_known(d, mapped, ret, err);
    if (!d->o.has_identity)
        return diff_classify(d, 0, ret, err);
    enum identity_answer answer;
    uint8_t marks;
    code = diff_encode_identity(d, mapped, err);
    if (code == ERR_INVALID)
        return diff_invalid(d, REJECTED_INVALID, slice_str(d->reason.text), ret, err);
    ret->identity = buf_slice(&d->identity);
    if (!code)
        code = diff_identity(d, &answer, &marks, err);
    if (code)
        return code;
    if (answer == IDENTITY_OURS)
        return diff_classify(d, marks, ret, err);
    if (answer == IDENTITY_NONE)
        return diff_invalid(d, REJECTED_INVALID, slice_str(d->reason.text), ret, err);
    ret->class = DIFF_ASIDE;
    return diff_aside_put(d, ret, err);
}

static enum err_code take_row(struct diff *d, const struct mapped *mapped, struct slice invalid,
                              struct diff_decision *ret, struct err *err)
{
    buf_reset(&d->key);
    d->entry = (struct entry){0};
    enum err_code code =
        key_encode(&d->key, mapped->primary, d->o.primary_count, d->o.primary_names, &d->reason);
    if (code)
        return code == ERR_INVALID ? diff_key_unreadable(d, mapped, ret, err)
                                   : err_set(err, code, "diff: %s", d->reason.text);
    ret->key = buf_slice(&d->key);
    bool added, was;
    code = state_key_take(d->o.entries, ret->key, &d->slot, &added, err);
    if (!code)
        code = bits_set(&d->seen, d->slot, &was, err);
    if (!code && !added)
        code = state_entry_get(d->o.entries, d->slot, &d->entry, err);
    if (code)
        return code;
    ret->slot = d->slot;
    d->known = d->entry.flags & ENTRY_ACCEPTED;
    if (UNLIKELY(was))
        return duplicate(d, mapped, invalid, ret, err);
    d->seen_count++;
    if (UNLIKELY(d->entry.flags & (ENTRY_ABSENT | ENTRY_REMOVAL_REFUSED)))
        code = diff_row_returned(d, err);
    if (!code && UNLIKELY(d->entry.flags & ENTRY_STALE))
        code = diff_mark_moved(d, err);
    if (code)
        return code;
    if (UNLIKELY(invalid.n))
        return diff_invalid(d, REJECTED_INVALID, invalid, ret, err);
    return decide(d, mapped, ret, err);
}

enum err_code diff_row(struct diff *d, const struct mapped *mapped, struct slice invalid,
                       struct slice extra, struct diff_decision *ret, struct err *err)
{
    ensure(d->phase == PHASE_ROWS && !d->o.stream);
    *ret = (struct diff_decision){.slot = SLOT_NONE, .keys = mapped->keys, .extra = extra};
    enum err_code code = take_row(d, mapped, invalid, ret, err);
    if (LIKELY(!code))
        d->counts.rows++;
    return code;
}

/* ---- the end of the read ---- */

enum err_code diff_finish(struct diff *d, bool complete, struct err *err)
{
    ensure(d->phase == PHASE_ROWS);
    d->complete = complete;
    d->phase = PHASE_ASIDE;
    d->aside_left = d->counts.aside;
    if (d->aside && (fflush(d->aside) != 0 || fseek(d->aside, 0, SEEK_SET) != 0))
        return err_set(err, ERR_IO, "diff: the temporary file of rows set aside cannot be read");
    return ERR_OK;
}

/* Invalid rows of earlier reads are past: this one has named its own. */
static enum err_code expire(struct diff *d, enum diff_step *ret_step, struct err *err)
{
    bool more;
    *ret_step = DIFF_STEP_MORE;
    enum err_code code =
        state_rejected_expire(d->o.entries, slice_str(d->o.run), &d->expire_at, 1000, &more, err);
    if (!code && !more)
        d->phase = PHASE_SCAN;
    return code;
}

enum err_code diff_next(struct diff *d, struct diff_decision *ret, enum diff_step *ret_step,
                        struct err *err)
{
    ensure(d->phase != PHASE_ROWS);
    *ret = (struct diff_decision){.slot = SLOT_NONE};
    if (d->phase == PHASE_ASIDE && d->aside_left) {
        *ret_step = DIFF_STEP_ONE;
        enum err_code code = diff_aside_next(d, ret, err);
        if (!code)
            d->aside_left--;
        return code;
    }
    if (d->phase == PHASE_ASIDE)
        d->phase = d->complete ? PHASE_EXPIRE : PHASE_END;
    if (d->phase == PHASE_EXPIRE)
        return expire(d, ret_step, err);
    if (d->phase != PHASE_END)
        return diff_removal_next(d, ret, ret_step, err);
    *ret_step = DIFF_STEP_END;
    return ERR_OK;
}
