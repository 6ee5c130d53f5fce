/* What the files of sync_run share: planning (sync_plan.c), publishing (sync_publish.c), folding
 * (sync_fold.c). */
#ifndef SLUICE_RUN_SYNC_RUN_PRIVATE_H
#define SLUICE_RUN_SYNC_RUN_PRIVATE_H

#include "protocol/wire/ordset.h"
#include "scheduler/aggregate/tally.h"
#include "scheduler/batch/batcher.h"
#include "scheduler/diff/change.h"
#include "scheduler/history/history.h"
#include "scheduler/run/in_flight.h"
#include "scheduler/run/sync_run.h"
#include "scheduler/run/target.h"
#include "scheduler/state/entries.h"

struct event;
struct guard_hour;

/* Of a run that is fed by a stream. */
struct run_stream {
    struct diff_stream asks;
    struct in_flight in_flight;
    struct buf landed;       /* of those: slot, length and bytes of each key */
    bool awaited;            /* a change waits for one of them */
    bool untold;             /* some are not among them */
    struct guard_hour *hour; /* NULL: no guard */
    uint64_t gone;           /* of this turn: rows whose removals are still to be planned */
    char guard[RUN_TEXT_MAX + 1];
};

enum run_stage { RUN_STAGE_READING, RUN_STAGE_PLANNING, RUN_STAGE_SENDING, RUN_STAGE_ENDED };

enum { PROVISIONAL_MAX = 20, PUBLISH_BATCHES = 32, PUBLISH_BYTES = 2 << 20 };

/* A refusal that does not count yet: nothing was accepted in this run so far. */
struct provisional {
    uint64_t batch;
    uint32_t ordinal;
    char message[RESULT_MESSAGE_MAX + 1];
};

/* Batches gathered for one enqueue; the call copies them. */
struct publishing {
    struct queue_batch batches[PUBLISH_BATCHES];
    char ids[PUBLISH_BATCHES][BATCH_PART_ID_BYTES];
    size_t count;
    uint64_t end; /* the number after the last one looked at */
    struct buf bytes;
    size_t payload_at[PUBLISH_BATCHES], payload_bytes[PUBLISH_BATCHES];
    size_t ordset_at[PUBLISH_BATCHES], ordset_bytes[PUBLISH_BATCHES];
    size_t lane_at[PUBLISH_BATCHES], lane_bytes[PUBLISH_BATCHES];
    bool busy;
    bool lost; /* the epoch that they go to is over */
};

struct sync_run {
    const struct run_host *host;
    const struct sync *sync; /* NULL: recovered, and no longer in the project */
    struct run_record record;
    enum run_stage stage;
    bool full, state_lost, adopt;
    bool dirty; /* the record's counters moved since it was last put into state */
    bool recovered;
    int64_t started_mono_ms;

    /* planning */
    struct map_program *map;
    struct state_sync *entries;
    struct diff *diff;
    struct batcher *batcher;
    struct slice *primary_names;
    size_t primary_count;
    uint64_t accepted_before;
    bool waits;                  /* publish nothing before the plan was judged, durably */
    uint64_t judged;             /* number of the last commit that does not know the judgement */
    char hold[RUN_TEXT_MAX + 1]; /* reason found before planning; empty: none */
    char asked_hold[256];        /* to be held, whatever it plans, for this reason */
    char snapshot[64];           /* to be read at this exported snapshot */
    struct run_stream stream;
    bool disk_full;
    struct event *step; /* planning, flushing, cancelling: whatever is next */

    /* publishing */
    struct quota *quota;
    struct spool *spool;
    uint32_t *open; /* per batch: records without a verdict */
    size_t open_count, open_cap;
    uint64_t published;  /* batches below this number were handed to Redis in this epoch */
    uint64_t open_total; /* sum of open */
    uint64_t open_batches;
    uint64_t handed; /* batches below this number may have been in Redis in some epoch */
    struct publishing out;
    struct batch_reader *reader;
    struct event *again; /* enqueue found the window full */

