#include "tests/unit/worker/lab.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/wire/ordset.h"
#include "tests/unit/worker/sample.h"

enum { PERMIT_MS = 60000, CAP_BYTES = 64 << 20, PAYLOAD_MAX = 8 << 20, PATH_BYTES = 128 };

static const char STATE_ID[] = "00112233445566778899aabbccddeeff";
static const char QUOTA[] = "hook", RUN[] = "run-1";

static void must(enum err_code rc, const struct err *err)
{
    if (rc)
        fprintf(stderr, "lab: %s\n", err->text);
    ensure(!rc);
}

/* ---- the loop ---- */

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what, (void)ctx;
}

void lab_turn(struct lab *l, uint64_t ms)
{
    struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
    struct event *tick = evtimer_new(l->base, on_tick, NULL);
    ensure(tick != NULL);
    event_add(tick, &tv);
    event_base_loop(l->base, EVLOOP_ONCE);
    event_free(tick);
}

static void check_deadline(const struct lab *l, int64_t start_ms, const char *what)
{
    if (clock_mono_ms() - start_ms < LAB_WAIT_MS)
        return;
    fprintf(stderr, "lab: no %s within %d ms (%u settled, %u requests)\n", what, LAB_WAIT_MS,
            l->settled, http_server_requests(l->http));
    ensure(false);
}

static void on_done(void *ctx, int64_t number, const struct err *err)
{
    struct lab *l = ctx;
    must(err ? err->code : ERR_OK, err);
    l->done = true;
    l->number = number;
}

static int64_t finish(struct lab *l, enum err_code rc, const struct err *err)
{
    must(rc, err);
    int64_t start_ms = clock_mono_ms();
    while (!l->done) {
        check_deadline(l, start_ms, "answer of Redis");
        lab_turn(l, 50);
    }
    l->done = false;
    return l->number;
}

/* ---- results ---- */

static void take_verdict(struct lab *l, uint64_t batch, uint32_t ordinal,
                         const struct lab_record *said)
{
    struct lab_record *r = &l->records[batch][ordinal];
    ensure(ordinal < l->sizes[batch]);
    if (said->verdict == VERDICT_OPEN)
        return;
    ensure(r->verdict == VERDICT_OPEN); /* exactly one verdict per record */
    *r = *said;
    l->settled++;
}

static void take_result(struct lab *l, const struct queue_result *q)
{
    struct result r;
    struct err err;
    must(result_parse(l->reader, q->body, &r, &err), &err);
    uint64_t batch = strtoull(q->batch.p + strlen("batch-"), NULL, 10);
    ensure(batch < LAB_BATCHES && q->sync.n);
    l->requests += r.requests;
    l->retries += r.retries;
    l->stops += (r.flags & RESULT_STOP) != 0;
    l->bugs += (r.flags & RESULT_BUG) != 0;
    uint8_t *bits = calloc(l->sizes[batch] / 8 + 1, 1);
    must(ordset_bits(r.ordset, l->sizes[batch], bits, &err), &err);
    for (size_t i = 0; i < r.entry_count; i++) {
        const struct verdict_entry *e = &r.entries[i];
        struct lab_record said = {.verdict = e->verdict, .doubt = e->doubt};
        snprintf(said.words, sizeof said.words, "%.*s", (int)e->message.n, e->message.p);
        ensure(bits[e->ordinal / 8] & 1u << e->ordinal % 8);
        take_verdict(l, batch, e->ordinal, &said);
        bits[e->ordinal / 8] = (uint8_t)(bits[e->ordinal / 8] & ~(1u << e->ordinal % 8));
    }
    struct lab_record rest = {
        .verdict = r.rest, .doubt = r.flags & RESULT_DOUBT, .single = r.flags & RESULT_SINGLE};
    snprintf(rest.words, sizeof rest.words, "%.*s", (int)r.message.n,
             r.message.n ? r.message.p : "");
    for (uint32_t i = 0; i < l->sizes[batch]; i++)
        if (bits[i / 8] & 1u << i % 8)
            take_verdict(l, batch, i, &rest);
    free(bits);
    snprintf(l->position, sizeof l->position, "%.*s", (int)q->stream_id.n, q->stream_id.p);
}

