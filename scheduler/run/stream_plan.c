/* Planning what is pending. Reads: changes of the feed. Writes: the run. Invariant: a change holds
 * its mark from when it comes until it is settled, once; one that waits as another of its key comes
 * is counted as coalesced. */
#include "scheduler/run/stream_private.h"

#include "protocol/base/clock.h"

#include <stdio.h>

enum {
    IN_FLIGHT_MAX = 50000, /* records */
    BATCHES_LEAST = 8,     /* in flight at a time, whatever the destination's concurrency */
    ASIDES_MAX = 4096,     /* in one turn */
    DOWN_FIRST_MS = 5000,
    DOWN_MOST_MS = 15000,
    TRY_AGAIN_MS = 10000, /* a record that failed */
    LOOK_AGAIN_MS = 100,  /* at what waits for another record's verdict */
    NAMELESS_BYTES = 12,
    HALF_MAX = 20000, /* changes of one transaction that wait for its end */
};

bool stream_takes(const struct stream_driver *d)
{
    return d->run && !d->finishing && !sync_run_stopping(d->run);
}

bool stream_key_of(struct stream_driver *d, const struct row *row, struct slice *ret)
{
    struct value values[KEY_VALUES_MAX];
    struct err err;
    size_t n = d->sync->model->primary_key_count;
    for (size_t i = 0; i < n; i++)
        values[i] = row->values[d->key_columns[i]];
    buf_reset(&d->key);
    if (key_encode(&d->key, values, n, NULL, &err))
        return false;
    *ret = buf_slice(&d->key);
    return true;
}

/* ---- what the feed gives ---- */

/* A row whose key cannot be read is invalid, and is counted so when it is planned: until then it
 * waits under a name of its own, which no key has. */
static struct slice nameless(struct stream_driver *d)
{
    char name[NAMELESS_BYTES] = {(char)0xFF, (char)0xFF, (char)0xFF, (char)0xFF};
    d->nameless++;
    memcpy(name + 4, &d->nameless, sizeof d->nameless);
    buf_reset(&d->key);
    return buf_put(&d->key, name, sizeof name) ? (struct slice){0} : buf_slice(&d->key);
}

static enum err_code on_change(void *ctx, const struct change *change, struct err *err)
{
    struct stream_driver *d = ctx;
    struct pending_change c = {
        .kind = change->kind, .mark = marks_open(d->marks), .since_ms = clock_mono_ms()};
    struct err why;
    d->half++;
    buf_reset(&d->key);
    if (!key_encode(&d->key, change->key, d->sync->model->primary_key_count, NULL, &why))
        c.key = buf_slice(&d->key);
    else if (change->kind == CHANGE_ROW)
        c.key = nameless(d);
    else
        return ERR_OK; /* nothing of the model can have it */
    bool replaced;
    enum err_code rc = pending_put(d->pending, &c, change->row, &replaced, err);
    if (rc)
        return rc;
    if (replaced)
        d->coalesced++;
    else
        marks_hold(d->marks, c.mark);
    if (c.kind != CHANGE_KEY)
        stream_ask_overtaken(d, c.key);
    if (!d->feed_paused && pending_is_full(d->pending)) {
        d->feed_paused = true;
        d->ops->pause(d->feed);
    }
    return ERR_OK;
}

static void on_mark(void *ctx, const struct feed_position *at)
{
    struct stream_driver *d = ctx;
    marks_close(d->marks, at);
    if (d->half)
        stream_soon(d, 0);
    d->half = 0;
}

static void on_turn(void *ctx)
{
    struct stream_driver *d = ctx;
    if (d->phase == STREAM_FLOWING)
        stream_plan(d);
    else
        stream_soon(d, 0);
}

static void on_trouble(void *ctx, enum feed_trouble what, const struct err *err)
{
    struct stream_driver *d = ctx;
    const char *why = err ? err->text : "";
    switch (what) {
    case FEED_BACK:
        log_event(d->host.log, LOG_INFO, "stream_connected", LOG_STR("sync", d->sync->name));
        d->feed_flows = true;
        if (d->phase == STREAM_OPENING || d->phase == STREAM_FLOWING)
            d->why[0] = '\0'; /* what is wrong otherwise is not the connection */
        break;
    case FEED_LOST:
        d->half = 0; /* it is given again, as a whole */
        log_event(d->host.log, LOG_WARN, "stream_lost", LOG_STR("sync", d->sync->name),
                  LOG_STR("reason", why));
        if (err && err->code == ERR_FULL) {
            d->gave_up = true;
            d->gave_up_ms = clock_mono_ms();
        }
        snprintf(d->why, sizeof d->why, "%.*s", STREAM_WHY_MAX, why);
        break;
    case FEED_RESYNC:
        d->feed_flows = false;
        d->columns_stale |= d->memory.synced; /* it may be about them */
        stream_want_read(d, why, NULL);
        break;
    case FEED_FAILED:
        d->feed_over = true;
        snprintf(d->why, sizeof d->why, "%.*s", STREAM_WHY_MAX, why);
        break;
    }
    stream_soon(d, 0);
}

