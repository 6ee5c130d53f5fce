/* sluice forget: a person goes from state, errors and history. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/print.h"
#include "scheduler/history/history.h"
#include "scheduler/run/lock.h"
#include "scheduler/state/forget.h"
#include "scheduler/state/key.h"
#include "scheduler/state/runs.h"
#include "scheduler/state/transfer.h"

#include <dirent.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_STEP = 10000 };

struct forgetting {
    const struct cli_options *opts;
    struct project *project;
    struct state_lock lock;
    struct state *state;
    struct forget forget;
    bool words; /* the second pass */
    uint64_t histories;
};

static bool is_wanted(const struct forgetting *f, const char *sync)
{
    const struct cli_list *l = &f->opts->syncs;
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i], sync) == 0)
            return true;
    return !l->count;
}

/* ---- what must not be under way ---- */

static bool is_unfinished(void *ctx, const struct run_record *r)
{
    struct run_record *found = ctx;
    if (!run_status_ended(r->status))
        *found = *r;
    return !*found->id;
}

/* Rows are in the spools of runs that have not ended, and in the folders of plans. */
static enum err_code check_runs(struct forgetting *f, struct err *err)
{
    struct run_record r = {0};
    enum err_code rc = state_run_list(f->state, NULL, 0, is_unfinished, &r, err);
    if (rc || !*r.id)
        return rc;
    return err_set(err, ERR_BUSY,
                   "the run %s of %s is not over, and its batches hold rows that cannot be erased "
                   "singly: %s, then forget again",
                   r.id, r.sync,
                   r.status == RUN_HELD ? "approve or reject it (or run the sync again)"
                                        : "finish it with `sluice run`");
}

static enum err_code check_folder(const char *dir, const char *prefix, struct err *err)
{
    DIR *d = opendir(dir);
    enum err_code rc = ERR_OK;
    for (struct dirent *e; d && !rc && (e = readdir(d));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strcmp(e->d_name, ".") != 0 &&
            strcmp(e->d_name, "..") != 0)
            rc = err_set(
                err, ERR_BUSY,
                "%s/%s holds rows that cannot be erased singly: %s, then forget again", dir,
                e->d_name,
                *prefix ? "wait for the `sluice plan` that makes it, or delete it where none runs"
                        : "let `sluice run` finish it");
    if (d)
        closedir(d);
    return rc;
}

static enum err_code check_files(struct forgetting *f, struct err *err)
{
    char spool[PATH_MAX];
    const char *dir = f->project->settings.state_dir;
    snprintf(spool, sizeof spool, "%s/spool", dir);
    enum err_code rc = check_folder(spool, "", err);
    return rc ? rc : check_folder(dir, ".plan.", err);
}

/* ---- forgetting ---- */

static enum err_code sweep(struct forgetting *f, struct err *err)
{
    bool more = true;
    enum err_code rc = ERR_OK;
    while (!rc && more) {
        rc = state_sweep(f->state, SWEEP_STEP, &more, err);
        if (!rc)
            rc = state_commit(f->state, err);
    }
    return rc;
}

/* No run is held, so nobody waits for the entries of a new target. */
static enum err_code drop_fresh(void *ctx, const char *sync, struct err *err)
{
    struct forgetting *f = ctx;
    bool has = false;
    enum err_code rc = state_sync_has_fresh(f->state, sync, &has, err);
    return rc || !has ? rc : state_sync_drop_fresh(f->state, sync, err);
}

static enum err_code forget_sync(void *ctx, const char *name, struct err *err)
{
    struct forgetting *f = ctx;
    struct state_sync *ss = NULL;
    struct slice names[KEY_VALUES_MAX];
    const struct sync *sync = project_sync(f->project, name);
    size_t count = sync ? sync->model->primary_key_count : 0;
    if (!f->words && !is_wanted(f, name))
        return ERR_OK;
    for (size_t i = 0; i < count; i++)
        names[i] = slice_str(sync->model->primary_key[i]);
    enum err_code rc = state_sync_open(f->state, name, &ss, err);
    if (!rc)
        rc = f->words ? forget_words(&f->forget, ss, err)
                      : forget_entries(&f->forget, ss, names, count, err);
    if (!rc)
        rc = state_commit(f->state, err);
    state_sync_close(ss);
    return rc;
}

static enum err_code forget_all(struct forgetting *f, struct err *err)
{
    enum err_code rc = forget_each_sync(f->state, drop_fresh, f, err);
    if (!rc)
        rc = sweep(f, err);
    if (!rc)
        rc = forget_each_sync(f->state, forget_sync, f, err);
    f->words = true;
    if (!rc)
        rc = forget_each_sync(f->state, forget_sync, f, err);
    if (!rc)
        rc = forget_rest(&f->forget, f->state, err);
    return rc ? rc : state_commit(f->state, err);
}

