/* sluice init: a project folder from a table, a connector and their names. */
#include "protocol/base/json.h"
#include "scheduler/cli/init_private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_BYTES = 4096, ARENA_BYTES = 4 << 20 };

/* ---- asking ---- */

const char *init_ask(struct init *in, const char *question, const char *option, struct err *err)
{
    char line[ANSWER_BYTES];
    err_set(err, ERR_USAGE, "%s is needed: give %s (there is no terminal to ask in)", question,
            option);
    if (!in->asks)
        return NULL;
    fprintf(stderr, "%s: ", question);
    if (!fgets(line, sizeof line, stdin)) {
        err_set(err, ERR_USAGE, "%s is needed", question);
        return NULL;
    }
    struct slice s = slice_of(line, strlen(line));
    while (s.n && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    while (s.n && isspace((unsigned char)*s.p))
        s = slice_of(s.p + 1, s.n - 1);
    err_set(err, ERR_USAGE, "%s is needed", question);
    return s.n ? arena_str(&in->arena, s) : NULL;
}

/* ---- the end ---- */

static size_t mapped(const struct init *in)
{
    size_t n = 0;
    for (size_t i = 0; i < in->plan.match_count; i++)
        n += in->matches[i].field != NULL;
    return n;
}

static void print_text(const struct init *in)
{
    const struct init_plan *p = &in->plan;
    printf("wrote %s/sluice.yaml and %s/.gitignore\n", in->dir, in->dir);
    printf("  %zu of %zu columns have a field of their name%s\n", mapped(in), p->match_count,
           mapped(in) < p->match_count ? "; the others stand there as comments" : "");
    for (size_t i = 0; i < p->match_count; i++)
        if (p->matches[i].field && strcmp(p->matches[i].field, p->matches[i].column) != 0)
            printf("    %s -> %s\n", p->matches[i].column, p->matches[i].field);
    puts("next:");
    if (strcmp(in->dir, ".") != 0)
        printf("  cd %s\n", in->dir);
    if (in->opts->url ? init_is_url(in->opts->url) : !in->known)
        printf("  export %s=...   # the URL given here\n", p->variable);
    for (size_t i = 0; i < p->option_count; i++)
        if (!p->options[i].value)
            printf("  export %s=...%s%s\n", p->options[i].variable,
                   p->options[i].option->about ? "   # " : "",
                   p->options[i].option->about ? p->options[i].option->about : "");
    puts("  sluice check --connect   # are they all there?\n"
         "  sluice plan              # what would be sent\n"
         "  sluice run               # send it");
}

static int print_json(const struct init *in)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 1 << 20);
    const struct init_plan *p = &in->plan;
    enum err_code rc = buf_puts(&b, "{\"dir\":");
    rc = rc ? rc : json_put_string(&b, slice_str(in->dir));
    rc = rc ? rc
            : buf_printf(&b,
                         ",\"files\":[\"sluice.yaml\",\".gitignore\"],\"columns\":%zu,"
                         "\"mapped\":%zu,\"variables\":[\"%s\"",
                         p->match_count, mapped(in), p->variable);
    for (size_t i = 0; !rc && i < p->option_count; i++)
        if (!p->options[i].value)
            rc = buf_printf(&b, ",\"%s\"", p->options[i].variable);
    rc = rc ? rc : buf_puts(&b, "]}\n");
    if (!rc)
        fwrite(b.p, 1, b.len, stdout);
    return rc ? EXIT_RUN_FAILED : EXIT_OK;
}

static int write_all(struct init *in)
{
    int status = init_write(in->dir, &in->plan);
    if (status)
        return status;
    if (in->opts->json)
        return print_json(in);
    print_text(in);
    return EXIT_OK;
}

int command_init(const struct cli_options *opts)
{
    static enum err_code (*const steps[])(struct init *, struct err *) = {
        init_find_url,    init_find_table,   init_find_rows,  init_find_connector,
        init_find_object, init_find_options, init_find_fields};
    struct err err = {0};
    struct init in = {.opts = opts,
                      .dir = opts->name_count ? opts->names[0] : opts->dir,
                      .asks = isatty(STDIN_FILENO) && isatty(STDERR_FILENO)};
    arena_init(&in.arena, ARENA_BYTES);
    enum err_code rc = init_folder_free(in.dir, &err);
    int status =
        rc ? cli_fail(&err) : cli_load_connectors(&(struct cli_options){0}, &in.connectors);
    for (size_t i = 0; !status && i < ARRAY_LEN(steps); i++)
        if (steps[i](&in, &err))
            status = cli_fail(&err);
    if (!status)
        status = write_all(&in);
    PQfinish(in.conn);
    pg_shape_done(&in.shape);
    project_free(in.connectors);
    arena_done(&in.arena);
    return status;
}
