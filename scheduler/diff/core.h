/*
 * The inside of a diff, shared by its files: options worked out, bitmaps of slots, scratch memory.
 *
 * diff.c decides rows, identity.c who may have an identity, aside.c keeps rows for the end of the
 * read, removal.c finds what is gone, change.c decides single changes.
 */
#ifndef SLUICE_DIFF_CORE_H
#define SLUICE_DIFF_CORE_H

#include "protocol/base/buf.h"
#include "scheduler/diff/change.h"
#include "scheduler/diff/turn.h"
#include "scheduler/state/key.h"
#include "scheduler/state/rejected.h"

#include <stdio.h>

/* One bit per slot; grows with the slots. */
struct bits {
    uint8_t *p;
    size_t bytes;
};

enum diff_phase { PHASE_ROWS, PHASE_ASIDE, PHASE_EXPIRE, PHASE_SCAN, PHASE_EMIT, PHASE_END };

struct diff {
    struct diff_options o;
    bool removes;
    bool full;
    bool sends_changes; /* insert and append do not */
    bool complete;
    enum record_op send_op;
    enum record_op remove_op;
    enum diff_phase phase;
    struct diff_counts counts;

    struct bits seen;
    struct bits set_aside; /* its row has another identity than the one state calls live */
    struct bits moved;     /* seen, and it may have left an identity behind */
    uint64_t seen_count;
    uint64_t moved_count;

    /* the row in hand */
    uint32_t slot;
    struct entry entry;
    bool known; /* it had an accepted part when its row came; another row may have taken that over
                   since */
    struct buf key;
    struct buf identity;
    struct buf values;
    struct buf text;
    struct err reason;

    FILE *aside;
    uint64_t aside_left;
    struct buf aside_row;

    uint64_t expire_at;
    struct state_scan scan;
    struct buf gone_key; /* of the slot whose removals are given out */
    struct buf gone_ids; /* u16 length, bytes, … */
    size_t gone_at;
    enum removal_reason gone_why;
    bool gone_plain; /* one removal by the primary key */

    struct turn turn; /* of single changes */
    size_t turn_at;   /* its end: the item in hand */
    bool turn_begun;
    const char *wants_read;
    struct value values_of_key[KEY_VALUES_MAX];
};

/* ---- bits ---- */

static inline bool bits_has(const struct bits *b, uint32_t i)
{
    return i / 8 < b->bytes && (b->p[i / 8] >> (i % 8) & 1);
}
/** Sets bit i; *ret_was says whether it was set. Errors: ERR_NOMEM. */
enum err_code bits_set(struct bits *b, uint32_t i, bool *ret_was, struct err *err) MUST_CHECK;
static inline void bits_clear(struct bits *b, uint32_t i)
{
    if (i / 8 < b->bytes)
        b->p[i / 8] = (uint8_t)(b->p[i / 8] & ~(1u << i % 8));
}

/* ---- rows ---- */

/** Decides d->slot, d->entry, values and hash in ret; marks: of its identity. Counts it. */
enum err_code diff_classify(struct diff *d, uint8_t marks, struct diff_decision *ret,
                            struct err *err) MUST_CHECK;
/** Counts and lists the row in hand as invalid. */
enum err_code diff_invalid(struct diff *d, enum rejected_kind kind, struct slice reason,
                           struct diff_decision *ret, struct err *err) MUST_CHECK;
enum err_code diff_encode_identity(struct diff *d, const struct mapped *mapped,
                                   struct err *err) MUST_CHECK;
enum err_code diff_hash_row(struct diff *d, const struct mapped *mapped, struct diff_decision *ret,
                            struct err *err) MUST_CHECK;
enum err_code diff_key_unreadable(struct diff *d, const struct mapped *mapped,
                                  struct diff_decision *ret, struct err *err) MUST_CHECK;
/** insert and append: a change of a known row is not sent; d->identity is encoded. */
enum err_code diff_keep_known(struct diff *d, struct diff_decision *ret,
                              struct err *err) MUST_CHECK;
/** Is d->entry refused already, with these values and this mapping? */
enum err_code diff_is_quarantined(struct diff *d, const uint8_t *hash, bool *ret,
                                  struct err *err) MUST_CHECK;
/** The row is back: it is not absent, and a refused removal is past. */
enum err_code diff_row_returned(struct diff *d, struct err *err) MUST_CHECK;
static inline void hash_mix(const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    for (size_t i = 0; i < 16; i++)
        out[i] = a[i] ^ b[i];
}

/* ---- identity ---- */

enum identity_answer { IDENTITY_OURS, IDENTITY_OTHERS, IDENTITY_NONE };
/** Whose is d->identity? Where it is free it is the row's from now on. *ret_marks: of ours. */
enum err_code diff_identity(struct diff *d, enum identity_answer *ret, uint8_t *ret_marks,
                            struct err *err) MUST_CHECK;
/** The read has ended: gives a set-aside row its identity where the owner is gone or has moved. */
enum err_code diff_identity_decide(struct diff *d, bool *ret_taken, uint8_t *ret_marks,
                                   struct err *err) MUST_CHECK;
/** Notes that a row which cannot own d->identity has it. */
enum err_code diff_identity_noted(struct diff *d, struct err *err) MUST_CHECK;
enum err_code diff_mark_moved(struct diff *d, struct err *err) MUST_CHECK;

/** Notes why only a read of the whole model can decide some row. */
void diff_want_read(struct diff *d, const char *why);

/* ---- aside ---- */

enum err_code diff_aside_put(struct diff *d, const struct diff_decision *row,
                             struct err *err) MUST_CHECK;
/** Decides the next of them. */
enum err_code diff_aside_next(struct diff *d, struct diff_decision *ret,
                              struct err *err) MUST_CHECK;

/* ---- removal ---- */

/** Collects what is to be removed of d->slot (key: d->gone_key): of a row that is gone, of one that
 * left an identity behind. */
enum err_code diff_gone_row(struct diff *d, struct err *err) MUST_CHECK;
enum err_code diff_moved_row(struct diff *d, struct err *err) MUST_CHECK;
void diff_removals_reset(struct diff *d);
bool diff_removals_left(const struct diff *d);
/** Gives one of those collected. */
enum err_code diff_removal_emit(struct diff *d, struct diff_decision *ret,
                                struct err *err) MUST_CHECK;
enum err_code diff_removal_next(struct diff *d, struct diff_decision *ret, enum diff_step *ret_step,
                                struct err *err) MUST_CHECK;

#endif
