/*
 * A laboratory for the worker: real Redis, the real queue scripts, the built sluice-worker, and a
 * receiving server in the test's own loop. The test plays the scheduler: it enqueues batches and
 * reads results.
 *
 * Record i of batch b has the id b * LAB_BATCH_STEP + i. Every wait has a deadline and fails the
 * test.
 */
#ifndef SLUICE_TESTS_WORKER_LAB_H
#define SLUICE_TESTS_WORKER_LAB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/queue/queue.h"
#include "protocol/wire/result.h"
#include "tests/harness/redis_server.h"
#include "tests/unit/worker/http_server.h"

enum {
    LAB_BATCHES = 64,
    LAB_BATCH_STEP = 1000,
    LAB_WORKERS = 4,
    LAB_WORDS = 256,
    LAB_WAIT_MS = 9000
};

struct lab_record {
    enum verdict verdict; /* OPEN: none yet */
    bool doubt;
    bool single;
    char words[LAB_WORDS];
};

struct lab {
    struct redis_server server;
    char dir[REDIS_SERVER_DIR_BYTES + 16];
    struct event_base *base;
    struct http_server *http;
    struct redis *redis;
    struct redis *redis_results; /* blocks */
    struct queue *queue;
    struct project *project;
    char epoch[QUEUE_EPOCH_BYTES];
    const char *sync; /* a sync's batches are all for one configuration */
    uint64_t next_batch;
    pid_t workers[LAB_WORKERS];
    char workers_redis[64]; /* the URL that workers use; empty: the project's */

    /* what the results said */
    char position[64];
    struct result_reader *reader;
    struct lab_record (*records)[LAB_BATCH_STEP];
    uint32_t sizes[LAB_BATCHES];
    unsigned settled; /* records with a verdict */
    unsigned requests, retries, stops, bugs;

    /* the call under way */
    bool done;
    int64_t number;
};

/** destination: more YAML for destination `hook`, "" or ", key: value…". */
void lab_open(struct lab *l, const char *destination, http_server_cb cb, void *ctx);
void lab_close(struct lab *l);

/** Writes the project anew with another destination, and enqueues for that one, under another sync,
 * from now on. */
void lab_reconfigure(struct lab *l, const char *destination);

/** Adds a batch of so many upserts; returns its number. */
uint64_t lab_enqueue(struct lab *l, uint32_t records);
/** Starts a worker whose name begins with prefix; returns its index. */
int lab_worker(struct lab *l, const char *prefix);
void lab_signal(struct lab *l, int worker, int signal);
/** Waits for its end; returns its exit status, or 128 + the signal. */
int lab_join(struct lab *l, int worker);
/** Ends the leases of the workers with that prefix, as a scheduler does for its dead children. */
void lab_reap(struct lab *l, const char *prefix);
void lab_wake(struct lab *l);

/** Runs the loop until so many records have verdicts. */
void lab_wait_settled(struct lab *l, unsigned records);
/** Runs the loop until the server has seen so many requests. */
void lab_wait_requests(struct lab *l, unsigned requests);
/** Runs the loop once, for at most ms. */
void lab_turn(struct lab *l, uint64_t ms);

const struct lab_record *lab_record(const struct lab *l, uint64_t batch, uint32_t ordinal);
/** How many leases the quota holds. */
int64_t lab_leases(struct lab *l);

#endif
