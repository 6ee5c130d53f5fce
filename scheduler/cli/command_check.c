#include "protocol/base/json.h"
#include "scheduler/cli/cli.h"
#include "scheduler/cli/connect.h"

#include <stdio.h>

/* Paths and messages of a project, so well below it. */
enum { LINE_BYTES_MAX = 1 << 20 };

static const char *kind_name(enum problem_kind kind)
{
    switch (kind) {
    case PROBLEM_MISTAKE:
        return "mistake";
    case PROBLEM_UNSUPPORTED:
        return "unsupported";
    case PROBLEM_NOTE:
        break;
    }
    return "note";
}

static void print_json(const struct problem *p)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, LINE_BYTES_MAX);
    if (buf_printf(&b, "{\"kind\":\"%s\",\"file\":", kind_name(p->kind)) ||
        json_put_string(&b, slice_str(p->place.file)) ||
        buf_printf(&b, ",\"line\":%u,\"col\":%u,\"text\":", p->place.line, p->place.col) ||
        json_put_string(&b, slice_str(p->text)) || buf_puts(&b, "}\n"))
        return;
    fwrite(b.p, 1, b.len, stdout);
}

static void print_text(const struct problem *p)
{
    const char *what = p->kind == PROBLEM_NOTE ? "note: " : "";
    if (p->place.line)
        printf("%s:%u:%u: %s%s\n", p->place.file, p->place.line, p->place.col, what, p->text);
    else
        printf("%s%s%s%s\n", p->place.file ? p->place.file : "", p->place.file ? ": " : "", what,
               p->text);
}

static void print_summary(const struct project *p)
{
    for (size_t i = 0; i < p->skipped_count; i++)
        printf("note: %s was skipped: it has none of Sluice's top-level words\n",
               p->skipped_files[i]);
    printf("ok: %zu source%s, %zu model%s, %zu destination%s, %zu sync%s\n", p->source_count,
           p->source_count == 1 ? "" : "s", p->model_count, p->model_count == 1 ? "" : "s",
           p->destination_count, p->destination_count == 1 ? "" : "s", p->sync_count,
           p->sync_count == 1 ? "" : "s");
}

/* ---- --connect ---- */

static void say_json(const char *kind, const char *name, bool ok, const char *text)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, LINE_BYTES_MAX);
    if (buf_printf(&b, "{\"kind\":\"%s\",\"name\":", kind) ||
        json_put_string(&b, slice_str(name)) ||
        buf_printf(&b, ",\"ok\":%s,\"text\":", ok ? "true" : "false") ||
        json_put_string(&b, slice_str(text)) || buf_puts(&b, "}\n"))
        return;
    fwrite(b.p, 1, b.len, stdout);
}

/* Whoever cannot be reached may be there later; all else has to be mended. */
void connect_say(struct connect_report *r, const char *kind, const char *name,
                 const struct err *err, const char *text)
{
    bool away = err && (err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT ||
                        err->code == ERR_REMOTE);
    r->unreachable |= away;
    r->wrong |= err && !away;
    if (r->json)
        say_json(kind, name, !err, err ? err->text : text);
    else
        printf("%-7s %s %s: %s\n", err ? "FAILED" : "ok", kind, name, err ? err->text : text);
    fflush(stdout);
}

static int connect_all(const struct cli_options *opts, const struct project *project)
{
    struct connect_report r = {.json = opts->json};
    connect_sources(&r, project);
    connect_redis(&r, project);
    connect_destinations(&r, project);
    return r.wrong ? EXIT_CONFIG_BAD : r.unreachable ? EXIT_UNREACHABLE : EXIT_OK;
}

int command_check(const struct cli_options *opts)
{
    struct problem_list problems;
    struct project *project = NULL;
    struct err err = {0};
    problem_list_init(&problems);
    enum err_code rc = project_load(opts->dir, &project, &problems, &err);
    for (size_t i = 0; i < problems.count; i++)
        (opts->json ? print_json : print_text)(&problems.items[i]);
    if (rc && !problems.mistakes)
        cli_fail(&err);
    else if (rc && !opts->json)
        printf("%zu mistake%s\n", problems.mistakes, problems.mistakes == 1 ? "" : "s");
    else if (!opts->json)
        print_summary(project);
    int status = rc ? EXIT_CONFIG_BAD : opts->connect ? connect_all(opts, project) : EXIT_OK;
    problem_list_done(&problems);
    project_free(project);
    return status;
}