const struct feed_events stream_feed_events = {on_change, on_mark, on_turn, on_trouble, NULL};

/* ---- planning ---- */

struct plan {
    struct stream_driver *d;
    uint64_t planned, room; /* records */
    uint64_t given;         /* changes, whatever became of them */
    size_t asides[ASIDES_MAX];
    size_t aside_count;
    bool no_more;
};

static uint64_t batches_at_most(const struct stream_driver *d)
{
    uint64_t most = 2ull * d->sync->destination->concurrency;
    return most > BATCHES_LEAST ? most : BATCHES_LEAST;
}

static uint64_t room(const struct stream_driver *d)
{
    uint64_t in_flight = sync_run_in_flight(d->run);
    if (sync_run_batches_open(d->run) >= batches_at_most(d) || in_flight >= IN_FLIGHT_MAX)
        return 0;
    return d->down ? d->sync->batch_size : IN_FLIGHT_MAX - in_flight;
}

/* A batch that is not full may wait for more where the destination counts its requests; elsewhere
 * waiting gains nothing. */
static bool lingers(struct stream_driver *d, int64_t now)
{
    int64_t most = (int64_t)d->sync->schedule.stream.linger_ms;
    int64_t passed = now - pending_since_ms(d->pending);
    bool counted = d->sync->destination->limit_count != 0;
    if (!most || !counted || pending_ready(d->pending) >= d->sync->batch_size || passed >= most)
        return false;
    stream_soon(d, (uint32_t)(most - passed));
    return true;
}

enum err_code stream_plan_row(struct stream_driver *d, const struct pending_change *c,
                              const struct row *row, bool last, enum change_taken *ret,
                              struct err *err)
{
    return c->kind == CHANGE_GONE
               ? sync_run_change_gone(d->run, c->key, c->mark, c->tries, ret, err)
               : sync_run_change_row(d->run, row, c->mark, c->tries, last, ret, err);
}

static void after(struct plan *p, const struct pending_change *c, size_t at, enum change_taken what)
{
    struct stream_driver *d = p->d;
    p->given++;
    switch (what) {
    case CHANGE_PLANNED:
        p->planned++;
        pending_take(d->pending, at);
        break;
    case CHANGE_DONE:
        stream_forget_later(d, c->mark, c->key);
        pending_take(d->pending, at);
        marks_release(d->marks, c->mark);
        break;
    case CHANGE_BUSY:
        p->no_more = sync_run_guard(d->run) != NULL;
        pending_lay_by(d->pending, at);
        break;
    case CHANGE_ASIDE:
        if (p->aside_count < ASIDES_MAX)
            p->asides[p->aside_count++] = at;
        break;
    }
}

static enum err_code plan_one(struct plan *p, const struct pending_change *c, size_t at, bool last,
                              struct err *err)
{
    struct row row = {0};
    enum change_taken what;
    if (c->kind == CHANGE_ROW)
        row = pending_row(p->d->pending, c);
    enum err_code rc = stream_plan_row(p->d, c, &row, last, &what, err);
    if (!rc)
        after(p, c, at, what);
    return rc;
}

/* Asked for together, as soon as nothing is; until then, what is behind waits with it. */
static void plan_key(struct plan *p, const struct pending_change *c, size_t at)
{
    struct stream_driver *d = p->d;
    if (stream_may_ask(d) && stream_ask_add(d, c))
        pending_take(d->pending, at);
    else
        p->no_more = true;
}

static enum err_code plan_asides(struct plan *p, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->aside_count && !rc; i++) {
        struct pending_change c;
        size_t at = p->asides[i] - 1;
        if (pending_next(p->d->pending, &at, &c))
            rc = plan_one(p, &c, at, true, err);
    }
    return rc;
}

static enum err_code plan_all(struct plan *p, struct err *err)
{
    struct stream_driver *d = p->d;
    struct pending_change c;
    size_t at = 0;
    enum err_code rc = ERR_OK;
    while (!rc && !p->no_more && p->planned < p->room && pending_next(d->pending, &at, &c)) {
        if (c.kind == CHANGE_KEY)
            plan_key(p, &c, at);
        else
            rc = plan_one(p, &c, at, false, err);
    }
    if (!rc)
        rc = plan_asides(p, err);
    if (!rc && d->coalesced) {
        sync_run_coalesced(d->run, d->coalesced);
        d->coalesced = 0;
    }
    if (!rc && p->given)
        rc = sync_run_turn(d->run, err);
    return rc ? rc : pending_sweep(d->pending, err);
}

