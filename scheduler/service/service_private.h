/* What the files of the service share: life and turns (service.c), what is asked (control.c), views
 * (views.c), reloading (reload.c), when that happens (folder.c), pauses (pauses.c), listeners
 * (events.c), streams (streams.c), the audit log (audit.c). */
#ifndef SLUICE_SERVICE_PRIVATE_H
#define SLUICE_SERVICE_PRIVATE_H

#include "scheduler/run/engine.h"
#include "scheduler/schedule/schedule.h"
#include "scheduler/schedule/watch.h"
#include "scheduler/service/control.h"
#include "scheduler/service/service.h"
#include "scheduler/state/state.h"

#include <event2/util.h>

struct api;
struct event;
struct report;
struct watch;

/* Beside project->syncs, item by item. */
struct sync_memory {
    bool paused;
    bool held;
    char held_run[STATE_RUN_ID_MAX + 1];
    int64_t fresh_ms;
    int64_t next_ms;       /* as it was told last */
    int64_t fresh_kept_ms; /* as it is in state, of a stream */
    int64_t ails_since_ms; /* monotonic: something has been wrong with its stream since; 0: not */
    uint64_t stream_digest, stream_moved; /* of its stream, as it was told last */
    int64_t stream_told_ms;
};

/* Beside project->destinations. */
struct destination_memory {
    bool paused;
    bool throttled; /* as it was told last */
};

/* What was told of a run last. */
struct told_run {
    char id[STATE_RUN_ID_MAX + 1];
    enum control_phase phase;
    uint64_t moved; /* sum of its counters */
    int64_t time_ms;
    bool seen;
};

struct listener {
    control_event_cb cb;
    void *ctx;
};

enum { LISTENERS_MAX = 256 };

struct control {
    struct service_options opts;
    struct project *project;
    struct engine *engine;
    struct state *state; /* the engine's */
    struct schedule_table *table;
    struct schedule_watch *watch;
    struct event *turn, *sighup;
    struct watch *folder; /* NULL: it is not watched */
    struct api *api;
    struct report *report;
    struct sync_memory *syncs;
    struct destination_memory *destinations;
    struct control_run_view *views;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct told_run *told;
    size_t told_count;
    char *reload_error; /* NULL: the last reload was fine */
    int64_t loaded_ms;  /* wall clock: the project in force was read */
    int64_t refused_ms; /* wall clock: since when reload_error has been so */
    uint64_t audit_next;
    int64_t started_ms;
    int64_t tell_again_ms;     /* when Redis is told of all pauses again; 0: it knows them */
    int64_t streams_looked_ms; /* monotonic */
    char why_waits[512];       /* as it was logged last */
    bool failed;
    struct err error;
};

/** Where the project in force has it; -1. */
int control_sync_index(const struct control *c, const char *sync);
int control_destination_index(const struct control *c, const char *destination);
/** A problem of state while nobody waits for an answer: told in the log. */
void control_complain(const struct control *c, const char *event, const struct err *err);

/* views.c */
/** ERR_NOTFOUND with words, and the name that may be meant. */
enum err_code control_no_sync(const struct control *c, const char *sync, struct err *err);
enum control_phase control_phase_of(const struct engine_view *v);

/* control.c */
/** Asks the engine for a run, and tells the table when its own start was taken. The caller commits
 * before anybody hears of it. */
enum err_code control_ask(struct control *c, struct engine_ask *ask, bool by_schedule,
                          struct err *err) MUST_CHECK;
/** What control_ask does once it is durable, for those who ask for many. */
void control_tell_asked(struct control *c, const struct engine_ask *ask, bool by_schedule);

/* pauses.c */
/** Fills in what is paused, from state. */
enum err_code pauses_load(struct control *c, struct err *err) MUST_CHECK;
/** Tells a quota that has just been opened. */
void pauses_apply(struct control *c, struct quota *q);
/** Once a turn: what Redis may not have heard is told again. */
void pauses_turn(struct control *c);

/* reload.c */
/** Allocates and fills what stands beside the project's syncs and destinations. */
enum err_code control_remember(struct control *c, struct err *err) MUST_CHECK;
void control_on_project_unused(void *ctx, const struct project *project);
/** The last run of a sync is another: what is remembered of it follows. */
void control_note_run(struct control *c, const struct run_record *r);
/** How fresh the sync is, into state. */
void control_keep_fresh(struct control *c, const char *sync, int64_t fresh_ms);

/* folder.c */
void folder_on_sighup(evutil_socket_t fd, short what, void *arg);
/** Begins to watch the folder, where that was asked for. */
enum err_code folder_watch(struct control *c, struct err *err) MUST_CHECK;
/** The folder was read: these were the files. */
void folder_loaded(struct control *c, const struct inputs *inputs);

/* events.c */
void events_tell(struct control *c, const struct control_event *event);
void events_run(struct control *c, const struct run_record *r, bool ended);
/** Tells what moved since the last turn. */
void events_turn(struct control *c, const struct engine_view *views, size_t count);
void events_free(struct control *c);

/* streams.c */
/** Once a turn: how fresh streams keep their syncs, and what moved. */
void streams_turn(struct control *c);

/* audit.c */
void audit_write(struct control *c, const struct control_actor *who, const char *action,
                 const char *target, const struct err *err);
enum err_code audit_load(struct control *c, struct err *err) MUST_CHECK;

#endif
