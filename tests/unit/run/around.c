#include "tests/unit/run/around.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STEP_US = 500 };

const struct log around_quiet = {.program = "test", .level = LOG_ERROR + 1, .fd = 2};

void around_turn(struct event_base *base)
{
    struct timeval step = {0, STEP_US};
    event_base_loopexit(base, &step);
    event_base_loop(base, EVLOOP_ONCE);
}

/* ---- the engine ---- */

static bool local_workers_gone(void *ctx, bool own)
{
    (void)ctx, (void)own;
    return true;
}

static bool has_other_workers(void *ctx)
{
    (void)ctx;
    return false;
}

static enum err_code check_term(void *ctx, struct quota *q, const struct queue_opened *o,
                                struct err *err)
{
    (void)ctx, (void)q, (void)o, (void)err;
    return ERR_OK;
}

static void on_quota(void *ctx, struct quota *q)
{
    (void)ctx, (void)q;
}

static void on_results(void *ctx, struct quota *q, const struct queue_result *results, size_t count)
{
    (void)ctx, (void)q, (void)results, (void)count;
}

static void on_stats(void *ctx, struct quota *q, const struct queue_stats *stats)
{
    (void)ctx, (void)q, (void)stats;
}

static enum err_code goes_on(void *ctx, struct quota *q, struct err *err)
{
    (void)ctx, (void)q, (void)err;
    return ERR_OK;
}

struct quota_host around_host(void)
{
    return (struct quota_host){
        .log = &around_quiet,
        .local_workers_gone = local_workers_gone,
        .has_other_workers = has_other_workers,
        .check_term = check_term,
        .on_ready = on_quota,
        .on_lost = on_quota,
        .on_leaves = on_quota,
        .on_results = on_results,
        .on_stats = on_stats,
        .goes_on = goes_on,
    };
}

/* ---- files ---- */

void around_folder(char *dir)
{
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(dir));
}

struct project *around_project(const char *dir, const char *text)
{
    char path[AROUND_PATH_BYTES];
    struct problem_list problems;
    struct project *project;
    struct err err;
    snprintf(path, sizeof path, "%s/sluice.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    problem_list_init(&problems);
    enum err_code rc = project_load(dir, &project, &problems, &err);
    if (rc && problems.count)
        fail_msg("%s", problems.items[0].text);
    check(rc, &err);
    problem_list_done(&problems);
    return project;
}

struct state *around_state(const char *dir, const char *name)
{
    char path[AROUND_PATH_BYTES];
    struct state *state;
    struct err err;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    mkdir(path, 0700);
    check(state_open(path, &(struct state_options){.map_bytes = 16 << 20}, &state, &err), &err);
    return state;
}

void around_remove(const char *dir)
{
    char command[AROUND_PATH_BYTES];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}
