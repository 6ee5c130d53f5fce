/*
 * Runs: one record per run of a sync, and for a run under way the bits of its settled records.
 *
 * Works inside the state's one transaction, so that a verdict, its bit and the counters move
 * together. Records are packed in a versioned form; fields added later read as zero from older
 * records.
 */
#ifndef SLUICE_STATE_RUNS_H
#define SLUICE_STATE_RUNS_H

#include "scheduler/state/state.h"

enum run_status {
    RUN_READING, /* the warehouse is being read */
    RUN_PLANNED, /* the read has ended; verdicts are awaited */
    RUN_HELD,    /* waits for approval */
    RUN_SUCCESS,
    RUN_WARNING,
    RUN_FAILED,
    RUN_CANCELLED,
    RUN_SUPERSEDED, /* a hold that another run replaced */
};
const char *run_status_name(enum run_status status);
/** No verdict will come any more: success, warning, failed, cancelled or superseded. */
bool run_status_ended(enum run_status status);

enum { RUN_TEXT_MAX = 1024, RUN_TRIGGER_MAX = 63 };

struct run_counts {
    uint64_t rows, added, changed, removed, unchanged, invalid, quarantined;
    uint64_t planned, succeeded, rejected, failed, cancelled;
    uint64_t requests, retries, bytes;
    uint64_t request_ms; /* that all of its requests took together */
    uint64_t warnings;   /* answers that accepted their records, but did not like all of them */
    uint64_t coalesced;  /* of a stream: replaced by a later value before it was planned */
    uint64_t changes; /* of a stream: seen at its source, and removals of identities that rows left:
                         planned + unchanged + coalesced + invalid + quarantined. Its rows are the
                         changes that are not removals */
};

/* The counts that a balance is made of, by name, in the order in which they are told: rows, added,
 * changed, removed, unchanged, invalid, quarantined, planned, succeeded, rejected, failed,
 * cancelled. */
enum { RUN_COUNTS_TOLD = 12 };
const char *run_count_name(size_t i);
uint64_t run_count(const struct run_counts *c, size_t i);
uint64_t *run_count_at(struct run_counts *c, size_t i);

/* What the rows, the planned records and the verdicts of a run add up to. */
struct run_sums {
    uint64_t rows, planned, verdicts;
};
/** Every row and every planned record is in exactly one count: DESIGN's conservation. */
bool run_counts_balance(const struct run_counts *c, struct run_sums *ret);

struct run_record;
/** Of a run whose own count of them is lost: rows and changes as what became of them adds up. */
void run_recount(struct run_record *r);
/** It ended, and of all it sent nothing was accepted or refused: the destination is away. */
bool run_reached_nobody(const struct run_record *r);
/** It read to the end, and nothing of that is still to be accepted: all was, or was refused. */
bool run_is_whole(const struct run_record *r);

struct run_record {
    char id[STATE_RUN_ID_MAX + 1];
    char sync[STATE_NAME_MAX + 1];
    enum run_status status;
    int64_t started_ms;   /* wall clock */
    int64_t ended_ms;     /* 0: not ended */
    uint64_t duration_ms; /* on the monotonic clock; up to a restart by the wall clock */
    struct run_counts counts;
    bool read_ended; /* the query ran to its end */
    bool published;  /* something may have reached a destination */
    bool fresh;      /* planned against the sync's fresh entries */
    bool waits;      /* nothing is published before the plan was judged */
    bool plan;       /* held for no other reason than to be looked at */
    char spool[256]; /* file name inside state_dir; empty: none */
    uint8_t mapping[16];
    uint8_t target[16];
    uint64_t version;                  /* state_sync_version at the hold */
    uint64_t batches;                  /* planned */
    char reason[RUN_TEXT_MAX + 1];     /* why held */
    char error[RUN_TEXT_MAX + 1];      /* why failed */
    char warning[RUN_TEXT_MAX + 1];    /* the last one's words; empty: none */
    int64_t scheduled_ms;              /* wall clock: when it was due; 0: when it began */
    char trigger[RUN_TRIGGER_MAX + 1]; /* who or what asked for it; empty: a command */
    bool stream;                       /* a stretch of a stream */
};

/** Adds or replaces the record of r->id. started_ms must not change afterwards. */
enum err_code state_run_put(struct state *s, const struct run_record *r,
                            struct err *err) MUST_CHECK;
/** ERR_NOTFOUND. */
enum err_code state_run_get(struct state *s, const char *id, struct run_record *ret,
                            struct err *err) MUST_CHECK;
/** The sync's last run; ERR_NOTFOUND. */
enum err_code state_run_last(struct state *s, const char *sync, struct run_record *ret,
                             struct err *err) MUST_CHECK;

/** Returns false to stop. */
typedef bool (*state_run_cb)(void *ctx, const struct run_record *r);
/** Newest first, at most limit (0: all); sync NULL: of all syncs. The callback must not write. */
enum err_code state_run_list(struct state *s, const char *sync, size_t limit, state_run_cb cb,
                             void *ctx, struct err *err) MUST_CHECK;
/* Where a list of runs goes on: behind this one. */
struct run_mark {
    int64_t started_ms;
    char id[STATE_RUN_ID_MAX + 1];
};
/** The same of those that stand behind the mark, whether its run is still kept or not; NULL: all.
 */
enum err_code state_run_list_from(struct state *s, const char *sync, const struct run_mark *mark,
                                  size_t limit, state_run_cb cb, void *ctx,
                                  struct err *err) MUST_CHECK;
/** Forgets the oldest ended runs of the sync beyond keep (0: 1000), at most 1000 per call. */
enum err_code state_run_prune(struct state *s, const char *sync, size_t keep,
                              struct err *err) MUST_CHECK;

/* ---- settled records of a planned batch ---- */

enum { BATCH_BITS_BYTES_MAX = 8192 }; /* one bit per ordinal below BATCH_RECORDS_MAX */

/**
 * Marks the ordinals whose bit is set in bits as settled, and leaves set in bits only those that
 * were not before: the verdicts that count. Bit i is bits[i / 8] >> (i % 8) & 1; planned is the
 * number of records of the planned batch, always the same. *ret_new: how many stay set;
 * *ret_settled: settled in all.
 */
enum err_code state_batch_settle(struct state *s, const char *run, uint64_t batch, uint32_t planned,
                                 uint8_t *bits, uint32_t *ret_new, uint32_t *ret_settled,
                                 struct err *err) MUST_CHECK;
/** The settled ordinals of a batch: fills (planned + 7) / 8 bytes of bits, all zero where none is.
 */
enum err_code state_batch_settled(struct state *s, const char *run, uint64_t batch,
                                  uint32_t planned, uint8_t *bits, uint32_t *ret_settled,
                                  struct err *err) MUST_CHECK;
struct batch_state {
    uint64_t number;
    uint32_t planned;
    uint32_t settled;
};
/** Returns false to stop. */
typedef bool (*state_batch_cb)(void *ctx, const struct batch_state *b);
/** The run's batches from that number on which have a verdict at all, in order, at most limit (0:
 * all). Nothing once the run has ended. No writes inside. */
enum err_code state_batch_list(struct state *s, const char *run, uint64_t from, size_t limit,
                               state_batch_cb cb, void *ctx, struct err *err) MUST_CHECK;
/** The run has ended: forgets its bits, at most max batches per call. */
enum err_code state_batch_drop(struct state *s, const char *run, size_t max, bool *ret_more,
                               struct err *err) MUST_CHECK;

#endif