    /* folding */
    struct tally *tally;
    struct history_notes notes;
    char failed_words[RUN_TEXT_MAX + 1]; /* why the first record failed */
    struct result_reader *results;
    uint8_t *bits;  /* scratch, BATCH_BITS_BYTES_MAX */
    uint64_t *ords; /* unused bits of the same result */
    struct provisional *provisional;
    size_t provisional_count;

    /* stopping */
    bool stopping, cancel_busy, cancelled_rest;
    enum run_stop stop_how;
};

enum err_code run_alloc(const struct run_host *host, const struct sync *sync, struct sync_run **ret,
                        struct err *err) MUST_CHECK;
/** Path of its spool; out has PATH_MAX bytes. */
void run_spool_path(const struct sync_run *run, char *out);
/** For spool_create and spool_open. */
void run_on_spool(void *ctx, const struct err *err);
/** An error that ends the run; NULL err texts are not allowed. */
void run_fail(struct sync_run *run, const struct err *err);
/** Ends the run when nothing is open any more. */
void run_check_end(struct sync_run *run);
void run_step_soon(struct sync_run *run, uint32_t ms);
/** Writes the record into state. */
enum err_code run_save(struct sync_run *run, struct err *err) MUST_CHECK;

/* sync_plan.c */
void run_plan_step(struct sync_run *run);
void run_take_counts(struct sync_run *run);
/** Rows of its model can be read; else they only come as events. */
bool run_can_be_read(const struct sync_run *run);
bool run_is_planned(enum diff_class class);
/* A row as the diff takes it. */
struct run_mapped {
    struct mapped mapped;
    struct slice invalid; /* why; empty: it is not */
    struct slice extra;   /* its lane; empty: none */
    struct err why;
    char lane;
};
enum err_code run_map(struct sync_run *run, const struct row *row, struct run_mapped *ret,
                      struct err *err) MUST_CHECK;
/** *ret_refused: it fits no batch, and counts as invalid. */
enum err_code run_add_planned(struct sync_run *run, const struct diff_decision *d,
                              bool *ret_refused, struct err *err) MUST_CHECK;
/** Cuts the open batches; complete: nothing more is planned, and the spool says so. */
enum err_code run_cut(struct sync_run *run, bool complete, struct err *err) MUST_CHECK;

/* sync_stream.c */
/** For the options of its diff. */
const struct diff_stream *run_stream_asks(struct sync_run *run);
void run_stream_settled(struct sync_run *run, uint32_t slot, struct slice key,
                        enum tally_count what);
/** Stopped while it was fed: plans what the turn still has, and nothing more. */
void run_stream_end(struct sync_run *run);

/* batch_plan.c */
/** Makes the batcher; map and spool are there. */
enum err_code run_start_batches(struct sync_run *run, struct err *err) MUST_CHECK;

/* sync_publish.c */
enum err_code run_batches_grow(struct sync_run *run, struct err *err) MUST_CHECK;
void run_publish_free(struct sync_run *run);
/** Unpublished records end as cancelled (they never reached the destination). */
enum err_code run_cancel_unpublished(struct sync_run *run, struct err *err) MUST_CHECK;

/* sync_fold.c */
enum err_code run_fold_ready(struct sync_run *run, bool has_identity,
                             const struct map_digest *mapping, struct err *err) MUST_CHECK;
/** Folds the same verdict for every open record of a batch (recovery without a destination, lost
 * Redis). */
enum err_code run_fold_rest(struct sync_run *run, uint64_t batch, const struct tally_verdict *v,
                            struct err *err) MUST_CHECK;
/** Refusals held back count from now on. */
enum err_code run_provisional_settle(struct sync_run *run, enum verdict verdict,
                                     struct err *err) MUST_CHECK;
void run_fold_free(struct sync_run *run);

#endif
