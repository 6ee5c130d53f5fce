/* sluice run, sluice approve: the engine with a progress line and a summary. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/follow.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/progress.h"
#include "scheduler/cli/remote.h"
#include "scheduler/run/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct session {
    bool json;
    bool draws; /* standard error is a terminal */
    bool colour;
    bool head; /* the table's head is printed */
    struct progress progress;
    bool held, failed, rejects;
};

static void on_run(void *ctx, const struct run_record *r, bool recovered)
{
    struct session *s = ctx;
    const struct run_counts *c = &r->counts;
    if (!recovered) { /* what an earlier command left is told, but is not this command's result */
        s->held |= r->status == RUN_HELD;
        s->failed |= r->status == RUN_FAILED || r->status == RUN_CANCELLED;
        s->rejects |= c->rejected + c->failed + c->invalid != 0;
    }
    progress_clear(&s->progress);
    if (s->json) {
        print_run_json(r);
        return;
    }
    if (!s->head)
        print_run_head(stdout);
    s->head = true;
    print_run_row(stdout, r, s->colour);
    print_run_advice(r);
    fflush(stdout);
}

static void on_progress(void *ctx, const struct engine_view *views, size_t count)
{
    struct session *s = ctx;
    if (s->draws)
        progress_draw(&s->progress, views, count);
}

static void on_stopping(void *ctx)
{
    struct session *s = ctx;
    progress_clear(&s->progress);
    fputs("sluice: finishing what is in flight; press Ctrl-C again to stop at once (nothing is "
          "lost either way)\n",
          stderr);
}

static int status_of(const struct session *s)
{
    if (s->failed)
        return EXIT_RUN_FAILED;
    if (s->held)
        return EXIT_HELD;
    return s->rejects ? EXIT_REJECTS : EXIT_OK;
}

int cli_check_rotation(const struct project *p, uint32_t workers)
{
    for (size_t i = 0; i < p->destination_count && workers > 1; i++) {
        const struct destination *d = &p->destinations[i];
        if (!destination_rotates(d) || p->settings.seal_key)
            continue;
        struct err err;
        err_set(&err, ERR_CONFIG,
                "%s:%u:%u: the refresh token of the destination %s changes with each use, and "
                "several workers cannot share it without `settings.seal_key`: set it, or use "
                "--workers 1",
                d->place.file, d->place.line, d->place.col, d->name);
        return cli_fail(&err);
    }
    return EXIT_OK;
}

uint32_t cli_workers_for(const struct project *p, uint32_t asked)
{
    for (size_t i = 0; i < p->destination_count && !p->settings.seal_key && !asked; i++)
        if (destination_rotates(&p->destinations[i]))
            return 1;
    return asked;
}

/* The syncs named on the command line, or all that have something to run. */
static struct engine_ask *ask_for(const struct cli_options *opts, const struct project *p,
                                  size_t *ret_count)
{
    size_t n = opts->name_count ? opts->name_count : p->sync_count;
    struct engine_ask *asks = calloc(n ? n : 1, sizeof *asks);
    *ret_count = 0;
    for (size_t i = 0; i < n && asks; i++) {
        if (!opts->name_count && sync_only_streams(&p->syncs[i]))
            continue;
        struct engine_ask *ask = &asks[(*ret_count)++];
        snprintf(ask->sync, sizeof ask->sync, "%s",
                 opts->name_count ? opts->names[i] : p->syncs[i].name);
        ask->full = opts->full;
        ask->adopt = opts->adopt;
    }
    return asks;
}

static struct engine_ask *ask_approval(const char *run, size_t *ret_count)
{
    struct engine_ask *ask = calloc(1, sizeof *ask);
    *ret_count = 1;
    if (ask) {
        ask->approve = true;
        snprintf(ask->run, sizeof ask->run, "%s", run);
    }
    return ask;
}

struct cli_session {
    struct session s;
    struct log log;
    struct engine_options o;
};

