/* sluice errors, sluice retry: records that were refused, failed or never sent. */
#include "protocol/base/clock.h"
#include "scheduler/cli/cli.h"
#include "scheduler/cli/errors_export.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/remote.h"
#include "scheduler/run/lock.h"
#include "scheduler/state/rejected.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUPS_MAX = 1000, RETRY_STEP = 10000 };

/* Equal messages are one group. */
struct group {
    const char *kind;
    char message[REJECTED_TEXT_MAX + 1];
    char sample[REJECTED_TEXT_MAX + 1]; /* a key */
    uint64_t count;
};

struct report {
    const struct cli_options *opts;
    const char *sync;
    bool single; /* list records, not groups */
    struct group *groups;
    size_t group_count;
    uint64_t other; /* records whose message found no room among the groups */
    size_t shown;
    struct errors_export export;
};

static bool contains(struct slice text, const char *part)
{
    return !part || memmem(text.p, text.n, part, strlen(part));
}

static void show_json(const struct report *rep, const struct rejected *r)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, PRINT_LINE_MAX);
    if (!errors_put_json(&b, rep->sync, r))
        fwrite(b.p, 1, b.len, stdout);
}

static void show_text(const struct report *rep, const struct rejected *r)
{
    char at[CLOCK_TEXT_BYTES];
    printf("%s  %-8s %.*s  %s  %.*s\n", clock_text(r->time_ms, at), rejected_kind_name(r->kind),
           (int)r->text.n, r->text.p, rep->sync, (int)r->message.n, r->message.p);
}

static void add_to_group(struct report *rep, const struct rejected *r)
{
    const char *kind = rejected_kind_name(r->kind);
    for (size_t i = 0; i < rep->group_count; i++)
        if (rep->groups[i].kind == kind && slice_eq_str(r->message, rep->groups[i].message)) {
            rep->groups[i].count++;
            return;
        }
    if (rep->group_count == GROUPS_MAX) {
        rep->other++;
        return;
    }
    struct group *g = &rep->groups[rep->group_count++];
    g->kind = kind;
    g->count = 1;
    snprintf(g->message, sizeof g->message, "%.*s", (int)r->message.n, r->message.p);
    snprintf(g->sample, sizeof g->sample, "%.*s", (int)r->text.n, r->text.p);
}

static bool take(void *ctx, const struct rejected *r)
{
    struct report *rep = ctx;
    const struct cli_options *o = rep->opts;
    if (!contains(r->text, o->key) || !contains(r->message, o->message) ||
        (o->run && !slice_eq_str(r->run, o->run)))
        return true;
    if (o->export_to) {
        bool wanted = !o->limit_set || rep->shown++ < o->limit;
        return wanted && errors_export_put(&rep->export, rep->sync, r);
    }
    if (o->json)
        show_json(rep, r);
    else if (rep->single)
        show_text(rep, r);
    else
        add_to_group(rep, r);
    rep->shown++;
    return rep->single ? rep->shown < o->limit : true;
}

