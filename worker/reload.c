/* The project folder: read again on a signal, when it has changed and is watched, and when work
 * waits for another configuration. Reads: the folder. Invariant: the project in use is replaced as
 * a whole or not at all. A crash here: the next start reads the folder as it is. */
#include "worker/engine.h"

#include "protocol/base/clock.h"
#include "protocol/watch/watch.h"

/* What was read, as far as it was. */
static void tell_watch(struct engine *e, const struct inputs *inputs)
{
    if (e->folder)
        watch_loaded(e->folder, inputs);
}

static enum err_code take(struct engine *e, struct setup *fresh, struct err *err)
{
    setup_release(e->setup);
    e->setup = fresh;
    enum err_code listed = engine_servers_follow(e, err);
    enum err_code rc = quota_list_follow(&e->quotas, e->fleet, fresh, err);
    rc = rc ? rc : listed;
    e->loaded_ms = clock_wall_ms();
    e->refused_ms = 0;
    if (!rc && !engine_grow_slots(e))
        rc = err_set(err, ERR_NOMEM, "no memory for more slots");
    return rc;
}

void engine_reload(struct engine *e)
{
    struct setup *fresh;
    struct inputs refused;
    struct err err;
    char revision[INPUTS_REVISION_BYTES];
    inputs_init(&refused);
    e->reloaded_ms = clock_mono_ms();
    enum err_code rc = setup_load(e->setup->project->named, &e->log, &fresh, &refused, &err);
    if (!rc) {
        tell_watch(e, &fresh->project->inputs);
        rc = take(e, fresh, &err);
    } else {
        tell_watch(e, &refused);
        e->refused_ms = e->refused_ms ? e->refused_ms : clock_wall_ms();
    }
    inputs_done(&refused);
    inputs_revision(&e->setup->project->inputs, revision);
    if (rc)
        log_event(&e->log, LOG_ERROR, "reload_failed", LOG_STR("error", err.text),
                  LOG_STR("revision", revision));
    else
        log_event(&e->log, LOG_INFO, "reloaded", LOG_INT("destinations", e->setup->target_count),
                  LOG_STR("revision", revision));
}

static void on_changed(void *ctx)
{
    struct engine *e = ctx;
    if (e->draining)
        return;
    engine_reload(e);
    engine_kick(e);
}

enum err_code engine_watch_folder(struct engine *e, bool on, struct err *err)
{
    const struct project *p = e->setup->project;
    e->loaded_ms = clock_wall_ms();
    if (!on)
        return ERR_OK;
    enum err_code rc = watch_new(e->base, p->named, &p->inputs, on_changed, e, &e->folder, err);
    if (!rc)
        log_event(&e->log, LOG_INFO, "watches", LOG_STR("folder", p->named));
    return rc;
}
