/* sluice runs: what state knows, also beside a run under way. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/print.h"

#include <stdio.h>
#include <unistd.h>

struct listing {
    bool json, colour;
    size_t count;
};

static bool show_run(void *ctx, const struct run_record *r)
{
    struct listing *l = ctx;
    if (l->json) {
        print_run_json(r);
        l->count++;
        return true;
    }
    if (!l->count++)
        print_run_head(stdout);
    print_run_row(stdout, r, l->colour);
    return true;
}

/* Opens the state read-only; ERR_NOTFOUND: no run has ever been made. */
static enum err_code open_state(const struct project *p, struct state **ret, struct err *err)
{
    struct state_options o = {.read_only = true};
    return state_open(p->settings.state_dir, &o, ret, err);
}

int command_runs(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct state *state = NULL;
    struct err err = {0};
    struct listing l = {opts->json, isatty(STDOUT_FILENO) != 0, 0};
    int status = cli_load(opts, &project);
    if (status)
        return status;
    enum err_code rc = open_state(project, &state, &err);
    for (size_t i = 0; i < opts->name_count && !rc; i++)
        rc = state_run_list(state, opts->names[i], opts->limit, show_run, &l, &err);
    if (!rc && !opts->name_count)
        rc = state_run_list(state, NULL, opts->limit, show_run, &l, &err);
    if (rc && rc != ERR_NOTFOUND)
        status = cli_fail(&err);
    else if (!l.count) /* a sync that is no longer in the project may still have runs */
        status = cli_check_names(opts, project);
    if (!status && !l.count && !opts->json)
        puts("no runs yet");
    state_close(state);
    project_free(project);
    return status;
}
