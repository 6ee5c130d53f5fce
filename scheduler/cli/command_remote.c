/* sluice pause, resume, cancel, reject, reload: what only a scheduler that runs can be asked. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/remote.h"

#include <stdio.h>
#include <stdlib.h>

static void print_json(const json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    if (text)
        puts(text);
    free(text);
}

/* Whoever runs has a project that is right, whatever the folder holds by now; where nobody does,
 * the folder's own mistakes come first. */
static int load(const struct cli_options *opts, struct project **ret_project)
{
    int status = cli_load_settings(opts, ret_project);
    if (status || remote_is_running(*ret_project))
        return status;
    project_free(*ret_project);
    *ret_project = NULL;
    return cli_load(opts, ret_project);
}

/* Posts nothing to before + name + rest, and prints what came of it: said is for people. */
static int tell(const struct cli_options *opts, const struct project *project, const char *path,
                const char *name, const char *said)
{
    struct err err;
    json_t *answer = NULL;
    enum err_code rc = remote_post(project, path, NULL, &answer, &err);
    if (!rc && opts->json)
        print_json(answer);
    else if (!rc)
        printf("%s %s\n", name, said);
    json_decref(answer);
    return rc ? cli_fail(&err) : EXIT_OK;
}

static int set_paused(const struct cli_options *opts, const char *action, const char *said)
{
    struct project *project = NULL;
    char path[REMOTE_PATH_MAX], rest[16];
    if (!opts->name_count && !opts->destination) {
        fprintf(stderr, "sluice: %s needs the name of a sync, or --destination NAME\n", action);
        return EXIT_USAGE;
    }
    int status = load(opts, &project);
    snprintf(rest, sizeof rest, "/%s", action);
    for (size_t i = 0; i < opts->name_count && !status; i++)
        status = tell(opts, project, remote_path(path, "/api/v1/syncs/", opts->names[i], rest),
                      opts->names[i], said);
    if (opts->destination && !status)
        status =
            tell(opts, project, remote_path(path, "/api/v1/destinations/", opts->destination, rest),
                 opts->destination, said);
    project_free(project);
    return status;
}

int command_pause(const struct cli_options *opts)
{
    return set_paused(opts, "pause", "is paused: nothing is sent until sluice resume");
}

int command_resume(const struct cli_options *opts)
{
    return set_paused(opts, "resume", "goes on");
}

static int tell_run(const struct cli_options *opts, const char *rest, const char *said)
{
    struct project *project = NULL;
    char path[REMOTE_PATH_MAX];
    int status = load(opts, &project);
    if (!status)
        status = tell(opts, project, remote_path(path, "/api/v1/runs/", opts->names[0], rest),
                      opts->names[0], said);
    project_free(project);
    return status;
}

int command_cancel(const struct cli_options *opts)
{
    return tell_run(opts, "/cancel",
                    "is being cancelled: what is not sent is found again by the next run");
}

int command_reject(const struct cli_options *opts)
{
    return tell_run(opts, "/reject", "is dropped: nothing of it is sent");
}

int command_reload(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct err err;
    json_t *answer = NULL, *problem;
    size_t i;
    int status = load(opts, &project);
    if (status)
        return status;
    enum err_code rc = remote_post(project, "/api/v1/reload", NULL, &answer, &err);
    if (opts->json)
        print_json(answer);
    else if (!rc)
        puts("the scheduler has taken the project folder as it is now");
    json_array_foreach(json_object_get(json_object_get(answer, "error"), "problems"), i, problem)
        fprintf(stderr, "%s\n", json_string_value(problem));
    json_decref(answer);
    project_free(project);
    return rc ? cli_fail(&err) : EXIT_OK;
}
