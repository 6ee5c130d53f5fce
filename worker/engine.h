/*
 * What the parts of a worker process share: the loop, the connections, the project, the quotas, the
 * slots.
 *
 * worker.c owns it and runs the process, reload.c reads the project again, pump.c decides who asks
 * for work, slot.c carries one batch. Only these see inside. One thread.
 */
#ifndef SLUICE_WORKER_ENGINE_H
#define SLUICE_WORKER_ENGINE_H

#include <event2/event.h>

#include "protocol/base/log.h"
#include "worker/claim/quota.h"
#include "worker/metrics.h"
#include "worker/slot.h"

enum {
    ENGINE_NAME_BYTES = 160,
    /* How long the wake list is waited for before some quotas are asked unbidden: at first, and
     * twice as long each time that nobody called, so that what idle workers ask stays little. */
    ENGINE_POLL_MS = 1000,
    ENGINE_POLL_MAX_MS = 8000,
    ENGINE_PAUSE_MS = 1000,    /* after an error of Redis */
    ENGINE_WAIT_MAX_MS = 5000, /* who is to ask again does by then: WATCH_MS of watch.lua */
    ENGINE_RELOAD_MS = 3000,   /* least time between two reloads that nobody asked for */
};

struct listener;
struct watch;
struct engine;

/* The wait for a call on one server's wake list. */
struct engine_wait {
    struct engine *engine;
    char server[REDIS_MEMBER_NAME_MAX + 1];
    struct event *again; /* when the wake list could not be asked */
    uint64_t poll_ms;
    bool waiting;
};

struct engine {
    struct event_base *base;
    struct log log;
    const char *dir;
    char name[ENGINE_NAME_BYTES]; /* the worker's, unique per process */
    struct redis_fleet *fleet;
    const char *const *redis_urls; /* of the command line; none: the project's list */
    size_t redis_url_count;
    struct engine_wait **waits; /* one per server that was there */
    size_t wait_count;
    struct http *http;
    struct setup *setup;
    struct quota_list quotas;
    struct metrics metrics;
    struct listener *listener; /* NULL: nobody may ask for them */

    struct slot **slots;
    size_t slot_count;
    size_t slots_wanted;
    struct slot *free_slots;
    size_t free_count;

    struct event *pump; /* coalesces the wishes to pump; also the timer of the next due quota */
    struct event *beat;
    bool draining; /* claims nothing more; the loop ends with the last slot */
    int64_t reloaded_ms;
    struct watch *folder; /* NULL: it is not watched */
    int64_t loaded_ms;    /* wall clock: the project in use was read */
    int64_t refused_ms;   /* wall clock: since when a newer one has been refused; 0: it is not */
    int64_t mismatch_logged_ms;
    int64_t refused_logged_ms;
    int64_t denied_logged_ms;
    int64_t relisted_ms; /* when the list of servers was looked at last */
};

/* ---- servers.c ---- */

/** Connects to the servers of the command line, or of the setup. */
enum err_code engine_servers_open(struct engine *e, const struct redis_fleet_options *opts,
                                  struct err *err) MUST_CHECK;
/** Takes the setup's list. */
enum err_code engine_servers_follow(struct engine *e, struct err *err) MUST_CHECK;
/** Claims fail or are refused: perhaps the quota is elsewhere by now. Reads the project again where
 * its list of servers is another, looking at most every ENGINE_RELOAD_MS. */
void engine_servers_doubt(struct engine *e);
/** Keeps a call on each wake list under way while there is a free slot. */
void engine_wait(struct engine *e);
/** Forgets servers that are in the list no more and that nothing is at. */
void engine_servers_turn(struct engine *e);
void engine_servers_close(struct engine *e);
/** A server is reached. *ret_why: which are not; NULL: all are. Static, or out's. */
bool engine_servers_reached(const struct engine *e, char *out, size_t n, const char **ret_why);

/* ---- pump.c ---- */

/** Claims for the quotas that are due, as far as slots allow, soon. */
void engine_kick(struct engine *e);
/** The same at once; for the events of engine. */
void engine_on_pump(evutil_socket_t fd, short what, void *ctx);
void engine_on_beat(evutil_socket_t fd, short what, void *ctx);
/** A claim said that nothing may run now. asked_ms: when it was sent. */
void engine_no_work(struct engine *e, struct quota *q, const struct queue_claimed *claimed,
                    int64_t asked_ms);
/** Redis failed a call. What it will not do for this user it will not do later either: that is told
 * at once, and again every minute. */
void engine_note_denied(struct engine *e, const char *server, const struct err *err);
/** Whether the slot of q that is about to be settled may claim from q again in the same call. */
bool engine_may_continue(const struct engine *e, const struct quota *q);

/* ---- worker.c ---- */

enum { ENGINE_WHY_BYTES = 512 };
/** True where work can be claimed; otherwise out says why not. Of a ready one it may say which
 * server is not reached; empty: nothing is amiss. */
bool engine_is_ready(const struct engine *e, char out[ENGINE_WHY_BYTES]);
/** Makes as many slots as the quotas need; there are never fewer than before. False: no memory. */
bool engine_grow_slots(struct engine *e);

/* ---- reload.c ---- */

/** Reads the project again. Keeps the old one and logs when the new one is wrong. */
void engine_reload(struct engine *e);
/** The project was read at the start; on: it is read again whenever the folder has changed. */
enum err_code engine_watch_folder(struct engine *e, bool on, struct err *err) MUST_CHECK;

#endif
