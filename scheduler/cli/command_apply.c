/* sluice apply: sends exactly what `sluice plan -o` planned. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/follow.h"
#include "scheduler/cli/remote.h"
#include "scheduler/plan/plan.h"
#include "scheduler/run/engine.h"

#include <event2/event.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static enum err_code read_file(const char *path, json_t **ret, struct err *err)
{
    json_error_t bad;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &bad);
    if (!file)
        return err_set(err, ERR_USAGE, "%s: %s", path, bad.text);
    if (json_integer_value(json_object_get(file, "sluice_plan")) != PLAN_FILE_VERSION ||
        !json_is_array(json_object_get(file, "runs"))) {
        json_decref(file);
        return err_set(err, ERR_USAGE, "%s is no plan of this version: sluice plan -o makes one",
                       path);
    }
    *ret = file;
    return ERR_OK;
}

/* The spool that would be sent is the one that was planned. */
static enum err_code check_planned(const struct project *p, struct event_base *base,
                                   struct state *state, const char *id, const char *digest,
                                   struct err *err)
{
    struct run_record r;
    struct plan plan = {0};
    char path[PATH_MAX];
    enum err_code rc = state_run_get(state, id, &r, err);
    if (rc == ERR_NOTFOUND)
        return err_set(err, ERR_USAGE, "run %s of the plan is not known here: plan again", id);
    if (!rc && r.status != RUN_HELD)
        return err_set(err, ERR_USAGE, "run %s of the plan is %s by now: plan again", id,
                       run_status_name(r.status));
    if (rc)
        return rc;
    snprintf(path, sizeof path, "%s/%s", p->settings.state_dir, r.spool);
    rc = plan_read(base, path, NULL, 0, &plan, err);
    if (!rc && strcmp(plan.digest, digest) != 0)
        rc = err_set(err, ERR_USAGE, "what run %s would send is not what was planned: plan again",
                     id);
    plan_done(&plan);
    return rc;
}

static enum err_code take_run(json_t *run, const char **ret_id, const char **ret_digest,
                              struct err *err)
{
    *ret_id = json_string_value(json_object_get(run, "run"));
    *ret_digest = json_string_value(json_object_get(run, "digest"));
    return *ret_id && *ret_digest && strlen(*ret_id) <= STATE_RUN_ID_MAX
               ? ERR_OK
               : err_set(err, ERR_USAGE, "the plan is damaged: plan again");
}

static enum err_code apply_here(const struct cli_options *opts, const struct project *project,
                                json_t *runs, int *ret_status, struct err *err)
{
    struct cli_session *session = NULL;
    struct engine *e = NULL;
    enum err_code rc = cli_session_new(opts, project, &session, &e, err);
    for (size_t i = 0; i < json_array_size(runs) && !rc; i++) {
        const char *id, *digest;
        struct engine_ask a = {.approve = true};
        rc = take_run(json_array_get(runs, i), &id, &digest, err);
        if (rc)
            break;
        snprintf(a.run, sizeof a.run, "%s", id);
        snprintf(a.trigger, sizeof a.trigger, "apply");
        rc = check_planned(project, engine_base(e), engine_state(e), id, digest, err);
        if (!rc)
            rc = engine_ask(e, &a, err);
    }
    if (!rc)
        rc = engine_loop(e, err);
    *ret_status = cli_session_end(session, e);
    return rc;
}

static enum err_code check_all(const struct project *project, json_t *runs, const char **ids,
                               struct err *err)
{
    struct state_options o = {.read_only = true};
    struct state *state = NULL;
    struct event_base *base = event_base_new();
    enum err_code rc = base ? state_open(project->settings.state_dir, &o, &state, err)
                            : err_set(err, ERR_NOMEM, "no memory for a plan");
    for (size_t i = 0; i < json_array_size(runs) && !rc; i++) {
        const char *digest;
        rc = take_run(json_array_get(runs, i), &ids[i], &digest, err);
        if (!rc)
            rc = check_planned(project, base, state, ids[i], digest, err);
    }
    state_close(state);
    if (base)
        event_base_free(base);
    return rc;
}

/* By the scheduler that runs. */
static enum err_code apply_remotely(const struct cli_options *opts, const struct project *project,
                                    json_t *runs, int *ret_status, struct err *err)
{
    size_t n = json_array_size(runs);
    const char **ids = calloc(n + 1, sizeof *ids);
    enum err_code rc =
        ids ? check_all(project, runs, ids, err) : err_set(err, ERR_NOMEM, "no memory for a plan");
    if (!rc)
        *ret_status = follow_approvals(opts, project, ids, n);
    free(ids);
    return rc;
}

static enum err_code apply_runs(const struct cli_options *opts, const struct project *project,
                                json_t *runs, int *ret_status, struct err *err)
{
    return remote_is_running(project) ? apply_remotely(opts, project, runs, ret_status, err)
                                      : apply_here(opts, project, runs, ret_status, err);
}

int command_apply(const struct cli_options *opts)
{
    struct project *project = NULL;
    json_t *file = NULL;
    struct err err = {0};
    int status = cli_load(opts, &project);
    if (!status) {
        enum err_code rc = read_file(opts->names[0], &file, &err);
        if (!rc)
            rc = apply_runs(opts, project, json_object_get(file, "runs"), &status, &err);
        if (rc)
            status = cli_fail(&err);
    }
    json_decref(file);
    project_free(project);
    return status;
}
