/* Reads: the control's view of a sync, its last runs, what was told. Writes: when a sync was first
 * seen. */
#include "scheduler/report/standing.h"

#include "protocol/base/clock.h"

#include <stdio.h>

enum {
    LAST_RUNS = 50,  /* looked through for the last that succeeded or failed */
    AILS_MS = 60000, /* a stream that does not flow for longer has failed */
};

/* ---- runs ---- */

static void take_run(struct standing *s, const struct run_record *r)
{
    const struct run_counts *c = &r->counts;
    snprintf(s->run, sizeof s->run, "%s", r->id);
    if (r->status == RUN_FAILED)
        s->failed = true;
    if (r->status != RUN_SUCCESS && r->status != RUN_WARNING)
        return;
    s->failed = run_reached_nobody(r);
    s->bad = c->rejected + c->failed + c->invalid;
    s->of = c->planned + c->invalid;
}

/* What was planned only to be looked at is no news. */
static bool is_news(const struct run_record *r)
{
    return r->status == RUN_SUCCESS || r->status == RUN_WARNING || r->status == RUN_FAILED ||
           (r->status == RUN_HELD && !r->plan);
}

void standing_run(struct standing *s, const struct run_record *r)
{
    if (is_news(r))
        take_run(s, r);
}

/* Newest first: the first that tells how the sync stands, and the newest of all for the message. */
static bool take_last(void *ctx, const struct run_record *r)
{
    struct standing *s = ctx;
    if (!is_news(r))
        return true;
    char newest[sizeof s->run];
    memcpy(newest, s->run, sizeof newest);
    take_run(s, r);
    if (newest[0])
        memcpy(s->run, newest, sizeof newest);
    return r->status == RUN_HELD;
}

/* ---- as it is now ---- */

/* A sync that never was up to date has been late since it was first seen. */
static bool is_late(const struct standing *s, bool paused, int64_t now_ms)
{
    int64_t since_ms = s->fresh_ms ? s->fresh_ms : s->told.since_ms;
    if (!s->sync->freshness_ms || (paused && !s->late))
        return false;
    return now_ms - since_ms > (int64_t)s->sync->freshness_ms;
}

/* Until it flows again, also over a restart and while it reads the model. */
static void look_at_flow(struct standing *s, const struct control_sync_view *v)
{
    if (v->stream.phase == STREAM_READING)
        return;
    bool ails = stream_ails(&v->stream);
    s->rests = ails && (s->rests || v->ails_ms >= AILS_MS);
    snprintf(s->why, sizeof s->why, "%s",
             *v->stream.why ? v->stream.why : "its source is not reached");
}

/* It ends well below where it began, so that a lag around it is told once. */
static void look_at_slot(struct standing *s, const struct stream_view *v)
{
    int64_t most = (int64_t)s->sync->schedule.stream.max_slot_bytes, held = v->lag.bytes;
    s->gave_up = v->gave_up;
    if (!*v->slot)
        s->lags = false;
    if (!*v->slot || held < 0)
        return;
    s->lags = held > (s->lags ? most / 4 : most / 2);
    snprintf(
        s->slot, sizeof s->slot,
        "The slot %s holds back %.1f GB of the warehouse's log; past %.1f GB (max_slot_lag) it "
        "is given up, and the model read anew.",
        v->slot, (double)held / 1e9, (double)most / 1e9);
}

void standing_look(struct standing *s, const struct control *c, int64_t now_ms)
{
    struct control_sync_view view;
    struct err err;
    if (control_sync_look(c, s->sync->name, &view, &err))
        return;
    s->held = view.held;
    s->fresh_ms = view.fresh_ms;
    s->late = is_late(s, view.paused, now_ms);
    if (!view.streams)
        return;
    look_at_flow(s, &view);
    look_at_slot(s, &view.stream);
}

/* ---- what there is to tell ---- */

static bool is_above(const struct guard_limit *limit, const struct standing *s)
{
    if (!limit->set)
        return s->bad > 0;
    double most = limit->percent ? limit->value * (double)s->of / 100 : limit->value;
    return (double)s->bad > most;
}

unsigned standing_bits(const struct standing *s, const struct guard_limit *warning_above)
{
    return (s->failed || s->rests ? ALERT_ON_FAILED : 0) | (s->held ? ALERT_ON_HELD : 0) |
           (s->late || s->lags ? ALERT_ON_LATE : 0) |
           (s->gave_up || is_above(warning_above, s) ? ALERT_ON_WARNING : 0);
}

const char *standing_why(const struct standing *s, enum alert_on what)
{
    if (what == ALERT_ON_FAILED && s->rests)
        return s->why;
    if (what == ALERT_ON_LATE && s->lags)
        return s->slot;
    if (what == ALERT_ON_WARNING && s->gave_up)
        return "Its slot was given up for what it held back of the warehouse's log. The model is "
               "read anew: nothing is lost by that.";
    return NULL;
}

/* ---- life ---- */

/* What was told of a stream stands until it is seen to flow. */
static void take_told(struct standing *s)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < s->told.count; i++)
        bits |= s->told.by[i].bits;
    if (s->sync->schedule.kind != SCHEDULE_STREAM)
        return;
    s->rests = bits & ALERT_ON_FAILED;
    s->lags = bits & ALERT_ON_LATE;
    s->gave_up = bits & ALERT_ON_WARNING;
}

enum err_code standing_init(struct standing *s, struct control *c, const struct sync *sync,
                            struct err *err)
{
    *s = (struct standing){.sync = sync};
    enum err_code rc = told_load(control_state(c), sync->name, &s->told, err);
    if (rc)
        return rc;
    told_keep(&s->told, control_project(c));
    take_told(s);
    if (!s->told.since_ms) {
        s->told.since_ms = clock_wall_ms();
        rc = told_put(control_state(c), sync->name, &s->told, err);
    }
    return rc ? rc : state_run_list(control_state(c), sync->name, LAST_RUNS, take_last, s, err);
}

void standing_done(struct standing *s)
{
    told_done(&s->told);
}
