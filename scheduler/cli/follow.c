#include "scheduler/cli/follow.h"

#include "scheduler/cli/print.h"
#include "scheduler/cli/remote.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_MS = 500 };

struct followed {
    char id[STATE_RUN_ID_MAX + 1];
    char sync[STATE_NAME_MAX + 1];
    bool over;
};

struct follow {
    const struct cli_options *opts;
    const struct project *project;
    struct followed *runs;
    size_t count;
    size_t over;
    bool head; /* the table's head is printed */
    bool held, failed, rejects;
    void (*on_run)(void *ctx, const struct run_record *r); /* NULL: they are printed */
    void *ctx;
};

/* ---- a run as the API tells it ---- */

static uint64_t count_of(const json_t *j, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(j, name));
}

static void text_of(const json_t *j, const char *name, char *out, size_t n)
{
    const char *text = json_string_value(json_object_get(j, name));
    snprintf(out, n, "%s", text ? text : "");
}

/* 2026-11-28T20:00:00.123Z; 0: none. */
static int64_t time_of(const char *text)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    int ms = 0;
    if (!rest || sscanf(rest, ".%3dZ", &ms) != 1)
        return 0;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static void read_counts(const json_t *j, struct run_record *r)
{
    const json_t *counts = json_object_get(j, "counts");
    struct run_counts *c = &r->counts;
    for (size_t i = 0; i < RUN_COUNTS_TOLD; i++)
        *run_count_at(c, i) = count_of(counts, run_count_name(i));
    c->requests = count_of(j, "requests");
    c->retries = count_of(j, "retries");
    c->bytes = count_of(j, "bytes");
    c->warnings = count_of(j, "warnings");
}

static void read_run(const json_t *j, struct run_record *r)
{
    char status[16];
    *r = (struct run_record){.status = RUN_FAILED};
    text_of(j, "id", r->id, sizeof r->id);
    text_of(j, "sync", r->sync, sizeof r->sync);
    text_of(j, "error", r->error, sizeof r->error);
    text_of(j, "reason", r->reason, sizeof r->reason);
    text_of(j, "warning", r->warning, sizeof r->warning);
    text_of(j, "status", status, sizeof status);
    r->plan = json_is_true(json_object_get(j, "plan"));
    for (int i = RUN_READING; i <= RUN_SUPERSEDED; i++)
        if (strcmp(status, run_status_name((enum run_status)i)) == 0)
            r->status = (enum run_status)i;
    r->duration_ms = (uint64_t)(json_number_value(json_object_get(j, "seconds")) * 1000);
    r->started_ms = time_of(json_string_value(json_object_get(j, "started_at")));
    read_counts(j, r);
}

/* ---- following ---- */

static void show(struct follow *f, const struct run_record *r)
{
    const struct run_counts *c = &r->counts;
    f->held |= r->status == RUN_HELD;
    f->failed |= r->status == RUN_FAILED || r->status == RUN_CANCELLED;
    f->rejects |= c->rejected + c->failed + c->invalid != 0;
    if (f->on_run) {
        f->on_run(f->ctx, r);
        return;
    }
    if (f->opts->json) {
        print_run_json(r);
        return;
    }
    if (!f->head)
        print_run_head(stdout);
    f->head = true;
    print_run_row(stdout, r, isatty(STDOUT_FILENO) != 0);
    print_run_advice(r);
    fflush(stdout);
}

static void take_run(struct follow *f, const json_t *run)
{
    const char *phase = json_string_value(json_object_get(run, "phase"));
    struct run_record r;
    read_run(run, &r);
    bool idle = strcmp(phase ? phase : "", "idle") == 0; /* a held one that is approved is not */
    if (!run_status_ended(r.status) && (r.status != RUN_HELD || !idle))
        return;
    for (size_t i = 0; i < f->count; i++)
        if (!f->runs[i].over && strcmp(f->runs[i].id, r.id) == 0) {
            f->runs[i].over = true;
            f->over++;
            show(f, &r);
        }
}

/* How those that are under way stand now; sync NULL: of all syncs. */
static void look(struct follow *f, const char *sync)
{
    for (size_t i = 0; i < f->count; i++) {
        char path[REMOTE_PATH_MAX];
        json_t *run = NULL;
        struct err err;
        if (f->runs[i].over || (sync && strcmp(sync, f->runs[i].sync) != 0))
            continue;
        enum err_code rc = remote_get(
            f->project, remote_path(path, "/api/v1/runs/", f->runs[i].id, ""), &run, &err);
        if (!rc) {
            take_run(f, run);
        } else if (rc == ERR_USAGE) {
            fprintf(stderr, "sluice: the run %s of %s was not begun: sluice status says more\n",
                    f->runs[i].id, f->runs[i].sync);
            f->runs[i].over = f->failed = true;
            f->over++;
        }
        json_decref(run);
    }
}

static bool on_event(void *ctx, const char *event, const json_t *data)
{
    struct follow *f = ctx;
    if (strcmp(event, "run") == 0)
        take_run(f, data);
    else if (strcmp(event, "open") == 0) /* some may have ended before the events began */
        look(f, NULL);
    else if (strcmp(event, "sync") == 0) /* goes on to its next start where a run did not begin */
        look(f, json_string_value(json_object_get(data, "name")));
    return f->over < f->count;
}

