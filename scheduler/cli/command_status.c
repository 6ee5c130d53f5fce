/* sluice status: what state knows of each sync, and what the scheduler that runs makes of it.
 *
 * Beside a scheduler the syncs are those that it has, not those of the folder: the folder may have
 * mistakes by now, which is told first. */
#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "scheduler/cli/cli.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/remote.h"
#include "scheduler/cli/stream_words.h"
#include "scheduler/state/entries.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sync, of the project or of the scheduler that runs. */
struct listed {
    const char *name, *destination, *mode;
    const json_t *live; /* what the scheduler says of it; NULL where none runs */
};

static enum err_code put_status_json(struct buf *b, const struct listed *sync,
                                     const struct state_counts *c, const struct run_record *last)
{
    char at[CLOCK_TEXT_BYTES];
    enum err_code rc = buf_puts(b, "{\"sync\":");
    rc = rc ? rc : json_put_string(b, slice_str(sync->name));
    rc = rc ? rc : buf_printf(b, ",\"mode\":\"%s\",\"destination\":", sync->mode);
    rc = rc ? rc : json_put_string(b, slice_str(sync->destination));
    rc = rc ? rc
            : buf_printf(b,
                         ",\"accepted\":%" PRIu64 ",\"quarantined\":%" PRIu64 ",\"doubt\":%" PRIu64,
                         c->accepted, c->refused, c->doubt);
    if (!rc && last)
        rc = buf_printf(b, ",\"last_run\":\"%s\",\"last_status\":\"%s\",\"last_started\":\"%s\"",
                        last->id, run_status_name(last->status), clock_text(last->started_ms, at));
    if (!rc && last && (*last->reason || *last->error)) {
        rc = buf_puts(b, ",\"message\":");
        rc = rc ? rc : json_put_string(b, slice_str(*last->reason ? last->reason : last->error));
    }
    if (!rc && last && *last->warning) {
        rc = buf_printf(b, ",\"warnings\":%" PRIu64 ",\"warning\":", last->counts.warnings);
        rc = rc ? rc : json_put_string(b, slice_str(last->warning));
    }
    return rc;
}

static enum err_code put_live_json(struct buf *b, const json_t *live)
{
    static const char *const members[] = {
        "schedule",           "phase", "run",      "paused",    "next_at",
        "destination_paused", "held",  "fresh_at", "waits_for", "stream"};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; live && i < ARRAY_LEN(members) && !rc; i++) {
        char *text = json_dumps(json_object_get(live, members[i]), JSON_ENCODE_ANY);
        rc = text ? buf_printf(b, ",\"%s\":%s", members[i], text) : ERR_OK;
        free(text);
    }
    return rc;
}

static const char *word_of(const json_t *live, const char *name)
{
    const char *text = json_string_value(json_object_get(live, name));
    return text ? text : "";
}

static void print_live(const json_t *live)
{
    char words[STREAM_WORDS_BYTES];
    if (!live)
        return;
    printf("  %s", word_of(live, "phase"));
    if (*word_of(live, "run"))
        printf(", run %s", word_of(live, "run"));
    if (json_is_true(json_object_get(live, "paused")))
        printf(", paused");
    if (json_is_true(json_object_get(live, "destination_paused")))
        printf(", its destination is paused");
    printf("; %s", word_of(live, "schedule"));
    if (*word_of(live, "next_at"))
        printf(", next at %s", word_of(live, "next_at"));
    puts("");
    if (*word_of(live, "waits_for"))
        printf("  waits: %s\n", word_of(live, "waits_for"));
    if (json_is_object(json_object_get(live, "stream")))
        printf("  stream: %s\n", stream_words(json_object_get(live, "stream"), words));
}

