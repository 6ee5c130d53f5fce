/*
 * A run of a sync with everything around it that is real: state, spool, quota and Redis; the test
 * is the stream that feeds it and the worker that answers. One sync of rows (id, email, name).
 * cmocka asserts inside.
 */
#ifndef SLUICE_TESTS_RUN_WORLD_H
#define SLUICE_TESTS_RUN_WORLD_H

#include "protocol/queue/queue.h"
#include "protocol/wire/result.h"
#include "scheduler/run/sync_stream.h"
#include "tests/harness/redis_server.h"
#include "tests/unit/run/around.h"

enum { WORLD_SETTLED_MAX = 256, WORLD_CLAIMS_MAX = 8 };

struct settled {
    uint64_t mark;
    uint32_t tries;
    enum settled_how how;
    int id; /* of the row */
};

struct claimed {
    uint64_t token;
    char batch[96];
    char epoch[64];
    uint32_t records;
};

struct run_world {
    char dir[64];
    struct redis_server server;
    struct event_base *base;
    struct redis_fleet *fleet;
    struct project *project;
    const struct sync *sync;
    struct state *state;
    struct quota_host quota_host;
    struct quota *quota;
    struct run_host host;
    struct sync_run *run;
    struct guard_hour hour;
    bool ended;
    struct settled settled[WORLD_SETTLED_MAX];
    size_t settled_count;
    size_t landed_count; /* keys that may be planned again */
    uint64_t token;
    struct claimed claims[WORLD_CLAIMS_MAX];
    size_t claim_count;
    bool claim_answered, claim_got;
    bool settle_answered;
};

/** sync: lines of the sync beyond model, destination and mappings, indented by four. */
void run_world_start(struct run_world *w, const char *sync);
/** The same of a sync whose model is a stream of events. */
void run_world_start_events(struct run_world *w, const char *sync);
void run_world_stop(struct run_world *w);

/** Begins a run; stream: fed by the test. Errors of its columns are given. */
enum err_code run_world_begin(struct run_world *w, bool stream, struct err *err);
/** The model's third column has this name and type from now on. */
enum err_code run_world_begin_with(struct run_world *w, const struct run_start *start,
                                   const char *third, enum column_type type, struct err *err);
/** The process dies: the run is gone, what was committed stays. Another one recovers it. */
void run_world_crash(struct run_world *w);
/** The same; the project that recovers it has this sync, or none (NULL). */
void run_world_crash_to(struct run_world *w, const struct sync *sync);
/** A run that was free to end: waits until it has, and frees it; its record stays. */
struct run_record run_world_end(struct run_world *w);

enum change_taken run_world_row(struct run_world *w, int id, const char *email, const char *name,
                                uint64_t mark, bool last);
enum change_taken run_world_gone(struct run_world *w, int id, uint64_t mark);
void run_world_turn(struct run_world *w);
/** A row of a read. */
void run_world_read(struct run_world *w, int id, const char *email, const char *name);

/** Takes a batch as a worker does, waiting for one: its index in claims. */
size_t run_world_claim(struct run_world *w);
/** True: there is one for a worker now. */
bool run_world_try_claim(struct run_world *w);
/** Every record of the claim has this verdict. */
void run_world_answer(struct run_world *w, size_t claim, enum verdict verdict, uint32_t flags);
/** The first record of the claim has this verdict, the others the other one. */
void run_world_answer_first(struct run_world *w, size_t claim, enum verdict first,
                            enum verdict others);
/** Answers whatever there is until so many changes were settled; commits. */
void run_world_answer_all(struct run_world *w, size_t count, enum verdict verdict);
/** Until so many changes were settled; commits. */
void run_world_settled(struct run_world *w, size_t count);
/** Turns the loop once. */
void run_world_loop(struct run_world *w);
void run_world_commit(struct run_world *w);

#endif
