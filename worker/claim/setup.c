#include "worker/claim/setup.h"

#include <stdlib.h>

static enum err_code load_project(const char *dir, const struct log *log,
                                  struct project **ret_project, struct inputs *ret_refused,
                                  struct err *err)
{
    struct problem_list problems;
    problem_list_init(&problems);
    enum err_code rc = project_load_worker(dir, ret_project, &problems, err);
    problem_list_log(&problems, log);
    if (rc && ret_refused)
        inputs_move(ret_refused, &problems.inputs);
    problem_list_done(&problems);
    return rc;
}

static enum err_code open_targets(struct setup *s, struct err *err)
{
    s->targets = calloc(s->project->destination_count + 1, sizeof *s->targets);
    if (!s->targets)
        return err_set(err, ERR_NOMEM, "no memory for the destinations");
    for (size_t i = 0; i < s->project->destination_count; i++) {
        const struct destination *d = &s->project->destinations[i];
        struct target *t = &s->targets[s->target_count];
        *t = (struct target){.destination = d, .driver = driver_find(d)};
        if (!t->driver)
            return err_set(err, ERR_CONFIG, "destination %s: connector %s has no driver here",
                           d->name, d->type);
        enum err_code rc = t->driver->open(d, &s->project->settings, &t->state, err);
        if (rc)
            return rc;
        s->target_count++;
    }
    return ERR_OK;
}

enum err_code setup_load(const char *dir, const struct log *log, struct setup **ret_setup,
                         struct inputs *ret_refused, struct err *err)
{
    struct setup *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ERR_NOMEM, "no memory for the project");
    s->refs = 1;
    enum err_code rc = load_project(dir, log, &s->project, ret_refused, err);
    if (!rc) {
        rc = open_targets(s, err);
        if (rc && ret_refused)
            inputs_move(ret_refused, &s->project->inputs);
    }
    if (rc)
        setup_release(s);
    else
        *ret_setup = s;
    return rc;
}

struct setup *setup_hold(struct setup *s)
{
    s->refs++;
    return s;
}

void setup_release(struct setup *s)
{
    if (!s || --s->refs)
        return;
    for (size_t i = 0; i < s->target_count; i++)
        s->targets[i].driver->close(s->targets[i].state);
    free(s->targets);
    if (s->project)
        project_free(s->project);
    free(s);
}

struct target *setup_target(struct setup *s, struct slice destination, struct slice fingerprint)
{
    for (size_t i = 0; i < s->target_count; i++) {
        const struct destination *d = s->targets[i].destination;
        if (slice_eq_str(destination, d->name) && slice_eq_str(fingerprint, d->fingerprint))
            return &s->targets[i];
    }
    return NULL;
}
