/* Reading the model of a stream as a whole. Reads: how the run of that ended. Writes: the stream's
 * memory. Invariant: what was pending before the read began is dropped only when it ended well;
 * what came later is asked for. A crash here: the memory says that the model is to be read. */
#include "scheduler/run/stream_private.h"

#include "protocol/base/clock.h"
#include "scheduler/state/runs.h"

#include <stdio.h>

const char stream_reconcile[] = "reconcile";

/* A hold that an earlier process left still waits; not one of before this read was wanted. */
bool stream_is_held(struct stream_driver *d)
{
    struct run_record r;
    struct err err;
    if (!d->ask || (!*d->memory.reread && d->memory.synced))
        return false;
    if (state_run_last(d->host.state, d->sync->name, &r, &err) || r.status != RUN_HELD ||
        r.started_ms < d->memory.wanted_ms)
        return false;
    snprintf(d->read_run, sizeof d->read_run, "%s", r.id);
    snprintf(d->why, sizeof d->why, "%.*s", STREAM_WHY_MAX, r.reason);
    d->phase = STREAM_HELD;
    return true;
}

/* Cut between two words where it is long; the log has all of it. */
static void put_trigger(const struct stream_driver *d, char out[RUN_TRIGGER_MAX + 1])
{
    static const char cut[] = " \xE2\x80\xA6"; /* an ellipsis */
    int n = snprintf(out, RUN_TRIGGER_MAX + 1, "stream: %s", d->memory.reread);
    if (n <= RUN_TRIGGER_MAX)
        return;
    out[RUN_TRIGGER_MAX + 1 - sizeof cut] = '\0';
    char *space = strrchr(out, ' ');
    memcpy(space, cut, sizeof cut);
}

void stream_reading_turn(struct stream_driver *d)
{
    struct err err;
    char trigger[RUN_TRIGGER_MAX + 1];
    if (*d->read_run || d->run || (d->ask && d->ask_ready && key_ask_busy(d->ask)))
        return;
    if (stream_is_held(d))
        return;
    if (!d->read_ms) {
        d->read_ms = clock_mono_ms();
        d->read_given = stream_given(d);
    }
    if (!stream_sees(d, d->read_given))
        return;
    const char *snapshot = d->feed && d->ops->snapshot ? d->ops->snapshot(d->feed) : NULL;
    put_trigger(d, trigger);
    enum err_code rc =
        d->host.ask_read(d->host.ctx, d->sync, trigger, *d->memory.hold ? d->memory.hold : NULL,
                         snapshot, d->read_run, &err);
    if (rc) {
        d->read_run[0] = '\0';
        d->read_ms = 0;
        stream_rest(d, err.text);
        return;
    }
    snprintf(d->why, sizeof d->why, "the model is read: %.200s", d->memory.reread);
}

/* What came before the read began was in what it read: others saw it. */
static void drop_covered(struct stream_driver *d)
{
    struct pending_change c;
    size_t at = 0;
    pending_wake_all(d->pending);
    while (pending_next(d->pending, &at, &c))
        if (c.last_ms < d->read_ms) {
            marks_release(d->marks, c.mark);
            pending_take(d->pending, at);
        }
}

/* The whole model was read and diffed. */
static void whole(struct stream_driver *d, const struct run_record *r, bool ours)
{
    d->memory.synced = true;
    d->memory.of = stream_digest(d->sync, r->mapping);
    d->memory.read_ms = clock_wall_ms();
    d->memory.reread[0] = d->memory.hold[0] = d->read_run[0] = '\0';
    d->memory.hour = (struct guard_hour){0};
    d->why[0] = '\0';
    d->gave_up = false;
    if (ours && d->ask)
        drop_covered(d);
    stream_remember(d);
}

/* A read that no change asked for finds what the source's changes did not tell. */
static void tell_drift(struct stream_driver *d, const struct run_record *r)
{
    const struct run_counts *c = &r->counts;
    if (strcmp(d->memory.reread, stream_reconcile) != 0)
        return;
    d->drift = (int64_t)(c->added + c->changed + c->removed);
    if (!d->drift)
        return;
    log_event(d->host.log, LOG_WARN, "stream_drift", LOG_STR("sync", d->sync->name),
              LOG_STR("run", r->id), LOG_INT("added", c->added), LOG_INT("changed", c->changed),
              LOG_INT("removed", c->removed));
}

/* What is pending may be older than what a run of the whole model has sent. */
static void out_of_date(struct stream_driver *d)
{
    pending_to_keys(d->pending);
    pending_wake_all(d->pending);
    d->ask_given = stream_given(d);
    if (d->asked && d->asked->count)
        d->asked->stale = true;
}

/* The feed gives what came since. */
static void go_on(struct stream_driver *d)
{
    if (d->columns_stale && d->feed) {
        stream_ask_close(d);
        d->resync_owed = true;
    } else if (d->feed) {
        d->ops->resynced(d->feed);
    }
}

/* Somebody's run, between two of the stream's. */
static void beside_ended(struct stream_driver *d, const struct run_record *r, bool well)
{
    if (well)
        whole(d, r, false);
    d->columns_stale = false; /* looked at when they are described next */
    out_of_date(d);
    go_on(d);
}

static void awaited_ended(struct stream_driver *d, const struct run_record *r, bool well)
{
    bool ours = strcmp(r->id, d->read_run) == 0;
    out_of_date(d);
    if (well) {
        if (ours)
            tell_drift(d, r);
        whole(d, r, ours);
        d->phase = STREAM_OPENING;
        go_on(d);
    } else if (ours && d->phase == STREAM_READING) {
        d->read_run[0] = '\0';
        stream_rest(d, *r->error ? r->error : "the read of the whole model did not end well");
    } else if (ours) {
        snprintf(d->why, sizeof d->why,
                 "the run that was held is over: run the sync to read its model again");
    }
}

void stream_read_ended(struct stream_driver *d, const struct run_record *r)
{
    bool well = r->read_ended && (r->status == RUN_SUCCESS || r->status == RUN_WARNING);
    bool waits = d->phase == STREAM_READING || d->phase == STREAM_HELD;
    /* One that began before may have read what was before the gap. */
    bool counts = waits && r->started_ms >= d->memory.wanted_ms;
    if (!d->ask)
        return;
    if (r->status == RUN_HELD && counts) {
        d->phase = STREAM_HELD;
        snprintf(d->read_run, sizeof d->read_run, "%s", r->id);
        snprintf(d->why, sizeof d->why, "%.*s", STREAM_WHY_MAX, r->reason);
    } else if (r->status != RUN_HELD && waits) {
        awaited_ended(d, r, well && counts);
    } else if (r->status != RUN_HELD) {
        beside_ended(d, r, well);
    }
}
