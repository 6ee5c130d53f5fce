/* sluice plan: what a run would send, without sending it.
 *
 * A plan is a run that is held before anything is sent. Without -o it is made in a copy of the
 * state that is thrown away; with -o in the state itself, and the file names it by the digest of
 * all it would send: sluice apply sends that. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/follow.h"
#include "scheduler/cli/plan_against.h"
#include "scheduler/cli/plan_change.h"
#include "scheduler/cli/plan_folder.h"
#include "scheduler/cli/plan_markdown.h"
#include "scheduler/cli/plan_print.h"
#include "scheduler/cli/progress.h"
#include "scheduler/cli/remote.h"
#include "scheduler/plan/plan.h"
#include "scheduler/run/engine.h"
#include "scheduler/run/workers.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHANGES_BYTES = 4 << 20 };

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
    struct state *state;           /* that the plans are in */
    struct plan_against against;   /* with --against */
    struct plan_markdown markdown; /* with --markdown */
    const char *basis;             /* a sentence of it */
    bool failed, held;
};

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

static enum err_code show_failed(struct planning *p, const struct run_record *r)
{
    p->failed = true;
    if (p->opts->markdown)
        return plan_markdown_add_failed(&p->markdown, r);
    plan_show_failed(r, p->opts->json);
    return ERR_OK;
}

/* Samples hold rows: in Markdown, which others read, they are there where they were asked for. */
static size_t samples_wanted(const struct cli_options *o)
{
    if (o->limit_set)
        return o->limit;
    return o->markdown ? 0 : PLAN_SHOWN;
}

static enum err_code show_plan(struct planning *p, const struct plan_show *s, struct err *err)
{
    if (p->opts->json)
        return plan_show_json(s, err);
    if (!p->opts->markdown)
        return plan_show_text(s, err);
    enum err_code rc = plan_markdown_add(&p->markdown, s->record, s->sync, s->plan, s->would_hold);
    return rc ? err_set(err, rc, "no memory to show a plan") : ERR_OK;
}

static enum err_code show(struct planning *p, const struct run_record *r, struct err *err)
{
    char path[PATH_MAX], worker[PATH_MAX];
    struct plan plan;
    struct plan_show s = {.record = r, .plan = &plan, .sync = project_sync(p->project, r->sync)};
    if (r->status != RUN_HELD)
        return show_failed(p, r);
    snprintf(path, sizeof path, "%s/%s", p->project->settings.state_dir, r->spool);
    enum err_code rc = sibling_program("sluice-worker", worker, err);
    if (rc)
        return rc;
    rc = plan_read(p->base, path, s.sync, samples_wanted(p->opts), &plan, err);
    if (!rc)
        rc = plan_look_back(&plan, p->kept_in, p->state, r->sync, err);
    s.worker_program = worker;
    s.project_dir = p->project->dir;
    s.would_hold = strncmp(r->reason, "planned to be looked at", 23) != 0;
    p->held |= s.would_hold;
    if (!rc)
        rc = note_in_file(p, r, &plan, err);
    if (!rc)
        rc = show_plan(p, &s, err);
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

static bool is_wanted(const struct planning *p, const struct sync *s)
{
    if (p->opts->name_count)
        return cli_is_named(p->opts, s->name);
    return !sync_only_streams(s) && plan_against_alters(&p->against, s->name);
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
        if (is_wanted(p, &p->project->syncs[i]))
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
    p->file = json_pack("{s:i, s:[]}", "sluice_plan", PLAN_FILE_VERSION, "runs");
    if (!p->file)
        return err_set(err, ERR_NOMEM, "no memory for the plan's file");
    enum err_code rc =
        remote_is_running(p->project) ? plan_remotely(p, err) : make_plans(p, log, err);
    if (!rc)
        rc = write_file(p, err);
    if (!rc && !p->opts->json && !p->opts->markdown)
        printf("to send exactly this: sluice apply %s\n", p->opts->output);
    json_decref(p->file);
    return rc;
}

static bool wants(void *ctx, const char *sync)
{
    const struct planning *p = ctx;
    const struct sync *s = project_sync(p->project, sync);
    return s && is_wanted(p, s);
}

static enum err_code fill_folder(struct planning *p, const struct plan_folder *f,
                                 const struct log *log, struct err *err)
{
    if (f->has_state)
        return ERR_OK;
    p->basis = "There is no state here: every row counts as added.";
    if (!p->against.before)
        return ERR_OK;
    p->basis = "Rows as they are read without this change count as accepted.";
    return plan_against_adopt(&p->against, f->path, wants, p, log, err);
}

static enum err_code plan_in_folder(struct planning *p, const struct log *log, struct err *err)
{
    struct plan_folder folder;
    enum err_code rc = plan_folder_make(p->project, p->opts->state_file, &folder, err);
    if (!rc)
        rc = fill_folder(p, &folder, log, err);
    if (!rc) {
        p->project->settings.state_dir = folder.path;
        rc = make_plans(p, log, err);
    }
    plan_folder_done(&folder);
    return rc;
}

/* ---- what differs from another version ---- */

static enum change_form form_of(const struct cli_options *o)
{
    return o->json ? CHANGE_JSON : o->markdown ? CHANGE_MARKDOWN : CHANGE_WORDS;
}

static enum err_code add_change(struct planning *p, const struct buf *line, enum err_code rc)
{
    if (rc || !line->len)
        return rc;
    if (p->opts->markdown)
        return plan_markdown_add_change(&p->markdown, buf_slice(line));
    fwrite(line->p, 1, line->len, stdout);
    return ERR_OK;
}

static enum err_code show_changes(struct planning *p, struct err *err)
{
    const struct comparison *c = &p->against.changes;
    enum change_form form = form_of(p->opts);
    CLEANUP(buf_done) struct buf line;
    buf_init(&line, CHANGES_BYTES);
    enum err_code rc = add_change(p, &line, change_put_settings(&line, form, c));
    for (size_t i = 0; i < c->count && !rc; i++) {
        buf_reset(&line);
        if (cli_is_named(p->opts, c->changes[i].name))
            rc = add_change(p, &line, change_put(&line, form, &c->changes[i]));
    }
    return rc ? err_set(err, rc, "no memory to show what changes") : ERR_OK;
}

/* Known once the plan is made. */
static enum err_code show_unread(struct planning *p, struct err *err)
{
    enum err_code rc = ERR_OK;
    CLEANUP(buf_done) struct buf line;
    buf_init(&line, CHANGES_BYTES);
    for (size_t i = 0; i < p->against.unread_count && !rc; i++) {
        const struct run_record *r = &p->against.unread[i];
        char safe[RUN_TEXT_MAX + 1];
        const char *why = p->opts->markdown ? plan_markdown_words(r, safe, sizeof safe) : r->error;
        buf_reset(&line);
        rc = add_change(p, &line, change_put_unread(&line, form_of(p->opts), r->sync, why));
    }
    return rc ? err_set(err, rc, "no memory to show what changes") : ERR_OK;
}

/* ---- Markdown ---- */

static enum err_code note_streams(struct planning *p)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->project->sync_count && !rc; i++)
        if (!p->opts->name_count && sync_only_streams(&p->project->syncs[i]) &&
            plan_against_alters(&p->against, p->project->syncs[i].name))
            rc = plan_markdown_add_stream(&p->markdown, p->project->syncs[i].name);
    return rc;
}

