/*
 * Tally: folds the verdict of one record into its entry.
 *
 * Pure on top of state: reads the entry, writes what the destination is now known to hold, and says
 * which counter the record belongs to. Not idempotent: the caller asks state_batch_settle first, in
 * the same transaction. A crash here loses nothing: the verdict is drained from Redis again.
 */
#ifndef SLUICE_AGGREGATE_TALLY_H
#define SLUICE_AGGREGATE_TALLY_H

#include "protocol/wire/batch.h"
#include "protocol/wire/result.h"
#include "scheduler/map/map.h"
#include "scheduler/state/entries.h"

struct tally; /* what the folds of one run share, and their scratch memory */

struct tally_options {
    struct state_sync *entries; /* borrowed */
    const char *run;            /* id */
    bool has_identity;
    const struct slice *primary_names;
    size_t primary_count;
    struct map_digest mapping; /* map_fingerprint of the run that planned the records */
};

/** Borrows what opts points to until tally_free. */
enum err_code tally_new(const struct tally_options *opts, struct tally **ret_tally,
                        struct err *err) MUST_CHECK;
void tally_free(struct tally *t);

/* A planned record as the spool's manifest has it: from diff_decision. */
struct tally_record {
    uint32_t slot; /* SLOT_NONE: find it by its key (after a crash, slots may have been given to
                      others) */
    enum record_op op;
    uint8_t hash[16];
    struct slice key;
    struct slice identity;
};

struct tally_verdict {
    enum verdict verdict; /* not VERDICT_OPEN */
    bool doubt;           /* failed, cancelled: it may have reached the destination */
    struct slice message; /* the destination's words */
    uint32_t kills;
    int64_t now_ms; /* wall clock */
};

/* Which count grows by one. */
enum tally_count { TALLY_SUCCEEDED, TALLY_REJECTED, TALLY_FAILED, TALLY_CANCELLED };

enum err_code tally_fold(struct tally *t, const struct tally_record *r,
                         const struct tally_verdict *v, enum tally_count *ret_count,
                         struct err *err) MUST_CHECK;

#endif
