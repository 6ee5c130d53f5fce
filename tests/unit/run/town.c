#include "tests/unit/run/town.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = 11000, PROJECT_BYTES = 1024 };

/* ---- what the quota asks ---- */

static enum err_code commit(void *ctx, struct err *err)
{
    struct town *t = ctx;
    return state_commit(t->state, err);
}

static enum err_code on_state_lost(void *ctx, struct quota *q, const struct queue_opened *o,
                                   bool *ret_heir, struct err *err)
{
    struct town *t = ctx;
    (void)q, (void)o, (void)ret_heir, (void)err;
    t->late = true;
    return ERR_OK;
}

static void on_broken(void *ctx, struct quota *q, const struct err *err)
{
    struct town *t = ctx;
    (void)q;
    snprintf(t->broken, sizeof t->broken, "%s", err->text);
}

/* ---- life ---- */

static const char project_text[] =
    "settings: {redis: \"%s\", state_dir: state}\n"
    "sources: {warehouse: {type: postgres, url: \"postgres://localhost/x\"}}\n"
    "models: {m: {source: warehouse, primary_key: id, sql: select 1}}\n"
    "destinations: {crm: {type: webhook, url: \"http://127.0.0.1:9/\", timeout: 1s,\n"
    "  rate_limits: [{requests: 5, per: 60s}]}}\n"
    "syncs: {s: {model: m, destination: crm, mappings: all}}\n";

void town_open_state(struct town *t, const char *name)
{
    t->state = around_state(t->dir, name);
}

static void take_list(struct town *t, const struct redis_member *members, size_t count)
{
    struct err err;
    if (t->fleet)
        check(redis_fleet_set(t->fleet, members, count, &err), &err);
    else
        check(redis_fleet_new(t->base, members, count, &(struct redis_fleet_options){0}, &t->fleet,
                              &err),
              &err);
    if (t->quota)
        quota_list_changed(t->quota);
}

void town_list(struct town *t, unsigned staying)
{
    struct redis_member members[TOWN_SERVERS];
    for (size_t i = 0; i < TOWN_SERVERS; i++)
        members[i] = (struct redis_member){
            .url = t->servers[i].url, .name = town_names[i], .leaving = !(staying & 1u << i)};
    take_list(t, members, TOWN_SERVERS);
}

void town_list_only(struct town *t, unsigned listed)
{
    struct redis_member members[TOWN_SERVERS];
    size_t n = 0;
    for (size_t i = 0; i < TOWN_SERVERS; i++)
        if (listed & 1u << i)
            members[n++] = (struct redis_member){.url = t->servers[i].url, .name = town_names[i]};
    take_list(t, members, n);
}

void town_begin(struct town *t, unsigned staying)
{
    struct err err;
    town_list(t, staying);
    t->host = around_host();
    t->host.base = t->base;
    t->host.fleet = t->fleet;
    t->host.state = t->state;
    t->host.project = t->project;
    t->host.worker_prefix = "w";
    t->host.ctx = t;
    t->host.commit = commit;
    t->host.on_state_lost = on_state_lost;
    t->host.on_broken = on_broken;
    check(quota_new(&t->host, &t->project->destinations[0], &t->quota, &err), &err);
}

void town_crash(struct town *t)
{
    redis_fleet_free(t->fleet);
    quota_free(t->quota);
    t->fleet = NULL;
    t->quota = NULL;
}

static void on_shut(void *ctx)
{
    struct town *t = ctx;
    t->answers++;
}

/* In good order, as a scheduler that is told to stop. */
void town_leave(struct town *t)
{
    struct err err;
    t->answers = 0;
    quota_shut(t->quota, on_shut, t);
    UNTIL(t, t->answers);
    check(state_commit(t->state, &err), &err);
    town_crash(t);
}

void town_copy_state(struct town *t, const char *from, const char *to)
{
    char command[2 * AROUND_PATH_BYTES];
    state_close(t->state);
    snprintf(command, sizeof command, "rm -rf %s/%s && cp -a %s/%s %s/%s", t->dir, to, t->dir, from,
             t->dir, to);
    assert_int_equal(system(command), 0);
    town_open_state(t, "state");
}