/* Runs that sent the person go from the history as a whole. */
static bool is_sent(void *ctx, const struct history_trace *trace)
{
    const struct forgetting *f = ctx;
    struct slice names[KEY_VALUES_MAX];
    const struct sync *sync = project_sync(f->project, trace->run->sync);
    size_t count = sync ? sync->model->primary_key_count : 0;
    for (size_t i = 0; i < count; i++)
        names[i] = slice_str(sync->model->primary_key[i]);
    if (forget_names_person(&f->forget, trace->words))
        return true;
    return is_wanted(f, trace->run->sync) &&
           (forget_is_person(&f->forget, trace->key, names, count) ||
            forget_is_person(&f->forget, trace->identity, NULL, 0));
}

static enum err_code carry_out(struct forgetting *f, struct err *err)
{
    const char *dir = f->project->settings.state_dir;
    struct state_options look = {.read_only = true};
    enum err_code rc = state_lock_take(&f->lock, dir, err);
    if (rc == ERR_BUSY)
        err_prefix(err, "to forget, stop what runs first");
    if (!rc)
        rc = state_open(dir, &look, &f->state, err); /* does not make one */
    if (!rc)
        rc = check_runs(f, err);
    if (!rc)
        rc = check_files(f, err);
    state_close(f->state);
    f->state = NULL;
    if (!rc)
        rc = state_open(dir, NULL, &f->state, err);
    if (!rc)
        rc = forget_all(f, err);
    if (!rc)
        rc = history_erase(dir, f->state, is_sent, f, &f->histories, err);
    state_close(f->state);
    return rc ? rc : state_rebuild(dir, err);
}

static void print_text(const struct forgetting *f)
{
    const struct forget_counts *c = &f->forget.counts;
    char n[5][PRINT_NUMBER_BYTES];
    if (!(f->histories + c->entries + c->rejected + c->texts))
        puts(
            "nothing is known under this key; the file of the state was written anew all the same");
    else
        printf("forgotten: %s entries with %s identities, %s listed records, %s texts, the "
               "history of %s runs; the file of the state was written anew\n",
               print_number(c->entries, n[0]), print_number(c->identities, n[1]),
               print_number(c->rejected, n[2]), print_number(c->texts, n[3]),
               print_number(f->histories, n[4]));
    puts(
        "still has the person, where it had: the warehouse (a row there is sent again as new by "
        "the "
        "next run),\nthe destinations (Sluice no longer knows of it there and will not remove it), "
        "backups and exports of the state");
    if (f->project->settings.warehouse_log)
        printf("and the table sluice_rejected of `settings.warehouse_log`, in the source %s\n",
               f->project->settings.warehouse_log->name);
}

static void print_json(const struct forgetting *f)
{
    const struct forget_counts *c = &f->forget.counts;
    printf("{\"entries\":%" PRIu64 ",\"identities\":%" PRIu64 ",\"records\":%" PRIu64
           ",\"texts\":%" PRIu64 ",\"histories\":%" PRIu64 "}\n",
           c->entries, c->identities, c->rejected, c->texts, f->histories);
}

static int check_arguments(const struct forgetting *f)
{
    struct err err;
    const char *key = f->opts->names[0];
    json_t *json = *key == '{' ? json_loads(key, 0, NULL) : NULL;
    json_decref(json);
    if (!*key || (*key == '{' && !json)) {
        err_set(&err, ERR_USAGE,
                "%s is no key: write a value, or {\"column\":value,…} as `sluice "
                "errors` shows it",
                *key ? key : "an empty text");
        return cli_fail(&err);
    }
    struct cli_options named = *f->opts;
    named.names = f->opts->syncs.items;
    named.name_count = f->opts->syncs.count;
    return cli_check_names(&named, f->project);
}

int command_forget(const struct cli_options *opts)
{
    struct forgetting f = {.opts = opts, .lock = {-1, -1}};
    struct err err = {0};
    int status = cli_load(opts, &f.project);
    if (!status)
        status = check_arguments(&f);
    forget_init(&f.forget, opts->names[0]);
    enum err_code rc = status ? ERR_OK : carry_out(&f, &err);
    if (rc && rc != ERR_NOTFOUND)
        status = cli_fail(&err);
    else if (!status && opts->json)
        print_json(&f);
    else if (!status)
        print_text(&f);
    forget_done(&f.forget);
    state_lock_release(&f.lock);
    project_free(f.project);
    return status;
}
