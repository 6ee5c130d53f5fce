/*
 * A town of three real Redis servers, a state directory and one quota that may be at any: what a
 * test of its moves needs. The test is the engine around the quota and the worker that claims. The
 * limit is five requests a minute. cmocka asserts inside.
 */
#ifndef SLUICE_TESTS_RUN_TOWN_H
#define SLUICE_TESTS_RUN_TOWN_H

#include "tests/harness/redis_server.h"
#include "tests/unit/run/around.h"

enum { TOWN_SERVERS = 3 };

static const char *const town_names[TOWN_SERVERS] = {"a", "b", "c"};

struct town {
    char dir[64];
    struct redis_server servers[TOWN_SERVERS];
    struct event_base *base;
    struct project *project;
    struct redis_fleet *fleet;
    struct state *state;
    struct quota_host host;
    struct quota *quota;
    uint64_t token;
    int answers;
    int64_t number;
    struct queue_claimed claimed;
    char epoch[QUEUE_EPOCH_BYTES];
    bool late;          /* Redis knows what state does not */
    char broken[1024];  /* why */
    struct err refused; /* of the last call */
};

int town_setup(void **state);
int town_teardown(void **state);
/** Another list, of all servers; those without a bit in staying are leaving. */
void town_list(struct town *t, unsigned staying);
/** Of those with a bit in listed alone, which stay. */
void town_list_only(struct town *t, unsigned listed);
/** A scheduler with that list, and the quota of its one destination. */
void town_begin(struct town *t, unsigned staying);
/** It ends at once. */
void town_crash(struct town *t);
/** It ends in good order. */
void town_leave(struct town *t);
void town_open_state(struct town *t, const char *name);
/** One state directory over another; the open one is read again. */
void town_copy_state(struct town *t, const char *from, const char *to);
/** Ready, at that server. */
bool town_is_at(const struct town *t, const char *member);
/** Tokens of the limit that are in use, as the last permit told. */
uint64_t town_used(const struct town *t);
/** Batches of one record each, by number. */
void town_enqueue(struct town *t, uint64_t first, uint64_t count);
/** A worker asks; true: it got a batch. */
bool town_claim(struct town *t);
/** It settles what it got last. */
void town_settle(struct town *t, enum settle_kind kind, uint64_t delay_ms);
/** Requests that were sent, and are in the window for a minute. */
void town_spend(struct town *t, uint64_t first, uint64_t count);
/** Keys of the quota at a server that do not go by themselves. */
int64_t town_keys_for_good(struct town *t, size_t server);

#endif
