/* sluice plan, sluice apply: what a run would send, without sending it; and sending exactly that.
 *
 * A plan is a run that is held before anything is sent. Without -o it is made in a copy of the
 * state that is thrown away; with -o in the state itself, and the file names it by the digest of
 * all it would send. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/follow.h"
#include "scheduler/cli/plan_print.h"
#include "scheduler/cli/progress.h"
#include "scheduler/cli/remote.h"
#include "scheduler/plan/plan.h"
#include "scheduler/run/engine.h"
#include "scheduler/run/workers.h"

#include <errno.h>
#include <event2/event.h>
#include <ftw.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAN_VERSION = 1, OPEN_FILES = 16 };

struct planning {
    const struct cli_options *opts;
    struct project *project;
    struct run_record *records; /* in the order in which they were planned */
    size_t count;
    struct progress progress;
    bool draws;
    json_t *file;        /* what -o writes; NULL */
    const char *kept_in; /* the state directory itself: history is there */
    struct event_base *base;
    struct state *state; /* that the plans are in */
    bool failed, held;
};

/* ---- the copy ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_folder(const char *path)
{
    if (*path)
        nftw(path, remove_entry, OPEN_FILES, FTW_DEPTH | FTW_PHYS);
}

/* Beside the state where there is one: there is room for its like. */
static enum err_code make_copy(const struct project *p, char *out, size_t n, struct err *err)
{
    const char *dir = p->settings.state_dir, *tmp = getenv("TMPDIR");
    struct stat st;
    bool there = stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && access(dir, W_OK) == 0;
    const char *at = there ? dir : tmp && *tmp ? tmp : "/tmp";
    if ((size_t)snprintf(out, n, "%s/.plan.XXXXXX", at) >= n || !mkdtemp(out)) {
        *out = '\0';
        return err_errno(err, errno, "%s: no folder for a plan can be made", at);
    }
    enum err_code rc = state_copy(dir, out, err);
    return rc == ERR_NOTFOUND ? ERR_OK : rc;
}

/* ---- planning ---- */

static void on_run(void *ctx, const struct run_record *r, bool recovered)
{
    struct planning *p = ctx;
    (void)recovered;
    struct run_record *all = realloc(p->records, (p->count + 1) * sizeof *all);
    if (!all) {
        p->failed = true;
        return;
    }
    p->records = all;
    all[p->count++] = *r;
}

static void on_progress(void *ctx, const struct engine_view *views, size_t count)
{
    struct planning *p = ctx;
    if (p->draws)
        progress_draw(&p->progress, views, count);
}

static enum err_code note_in_file(struct planning *p, const struct run_record *r,
                                  const struct plan *plan, struct err *err)
{
    if (!p->file)
        return ERR_OK;
    json_t *run = json_pack("{s:s, s:s, s:s, s:I}", "sync", r->sync, "run", r->id, "digest",
                            plan->digest, "planned", (json_int_t)r->counts.planned);
    if (!run || json_array_append_new(json_object_get(p->file, "runs"), run))
        return err_set(err, ERR_NOMEM, "no memory for the plan's file");
    return ERR_OK;
}

static enum err_code show(struct planning *p, const struct run_record *r, struct err *err)
{
    char path[PATH_MAX], worker[PATH_MAX];
    struct plan plan;
    struct plan_show s = {.record = r, .plan = &plan, .sync = project_sync(p->project, r->sync)};
    if (r->status != RUN_HELD) {
        p->failed = true;
        plan_show_failed(r, p->opts->json);
        return ERR_OK;
    }
    snprintf(path, sizeof path, "%s/%s", p->project->settings.state_dir, r->spool);
    enum err_code rc = sibling_program("sluice-worker", worker, err);
    if (rc)
        return rc;
    size_t samples = p->opts->limit_set ? p->opts->limit : PLAN_SHOWN;
    rc = plan_read(p->base, path, s.sync, samples, &plan, err);
    if (!rc)
        rc = plan_look_back(&plan, p->kept_in, p->state, r->sync, err);
    s.worker_program = worker;
    s.project_dir = p->project->dir;
    s.would_hold = strncmp(r->reason, "planned to be looked at", 23) != 0;
    p->held |= s.would_hold;
    if (!rc)
        rc = note_in_file(p, r, &plan, err);
    if (!rc && p->opts->json)
        rc = plan_show_json(&s, err);
    else if (!rc)
        rc = plan_show_text(&s, err);
    plan_done(&plan);
    return rc;
}

static enum err_code show_all(struct planning *p, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->count && !rc; i++)
        rc = show(p, &p->records[i], err);
    return rc;
}

/* Another run of the sync must not be under way in the state that keeps the plan. */
static bool is_unfinished(void *ctx, const struct run_record *r)
{
    struct run_record *found = ctx;
    if (run_status_ended(r->status) || r->status == RUN_HELD)
        return true;
    *found = *r;
    return false;
}

static enum err_code check_finished(struct engine *e, const char *sync, struct err *err)
{
    struct run_record found = {0};
    enum err_code rc = state_run_list(engine_state(e), sync, 0, is_unfinished, &found, err);
    if (!rc && *found.id)
        rc = err_set(err, ERR_USAGE,
                     "run %s of sync %s was interrupted and is not finished: sluice run %s "
                     "finishes it; then plan again",
                     found.id, sync, sync);
    return rc;
}

