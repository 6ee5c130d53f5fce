/*
 * State on its way: written anew without what was deleted, exported, imported, backed up.
 *
 * All but state_backup and state_export need the lock on the state directory. An export is a
 * msgpack stream with a digest, described in README.md. Invariant: a state is replaced by a whole
 * one or not at all.
 */
#ifndef SLUICE_STATE_TRANSFER_H
#define SLUICE_STATE_TRANSFER_H

#include "scheduler/state/state.h"

#include <stdio.h>

enum { TRANSFER_VERSION = 1 };

struct transfer_counts {
    uint64_t pairs;
    uint64_t bytes;
    uint64_t runs_ended; /* runs that had not ended, and have no batches where the state is now */
};

/** Writes dir's store to a new file that takes its place. ERR_NOTFOUND where there is none. */
enum err_code state_rebuild(const char *dir, struct err *err) MUST_CHECK;
/** Writes the last commit of dir's store to out, also while it is in use. */
enum err_code state_export(const char *dir, FILE *out, struct transfer_counts *ret,
                           struct err *err) MUST_CHECK;
/**
 * Makes dir's store of an export. A store that is there is replaced: ask before. Errors:
 * ERR_INVALID (damaged, cut off, of a later version), dir is then as it was.
 */
enum err_code state_import(const char *dir, FILE *in, struct transfer_counts *ret,
                           struct err *err) MUST_CHECK;
/** Copies the last commit of the store in from, also while it is in use, to the folder to, which
 * has none. */
enum err_code state_backup(const char *from, const char *to, struct transfer_counts *ret,
                           struct err *err) MUST_CHECK;

#endif
