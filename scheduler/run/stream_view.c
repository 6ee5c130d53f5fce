/* A stream as people see it. Reads: the driver. Writes: its samples of marks over time, from which
 * follows how long the oldest change has waited. */
#include "scheduler/run/stream_private.h"

#include "protocol/base/clock.h"
#include "scheduler/state/state.h"
#include "scheduler/stream/slots.h"
#include "scheduler/state/part.h"

#include <stdio.h>

enum { SAMPLE_MS = 250, GAVE_UP_MS = 15000 };

void stream_sample(struct stream_driver *d)
{
    int64_t now = clock_mono_ms();
    size_t last = (d->sample_next + STREAM_SAMPLES - 1) % STREAM_SAMPLES;
    if (d->sample_count && now - d->samples[last].ms < SAMPLE_MS)
        return;
    d->samples[d->sample_next] = (struct stream_sample){marks_open(d->marks), now};
    d->sample_next = (d->sample_next + 1) % STREAM_SAMPLES;
    if (d->sample_count < STREAM_SAMPLES)
        d->sample_count++;
}

static int64_t waits_ms(const struct stream_driver *d)
{
    uint64_t first = marks_first(d->marks);
    int64_t since = 0;
    if (!marks_held(d->marks))
        return 0;
    for (size_t i = 0; i < d->sample_count; i++) {
        size_t at = (d->sample_next + STREAM_SAMPLES - d->sample_count + i) % STREAM_SAMPLES;
        if (d->samples[at].mark > first)
            break;
        since = d->samples[at].ms;
    }
    if (!since && d->sample_count)
        since = d->samples[(d->sample_next + STREAM_SAMPLES - d->sample_count) % STREAM_SAMPLES].ms;
    return since ? clock_mono_ms() - since : 0;
}

/* A small model is read in no time: it is told for a while all the same. */
static bool gave_up(const struct stream_driver *d)
{
    return d->gave_up || (d->gave_up_ms && clock_mono_ms() - d->gave_up_ms < GAVE_UP_MS);
}

void stream_driver_look(const struct stream_driver *d, struct stream_view *ret)
{
    const struct schedule_stream *s = &d->sync->schedule.stream;
    *ret = (struct stream_view){
        .phase = d->paused && d->phase == STREAM_FLOWING ? STREAM_PAUSED : d->phase,
        .lag = {.behind_ms = -1, .bytes = -1, .records = -1},
        .pending = pending_count(d->pending),
        .in_flight = d->run ? sync_run_in_flight(d->run) : 0,
        .waits_ms = waits_ms(d),
        .drift = d->drift,
        .gave_up = gave_up(d),
        .since_ms = d->flows_since_ms,
        .reconcile_ms =
            s->reconcile_ms && d->memory.read_ms ? d->memory.read_ms + (int64_t)s->reconcile_ms : 0,
    };
    snprintf(ret->why, sizeof ret->why, "%s", d->why);
    if (d->feed)
        d->ops->lag(d->feed, &ret->lag);
    if (ret->lag.records < 0) /* the source cannot count: what is known of, then */
        ret->lag.records = (int64_t)(ret->pending + ret->in_flight);
    if (s->from == STREAM_CDC || s->from == STREAM_KEYS) {
        struct slot_names names;
        char origin[STATE_ID_BYTES];
        struct err none;
        if (state_sync_origin(d->host.state, d->sync->name, origin, &none))
            return;
        slot_names_of(d->sync, origin, &names);
        snprintf(ret->slot, sizeof ret->slot, "%s", names.slot);
        snprintf(ret->publication, sizeof ret->publication, "%s", names.publication);
    }
}