static void print_status(const struct listed *sync, const struct state_counts *c,
                         const struct run_record *last)
{
    char a[PRINT_NUMBER_BYTES], b[PRINT_NUMBER_BYTES], at[CLOCK_TEXT_BYTES];
    printf("%s → %s (%s): %s records accepted", sync->name, sync->destination, sync->mode,
           print_number(c->accepted, a));
    if (c->refused)
        printf(", %s quarantined", print_number(c->refused, b));
    if (c->doubt)
        printf(", %s in doubt", print_number(c->doubt, b));
    if (last)
        printf("\n  last run %s at %s: %s\n", last->id, clock_text(last->started_ms, at),
               run_status_name(last->status));
    else
        puts("\n  no run yet");
    if (last && last->status == RUN_HELD)
        printf("  held: %s\n  to send it: sluice approve %s\n", last->reason, last->id);
    if (last && last->stream && !run_status_ended(last->status))
        puts("  a stretch of its stream: goes on, or is finished when the scheduler starts");
    else if (last && (last->status == RUN_READING || last->status == RUN_PLANNED))
        puts("  under way, or interrupted: the next run finishes it first");
    if (last && *last->error)
        printf("  %s\n", last->error);
    if (last && last->status == RUN_WARNING && *last->reason)
        printf("  %s\n", last->reason);
    if (last && *last->warning)
        printf("  warned %s time%s, the last time: %s\n", print_number(last->counts.warnings, a),
               last->counts.warnings == 1 ? "" : "s", last->warning);
}

static enum err_code show_status(struct state *state, const struct listed *sync, bool json,
                                 struct err *err)
{
    struct state_counts counts = {0};
    struct run_record last;
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, PRINT_LINE_MAX);
    enum err_code rc = state ? state_sync_look(state, sync->name, &counts, err) : ERR_NOTFOUND;
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    rc = state ? state_run_last(state, sync->name, &last, err) : ERR_NOTFOUND;
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    if (!json) {
        print_status(sync, &counts, rc ? NULL : &last);
        print_live(sync->live);
    } else if (!put_status_json(&b, sync, &counts, rc ? NULL : &last) &&
               !put_live_json(&b, sync->live) && !buf_puts(&b, "}\n")) {
        fwrite(b.p, 1, b.len, stdout);
    }
    return ERR_OK;
}

/* ---- a folder that was refused ---- */

static void print_refused_json(const json_t *problems, const json_t *config)
{
    json_t *line = json_pack("{s:{s:b, s:O?, s:O?, s:[]}}", "config", "valid", 0, "revision",
                             json_object_get(config, "revision"), "refused_at",
                             json_object_get(config, "refused_at"), "problems");
    json_t *list = json_object_get(json_object_get(line, "config"), "problems");
    for (const char *p = json_string_value(problems); line && p && *p;) {
        size_t n = strcspn(p, "\n");
        if (json_array_append_new(list, json_stringn(p, n)))
            break;
        p += n + (p[n] == '\n');
    }
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text)
        puts(text);
    free(text);
    json_decref(line);
}

