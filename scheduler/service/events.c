/* Listeners and what they are told. Reads: the engine's views. Invariant: a run that moves is told
 * at most twice a second, its beginning, its change of phase and its end always. */
#include "scheduler/service/service_private.h"

#include "protocol/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUN_EVENT_MS = 500 };

void events_tell(struct control *c, const struct control_event *event)
{
    for (size_t i = 0; i < c->listener_count; i++)
        c->listeners[i].cb(c->listeners[i].ctx, event);
}

void events_run(struct control *c, const struct run_record *r, bool ended)
{
    events_tell(c, &(struct control_event){
                       .kind = CONTROL_EVENT_RUN, .name = r->id, .record = r, .ended = ended});
}

static uint64_t sum_of(const struct run_counts *n)
{
    return n->rows + n->planned + n->succeeded + n->rejected + n->failed + n->cancelled +
           n->requests + n->retries;
}

static struct told_run *told_of(struct control *c, const char *id)
{
    for (size_t i = 0; i < c->told_count; i++)
        if (strcmp(c->told[i].id, id) == 0)
            return &c->told[i];
    struct told_run *told = realloc(c->told, (c->told_count + 1) * sizeof *told);
    if (!told)
        return NULL;
    c->told = told;
    told = &told[c->told_count++];
    *told = (struct told_run){.time_ms = -RUN_EVENT_MS};
    snprintf(told->id, sizeof told->id, "%s", id);
    return told;
}

static void turn_run(struct control *c, const struct engine_view *v, int64_t now)
{
    struct told_run *told = told_of(c, v->record->id);
    if (!told)
        return;
    told->seen = true;
    enum control_phase phase = control_phase_of(v);
    uint64_t moved = sum_of(&v->record->counts);
    if (phase == told->phase && (moved == told->moved || now - told->time_ms < RUN_EVENT_MS))
        return;
    told->phase = phase;
    told->moved = moved;
    told->time_ms = now;
    events_run(c, v->record, false);
}

static void turn_destinations(struct control *c)
{
    for (size_t i = 0; i < c->project->destination_count; i++) {
        const struct destination *d = &c->project->destinations[i];
        struct quota *q = engine_quota_of(c->engine, d);
        bool throttled = q && quota_summary(q)->throttled_left_ms > 0;
        if (throttled == c->destinations[i].throttled)
            continue;
        c->destinations[i].throttled = throttled;
        events_tell(c, &(struct control_event){.kind = CONTROL_EVENT_DESTINATION, .name = d->name});
    }
}

static void turn_syncs(struct control *c)
{
    for (size_t i = 0; i < c->project->sync_count; i++) {
        const char *name = c->project->syncs[i].name;
        int64_t next = schedule_next_ms(c->table, name);
        if (next == c->syncs[i].next_ms)
            continue;
        c->syncs[i].next_ms = next;
        events_tell(c, &(struct control_event){.kind = CONTROL_EVENT_SYNC, .name = name});
    }
}

void events_turn(struct control *c, const struct engine_view *views, size_t count)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < c->told_count; i++)
        c->told[i].seen = false;
    for (size_t i = 0; i < count; i++)
        if (!views[i].ended)
            turn_run(c, &views[i], now);
    for (size_t i = 0; i < c->told_count;)
        if (c->told[i].seen)
            i++;
        else
            c->told[i] = c->told[--c->told_count];
    turn_destinations(c);
    turn_syncs(c);
}

void events_free(struct control *c)
{
    free(c->told);
}

enum err_code control_listen(struct control *c, control_event_cb cb, void *ctx, struct err *err)
{
    if (c->listener_count == LISTENERS_MAX)
        return err_set(err, ERR_FULL, "too many listeners");
    c->listeners[c->listener_count++] = (struct listener){cb, ctx};
    return ERR_OK;
}

void control_unlisten(struct control *c, control_event_cb cb, void *ctx)
{
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listeners[i].cb == cb && c->listeners[i].ctx == ctx) {
            memmove(&c->listeners[i], &c->listeners[i + 1],
                    (--c->listener_count - i) * sizeof *c->listeners);
            return;
        }
}