static void read_results(struct lab *l);

static void on_results(void *ctx, const struct queue_result *results, size_t count,
                       const struct err *err)
{
    struct lab *l = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    must(err ? err->code : ERR_OK, err);
    for (size_t i = 0; i < count; i++)
        take_result(l, &results[i]);
    read_results(l);
}

static void read_results(struct lab *l)
{
    struct err err;
    static const uint64_t block_ms = 500;
    struct queue *q = queue_new(l->redis_results, QUOTA);
    ensure(q != NULL);
    must(queue_results(q, l->position, 1000, block_ms, on_results, l, &err), &err);
    queue_free(q);
}

/* ---- life ---- */

static void write_project(struct lab *l, const char *destination)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/sluice.yaml", l->dir);
    FILE *f = fopen(path, "w");
    ensure(f != NULL);
    fprintf(f,
            "settings: {redis: \"%s\", state_dir: %s/state}\n"
            "destinations:\n"
            "  hook: {type: webhook, url: \"%s\"%s}\n",
            l->server.url, l->dir, http_server_url(l->http), destination);
    fclose(f);
    snprintf(path, sizeof path, "%s/state", l->dir);
    mkdir(path, 0700);
}

static void load_project(struct lab *l)
{
    struct problem_list problems;
    struct err err;
    problem_list_init(&problems);
    enum err_code rc = project_load(l->dir, &l->project, &problems, &err);
    for (size_t i = 0; i < problems.count; i++)
        fprintf(stderr, "lab: %s\n", problems.items[i].text);
    must(rc, &err);
    problem_list_done(&problems);
}

void lab_reconfigure(struct lab *l, const char *destination)
{
    project_free(l->project);
    l->sync = "people-anew";
    write_project(l, destination);
    load_project(l);
}

static void start_epoch(struct lab *l)
{
    struct err err;
    const struct destination *d = project_destination(l->project, "hook");
    snprintf(l->epoch, sizeof l->epoch, "%s", "ffeeddccbbaa99887766554433221100");
    struct queue_epoch e = {
        .state_id = STATE_ID,
        .epoch = l->epoch,
        .permit_ms = PERMIT_MS,
        .limits = d->limits,
        .limit_count = d->limit_count,
        .concurrency = d->concurrency,
        .slack_ms = 20,
    };
    enum err_code rc = queue_fence(l->queue, on_done, l, &err);
    finish(l, rc, &err);
    rc = queue_open(l->queue, &e, on_done, l, &err);
    finish(l, rc, &err);
}

void lab_open(struct lab *l, const char *destination, http_server_cb cb, void *ctx)
{
    struct redis_url url;
    struct err err;
    *l = (struct lab){.base = event_base_new(), .reader = result_reader_new(), .sync = "people"};
    l->records = calloc(LAB_BATCHES, sizeof *l->records);
    redis_server_start(&l->server, NULL);
    snprintf(l->dir, sizeof l->dir, "%s/project", l->server.dir);
    ensure(l->base && l->reader && l->records && mkdir(l->dir, 0700) == 0);
    l->http = http_server_new(l->base, cb, ctx);
    write_project(l, destination);
    load_project(l);
    must(redis_url_parse(l->server.url, &url, &err), &err);
    struct redis_options options = {0};
    l->redis = redis_new(l->base, &url, &options);
    l->redis_results = redis_new(l->base, &url, &options);
    l->queue = queue_new(l->redis, QUOTA);
    ensure(l->redis && l->redis_results && l->queue);
    start_epoch(l);
    read_results(l);
}