static void print_refused(const json_t *problems, const json_t *config)
{
    printf("the project folder has been refused since %s; the configuration before goes on:\n",
           word_of(config, "refused_at"));
    for (const char *p = json_string_value(problems); *p;) {
        size_t n = strcspn(p, "\n");
        printf("  %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

/* Of those that run elsewhere a scheduler knows nothing. */
static void print_workers(const json_t *status)
{
    json_int_t own = json_integer_value(json_object_get(status, "workers"));
    json_int_t desired = json_integer_value(json_object_get(status, "desired_workers"));
    if (desired > own)
        printf("%lld worker%s would find work; the scheduler runs %lld of its own\n", desired,
               desired == 1 ? "" : "s", own);
}

/* Those that something is amiss with, and what still lies at one that leaves. */
static void print_servers(const json_t *status)
{
    const json_t *servers = json_object_get(status, "redis"), *one;
    size_t i;
    json_array_foreach(servers, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "server"));
        json_int_t quotas = json_integer_value(json_object_get(one, "quotas"));
        json_int_t left = json_integer_value(json_object_get(one, "left_of"));
        bool leaves = json_is_true(json_object_get(one, "leaving"));
        const char *error = json_string_value(json_object_get(one, "error"));
        if (!json_is_true(json_object_get(one, "connected")))
            printf("Redis server %s is not reached: %lld quotas wait for it%s%s\n", name, quotas,
                   error ? ": " : "", error ? error : "");
        else if (leaves && quotas + left > 0)
            printf("Redis server %s is leaving: %lld quotas are still there, %lld left keys\n",
                   name, quotas, left);
        else if (leaves)
            printf("Redis server %s is leaving, and nothing is there any more\n", name);
    }
}

static void show_scheduler(const struct project *project, bool json)
{
    json_t *status = NULL;
    struct err err;
    if (remote_get(project, "/api/v1/status", &status, &err)) {
        fprintf(stderr, "sluice: %s\n", err.text);
        return;
    }
    const json_t *problems = json_object_get(status, "reload_error");
    if (json_is_string(problems))
        (json ? print_refused_json : print_refused)(problems, json_object_get(status, "config"));
    if (!json) {
        print_workers(status);
        print_servers(status);
    }
    json_decref(status);
}

/* ---- the syncs ---- */

static struct listed *list_live(const json_t *live, size_t *ret_count)
{
    const json_t *syncs = json_object_get(live, "syncs"), *one;
    struct listed *list = calloc(json_array_size(syncs) + 1, sizeof *list);
    size_t i;
    *ret_count = 0;
    json_array_foreach(syncs, i, one) if (list) list[(*ret_count)++] = (struct listed){
        word_of(one, "name"), word_of(one, "destination"), word_of(one, "mode"), one};
    return list;
}

static struct listed *list_project(const struct project *p, size_t *ret_count)
{
    struct listed *list = calloc(p->sync_count + 1, sizeof *list);
    *ret_count = list ? p->sync_count : 0;
    for (size_t i = 0; i < *ret_count; i++)
        list[i] = (struct listed){p->syncs[i].name, p->syncs[i].destination->name,
                                  sync_mode_name(p->syncs[i].mode), NULL};
    return list;
}

static enum err_code show_all(const struct cli_options *opts, const struct project *project,
                              const struct listed *list, size_t count, struct err *err)
{
    struct state_options o = {.read_only = true};
    struct state *state = NULL;
    enum err_code rc = state_open(project->settings.state_dir, &o, &state, err);
    if (rc == ERR_NOTFOUND) /* no run has ever been made */
        rc = ERR_OK;
    for (size_t i = 0; i < count && !rc; i++)
        if (cli_is_named(opts, list[i].name))
            rc = show_status(state, &list[i], opts->json, err);
    state_close(state);
    return rc;
}

static int check_live(const struct cli_options *opts, const struct listed *list, size_t count)
{
    for (size_t i = 0; i < opts->name_count; i++) {
        size_t k = 0;
        while (k < count && strcmp(list[k].name, opts->names[i]) != 0)
            k++;
        if (k < count)
            continue;
        fprintf(stderr, "sluice: the scheduler that runs has no sync %s\n", opts->names[i]);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int show_folder(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct err err;
    size_t count;
    int status = cli_load(opts, &project);
    if (!status)
        status = cli_check_names(opts, project);
    struct listed *list = status ? NULL : list_project(project, &count);
    if (list && show_all(opts, project, list, count, &err))
        status = cli_fail(&err);
    free(list);
    project_free(project);
    return status;
}

static int show_live(const struct cli_options *opts, const struct project *project)
{
    struct err err;
    json_t *live = NULL;
    size_t count;
    if (remote_get(project, "/api/v1/syncs", &live, &err)) { /* state has the most of it */
        fprintf(stderr, "sluice: %s\n", err.text);
        json_decref(live);
        return show_folder(opts);
    }
    struct listed *list = list_live(live, &count);
    int status = list ? check_live(opts, list, count) : EXIT_RUN_FAILED;
    if (!status) {
        show_scheduler(project, opts->json);
        if (show_all(opts, project, list, count, &err))
            status = cli_fail(&err);
    }
    free(list);
    json_decref(live);
    return status;
}

int command_status(const struct cli_options *opts)
{
    struct project *settings = NULL;
    int status = cli_load_settings(opts, &settings);
    if (!status)
        status = remote_is_running(settings) ? show_live(opts, settings) : show_folder(opts);
    project_free(settings);
    return status;
}
