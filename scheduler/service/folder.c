/* The project folder: read again on a signal, or when it has changed and is watched. Reads: the
 * folder. Invariant: every read is told to the watch, so that it tells of what nobody has read. A
 * crash here: the next start reads the folder as it is. */
#include "scheduler/service/service_private.h"

#include "protocol/watch/watch.h"

#include <signal.h>
#include <stdlib.h>

static const struct control_actor by_signal = {"signal", "admin"};
static const struct control_actor by_watch = {"watch", "admin"};

static void reload(struct control *c, const struct control_actor *who)
{
    struct err err;
    struct control_config config;
    char *problems;
    enum err_code rc = control_reload(c, who, &problems, &err);
    control_config_look(c, &config);
    if (rc)
        log_event(c->opts.log, LOG_ERROR, "reload_refused", LOG_STR("by", who->name),
                  LOG_STR("problems", problems ? problems : err.text));
    else
        log_event(c->opts.log, LOG_INFO, "reloaded", LOG_STR("by", who->name),
                  LOG_STR("revision", config.revision));
    free(problems);
}

void folder_on_sighup(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    reload(arg, &by_signal);
}

static void on_changed(void *ctx)
{
    struct control *c = ctx;
    if (!engine_is_stopping(c->engine))
        reload(c, &by_watch);
}

enum err_code folder_watch(struct control *c, struct err *err)
{
    if (!c->opts.watch)
        return ERR_OK;
    enum err_code rc = watch_new(engine_base(c->engine), c->project->named, &c->project->inputs,
                                 on_changed, c, &c->folder, err);
    if (!rc)
        log_event(c->opts.log, LOG_INFO, "watches", LOG_STR("folder", c->project->named));
    return rc;
}

void folder_loaded(struct control *c, const struct inputs *inputs)
{
    if (c->folder)
        watch_loaded(c->folder, inputs);
}

void control_config_look(const struct control *c, struct control_config *ret)
{
    *ret = (struct control_config){
        .loaded_ms = c->loaded_ms,
        .refused_ms = c->reload_error ? c->refused_ms : 0,
        .watched = c->folder != NULL,
    };
    inputs_revision(&c->project->inputs, ret->revision);
}
