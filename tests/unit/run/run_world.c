#include "tests/unit/run/run_world.h"

#include "protocol/base/clock.h"
#include "protocol/redis/redis.h"
#include "scheduler/batch/spool.h"
#include "scheduler/state/key.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEASE_MS = 40000, PROJECT_BYTES = 1024 };

void run_world_loop(struct run_world *w)
{
    around_turn(w->base);
}

/* ---- what the run and the quota ask of the engine ---- */

static void on_landed(void *ctx, struct slice key)
{
    struct run_world *w = ctx;
    assert_true(key.n > 0);
    w->landed_count++;
}

static enum err_code commit(void *ctx, struct err *err)
{
    struct run_world *w = ctx;
    enum err_code rc = w->quota ? quota_save_position(w->quota, err) : ERR_OK;
    if (!rc && w->run)
        rc = sync_run_before_commit(w->run, err);
    if (!rc)
        rc = state_commit(w->state, err);
    if (!rc && w->quota)
        quota_committed(w->quota);
    if (!rc && w->run)
        sync_run_landed(w->run, on_landed, w);
    return rc;
}

static enum err_code commit_if_due(void *ctx, struct err *err)
{
    struct run_world *w = ctx;
    return state_commit_due(w->state) ? commit(w, err) : ERR_OK;
}

static void on_pause(void *ctx, struct sync_run *run, bool pause)
{
    (void)ctx, (void)run, (void)pause;
}

static void on_read_unwanted(void *ctx, struct sync_run *run)
{
    (void)ctx, (void)run;
}

static void need_workers(void *ctx)
{
    (void)ctx;
}

static void on_ended(void *ctx, struct sync_run *run)
{
    struct run_world *w = ctx;
    assert_ptr_equal(run, w->run);
    assert_false(w->ended);
    w->ended = true;
}

static uint64_t window_share(void *ctx)
{
    (void)ctx;
    return 64 << 20;
}

static void on_settled(void *ctx, struct sync_run *run, uint64_t mark, uint32_t tries,
                       struct slice key, enum settled_how how)
{
    struct run_world *w = ctx;
    struct value id;
    struct err err;
    assert_ptr_equal(run, w->run);
    assert_true(w->settled_count < WORLD_SETTLED_MAX);
    check(key_decode(key, &id, 1, &err), &err);
    w->settled[w->settled_count++] = (struct settled){mark, tries, how, atoi(strndupa(id.p, id.n))};
}

static void on_ready(void *ctx, struct quota *q)
{
    struct run_world *w = ctx;
    (void)q;
    if (w->run)
        sync_run_pump(w->run);
}

static void on_lost(void *ctx, struct quota *q)
{
    struct run_world *w = ctx;
    (void)q;
    if (w->run)
        sync_run_queue_lost(w->run);
}

static void on_results(void *ctx, struct quota *q, const struct queue_result *results, size_t count)
{
    struct run_world *w = ctx;
    (void)q;
    for (size_t i = 0; i < count && w->run; i++) {
        struct err err;
        const char *dot = memrchr(results[i].batch.p, '.', results[i].batch.n);
        assert_non_null(dot);
        if (strncmp(sync_run_record(w->run)->id, results[i].batch.p,
                    (size_t)(dot - results[i].batch.p)) != 0)
            continue;
        check(sync_run_result(w->run, strtoull(dot + 1, NULL, 10), results[i].body, &err), &err);
    }
}

static enum err_code on_state_lost(void *ctx, struct quota *q, const struct queue_opened *o,
                                   bool *ret_heir, struct err *err)
{
    (void)ctx, (void)q, (void)o, (void)ret_heir, (void)err;
    fail_msg("the state counts as lost");
    return ERR_OK;
}

static void on_broken(void *ctx, struct quota *q, const struct err *err)
{
    (void)ctx, (void)q;
    fail_msg("%s", err->text);
}

/* ---- life ---- */

