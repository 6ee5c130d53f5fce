#include "scheduler/cli/plan_against.h"

#include "scheduler/run/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum err_code plan_against_load(struct plan_against *a, const struct cli_options *opts,
                                const struct project *project, struct err *err)
{
    struct cli_options other = {.dir = opts->against};
    *a = (struct plan_against){0};
    if (!opts->against)
        return ERR_OK;
    if (cli_load(&other, &a->before)) {
        fprintf(stderr,
                "sluice: the project in %s cannot be compared with: every sync is planned\n",
                opts->against);
        return ERR_OK;
    }
    return comparison_make(a->before, project, &a->changes, err);
}

void plan_against_done(struct plan_against *a)
{
    comparison_done(&a->changes);
    project_free(a->before);
    free(a->unread);
    *a = (struct plan_against){0};
}

bool plan_against_alters(const struct plan_against *a, const char *sync)
{
    const struct sync_change *c = a->before ? comparison_of(&a->changes, sync) : NULL;
    return !a->before || (c && c->alters);
}

static void on_adopted(void *ctx, const struct run_record *r, bool recovered)
{
    struct plan_against *a = ctx;
    (void)recovered;
    if (r->status != RUN_FAILED && r->status != RUN_CANCELLED)
        return;
    struct run_record *all = realloc(a->unread, (a->unread_count + 1) * sizeof *all);
    if (!all)
        return;
    a->unread = all;
    all[a->unread_count++] = *r;
}

static enum err_code ask(struct engine *e, const char *sync, struct err *err)
{
    struct engine_ask one = {.adopt = true};
    snprintf(one.sync, sizeof one.sync, "%s", sync);
    snprintf(one.trigger, sizeof one.trigger, "plan");
    return engine_ask(e, &one, err);
}

enum err_code plan_against_adopt(struct plan_against *a, const char *folder,
                                 bool (*wants)(void *ctx, const char *sync), void *ctx,
                                 const struct log *log, struct err *err)
{
    struct engine *e = NULL;
    struct engine_options o = {
        .project = a->before,
        .offline = true,
        .log = log,
        .on_run = on_adopted,
        .ctx = a,
    };
    a->before->settings.state_dir = folder;
    enum err_code rc = engine_new(&o, &e, err);
    for (size_t i = 0; i < a->before->sync_count && !rc; i++) {
        const struct sync *s = &a->before->syncs[i];
        if (!sync_only_streams(s) && wants(ctx, s->name))
            rc = ask(e, s->name, err);
    }
    if (!rc)
        rc = engine_loop(e, err);
    engine_free(e);
    return rc;
}
