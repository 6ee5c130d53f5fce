/*
 * State: what each destination last accepted, and everything else a run must not forget.
 *
 * One embedded store (LMDB) in state_dir with one writer. All changes since the last state_commit
 * are one transaction, and every read of the writer sees them: verdicts, counters and the results
 * position become durable together or not at all. Readers in other processes see the last commit. A
 * crash loses what was not committed, nothing else. One thread. This header opens and commits; what
 * is kept is in entries.h, runs.h, rejected.h and limits.h.
 */
#ifndef SLUICE_STATE_STATE_H
#define SLUICE_STATE_STATE_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct state;

enum { STATE_NAME_MAX = 200, STATE_RUN_ID_MAX = 64, STATE_ID_BYTES = 33 };

struct state_options {
    bool read_only;     /* for commands beside a running one: every call reads the last commit */
    uint64_t map_bytes; /* first size of the map and the least room a transaction gets; 0: 16 GiB
                           of address space; it grows by itself */
    uint64_t reserve_bytes; /* state_commit refuses below this much free disk; 0: none */
};

/**
 * Opens the store in dir; creates it when there is none (not when read_only: ERR_NOTFOUND). opts
 * may be NULL. Errors: ERR_INVALID for another version or a damaged store (it is left as it was),
 * ERR_FULL.
 */
enum err_code state_open(const char *dir, const struct state_options *opts,
                         struct state **ret_state, struct err *err) MUST_CHECK;
/** Drops what is not committed. Every struct state_sync must be closed before. Accepts NULL. */
void state_close(struct state *s);

/** Copies the last commit of the store in folder from, which may be in use, to the folder to (no
 * store there yet). ERR_NOTFOUND where there is none. */
enum err_code state_copy(const char *from, const char *to, struct err *err) MUST_CHECK;

/** 32 hex digits, made when the store was created. */
const char *state_id(const struct state *s);
/** Counts commits; Redis holds it too, so that a lost or restored state is noticed. */
uint64_t state_commit_number(const struct state *s);
/** The store's folder, as given to state_open. */
const char *state_dir(const struct state *s);

/**
 * Makes all changes durable and starts the next transaction; the commit number grows by one where
 * there were changes. Errors: ERR_FULL when the disk is (nothing is lost and everything stays
 * usable: free some, commit again). After any other error the store must be closed and opened
 * again: the last commit stands.
 */
enum err_code state_commit(struct state *s, struct err *err) MUST_CHECK;
/** True while there are uncommitted changes. */
bool state_dirty(const struct state *s);
/**
 * True when the transaction has grown so large that it ought to be committed before more is
 * written. A writer that goes on regardless gets ERR_FULL from its calls in the end; nothing is
 * lost by that.
 */
bool state_commit_due(const struct state *s);
/** Forgets all changes since the last commit (`sluice plan`). Open syncs read their entries again.
 */
enum err_code state_rollback(struct state *s, struct err *err) MUST_CHECK;

/**
 * Deletes at most max keys of entries that were replaced or dropped (state_sync_adopt,
 * state_sync_drop). *ret_more: call again, in this process or a later one.
 */
enum err_code state_sweep(struct state *s, size_t max, bool *ret_more, struct err *err) MUST_CHECK;

#endif
