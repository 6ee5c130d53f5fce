/* sluice runs, sluice status: what state knows, also beside a run under way. */
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

/* ---- status ---- */

static enum err_code put_status_json(struct buf *b, const struct sync *sync,
                                     const struct state_counts *c, const struct run_record *last)
{
    char at[CLOCK_TEXT_BYTES];
    enum err_code rc = buf_puts(b, "{\"sync\":");
    rc = rc ? rc : json_put_string(b, slice_str(sync->name));
    rc = rc ? rc : buf_printf(b, ",\"mode\":\"%s\",\"destination\":", sync_mode_name(sync->mode));
    rc = rc ? rc : json_put_string(b, slice_str(sync->destination->name));
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

/* What the scheduler that runs says of the sync; NULL where none does. */
static const json_t *live_of(const json_t *live, const char *sync)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(live, "syncs"), i,
                       one) if (strcmp(json_string_value(json_object_get(one, "name")), sync) ==
                                0) return one;
    return NULL;
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

static void print_status(const struct sync *sync, const struct state_counts *c,
                         const struct run_record *last)
{
    char a[PRINT_NUMBER_BYTES], b[PRINT_NUMBER_BYTES], at[CLOCK_TEXT_BYTES];
    printf("%s → %s (%s): %s records accepted", sync->name, sync->destination->name,
           sync_mode_name(sync->mode), print_number(c->accepted, a));
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

static enum err_code show_status(struct state *state, const struct sync *sync, bool json,
                                 const json_t *live, struct err *err)
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
        print_live(live);
    } else if (!put_status_json(&b, sync, &counts, rc ? NULL : &last) && !put_live_json(&b, live) &&
               !buf_puts(&b, "}\n")) {
        fwrite(b.p, 1, b.len, stdout);
    }
    return ERR_OK;
}

int command_status(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct state *state = NULL;
    struct err err = {0};
    int status = cli_load(opts, &project);
    if (!status)
        status = cli_check_names(opts, project);
    if (status) {
        project_free(project);
        return status;
    }
    json_t *live = NULL;
    struct err none;
    if (remote_is_running(project) && remote_get(project, "/api/v1/syncs", &live, &none))
        fprintf(stderr, "sluice: %s\n", none.text);
    enum err_code rc = open_state(project, &state, &err);
    if (rc == ERR_NOTFOUND)
        rc = ERR_OK;
    for (size_t i = 0; i < project->sync_count && !rc; i++)
        if (cli_is_named(opts, project->syncs[i].name))
            rc = show_status(state, &project->syncs[i], opts->json,
                             live_of(live, project->syncs[i].name), &err);
    json_decref(live);
    if (rc)
        status = cli_fail(&err);
    state_close(state);
    project_free(project);
    return status;
}
