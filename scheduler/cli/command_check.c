#include "protocol/base/json.h"
#include "scheduler/cli/check_print.h"
#include "scheduler/cli/cli.h"
#include "scheduler/cli/connect.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* Paths and messages of a project, so well below it. */
enum { LINE_BYTES_MAX = 1 << 20, PROBLEMS_BYTES_MAX = 64 << 20 };

static void print_summary(const struct project *p, FILE *out)
{
    for (size_t i = 0; i < p->skipped_count; i++)
        fprintf(out, "note: %s was skipped: it has none of Sluice's top-level words\n",
                p->skipped_files[i]);
    fprintf(out, "ok: %zu source%s, %zu model%s, %zu destination%s, %zu sync%s\n", p->source_count,
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

static void say_github(const char *kind, const char *name, const char *text)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, LINE_BYTES_MAX);
    if (!check_put_absence(&b, CHECK_GITHUB, kind, name, text))
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
    if (r->form == CHECK_JSON)
        say_json(kind, name, !err, err ? err->text : text);
    else if (r->form == CHECK_GITHUB && err)
        say_github(kind, name, err->text);
    else /* a report for GitLab is one JSON document */
        fprintf(r->form == CHECK_GITLAB ? stderr : stdout, "%-7s %s %s: %s\n",
                err ? "FAILED" : "ok", kind, name, err ? err->text : text);
    fflush(stdout);
}

static int connect_all(enum check_form form, const struct project *project)
{
    struct connect_report r = {.form = form};
    connect_sources(&r, project);
    connect_redis(&r, project);
    connect_destinations(&r, project);
    return r.wrong ? EXIT_CONFIG_BAD : r.unreachable ? EXIT_UNREACHABLE : EXIT_OK;
}

/* ---- the command ---- */

static enum err_code form_of(const struct cli_options *opts, enum check_form *ret, struct err *err)
{
    *ret = opts->json ? CHECK_JSON : CHECK_TEXT;
    if (opts->form && opts->json)
        return err_set(err, ERR_USAGE, "--json and --format exclude each other: give one of them");
    if (opts->no_secrets && opts->connect)
        return err_set(err, ERR_USAGE,
                       "--connect needs the secrets, and --no-secrets says that they are not here: "
                       "give one of them");
    if (opts->form && !check_form_read(opts->form, ret))
        return err_set(err, ERR_USAGE, "--format is github or gitlab, not %s", opts->form);
    return ERR_OK;
}

static enum err_code print_problems(const struct cli_options *opts, enum check_form form,
                                    const struct problem_list *problems, struct err *err)
{
    char here[PATH_MAX];
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, PROBLEMS_BYTES_MAX);
    if (!getcwd(here, sizeof here))
        *here = '\0';
    enum err_code rc = check_put_problems(&b, form, problems, opts->dir, here);
    if (rc)
        return err_set(err, rc, "no memory for what is wrong");
    if (b.len)
        fwrite(b.p, 1, b.len, stdout);
    buf_reset(&b);
    if (form == CHECK_GITLAB && !check_put_problems(&b, CHECK_TEXT, problems, opts->dir, here) &&
        b.len)
        fwrite(b.p, 1, b.len, stderr); /* the job's log has it too */
    fflush(stdout);
    return ERR_OK;
}

static int check(const struct cli_options *opts, enum check_form form)
{
    FILE *words = form == CHECK_GITLAB ? stderr : stdout;
    struct problem_list problems;
    struct project *project = NULL;
    struct err err = {0}, own;
    problem_list_init(&problems);
    enum err_code rc = (opts->no_secrets ? project_load_alone : project_load)(opts->dir, &project,
                                                                              &problems, &err);
    if (print_problems(opts, form, &problems, &own))
        cli_fail(&own);
    if (rc && !problems.mistakes)
        cli_fail(&err);
    else if (rc && form != CHECK_JSON)
        fprintf(words, "%zu mistake%s\n", problems.mistakes, problems.mistakes == 1 ? "" : "s");
    else if (form != CHECK_JSON)
        print_summary(project, words);
    int status = rc ? EXIT_CONFIG_BAD : opts->connect ? connect_all(form, project) : EXIT_OK;
    problem_list_done(&problems);
    project_free(project);
    return status;
}

int command_check(const struct cli_options *opts)
{
    enum check_form form;
    struct err err;
    return form_of(opts, &form, &err) ? cli_fail(&err) : check(opts, form);
}