enum err_code cli_session_new(const struct cli_options *opts, const struct project *project,
                              struct cli_session **ret_session, struct engine **ret_engine,
                              struct err *err)
{
    struct cli_session *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(err, ERR_NOMEM, "no memory");
    c->s = (struct session){.json = opts->json,
                            .draws = isatty(STDERR_FILENO) != 0,
                            .colour = isatty(STDOUT_FILENO) != 0};
    c->log = (struct log){.program = "sluice",
                          .level = c->s.draws ? LOG_WARN : LOG_INFO,
                          .fd = STDERR_FILENO,
                          .format = project->settings.log_format};
    progress_init(&c->s.progress);
    c->o = (struct engine_options){
        .project = project,
        .workers = cli_workers_for(project, opts->workers),
        .take_over = opts->take_over,
        .log = &c->log,
        .on_run = on_run,
        .on_progress = on_progress,
        .on_stopping = on_stopping,
        .ctx = &c->s,
    };
    enum err_code rc = engine_new(&c->o, ret_engine, err);
    if (rc)
        free(c);
    else
        *ret_session = c;
    return rc;
}

int cli_session_end(struct cli_session *c, struct engine *e)
{
    if (!c)
        return EXIT_RUN_FAILED;
    engine_free(e);
    progress_clear(&c->s.progress);
    int status = status_of(&c->s);
    free(c);
    return status;
}

static enum err_code run_engine(const struct cli_options *opts, const struct project *project,
                                const struct engine_ask *asks, size_t count, int *ret_status,
                                struct err *err)
{
    struct cli_session *session = NULL;
    struct engine *e = NULL;
    enum err_code rc = cli_session_new(opts, project, &session, &e, err);
    for (size_t i = 0; i < count && !rc; i++) {
        struct engine_ask ask = asks[i];
        rc = engine_ask(e, &ask, err);
    }
    if (!rc)
        rc = engine_loop(e, err);
    *ret_status = cli_session_end(session, e);
    return rc;
}

/* A run by hand is a run like any other's, also of syncs that stream. */
static void say_streams(const struct cli_options *opts, const struct project *p)
{
    const char *first = NULL;
    size_t count = 0, n = opts->name_count ? opts->name_count : p->sync_count;
    for (size_t i = 0; i < n; i++) {
        const struct sync *s = opts->name_count ? project_sync(p, opts->names[i]) : &p->syncs[i];
        if (!s || s->schedule.kind != SCHEDULE_STREAM || sync_only_streams(s))
            continue;
        first = first ? first : s->name;
        count++;
    }
    if (count == 1)
        fprintf(stderr, "sluice: %s streams under `sluice up`; this run reads its model once\n",
                first);
    else if (count > 1)
        fprintf(stderr,
                "sluice: %zu of these syncs stream under `sluice up`; this run reads their models "
                "once\n",
                count);
}

static int carry_out(const struct cli_options *opts, const char *approve)
{
    struct project *project = NULL;
    struct err err = {0};
    size_t count;
    int status = cli_load(opts, &project);
    if (!status)
        status = approve ? EXIT_OK : cli_check_names(opts, project);
    if (!status && remote_is_running(project)) {
        status = approve ? follow_approval(opts, project) : follow_runs(opts, project);
        project_free(project);
        return status;
    }
    if (!status)
        status = cli_check_rotation(project, opts->workers);
    if (!status && !approve && !opts->json)
        say_streams(opts, project);
    if (!status) {
        struct engine_ask *asks =
            approve ? ask_approval(approve, &count) : ask_for(opts, project, &count);
        enum err_code rc = asks ? run_engine(opts, project, asks, count, &status, &err)
                                : err_set(&err, ERR_NOMEM, "no memory");
        if (rc)
            status = cli_fail(&err);
        free(asks);
    }
    project_free(project);
    return status;
}

int command_run(const struct cli_options *opts)
{
    return carry_out(opts, NULL);
}

int command_adopt(const struct cli_options *opts)
{
    struct cli_options o = *opts;
    o.adopt = true;
    return carry_out(&o, NULL);
}

int command_approve(const struct cli_options *opts)
{
    return carry_out(opts, opts->names[0]);
}