static void read_on(struct stream_driver *d)
{
    if (!d->feed || !d->feed_paused || d->paused ||
        pending_count(d->pending) > PENDING_KEYS_MAX / 2 || pending_is_full(d->pending))
        return;
    d->feed_paused = false;
    d->ops->resume(d->feed);
}

static bool may_plan(struct stream_driver *d, int64_t now)
{
    if (d->phase != STREAM_FLOWING || d->paused || !d->feed_flows || !stream_takes(d))
        return false;
    if (d->down && now < d->down_until_ms)
        return false;
    /* Rows of one transaction may exchange their identities, or cancel out. */
    if (d->half && d->half < HALF_MAX && !d->feed_paused)
        return false;
    return (pending_ready(d->pending) || d->coalesced) && !lingers(d, now);
}

void stream_plan(struct stream_driver *d)
{
    struct err err;
    int64_t now = clock_mono_ms();
    if (d->again_ms && now >= d->again_ms) {
        d->again_ms = 0;
        pending_wake_all(d->pending);
    }
    if (!may_plan(d, now))
        return;
    struct plan p = {.d = d, .room = room(d)};
    if (!p.room)
        return;
    if (plan_all(&p, &err)) {
        sync_run_stop(d->run, RUN_STOP_FAIL, err.text);
        return;
    }
    if (d->down && p.planned)
        d->down_until_ms = INT64_MAX; /* until it is known what became of these */
    const char *guard = sync_run_guard(d->run);
    if (guard) {
        char hold[STREAM_WHY_MAX + 1];
        snprintf(hold, sizeof hold, "%.*s", STREAM_WHY_MAX, guard);
        stream_want_read(d, "a guard holds the stream", hold);
        return;
    }
    const char *unclear = sync_run_wants_read(d->run);
    if (unclear) {
        stream_want_read(d, unclear, NULL);
        return;
    }
    if (!d->again_ms && pending_count(d->pending) > pending_ready(d->pending))
        d->again_ms = now + LOOK_AGAIN_MS;
    stream_ask_send(d);
    read_on(d);
}

/* ---- verdicts ---- */

static void note_down(struct stream_driver *d)
{
    uint32_t wait = (uint32_t)DOWN_FIRST_MS << (d->downs < 4 ? d->downs : 4);
    if (wait > DOWN_MOST_MS)
        wait = DOWN_MOST_MS;
    if (!d->down || d->down_until_ms == INT64_MAX)
        d->downs++;
    d->down = true;
    d->down_until_ms = clock_mono_ms() + wait;
    snprintf(d->why, sizeof d->why,
             "records failed and none was accepted since: tried again by and by");
}

static void note_up(struct stream_driver *d)
{
    if (d->down)
        d->why[0] = '\0';
    d->down = false;
    d->downs = 0;
}

/* Nothing can be asked for: the mark stays held until the feed gives it again. One that fails again
 * and again while others are accepted is left to people: it is listed, and let go. */
static void event_failed(struct stream_driver *d, uint64_t mark, struct slice key)
{
    if (!failing_again(&d->failing, key, clock_mono_ms())) {
        d->reopens = true;
        return;
    }
    log_event(d->host.log, LOG_WARN, "event_given_up", LOG_STR("sync", d->sync->name),
              LOG_INT("failures", FAILING_TRIES));
    stream_forget_later(d, mark, key);
    marks_release(d->marks, mark);
}

/* It is asked for again in a while. One that fails again and again while others are accepted is
 * left to the next read of the model. */
static void failed(struct stream_driver *d, uint64_t mark, uint32_t tries, struct slice key)
{
    struct err err;
    struct pending_change c = {.kind = CHANGE_KEY,
                               .key = key,
                               .mark = mark,
                               .tries = tries + !d->down,
                               .since_ms = clock_mono_ms()};
    bool there = true;
    note_down(d);
    if (!d->ask) {
        event_failed(d, mark, key);
        return;
    }
    bool again = c.tries < STREAM_TRIES_MAX &&
                 !pending_put_back(d->pending, &c, NULL, &there, &err) && !there;
    if (!again) {
        marks_release(d->marks, mark);
        return;
    }
    pending_lay_by_key(d->pending, key);
    d->again_ms = clock_mono_ms() + TRY_AGAIN_MS;
}

void stream_driver_settled(struct stream_driver *d, uint64_t mark, uint32_t tries, struct slice key,
                           enum settled_how how)
{
    pending_wake(d->pending, key);
    switch (how) {
    case SETTLED_SENT:
    case SETTLED_REJECTED:
        note_up(d);
        failing_accepted(&d->failing, key);
        stream_forget_later(d, mark, key);
        marks_release(d->marks, mark);
        break;
    case SETTLED_FAILED:
        failed(d, mark, tries, key);
        break;
    case SETTLED_CANCELLED:
        break; /* its run is being stopped: the feed gives it again when the stream is opened anew
                */
    }
    stream_soon(d, 0);
}
