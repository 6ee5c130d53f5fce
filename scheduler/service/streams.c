/* How streams keep their syncs. Reads: the engine's views of streams. Writes: `fresh:SYNC` into
 * state, once a minute. A crash here: a sync is a minute less fresh than it was. */
#include "scheduler/service/service_private.h"

#include "protocol/base/clock.h"

#include <xxhash.h>

enum { LOOK_MS = 500, MOVED_MS = 2000, KEEP_MS = 60000 };

/* ---- freshness ---- */

static void take_fresh(struct control *c, const char *sync, struct sync_memory *m, int64_t fresh_ms)
{
    if (fresh_ms <= m->fresh_ms)
        return;
    m->fresh_ms = fresh_ms;
    if (fresh_ms - m->fresh_kept_ms < KEEP_MS)
        return;
    m->fresh_kept_ms = fresh_ms;
    control_keep_fresh(c, sync, fresh_ms);
}

/* ---- what listeners are told ---- */

static uint64_t digest_of(const struct stream_view *v)
{
    return XXH64(v->why, strlen(v->why), (uint64_t)v->phase);
}

/* Whole seconds: a lag that grows moves on once in each. */
static uint64_t moved_of(const struct stream_view *v)
{
    const uint64_t parts[] = {v->pending,
                              v->in_flight,
                              (uint64_t)(v->waits_ms / 1000),
                              (uint64_t)(v->lag.behind_ms / 1000),
                              (uint64_t)v->lag.bytes,
                              (uint64_t)v->lag.records};
    return XXH64(parts, sizeof parts, 0);
}

static void tell(struct control *c, const char *sync, struct sync_memory *m,
                 const struct stream_view *v, int64_t now)
{
    uint64_t digest = digest_of(v), moved = moved_of(v);
    bool other = digest != m->stream_digest;
    if (!other && (moved == m->stream_moved || now - m->stream_told_ms < MOVED_MS))
        return;
    m->stream_digest = digest;
    m->stream_moved = moved;
    m->stream_told_ms = now;
    events_tell(c, &(struct control_event){.kind = CONTROL_EVENT_SYNC, .name = sync});
}

static void look(struct control *c, size_t i, int64_t now)
{
    const char *sync = c->project->syncs[i].name;
    struct sync_memory *m = &c->syncs[i];
    struct stream_view v;
    if (!engine_stream_look(c->engine, sync, &v)) {
        m->ails_since_ms = 0;
        return;
    }
    if (!stream_ails(&v))
        m->ails_since_ms = 0;
    else if (!m->ails_since_ms)
        m->ails_since_ms = now;
    take_fresh(c, sync, m, stream_fresh_ms(&v, clock_wall_ms()));
    tell(c, sync, m, &v, now);
}

void streams_turn(struct control *c)
{
    int64_t now = clock_mono_ms();
    if (c->streams_looked_ms && now - c->streams_looked_ms < LOOK_MS)
        return;
    c->streams_looked_ms = now;
    for (size_t i = 0; i < c->project->sync_count; i++)
        if (c->project->syncs[i].schedule.kind == SCHEDULE_STREAM)
            look(c, i, now);
}
