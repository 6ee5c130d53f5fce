/*
 * One read of a model that feeds every sync of the engine that uses it.
 *
 * Rows go to all its runs in turn; a run that fails drops out, the read goes on while one is left.
 * Pauses while any of its runs cannot take more. A crash here: the read is made again by the next
 * run.
 */
#ifndef SLUICE_RUN_MODEL_READ_H
#define SLUICE_RUN_MODEL_READ_H

#include "scheduler/run/sync_run.h"

struct model_read;

/** snapshot: exported by the source, to read at; NULL: none. Borrows the runs until freed; on_done
 * is called once, when no more rows will come (free it later, not inside). */
enum err_code model_read_start(struct event_base *base, const struct model *model,
                               const char *snapshot, struct sync_run *const *runs, size_t count,
                               void (*on_done)(void *ctx), void *ctx, struct model_read **ret_read,
                               struct err *err) MUST_CHECK;
/** Accepts NULL. */
void model_read_free(struct model_read *r);
bool model_read_has(const struct model_read *r, const struct sync_run *run);
bool model_read_is_done(const struct model_read *r);
const struct model *model_read_model(const struct model_read *r);
/** Counts: as many false as true lets it go on. */
void model_read_pause(struct model_read *r, bool pause);

#endif
