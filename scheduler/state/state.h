/*
 * State: what each destination last accepted, and everything else a run must not forget.
 *
 * One embedded store in state_dir with one writer. All changes since the last state_commit are one
 * transaction: verdicts, counters and the results position become durable together or not at all.
 * Readers in other processes see the last commit. A crash loses what was not committed, nothing else.
 */
#ifndef SLUICE_STATE_STATE_H
#define SLUICE_STATE_STATE_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct state;
struct state_sync; /* the entries of one sync at one target */

struct state_options {
    bool read_only;         /* for commands beside a running one */
    uint64_t map_bytes;     /* first size of the map; it grows by itself */
    uint64_t reserve_bytes; /* state_commit and state_room refuse below this much free disk */
};

/** Opens or creates the store in dir. Errors: ERR_INVALID for another version or a damaged store. */
enum err_code state_open(const char *dir, const struct state_options *opts, struct state **ret_state, struct err *err) MUST_CHECK;
/** Drops what is not committed. Accepts NULL. */
void state_close(struct state *s);
/** 32 hex digits, made when the store was created. */
const char *state_id(const struct state *s);
/** Counts commits; Redis holds it too, so that a lost or restored state is noticed. */
uint64_t state_commit_number(const struct state *s);
/** Makes all changes durable and starts the next transaction. Errors: ERR_FULL when the disk is (nothing is lost: free some and try again). */
enum err_code state_commit(struct state *s, struct err *err) MUST_CHECK;
/** True while there are uncommitted changes. */
bool state_dirty(const struct state *s);

/* ---- entries ---- */

enum entry_flag {
    ENTRY_ACCEPTED = 1,        /* hash is what the destination accepted */
    ENTRY_REFUSED = 2,         /* a refusal is stored */
    ENTRY_DOUBT = 4,           /* it may be there in another form: never unchanged, removed when its row is gone */
    ENTRY_ABSENT = 8,          /* accepted, but its row is gone and the mode did not remove it */
    ENTRY_REMOVAL_REFUSED = 16,
    ENTRY_IDENTITY = 32,       /* identities are stored for it */
};

struct entry {
    uint8_t flags;
    uint8_t hash[16];
};

/** Opens the entries of a sync; creates them when there are none. target: the target's fingerprint. */
enum err_code state_sync_open(struct state *s, const char *sync, struct state_sync **ret_sync, struct err *err) MUST_CHECK;
void state_sync_close(struct state_sync *ss);

#endif
