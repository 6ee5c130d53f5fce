/* Reads: runs. Writes: `metric:SYNC` in misc. A crash here: what was not committed is added again
 * by ledger_catch_up, from the same runs. */
#include "scheduler/report/ledger.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>
#include <stdlib.h>

enum { LEDGER_VERSION = 1, LEDGER_BYTES = 1024, LEDGER_NAME_BYTES = STATE_NAME_MAX + 16 };
enum { CATCH_UP_MAX = 1000 }; /* as many as state keeps of a sync */

static const double run_bounds[] = {1, 5, 15, 60, 300, 900, 3600, 14400, 43200, 86400};

static void ledger_init(struct ledger *l)
{
    *l = (struct ledger){0};
    histogram_init(&l->durations, run_bounds, ARRAY_LEN(run_bounds));
    histogram_init(&l->latencies, run_bounds, ARRAY_LEN(run_bounds));
}

/* ---- sums ---- */

static void add_counts(struct run_counts *to, const struct run_counts *from)
{
    to->rows += from->rows;
    to->added += from->added;
    to->changed += from->changed;
    to->removed += from->removed;
    to->unchanged += from->unchanged;
    to->invalid += from->invalid;
    to->quarantined += from->quarantined;
    to->planned += from->planned;
    to->succeeded += from->succeeded;
    to->rejected += from->rejected;
    to->failed += from->failed;
    to->cancelled += from->cancelled;
    to->requests += from->requests;
    to->retries += from->retries;
    to->bytes += from->bytes;
    to->warnings += from->warnings;
    to->coalesced += from->coalesced;
}

void ledger_show(struct ledger *l, const struct run_counts *counts)
{
    add_counts(&l->counts, counts);
}

static double seconds_between(int64_t from_ms, int64_t to_ms)
{
    return to_ms > from_ms ? (double)(to_ms - from_ms) / 1000 : 0;
}

static void add_run(struct ledger *l, const struct run_record *r)
{
    int64_t due_ms =
        r->scheduled_ms && r->scheduled_ms < r->started_ms ? r->scheduled_ms : r->started_ms;
    add_counts(&l->counts, &r->counts);
    l->statuses[r->status]++;
    histogram_add(&l->durations, seconds_between(r->started_ms, r->ended_ms));
    histogram_add(&l->latencies, seconds_between(due_ms, r->ended_ms));
    l->last_ended_ms = r->ended_ms;
    snprintf(l->last_run, sizeof l->last_run, "%s", r->id);
}

void ledger_count(struct ledger *l, const struct run_record *r)
{
    if (run_status_ended(r->status) && r->ended_ms > l->last_ended_ms)
        add_run(l, r);
}

/* ---- packing ---- */

static void pack_histogram(struct pack *k, const struct histogram *h)
{
    uint64_t sum;
    memcpy(&sum, &h->sum, sizeof sum);
    pack_u64(k, sum);
    pack_u8(k, (uint8_t)h->bound_count);
    for (size_t i = 0; i <= h->bound_count; i++)
        pack_u64(k, h->counts[i]);
}

/* Of a version with other bounds only the sum would be left: it starts anew. */
static void unpack_histogram(struct unpack *u, struct histogram *h)
{
    uint64_t sum = unpack_u64(u);
    size_t bounds = unpack_u8(u);
    for (size_t i = 0; i <= bounds; i++) {
        uint64_t n = unpack_u64(u);
        if (bounds == h->bound_count)
            h->counts[i] = n;
    }
    if (bounds == h->bound_count)
        memcpy(&h->sum, &sum, sizeof sum);
}

#define COUNTS(c)                                                                                  \
    {                                                                                              \
        &(c)->rows, &(c)->added, &(c)->changed, &(c)->removed, &(c)->unchanged, &(c)->invalid,     \
            &(c)->quarantined, &(c)->planned, &(c)->succeeded, &(c)->rejected, &(c)->failed,       \
            &(c)->cancelled, &(c)->requests, &(c)->retries, &(c)->bytes, &(c)->warnings            \
    }