int town_setup(void **state)
{
    struct town *t = test_calloc(1, sizeof *t);
    char text[PROJECT_BYTES];
    snprintf(t->dir, sizeof t->dir, "/tmp/sluice-move-XXXXXX");
    around_folder(t->dir);
    for (size_t i = 0; i < TOWN_SERVERS; i++)
        redis_server_start(&t->servers[i], NULL);
    t->base = event_base_new();
    assert_non_null(t->base);
    snprintf(text, sizeof text, project_text, t->servers[0].url);
    t->project = around_project(t->dir, text);
    town_open_state(t, "state");
    *state = t;
    return 0;
}

int town_teardown(void **state)
{
    struct town *t = *state;
    town_crash(t);
    state_close(t->state);
    project_free(t->project);
    event_base_free(t->base);
    for (size_t i = 0; i < TOWN_SERVERS; i++)
        redis_server_stop(&t->servers[i]);
    around_remove(t->dir);
    test_free(t);
    return 0;
}

/* ---- work ---- */

bool town_is_at(const struct town *t, const char *member)
{
    return quota_is_ready(t->quota) && strcmp(quota_at(t->quota), member) == 0;
}

uint64_t town_used(const struct town *t)
{
    size_t n;
    const uint64_t *u = quota_limit_used(t->quota, &n);
    return n ? u[0] : 0;
}

static void on_number(void *ctx, int64_t number, const struct err *err)
{
    struct town *t = ctx;
    t->refused = err ? *err : (struct err){0};
    t->number = number;
    t->answers++;
}

static void on_claimed(void *ctx, const struct queue_claimed *c, const struct err *err)
{
    struct town *t = ctx;
    t->refused = err ? *err : (struct err){0};
    if (c) {
        t->claimed = *c;
        snprintf(t->epoch, sizeof t->epoch, "%.*s", (int)c->epoch.n, c->epoch.p);
    }
    t->answers++;
}

#define call(t, rc, want)                                                                          \
    do {                                                                                           \
        (t)->answers = 0;                                                                          \
        assert_int_equal((rc), ERR_OK);                                                            \
        UNTIL(t, (t)->answers >= (want));                                                          \
    } while (0)

void town_enqueue(struct town *t, uint64_t first, uint64_t count)
{
    struct err err;
    char ids[8][16];
    struct queue_batch batches[8];
    struct queue_sync sync = {.sync = "s",
                              .run = "r",
                              .destination = "crm",
                              .fingerprint = "f",
                              .weight = 1,
                              .cap_bytes = 1 << 20};
    assert_true(count <= 8);
    for (uint64_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "r.%d", (int)(first + i));
        batches[i] = (struct queue_batch){
            .number = first + i, .id = slice_str(ids[i]), .records = 1, .payload = SLICE_LIT("x")};
    }
    call(t,
         queue_enqueue(quota_queue(t->quota), quota_epoch(t->quota), &sync, batches, count,
                       on_number, t, &err),
         1);
    assert_int_equal(t->number, count);
}

bool town_claim(struct town *t)
{
    struct err err;
    struct queue_ability able = {"crm", "f"};
    struct queue_claim c = {.worker = "w",
                            .token = ++t->token,
                            .lease_ms = LEASE_MS,
                            .abilities = &able,
                            .ability_count = 1};
    t->claimed = (struct queue_claimed){0};
    call(t, queue_claim(quota_queue(t->quota), &c, on_claimed, t, &err), 1);
    return t->claimed.got;
}

void town_settle(struct town *t, enum settle_kind kind, uint64_t delay_ms)
{
    struct err err;
    struct queue_settle s = {.epoch = slice_str(t->epoch),
                             .worker = "w",
                             .token = t->token,
                             .kind = kind,
                             .delay_ms = delay_ms,
                             .result = SLICE_LIT("told")};
    call(t, queue_settle(quota_queue(t->quota), &s, on_number, NULL, NULL, t, &err), 1);
    assert_int_equal(t->number, 1);
}

/* Requests that were sent, and are in the window for a minute. */
void town_spend(struct town *t, uint64_t first, uint64_t count)
{
    town_enqueue(t, first, count);
    for (uint64_t i = 0; i < count; i++) {
        assert_true(town_claim(t));
        town_settle(t, SETTLE_DONE, 0);
    }
}

int64_t town_keys_for_good(struct town *t, size_t server)
{
    int64_t n = 0;
    struct redisReply *keys = redis_server_ask(&t->servers[server], "KEYS", "sluice:{crm}:*", NULL);
    for (size_t i = 0; i < keys->elements; i++)
        n += redis_server_ask_int(&t->servers[server], "PTTL", keys->element[i]->str, NULL) == -1;
    freeReplyObject(keys);
    return n;
}
