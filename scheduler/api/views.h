/* Syncs, runs and destinations as JSON, the same in answers and in events. */
#ifndef SLUICE_API_VIEWS_H
#define SLUICE_API_VIEWS_H

#include "scheduler/api/output.h"
#include "scheduler/service/control.h"

void view_run(struct output *o, const char *name, struct control *c, const struct run_record *r);
/** detail: mappings, guard, keys and counts as well. */
enum err_code view_sync(struct output *o, const char *name, struct control *c,
                        const struct sync *sync, bool detail, struct err *err) MUST_CHECK;
enum err_code view_destination(struct output *o, const char *name, struct control *c,
                               const struct destination *d, struct err *err) MUST_CHECK;

#endif
