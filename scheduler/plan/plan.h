/*
 * What a planned run would send: read from its spool, before anything is sent.
 *
 * Takes a spool and the sync, gives samples of each kind of change, the first batch as it would be
 * queued, and the least time that the limits allow. Reads only. Memory: samples and one batch.
 */
#ifndef SLUICE_PLAN_PLAN_H
#define SLUICE_PLAN_PLAN_H

#include "protocol/config/config.h"
#include "scheduler/batch/frame.h"
#include "scheduler/state/runs.h"

struct event_base;
struct state;

enum {
    PLAN_SAMPLES_MAX = 100,
    PLAN_SAMPLE_BYTES_MAX = 64 << 10, /* of key or fields as JSON; longer ones are left out */
    PLAN_CLASSES = RECORD_REMOVED + 1,
    PLAN_DIGEST_BYTES = 33, /* 32 hex digits */
    PLAN_FILE_VERSION = 1,  /* of what `sluice plan -o` writes */
};

struct plan_sample {
    enum record_op op;
    char *key;       /* JSON object */
    char *fields;    /* JSON object; NULL: none are sent, or too long */
    char *before;    /* what was accepted last, as far as history knows; NULL */
    char *state_key; /* key bytes of state */
    size_t state_key_bytes;
};

struct plan {
    struct plan_sample *samples[PLAN_CLASSES]; /* by enum record_class */
    size_t sample_count[PLAN_CLASSES];
    uint64_t batches;
    uint64_t records;
    uint64_t least_ms;              /* the limits do not allow it sooner; 0: they do not matter */
    struct buf first;               /* the first batch, sealed; empty: none */
    char digest[PLAN_DIGEST_BYTES]; /* of everything that would be sent */
};

/**
 * Reads the spool at path. sync may be NULL (no estimate). samples: of each kind, at most
 * PLAN_SAMPLES_MAX. Errors: ERR_NOTFOUND, ERR_INVALID (damaged), ERR_NOMEM. plan_done in any case.
 */
enum err_code plan_read(struct event_base *base, const char *path, const struct sync *sync,
                        size_t samples, struct plan *ret_plan, struct err *err) MUST_CHECK;
/** Fills in what changed and removed samples had before. */
enum err_code plan_look_back(struct plan *plan, const char *state_dir, struct state *state,
                             const char *sync, struct err *err) MUST_CHECK;
void plan_done(struct plan *plan);

/** "added", "changed", "removed". */
const char *plan_class_name(enum record_class class);

#endif
