/*
 * Column drift: a column that a sync uses is gone from its model, or has another type than when the
 * sync was read last. Such a run is held, since a wrong type changes every record and a lost column
 * is rarely meant. Reads and writes `columns:SYNC` and `columns-held:SYNC` in state.
 */
#ifndef SLUICE_RUN_DRIFT_H
#define SLUICE_RUN_DRIFT_H

#include "protocol/base/value.h"
#include "scheduler/map/map.h"

struct state;

/**
 * Compares the columns of a read that begins with those of the sync's last one, and remembers them.
 * map is NULL where the mapping could not be compiled: only lost columns are told then. why is
 * empty where nothing is wrong; where something is, the columns count from drift_accept on.
 */
enum err_code drift_look(struct state *state, const struct sync *sync,
                         const struct map_program *map, const struct column *columns, size_t count,
                         char *why, size_t why_bytes, struct err *err) MUST_CHECK;
/** The held run was approved: its columns are those to compare with. */
enum err_code drift_accept(struct state *state, const char *sync, struct err *err) MUST_CHECK;

#endif
