/*
 * What is kept of moving syncs: which single values go with a sync, a quota or a destination, who
 * was exported, and from whom a quota was taken over.
 *
 * Internal to scheduler/state.
 */
#ifndef SLUICE_STATE_PART_MEMORY_H
#define SLUICE_STATE_PART_MEMORY_H

#include "scheduler/state/store.h"

#define PART_HEIR "heir:"
#define PART_ORIGIN "origin:"

enum { PART_NAME_BYTES = STATE_NAME_MAX + 32, PART_HEIR_BYTES = 64 };

/* Kinds of single values, as in KIND:NAME; NULL ends a list. */
extern const char *const part_sync_kinds[];
extern const char *const part_quota_kinds[];
extern const char *const part_destination_kinds[];

/** What the next owner of a quota must know of this one. */
struct slice part_heir(const struct state *s, uint8_t out[PART_HEIR_BYTES]);

#endif
