/*
 * A scheduler in memory, behind scheduler/service/control.h: a real project, a real state, and runs
 * that go on only when a test says so.
 */
#ifndef SLUICE_TESTS_API_DOUBLE_H
#define SLUICE_TESTS_API_DOUBLE_H

#include "scheduler/service/control.h"
#include "tests/unit/config/folder.h"

/** Loads the folder's project, which must be right; state lives in the folder's .sluice. */
struct control *double_new(struct folder *folder);
void double_free(struct control *c);

void double_set_ready(struct control *c, const char *why_not);
/** Puts a run into state as it is; one that has not ended is under way in that phase. */
void double_put_run(struct control *c, const struct run_record *r, enum control_phase phase);
/** Ends a run under way and tells those who listen. */
void double_end_run(struct control *c, const char *run, enum run_status status);
/** Puts a rejected record of the sync, its key as a number, with an entry. */
void double_reject(struct control *c, const char *sync, enum rejected_kind kind, unsigned id,
                   const char *message);
void double_accept(struct control *c, const char *sync, unsigned id);
void double_tell(struct control *c, enum control_event_kind kind, const char *name,
                 const struct run_record *r);
/** The sync streams, and looks so. */
void double_set_stream(struct control *c, const char *sync, const struct stream_view *view);
size_t double_listeners(const struct control *c);

#endif