static enum err_code ledger_put(struct state *s, const char *name, struct ledger *l,
                                struct err *err)
{
    uint8_t bytes[LEDGER_BYTES];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    const uint64_t *const counts[] = COUNTS(&l->counts);
    pack_u8(&k, LEDGER_VERSION);
    pack_u64(&k, (uint64_t)l->last_ended_ms);
    pack_str(&k, l->last_run);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        pack_u64(&k, *counts[i]);
    for (size_t i = RUN_SUCCESS; i <= RUN_SUPERSEDED; i++)
        pack_u64(&k, l->statuses[i]);
    pack_histogram(&k, &l->durations);
    pack_histogram(&k, &l->latencies);
    pack_u64(&k, l->counts.coalesced);
    ensure(!k.full);
    return state_misc_put(s, name, slice_of(bytes, k.n), err);
}

static enum err_code unpack_ledger(struct slice v, struct ledger *l, struct err *err)
{
    struct unpack u = {(const uint8_t *)v.p, v.n};
    uint64_t *const counts[] = COUNTS(&l->counts);
    uint8_t version = unpack_u8(&u);
    if (version != LEDGER_VERSION)
        return err_set(err, ERR_INVALID, "state: a sync's totals have version %u", version);
    l->last_ended_ms = (int64_t)unpack_u64(&u);
    unpack_str(&u, l->last_run, sizeof l->last_run);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        *counts[i] = unpack_u64(&u);
    for (size_t i = RUN_SUCCESS; i <= RUN_SUPERSEDED; i++)
        l->statuses[i] = unpack_u64(&u);
    unpack_histogram(&u, &l->durations);
    unpack_histogram(&u, &l->latencies);
    l->counts.coalesced = u.n ? unpack_u64(&u) : 0; /* written before there were streams: none */
    return ERR_OK;
}

static void name_of(const char *sync, char *out)
{
    snprintf(out, LEDGER_NAME_BYTES, "metric:%s", sync);
}

enum err_code ledger_get(struct state *s, const char *sync, struct ledger *ret, struct err *err)
{
    char name[LEDGER_NAME_BYTES];
    CLEANUP(buf_done) struct buf bytes;
    buf_init(&bytes, LEDGER_BYTES);
    ledger_init(ret);
    name_of(sync, name);
    enum err_code rc = state_misc_get(s, name, &bytes, err);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    return rc ? rc : unpack_ledger(buf_slice(&bytes), ret, err);
}

/* ---- adding ---- */

enum err_code ledger_add(struct state *s, const struct run_record *r, struct err *err)
{
    char name[LEDGER_NAME_BYTES];
    struct ledger l;
    if (!run_status_ended(r->status))
        return ERR_OK;
    enum err_code rc = ledger_get(s, r->sync, &l, err);
    if (rc || strcmp(l.last_run, r->id) == 0)
        return rc;
    add_run(&l, r);
    name_of(r->sync, name);
    return ledger_put(s, name, &l, err);
}

struct catching_up {
    struct ledger ledger;
    int64_t since_ms;
    const char *last_run;
    int64_t newest_ms;
    char newest[STATE_RUN_ID_MAX + 1];
    bool any;
};

/* In any order: the newest is noted apart. */
static bool take_run(void *ctx, const struct run_record *r)
{
    struct catching_up *c = ctx;
    if (!run_status_ended(r->status) || r->ended_ms < c->since_ms ||
        strcmp(r->id, c->last_run) == 0)
        return true;
    add_run(&c->ledger, r);
    c->any = true;
    if (r->ended_ms >= c->newest_ms) {
        c->newest_ms = r->ended_ms;
        snprintf(c->newest, sizeof c->newest, "%s", r->id);
    }
    return true;
}

enum err_code ledger_catch_up(struct state *s, const char *sync, struct err *err)
{
    char name[LEDGER_NAME_BYTES], last_run[STATE_RUN_ID_MAX + 1];
    struct catching_up c = {.last_run = last_run};
    enum err_code rc = ledger_get(s, sync, &c.ledger, err);
    if (rc)
        return rc;
    snprintf(last_run, sizeof last_run, "%s", c.ledger.last_run);
    c.since_ms = c.ledger.last_ended_ms;
    rc = state_run_list(s, sync, CATCH_UP_MAX, take_run, &c, err);
    if (rc || !c.any)
        return rc;
    c.ledger.last_ended_ms = c.newest_ms;
    snprintf(c.ledger.last_run, sizeof c.ledger.last_run, "%s", c.newest);
    name_of(sync, name);
    return ledger_put(s, name, &c.ledger, err);
}