static int by_count(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static void print_groups(struct report *rep)
{
    char n[PRINT_NUMBER_BYTES];
    qsort(rep->groups, rep->group_count, sizeof *rep->groups, by_count);
    for (size_t i = 0; i < rep->group_count && i < rep->opts->limit; i++) {
        const struct group *g = &rep->groups[i];
        printf("%10s  %-8s %s  %s\n            such as %s\n", print_number(g->count, n), g->kind,
               rep->sync, g->message, g->sample);
    }
    if (rep->other)
        printf("%10s  with still other messages\n", print_number(rep->other, n));
}

static enum err_code report_sync(struct state *state, const char *sync, struct report *rep,
                                 struct err *err)
{
    rep->sync = sync;
    rep->group_count = 0;
    rep->other = 0;
    enum err_code rc = state_rejected_list(state, sync, 0, take, rep, err);
    if (!rc && !rep->opts->json && !rep->single && !rep->opts->export_to)
        print_groups(rep);
    return rc;
}

static enum err_code report_all(const struct cli_options *opts, const struct project *project,
                                struct report *rep, struct err *err)
{
    struct state *state = NULL;
    struct state_options so = {.read_only = true};
    enum err_code rc = state_open(project->settings.state_dir, &so, &state, err);
    for (size_t i = 0; i < project->sync_count && !rc; i++)
        if (cli_is_named(opts, project->syncs[i].name))
            rc = report_sync(state, project->syncs[i].name, rep, err);
    state_close(state);
    return rc == ERR_NOTFOUND ? ERR_OK : rc;
}

static void print_end(const struct report *rep)
{
    char n[PRINT_NUMBER_BYTES];
    if (rep->opts->export_to && rep->export.file != stdout)
        printf("%s record%s written to %s\n", print_number(rep->export.count, n),
               rep->export.count == 1 ? "" : "s", rep->opts->export_to);
    else if (!rep->opts->export_to && !rep->shown)
        puts("no errors");
}

int command_errors(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct err err = {0}, closing = {0};
    struct report rep = {.opts = opts, .single = opts->key || opts->message || opts->run};
    int status = cli_load(opts, &project);
    if (!status)
        status = cli_check_names(opts, project);
    if (status) {
        project_free(project);
        return status;
    }
    rep.groups = calloc(GROUPS_MAX, sizeof *rep.groups);
    enum err_code rc = rep.groups ? ERR_OK : err_set(&err, ERR_NOMEM, "no memory");
    if (!rc && opts->export_to)
        rc = errors_export_open(&rep.export, opts->export_to, &err);
    if (!rc)
        rc = report_all(opts, project, &rep, &err);
    if (opts->export_to && errors_export_close(&rep.export, rc != ERR_OK, &closing) && !rc) {
        err = closing;
        rc = closing.code;
    }
    if (rc)
        status = cli_fail(&err);
    else if (!opts->json)
        print_end(&rep);
    free(rep.groups);
    project_free(project);
    return status;
}

/* ---- retry ---- */

static enum err_code retry_sync(struct state *state, const char *sync,
                                const struct retry_filter *filter, uint64_t *count, struct err *err)
{
    struct state_sync *ss = NULL;
    uint64_t position = 0;
    bool more = true;
    enum err_code rc = state_sync_open(state, sync, &ss, err);
    while (!rc && more) {
        rc = state_retry(ss, filter, &position, RETRY_STEP, count, &more, err);
        if (!rc)
            rc = state_commit(state, err);
    }
    state_sync_close(ss);
    return rc;
}

static enum err_code ask_retry(const struct project *project, const char *sync,
                               const struct retry_filter *filter, uint64_t *count, struct err *err)
{
    char path[REMOTE_PATH_MAX];
    json_t *answer = NULL;
    json_t *body = json_pack("{s:s?,s:s?}", "message", filter->message, "key", filter->key);
    enum err_code rc =
        body ? remote_post(project, remote_path(path, "/api/v1/syncs/", sync, "/retry"), body,
                           &answer, err)
             : err_set(err, ERR_USAGE, "--key and --message must be UTF-8");
    *count += (uint64_t)json_integer_value(json_object_get(answer, "count"));
    json_decref(answer);
    json_decref(body);
    return rc;
}

static void print_forgotten(uint64_t count)
{
    char n[PRINT_NUMBER_BYTES];
    if (count)
        printf("%s refused record%s forgiven: the next run sends %s again\n",
               print_number(count, n), count == 1 ? "" : "s", count == 1 ? "it" : "them");
    else
        puts("no refused record fits, nothing to forgive (failed and invalid records are tried "
             "again by every run)");
}

int command_retry(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct state *state = NULL;
    struct err err = {0};
    struct state_lock lock = {-1, -1};
    struct retry_filter filter = {.message = opts->message, .key = opts->key};
    uint64_t count = 0;
    int status = cli_load(opts, &project);
    if (!status)
        status = cli_check_names(opts, project);
    if (status) {
        project_free(project);
        return status;
    }
    bool remote = remote_is_running(project); /* the state is the scheduler's then */
    enum err_code rc = remote ? ERR_OK : state_lock_take(&lock, project->settings.state_dir, &err);
    if (!rc && !remote)
        rc = state_open(project->settings.state_dir, NULL, &state, &err);
    for (size_t i = 0; i < project->sync_count && !rc; i++)
        if (cli_is_named(opts, project->syncs[i].name))
            rc = remote ? ask_retry(project, project->syncs[i].name, &filter, &count, &err)
                        : retry_sync(state, project->syncs[i].name, &filter, &count, &err);
    if (rc)
        status = cli_fail(&err);
    else if (opts->json)
        printf("{\"forgotten\":%" PRIu64 "}\n", count);
    else
        print_forgotten(count);
    state_close(state);
    state_lock_release(&lock);
    project_free(project);
    return status;
}