void lab_close(struct lab *l)
{
    for (int i = 0; i < LAB_WORKERS; i++) {
        if (!l->workers[i])
            continue;
        kill(l->workers[i], SIGKILL);
        lab_join(l, i);
    }
    redis_free(l->redis_results);
    redis_free(l->redis);
    queue_free(l->queue);
    http_server_free(l->http);
    event_base_free(l->base);
    result_reader_free(l->reader);
    project_free(l->project);
    free(l->records);
    char path[PATH_BYTES];
    static const char *const inside[] = {"state/workers.lock", "state", "sluice.yaml", ""};
    for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
        snprintf(path, sizeof path, "%s/%s", l->dir, inside[i]);
        remove(path);
    }
    redis_server_stop(&l->server);
}

/* ---- what a scheduler does ---- */

uint64_t lab_enqueue(struct lab *l, uint32_t records)
{
    static const char *const names[] = {"id", NULL};
    const struct destination *d = project_destination(l->project, "hook");
    uint64_t number = ++l->next_batch;
    ensure(number < LAB_BATCHES && records <= LAB_BATCH_STEP);
    char id[32];
    snprintf(id, sizeof id, "batch-%llu", (unsigned long long)number);
    struct sample_head head = {l->sync, RUN, id, "hook", d->fingerprint, names, names, records};
    struct buf payload;
    buf_init(&payload, PAYLOAD_MAX);
    sample_ids(&payload, &head, (uint32_t)number * LAB_BATCH_STEP, records);
    struct queue_batch batch = {
        .number = number, .id = slice_str(id), .records = records, .payload = buf_slice(&payload)};
    struct queue_sync sync = {l->sync, RUN, "hook", d->fingerprint, 1, CAP_BYTES};
    struct err err;
    l->sizes[number] = records;
    enum err_code rc = queue_enqueue(l->queue, l->epoch, &sync, &batch, 1, on_done, l, &err);
    ensure(finish(l, rc, &err) == 1);
    buf_done(&payload);
    lab_wake(l);
    return number;
}

void lab_wake(struct lab *l)
{
    struct err err;
    must(queue_wake(l->queue, &err), &err);
}

void lab_reap(struct lab *l, const char *prefix)
{
    struct err err;
    enum err_code rc = queue_reap(l->queue, prefix, true, on_done, l, &err);
    ensure(finish(l, rc, &err) == 0);
    lab_wake(l);
}

int64_t lab_leases(struct lab *l)
{
    return redis_server_ask_int(&l->server, "HLEN", "sluice:{hook}:lease", NULL);
}

/* ---- workers ---- */

int lab_worker(struct lab *l, const char *prefix)
{
    int i = 0;
    while (l->workers[i])
        i++;
    ensure(i < LAB_WORKERS);
    char parent[16];
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    l->workers[i] = fork();
    ensure(l->workers[i] >= 0);
    if (l->workers[i] == 0) {
        if (!getenv("LAB_VERBOSE"))
            dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        execl(WORKER_PROGRAM, "sluice-worker", "-C", l->dir, "--name", prefix, "--parent", parent,
              "--redis", l->workers_redis[0] ? l->workers_redis : l->server.url, (char *)NULL);
        _exit(127);
    }
    return i;
}

void lab_signal(struct lab *l, int worker, int signal)
{
    kill(l->workers[worker], signal);
}

int lab_join(struct lab *l, int worker)
{
    int status;
    int64_t start_ms = clock_mono_ms();
    while (waitpid(l->workers[worker], &status, WNOHANG) == 0) {
        check_deadline(l, start_ms, "end of the worker");
        lab_turn(l, 10);
    }
    l->workers[worker] = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- waiting ---- */

void lab_wait_settled(struct lab *l, unsigned records)
{
    int64_t start_ms = clock_mono_ms();
    while (l->settled < records) {
        check_deadline(l, start_ms, "verdicts");
        lab_turn(l, 50);
    }
    ensure(l->settled == records);
}

void lab_wait_requests(struct lab *l, unsigned requests)
{
    int64_t start_ms = clock_mono_ms();
    while (http_server_requests(l->http) < requests) {
        check_deadline(l, start_ms, "requests");
        lab_turn(l, 50);
    }
}

const struct lab_record *lab_record(const struct lab *l, uint64_t batch, uint32_t ordinal)
{
    return &l->records[batch][ordinal];
}
