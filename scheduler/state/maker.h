/*
 * Making a store's file from nothing, pair by pair in order: what is not put in is not in the file,
 * not even in pages that are free.
 *
 * Internal to scheduler/state. The file takes its place only when it is whole and on the disk.
 */
#ifndef SLUICE_STATE_MAKER_H
#define SLUICE_STATE_MAKER_H

#include "scheduler/state/store.h"

struct maker;

/** Begins dir/state.new. expected_bytes: about how much will be put in. */
enum err_code maker_new(const char *dir, uint64_t expected_bytes, struct maker **ret,
                        struct err *err) MUST_CHECK;
/** Removes what was begun, unless it was put in its place. Accepts NULL. */
void maker_free(struct maker *m);
/** Keys of a table in ascending order; ERR_INVALID where they are not. */
enum err_code maker_put(struct maker *m, enum store_table t, struct slice key, struct slice value,
                        struct err *err) MUST_CHECK;
/** Syncs the file and makes it dir/state.lmdb. Nobody may have that open for writing. */
enum err_code maker_place(struct maker *m, struct err *err) MUST_CHECK;

typedef enum err_code (*pair_cb)(void *ctx, enum store_table t, struct slice key,
                                 struct slice value, struct err *err);
/** All pairs of one commit, table by table, in order. The callback must not use the state. */
enum err_code store_each_pair(struct state *s, pair_cb cb, void *ctx, struct err *err) MUST_CHECK;

#endif