static const char project_text[] =
    "settings: {redis: \"%s\", state_dir: %s/state}\n"
    "sources:\n"
    "  warehouse: {type: postgres, url: \"postgres://localhost/x\"}\n"
    "  bus: {type: redis, url: \"redis://localhost\"}\n"
    "models:\n"
    "  customers:\n"
    "    primary_key: id\n"
    "%s"
    "destinations:\n"
    "  crm: {type: webhook, url: \"http://127.0.0.1:9/\"}\n"
    "syncs:\n"
    "  s:\n"
    "    model: customers\n"
    "    destination: crm\n"
    "    mappings: all\n"
    "%s";

static const char rows[] = "    source: warehouse\n"
                           "    sql: select 1\n";
static const char events[] = "    source: bus\n"
                             "    stream: e\n"
                             "    columns: {id: number, email: text, name: text}\n";

static void load_project(struct run_world *w, const char *model, const char *sync)
{
    char text[PROJECT_BYTES];
    snprintf(text, sizeof text, project_text, w->server.url, w->dir, model, sync);
    w->project = around_project(w->dir, text);
    w->sync = project_sync(w->project, "s");
    assert_non_null(w->sync);
}

static void open_state(struct run_world *w)
{
    char path[AROUND_PATH_BYTES];
    w->state = around_state(w->dir, "state");
    snprintf(path, sizeof path, "%s/state/spool", w->dir);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void open_quota(struct run_world *w)
{
    struct err err;
    struct redis_member member = {.url = w->server.url, .name = "private"};
    check(redis_fleet_new(w->base, &member, 1, &(struct redis_fleet_options){0}, &w->fleet, &err),
          &err);
    w->quota_host = around_host();
    w->quota_host.base = w->base;
    w->quota_host.fleet = w->fleet;
    w->quota_host.state = w->state;
    w->quota_host.project = w->project;
    w->quota_host.worker_prefix = "test";
    w->quota_host.ctx = w;
    w->quota_host.commit = commit;
    w->quota_host.on_ready = on_ready;
    w->quota_host.on_lost = on_lost;
    w->quota_host.on_leaves = on_lost;
    w->quota_host.on_results = on_results;
    w->quota_host.on_state_lost = on_state_lost;
    w->quota_host.on_broken = on_broken;
    check(quota_new(&w->quota_host, w->sync->destination, &w->quota, &err), &err);
    UNTIL(w, quota_is_ready(w->quota));
}

static void start(struct run_world *w, const char *model, const char *sync)
{
    *w = (struct run_world){.dir = "/tmp/sluice-run-XXXXXX"};
    around_folder(w->dir);
    redis_server_start(&w->server, NULL);
    w->base = event_base_new();
    assert_non_null(w->base);
    load_project(w, model, sync);
    open_state(w);
    w->host = (struct run_host){
        .base = w->base,
        .state = w->state,
        .project = w->project,
        .log = &around_quiet,
        .ctx = w,
        .need_workers = need_workers,
        .commit = commit,
        .commit_if_due = commit_if_due,
        .on_pause = on_pause,
        .on_read_unwanted = on_read_unwanted,
        .on_ended = on_ended,
        .window_share = window_share,
        .on_settled = on_settled,
    };
    open_quota(w);
}

void run_world_start(struct run_world *w, const char *sync)
{
    start(w, rows, sync);
}

void run_world_start_events(struct run_world *w, const char *sync)
{
    start(w, events, sync);
}

/* The connection first: what waits for its answers is called for the last time. */
static void close_quota(struct run_world *w)
{
    redis_fleet_free(w->fleet);
    sync_run_free(w->run);
    quota_free(w->quota);
    w->fleet = NULL;
    w->run = NULL;
    w->quota = NULL;
}

void run_world_stop(struct run_world *w)
{
    close_quota(w);
    state_close(w->state);
    project_free(w->project);
    event_base_free(w->base);
    redis_server_stop(&w->server);
    around_remove(w->dir);
}

/* ---- the run ---- */

enum err_code run_world_begin_with(struct run_world *w, const struct run_start *start,
                                   const char *third, enum column_type type, struct err *err)
{
    const struct column columns[] = {
        {"id", "int4", COLUMN_INT}, {"email", "text", COLUMN_TEXT}, {third, "t", type}};
    w->ended = false;
    w->settled_count = w->landed_count = 0;
    check(sync_run_new(&w->host, w->sync, start, &w->run, err), err);
    if (start->stream)
        sync_run_set_hour(w->run, &w->hour);
    enum err_code rc = sync_run_columns(w->run, columns, ARRAY_LEN(columns), err);
    if (!rc)
        rc = sync_run_columns_kept(w->run, err);
    if (!rc)
        sync_run_attach(w->run, w->quota);
    return rc;
}

enum err_code run_world_begin(struct run_world *w, bool stream, struct err *err)
{
    return run_world_begin_with(w, &(struct run_start){.stream = stream}, "name", COLUMN_TEXT, err);
}

void run_world_crash(struct run_world *w)
{
    run_world_crash_to(w, w->sync);
}

void run_world_crash_to(struct run_world *w, const struct sync *sync)
{
    struct run_record record;
    struct err err;
    run_world_commit(w);
    char id[STATE_RUN_ID_MAX + 1];
    snprintf(id, sizeof id, "%s", sync_run_record(w->run)->id);
    close_quota(w);
    check(state_run_get(w->state, id, &record, &err), &err);
    assert_false(run_status_ended(record.status));
    w->ended = false;
    w->settled_count = w->landed_count = 0;
    check(sync_run_recover(&w->host, &record, sync, &w->run, &err), &err);
    open_quota(w);
    sync_run_attach(w->run, w->quota);
}

struct run_record run_world_end(struct run_world *w)
{
    char path[2 * AROUND_PATH_BYTES];
    struct err err;
    UNTIL(w, w->ended);
    struct run_record r = *sync_run_record(w->run);
    run_world_commit(w);
    sync_run_free(w->run);
    w->run = NULL;
    if (r.status == RUN_HELD)
        return r;
    snprintf(path, sizeof path, "%s/state/%.100s", w->dir, r.spool);
    check(spool_remove(path, &err), &err);
    return r;
}

static struct value text_of(const char *s)
{
    return s ? value_of(VALUE_TEXT, slice_str(s)) : (struct value){.kind = VALUE_NULL};
}

static void fill_row(struct value *values, char *digits, int id, const char *email,
                     const char *name)
{
    sprintf(digits, "%d", id);
    values[0] = value_of(VALUE_NUMBER, slice_str(digits));
    values[1] = text_of(email);
    values[2] = text_of(name);
}

enum change_taken run_world_row(struct run_world *w, int id, const char *email, const char *name,
                                uint64_t mark, bool last)
{
    char digits[16];
    struct value values[3];
    enum change_taken taken;
    struct err err;
    fill_row(values, digits, id, email, name);
    struct row row = {values, 3};
    check(sync_run_change_row(w->run, &row, mark, (uint32_t)mark + 1, last, &taken, &err), &err);
    return taken;
}

enum change_taken run_world_gone(struct run_world *w, int id, uint64_t mark)
{
    char digits[16];
    struct value value;
    struct buf key;
    enum change_taken taken;
    struct err err;
    sprintf(digits, "%d", id);
    value = value_of(VALUE_NUMBER, slice_str(digits));
    buf_init(&key, 256);
    check(key_encode(&key, &value, 1, NULL, &err), &err);
    check(sync_run_change_gone(w->run, buf_slice(&key), mark, (uint32_t)mark + 1, &taken, &err),
          &err);
    buf_done(&key);
    return taken;
}

void run_world_turn(struct run_world *w)
{
    struct err err;
    check(sync_run_turn(w->run, &err), &err);
}

void run_world_read(struct run_world *w, int id, const char *email, const char *name)
{
    char digits[16];
    struct value values[3];
    struct err err;
    fill_row(values, digits, id, email, name);
    struct row row = {values, 3};
    check(sync_run_row(w->run, &row, &err), &err);
}

void run_world_commit(struct run_world *w)
{
    struct err err;
    check(commit(w, &err), &err);
}

/* ---- the worker ---- */

static void on_claimed(void *ctx, const struct queue_claimed *c, const struct err *err)
{
    struct run_world *w = ctx;
    w->claim_answered = true;
    w->claim_got = c && c->got;
    if (err)
        fail_msg("%s", err->text);
    if (!w->claim_got)
        return;
    assert_true(w->claim_count < WORLD_CLAIMS_MAX);
    struct claimed *k = &w->claims[w->claim_count];
    *k = (struct claimed){.token = w->token, .records = c->records};
    snprintf(k->batch, sizeof k->batch, "%.*s", (int)c->batch.n, c->batch.p);
    snprintf(k->epoch, sizeof k->epoch, "%.*s", (int)c->epoch.n, c->epoch.p);
}

bool run_world_try_claim(struct run_world *w)
{
    struct queue_ability ability = {"crm", w->sync->destination->fingerprint};
    struct queue_claim c = {.worker = "test-1",
                            .token = ++w->token,
                            .lease_ms = LEASE_MS,
                            .abilities = &ability,
                            .ability_count = 1};
    struct err err;
    w->claim_answered = false;
    check(queue_claim(quota_queue(w->quota), &c, on_claimed, w, &err), &err);
    UNTIL(w, w->claim_answered);
    w->claim_count += w->claim_got;
    return w->claim_got;
}

size_t run_world_claim(struct run_world *w)
{
    UNTIL(w, run_world_try_claim(w));
    return w->claim_count - 1;
}

static void on_settle(void *ctx, int64_t number, const struct err *err)
{
    struct run_world *w = ctx;
    if (err)
        fail_msg("%s", err->text);
    assert_int_equal(number, 1);
    w->settle_answered = true;
}

static void settle(struct run_world *w, size_t claim, const struct result *r)
{
    const struct claimed *k = &w->claims[claim];
    struct buf body;
    struct err err;
    buf_init(&body, 4096);
    assert_int_equal(result_put(&body, r), ERR_OK);
    struct queue_settle s = {.epoch = slice_str(k->epoch),
                             .worker = "test-1",
                             .token = k->token,
                             .kind = SETTLE_DONE,
                             .result = buf_slice(&body)};
    w->settle_answered = false;
    check(queue_settle(quota_queue(w->quota), &s, on_settle, NULL, NULL, w, &err), &err);
    UNTIL(w, w->settle_answered);
    buf_done(&body);
    if (claim + 1 == w->claim_count)
        w->claim_count--;
}

static struct slice words_of(enum verdict verdict)
{
    return slice_str(verdict == VERDICT_OK ? "" : "no such thing");
}

void run_world_answer(struct run_world *w, size_t claim, enum verdict verdict, uint32_t flags)
{
    struct result r = {.rest = verdict, .flags = flags, .requests = 1, .status = 200};
    r.message = words_of(verdict);
    settle(w, claim, &r);
}

void run_world_answer_first(struct run_world *w, size_t claim, enum verdict first,
                            enum verdict others)
{
    struct verdict_entry entry = {.verdict = first, .message = words_of(first)};
    struct result r = {.rest = others,
                       .message = words_of(others),
                       .requests = 1,
                       .status = 200,
                       .entries = &entry,
                       .entry_count = 1};
    settle(w, claim, &r);
}

void run_world_answer_all(struct run_world *w, size_t count, enum verdict verdict)
{
    int64_t since_ms = clock_mono_ms();
    while (w->settled_count < count) {
        if (run_world_try_claim(w))
            run_world_answer(w, w->claim_count - 1, verdict, 0);
        if (clock_mono_ms() - since_ms > AROUND_DEADLINE_MS)
            fail_msg("%zu changes are settled, not %zu", w->settled_count, count);
    }
    assert_int_equal(w->settled_count, count);
    run_world_commit(w);
}

void run_world_settled(struct run_world *w, size_t count)
{
    UNTIL(w, w->settled_count >= count);
    assert_int_equal(w->settled_count, count);
    run_world_commit(w);
}