static enum err_code ask(struct planning *p, struct engine *e, const char *sync, struct err *err)
{
    struct engine_ask a = {.full = p->opts->full, .plan = true};
    snprintf(a.sync, sizeof a.sync, "%s", sync);
    snprintf(a.trigger, sizeof a.trigger, "plan");
    enum err_code rc = p->file ? check_finished(e, sync, err) : ERR_OK;
    return rc ? rc : engine_ask(e, &a, err);
}

static enum err_code make_plans(struct planning *p, const struct log *log, struct err *err)
{
    struct engine *e = NULL;
    struct engine_options o = {
        .project = p->project,
        .offline = true,
        .log = log,
        .on_run = on_run,
        .on_progress = on_progress,
        .ctx = p,
    };
    enum err_code rc = engine_new(&o, &e, err);
    for (size_t i = 0; i < p->project->sync_count && !rc; i++)
        if (cli_is_named(p->opts, p->project->syncs[i].name) &&
            (p->opts->name_count || !sync_only_streams(&p->project->syncs[i])))
            rc = ask(p, e, p->project->syncs[i].name, err);
    if (!rc)
        rc = engine_loop(e, err);
    progress_clear(&p->progress);
    if (!rc) {
        p->base = engine_base(e);
        p->state = engine_state(e);
        rc = show_all(p, err);
    }
    engine_free(e);
    return rc;
}

/* ---- the file ---- */

static enum err_code write_file(const struct planning *p, struct err *err)
{
    char part[PATH_MAX];
    const char *path = p->opts->output;
    if ((size_t)snprintf(part, sizeof part, "%s.part", path) >= sizeof part)
        return err_set(err, ERR_USAGE, "the path %s is too long", path);
    if (json_dump_file(p->file, part, JSON_INDENT(1) | JSON_SORT_KEYS) || rename(part, path))
        return err_errno(err, errno, "%s cannot be written", path);
    return ERR_OK;
}

/* What was told of them is less than what is kept. */
static enum err_code read_records(struct planning *p, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->count && !rc; i++)
        rc = state_run_get(p->state, p->records[i].id, &p->records[i], err);
    return rc;
}

static void on_planned(void *ctx, const struct run_record *r)
{
    on_run(ctx, r, false);
}

/* The scheduler that runs plans, and keeps what it planned; its files say what. */
static enum err_code plan_remotely(struct planning *p, struct err *err)
{
    struct state_options o = {.read_only = true};
    if (follow_plans(p->opts, p->project, on_planned, p) != EXIT_OK)
        return err_set(err, ERR_STOPPED, "no plan was made");
    enum err_code rc = state_open(p->project->settings.state_dir, &o, &p->state, err);
    p->base = event_base_new();
    if (!rc && !p->base)
        rc = err_set(err, ERR_NOMEM, "no memory for a plan");
    if (!rc)
        rc = read_records(p, err);
    if (!rc)
        rc = show_all(p, err);
    state_close(p->state);
    if (p->base)
        event_base_free(p->base);
    return rc;
}

static enum err_code plan_into_file(struct planning *p, const struct log *log, struct err *err)
{
    p->file = json_pack("{s:i, s:[]}", "sluice_plan", PLAN_VERSION, "runs");
    if (!p->file)
        return err_set(err, ERR_NOMEM, "no memory for the plan's file");
    enum err_code rc =
        remote_is_running(p->project) ? plan_remotely(p, err) : make_plans(p, log, err);
    if (!rc)
        rc = write_file(p, err);
    if (!rc && !p->opts->json)
        printf("to send exactly this: sluice apply %s\n", p->opts->output);
    json_decref(p->file);
    return rc;
}

static enum err_code plan_in_copy(struct planning *p, const struct log *log, struct err *err)
{
    char copy[PATH_MAX];
    enum err_code rc = make_copy(p->project, copy, sizeof copy, err);
    if (!rc) {
        p->project->settings.state_dir = copy;
        rc = make_plans(p, log, err);
    }
    remove_folder(copy);
    return rc;
}

int command_plan(const struct cli_options *opts)
{
    struct planning p = {.opts = opts, .draws = isatty(STDERR_FILENO) != 0};
    struct log log = {.program = "sluice", .level = LOG_WARN, .fd = STDERR_FILENO};
    struct err err = {0};
    int status = cli_load(opts, &p.project);
    if (!status)
        status = cli_check_names(opts, p.project);
    if (!status) {
        log.format = p.project->settings.log_format;
        p.kept_in = p.project->settings.state_dir;
        progress_init(&p.progress);
        enum err_code rc =
            opts->output ? plan_into_file(&p, &log, &err) : plan_in_copy(&p, &log, &err);
        if (rc)
            status = cli_fail(&err);
        else if (p.failed)
            status = EXIT_RUN_FAILED;
        else if (p.held)
            status = EXIT_HELD;
    }
    free(p.records);
    project_free(p.project);
    return status;
}

/* ---- apply ---- */

static enum err_code read_file(const char *path, json_t **ret, struct err *err)
{
    json_error_t bad;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &bad);
    if (!file)
        return err_set(err, ERR_USAGE, "%s: %s", path, bad.text);
    if (json_integer_value(json_object_get(file, "sluice_plan")) != PLAN_VERSION ||
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
