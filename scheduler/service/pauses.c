/* Pauses of syncs and destinations. Writes: state (`pause:sync:NAME`, `pause:destination:NAME`),
 * then Redis, where workers see them. Invariant: what state holds is told to every quota before
 * anything is published to it. A crash here: the next start tells it again. */
#include "scheduler/service/service_private.h"

#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"

#include <stdio.h>

enum { PAUSE_NAME_BYTES = STATE_NAME_MAX + 32 };
static const char sync_prefix[] = "pause:sync:", destination_prefix[] = "pause:destination:";

static bool take_sync(void *ctx, const char *name, struct slice value)
{
    struct control *c = ctx;
    int i = control_sync_index(c, name + sizeof sync_prefix - 1);
    (void)value;
    if (i >= 0)
        c->syncs[i].paused = true;
    return true;
}

static bool take_destination(void *ctx, const char *name, struct slice value)
{
    struct control *c = ctx;
    int i = control_destination_index(c, name + sizeof destination_prefix - 1);
    (void)value;
    if (i >= 0)
        c->destinations[i].paused = true;
    return true;
}

static void block(struct control *c)
{
    for (size_t i = 0; i < c->project->sync_count; i++) {
        const struct sync *s = &c->project->syncs[i];
        int d = control_destination_index(c, s->destination->name);
        schedule_block(c->table, s->name, SCHEDULE_BLOCK_PAUSED, c->syncs[i].paused);
        schedule_block(c->table, s->name, SCHEDULE_BLOCK_DESTINATION_PAUSED,
                       d >= 0 && c->destinations[d].paused);
    }
}

enum err_code pauses_load(struct control *c, struct err *err)
{
    enum err_code rc = state_misc_list(c->state, sync_prefix, take_sync, c, err);
    if (!rc)
        rc = state_misc_list(c->state, destination_prefix, take_destination, c, err);
    if (!rc)
        block(c);
    return rc;
}

/* ---- telling Redis ---- */

enum { TELL_AGAIN_MS = 1000 };

static void not_told(struct control *c, const struct err *err)
{
    control_complain(c, "pause_not_told", err);
    c->tell_again_ms = clock_mono_ms() + TELL_AGAIN_MS;
}

static void on_told(void *ctx, int64_t number, const struct err *err)
{
    (void)number;
    if (err)
        not_told(ctx, err);
}

static void tell(struct control *c, struct quota *q, enum queue_control what, const char *name)
{
    struct err err;
    if (queue_control(quota_queue(q), quota_epoch(q), what, name, on_told, c, &err))
        not_told(c, &err);
}

/* A new epoch knows of none. */
void pauses_apply(struct control *c, struct quota *q)
{
    for (size_t i = 0; i < c->project->destination_count; i++) {
        const struct destination *d = &c->project->destinations[i];
        if (c->destinations[i].paused && strcmp(d->quota, quota_name(q)) == 0)
            tell(c, q, QUEUE_PAUSE_DESTINATION, d->name);
    }
    for (size_t i = 0; i < c->project->sync_count; i++) {
        const struct sync *s = &c->project->syncs[i];
        if (c->syncs[i].paused && strcmp(s->destination->quota, quota_name(q)) == 0)
            tell(c, q, QUEUE_PAUSE_SYNC, s->name);
    }
}

static void wake(struct control *c, struct quota *q)
{
    struct err err;
    if (queue_wake(quota_queue(q), &err))
        control_complain(c, "wake_failed", &err);
}

/* Nobody knows which of them Redis heard: all are told again. */
void pauses_turn(struct control *c)
{
    if (!c->tell_again_ms || clock_mono_ms() < c->tell_again_ms)
        return;
    c->tell_again_ms = 0;
    for (size_t i = 0; i < c->project->sync_count; i++) {
        const struct sync *s = &c->project->syncs[i];
        struct quota *q = engine_quota_of(c->engine, s->destination);
        if (q && quota_is_ready(q))
            tell(c, q, c->syncs[i].paused ? QUEUE_PAUSE_SYNC : QUEUE_RESUME_SYNC, s->name);
    }
    for (size_t i = 0; i < c->project->destination_count; i++) {
        const struct destination *d = &c->project->destinations[i];
        struct quota *q = engine_quota_of(c->engine, d);
        if (!q || !quota_is_ready(q))
            continue;
        tell(c, q, c->destinations[i].paused ? QUEUE_PAUSE_DESTINATION : QUEUE_RESUME_DESTINATION,
             d->name);
        wake(c, q);
    }
}

static void tell_and_wake(struct control *c, const struct destination *d, enum queue_control what,
                          const char *name)
{
    struct quota *q = engine_quota_of(c->engine, d);
    if (!q || !quota_is_ready(q))
        return; /* told when it is */
    tell(c, q, what, name);
    if (what == QUEUE_RESUME_SYNC || what == QUEUE_RESUME_DESTINATION)
        wake(c, q);
}

/* ---- asking ---- */

static enum err_code keep(struct control *c, const char *prefix, const char *name, bool paused,
                          struct err *err)
{
    char key[PAUSE_NAME_BYTES];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    enum err_code rc =
        state_misc_put(c->state, key, paused ? SLICE_LIT("-") : (struct slice){0}, err);
    return rc ? rc : engine_commit(c->engine, err);
}

static enum err_code pause_sync(struct control *c, const char *sync, bool paused, struct err *err)
{
    int i = control_sync_index(c, sync);
    if (i < 0)
        return control_no_sync(c, sync, err);
    enum err_code rc = keep(c, sync_prefix, sync, paused, err);
    if (rc)
        return rc;
    c->syncs[i].paused = paused;
    block(c);
    tell_and_wake(c, c->project->syncs[i].destination,
                  paused ? QUEUE_PAUSE_SYNC : QUEUE_RESUME_SYNC, sync);
    events_tell(c, &(struct control_event){.kind = CONTROL_EVENT_SYNC, .name = sync});
    return ERR_OK;
}

static enum err_code pause_destination(struct control *c, const char *name, bool paused,
                                       struct err *err)
{
    int i = control_destination_index(c, name);
    if (i < 0)
        return err_set(err, ERR_NOTFOUND, "there is no destination %s", name);
    enum err_code rc = keep(c, destination_prefix, name, paused, err);
    if (rc)
        return rc;
    c->destinations[i].paused = paused;
    block(c);
    tell_and_wake(c, &c->project->destinations[i],
                  paused ? QUEUE_PAUSE_DESTINATION : QUEUE_RESUME_DESTINATION, name);
    events_tell(c, &(struct control_event){.kind = CONTROL_EVENT_DESTINATION, .name = name});
    return ERR_OK;
}

enum err_code control_pause_sync(struct control *c, const struct control_actor *who,
                                 const char *sync, bool paused, struct err *err)
{
    enum err_code rc = pause_sync(c, sync, paused, err);
    audit_write(c, who, paused ? "pause" : "resume", sync, rc ? err : NULL);
    return rc;
}

enum err_code control_pause_destination(struct control *c, const struct control_actor *who,
                                        const char *destination, bool paused, struct err *err)
{
    enum err_code rc = pause_destination(c, destination, paused, err);
    audit_write(c, who, paused ? "pause destination" : "resume destination", destination,
                rc ? err : NULL);
    return rc;
}

bool control_destination_paused(const struct control *c, const char *destination)
{
    int i = control_destination_index(c, destination);
    return i >= 0 && c->destinations[i].paused;
}