static enum err_code print_markdown(struct planning *p, struct err *err)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, PLAN_MARKDOWN_BYTES);
    enum err_code rc = note_streams(p);
    if (!rc)
        rc = plan_markdown_put(&text, &p->markdown, p->basis);
    if (rc)
        return err_set(err, rc, "no memory to show a plan");
    fwrite(text.p, 1, text.len, stdout);
    return ERR_OK;
}

static void print_mistakes(const struct problem_list *problems)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, PLAN_MARKDOWN_BYTES);
    if (problems->mistakes && !plan_markdown_put_mistakes(&text, problems))
        fwrite(text.p, 1, text.len, stdout);
}

/* ---- the command ---- */

static int load(struct planning *p)
{
    struct problem_list problems;
    problem_list_init(&problems);
    int status = cli_load_with_problems(p->opts, &p->project, &problems);
    if (status && p->opts->markdown)
        print_mistakes(&problems);
    problem_list_done(&problems);
    return status;
}

static enum err_code plan_all(struct planning *p, struct err *err)
{
    struct log log = {.program = "sluice",
                      .level = LOG_WARN,
                      .fd = STDERR_FILENO,
                      .format = p->project->settings.log_format};
    p->kept_in = p->project->settings.state_dir;
    progress_init(&p->progress);
    enum err_code rc = plan_against_load(&p->against, p->opts, p->project, err);
    if (!rc)
        rc = show_changes(p, err);
    if (!rc)
        rc = p->opts->output ? plan_into_file(p, &log, err) : plan_in_folder(p, &log, err);
    if (!rc)
        rc = show_unread(p, err);
    if (!rc && p->opts->markdown)
        rc = print_markdown(p, err);
    return rc;
}

static int plan(struct planning *p)
{
    struct err err = {0};
    int status = cli_check_names(p->opts, p->project);
    if (status)
        return status;
    if (plan_all(p, &err))
        return cli_fail(&err);
    if (p->failed)
        return EXIT_RUN_FAILED;
    return p->held ? EXIT_HELD : EXIT_OK;
}

static enum err_code check_options(const struct cli_options *o, struct err *err)
{
    if (o->json && o->markdown)
        return err_set(err, ERR_USAGE,
                       "--json and --markdown exclude each other: give one of them");
    if (o->output && (o->state_file || o->against))
        return err_set(err, ERR_USAGE,
                       "--output keeps a plan in the state that is here; --state and --against "
                       "plan elsewhere: give one or the other");
    return ERR_OK;
}

int command_plan(const struct cli_options *opts)
{
    struct planning p = {.opts = opts, .draws = isatty(STDERR_FILENO) != 0};
    struct err err = {0};
    if (check_options(opts, &err))
        return cli_fail(&err);
    plan_markdown_init(&p.markdown, opts->limit_set);
    int status = load(&p);
    if (!status)
        status = plan(&p);
    plan_against_done(&p.against);
    plan_markdown_done(&p.markdown);
    free(p.records);
    project_free(p.project);
    return status;
}