static int status_of(const struct follow *f)
{
    if (f->failed)
        return EXIT_RUN_FAILED;
    if (f->held)
        return EXIT_HELD;
    return f->rejects ? EXIT_REJECTS : EXIT_OK;
}

/* A stream that breaks off, or has no place now, is begun anew, as long as there is a scheduler. */
static int follow_all(struct follow *f)
{
    static const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    struct err err;
    while (f->over < f->count) {
        enum err_code rc = remote_events(f->project, on_event, f, &err);
        if (rc && !remote_is_running(f->project))
            break;
        if (rc)
            look(f, NULL);
        if (rc && f->over < f->count)
            nanosleep(&pause, NULL);
    }
    if (f->over == f->count)
        return status_of(f);
    err_prefix(&err, "the runs are no longer followed; the next scheduler finishes them");
    return cli_fail(&err);
}

static bool add_run(struct follow *f, const json_t *started)
{
    struct followed *more = realloc(f->runs, (f->count + 1) * sizeof *more);
    if (!more)
        return false;
    f->runs = more;
    struct followed *at = &more[f->count++];
    *at = (struct followed){0};
    text_of(started, json_object_get(started, "run") ? "run" : "id", at->id, sizeof at->id);
    text_of(started, "sync", at->sync, sizeof at->sync);
    return true;
}

/* ---- asking ---- */

static json_t *run_body(const struct cli_options *opts, bool plan)
{
    json_t *body = json_object(), *syncs = json_array();
    for (size_t i = 0; i < opts->name_count; i++)
        json_array_append_new(syncs, json_string(opts->names[i]));
    if (opts->name_count)
        json_object_set(body, "syncs", syncs);
    json_decref(syncs);
    if (opts->full)
        json_object_set_new(body, "full", json_true());
    if (opts->adopt)
        json_object_set_new(body, "adopt", json_true());
    if (plan)
        json_object_set_new(body, "plan", json_true());
    return body;
}

/* What an interrupt says: put together before it can come, for a handler may only write. */
static char parting[400];

static void on_interrupt(int sig)
{
    ssize_t written = write(STDERR_FILENO, parting, strlen(parting));
    (void)written;
    raise(sig); /* with its own action again: who waits sees what ended this program */
}

/* An interrupt ends the following alone; the scheduler goes on. */
static void tell_who(const struct follow *f)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    if (f->opts->json || !f->count)
        return;
    fprintf(stderr,
            "sluice: a scheduler is running and carries it out; Ctrl-C stops watching, not it\n");
    snprintf(parting, sizeof parting,
             "\nsluice: no longer watching; the scheduler goes on: sluice status shows it, sluice "
             "cancel %s stops it\n",
             f->count == 1 ? f->runs[0].id : "RUN");
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int ask_and_follow(struct follow *f, bool plan)
{
    struct err err;
    json_t *body = run_body(f->opts, plan), *answer = NULL, *one;
    size_t i;
    enum err_code rc = remote_post(f->project, "/api/v1/runs", body, &answer, &err);
    json_decref(body);
    if (!rc)
        json_array_foreach(json_object_get(answer, "started"), i, one) if (!add_run(f, one)) rc =
            err_set(&err, ERR_NOMEM, "no memory");
    if (!rc)
        tell_who(f);
    int status = rc ? cli_fail(&err) : follow_all(f);
    json_decref(answer);
    free(f->runs);
    return status;
}

int follow_runs(const struct cli_options *opts, const struct project *project)
{
    struct follow f = {.opts = opts, .project = project};
    return ask_and_follow(&f, false);
}

int follow_plans(const struct cli_options *opts, const struct project *project,
                 void (*on_run)(void *ctx, const struct run_record *r), void *ctx)
{
    struct follow f = {.opts = opts, .project = project, .on_run = on_run, .ctx = ctx};
    int status = ask_and_follow(&f, true);
    return status == EXIT_HELD ? EXIT_OK : status; /* which is what a plan is */
}

static enum err_code approve(struct follow *f, const char *run, struct err *err)
{
    char path[REMOTE_PATH_MAX];
    json_t *answer = NULL;
    enum err_code rc = remote_post(f->project, remote_path(path, "/api/v1/runs/", run, "/approve"),
                                   NULL, &answer, err);
    if (!rc && !add_run(f, answer))
        rc = err_set(err, ERR_NOMEM, "no memory");
    json_decref(answer);
    return rc;
}

int follow_approvals(const struct cli_options *opts, const struct project *project,
                     const char *const *runs, size_t count)
{
    struct follow f = {.opts = opts, .project = project};
    struct err err;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < count && !rc; i++)
        rc = approve(&f, runs[i], &err);
    if (!rc)
        tell_who(&f);
    int status = rc ? cli_fail(&err) : follow_all(&f);
    free(f.runs);
    return status;
}

int follow_approval(const struct cli_options *opts, const struct project *project)
{
    return follow_approvals(opts, project, opts->names, 1);
}
