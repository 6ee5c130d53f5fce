/*
 * Makes manual pages when Sluice is built, so that they cannot fall behind: `manual sluice` from
 * the tables of commands and options, `manual sluice.yaml README.md` from the reference of the
 * configuration.
 */
#include "deploy/man/markdown.h"
#include "deploy/man/roff.h"
#include "scheduler/cli/options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 8192 };

/* ---- sluice(1) ---- */

static void print_option(const struct cli_option *o)
{
    char head[256] = "", value[64] = "";
    if (o->brief)
        snprintf(head, sizeof head, "`-%c`, ", o->letter);
    if (o->value)
        snprintf(value, sizeof value, " *%s*", o->value);
    size_t n = strlen(head);
    snprintf(head + n, sizeof head - n, "`--%s`%s", o->name, value);
    roff_macro(".It", head);
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "%s", o->help);
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = ' ';
    roff_text(text);
}

static void print_options(const struct command *c, bool common)
{
    bool any = false;
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct cli_option *o = &cli_option_table[i];
        if (o->common != common || (c && !cli_takes(c, o)))
            continue;
        if (!any)
            puts(".Bl -tag -width Ds -compact");
        any = true;
        print_option(o);
    }
    if (any)
        puts(".El");
}

/* Paragraphs with an empty line between them; their line breaks are those of a terminal. */
static void print_help(const char *help)
{
    char text[TEXT_BYTES] = "";
    size_t n = 0;
    for (const char *p = help; *p; p++) {
        if (p[0] == '\n' && p[1] == '\n') {
            text[n] = '\0';
            roff_text(text);
            puts(".Pp");
            n = 0;
            p++;
        } else if (n < sizeof text - 1) {
            text[n++] = *p == '\n' ? ' ' : *p;
        }
    }
    text[n] = '\0';
    roff_text(text);
}

static void print_command(const struct command *c)
{
    char head[256], summary[256];
    snprintf(head, sizeof head, "`sluice %s`%s%s%s", c->name, *c->arguments ? " *" : "",
             c->arguments, *c->arguments ? "*" : "");
    snprintf(summary, sizeof summary, "%c%s.", toupper((unsigned char)*c->summary), c->summary + 1);
    roff_macro(".It", head);
    roff_text(summary);
    if (*c->help)
        print_help(c->help);
    print_options(c, false);
}

static void print_status(void)
{
    static const struct {
        int status;
        const char *text;
    } list[] = {
        {EXIT_OK, "all is well; of a run: all records accepted"},
        {EXIT_REJECTS, "a run finished, but some of its records were rejected, failed or invalid"},
        {EXIT_RUN_FAILED, "a run failed or was stopped"},
        {EXIT_HELD, "a run is held for approval"},
        {EXIT_USAGE, "bad usage"},
        {EXIT_UNREACHABLE,
         "Redis, the scheduler or something that was looked for cannot be reached"},
        {EXIT_BUSY, "the state directory is in use"},
        {EXIT_CONFIG_BAD, "bad configuration"},
    };
    puts(".Sh EXIT STATUS\n.Bl -tag -width Ds -compact");
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        printf(".It %d\n", list[i].status);
        roff_text(list[i].text);
    }
    puts(".El");
    roff_text("Over several syncs the worst counts, in the order 2, 3, 1, 0.");
}

static const char sluice_description[] =
    ".Sh NAME\n.Nm sluice\n.Nd keep tools equal to the models of a warehouse\n"
    ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Op Ar argument ...\n"
    ".Sh DESCRIPTION\n"
    ".Nm\nreads modelled data from a warehouse, finds what was added, changed or removed since "
    "the\n"
    "destination last accepted it, and writes exactly that into the tools people work in.\n"
    "A project is a folder of YAML files, described in\n.Xr sluice.yaml 5 .\n";

static const char sluice_rest[] =
    ".Sh ENVIRONMENT\n"
    "Variables that the project names as ${NAME} are read from the environment.\n"
    ".Sh FILES\n.Bl -tag -width Ds -compact\n"
    ".It Pa sluice.yaml\nthe project, or a part of it; any name that ends in .yaml or .yml will "
    "do\n"
    ".It Pa .sluice\nwhat the destinations have accepted, unless\n.Cm settings.state_dir\n"
    "names another place\n.El\n";

static const char sluice_end[] =
    ".Sh EXAMPLES\n.Bd -literal -offset indent\n"
    "sluice init shop --table customers --connector hubspot --object contacts\n"
    "cd shop\n"
    "sluice check --connect\n"
    "sluice plan\n"
    "sluice run\n.Ed\n"
    ".Sh SEE ALSO\n.Xr sluice-scheduler 1 ,\n.Xr sluice-worker 1 ,\n.Xr sluice.yaml 5\n";

static void print_sluice(void)
{
    size_t count;
    const struct command *commands = cli_commands(&count);
    roff_head("SLUICE", 1);
    fputs(sluice_description, stdout);
    puts(".Pp\nEvery command takes these options:");
    print_options(NULL, true);
    puts(".Sh COMMANDS\n.Bl -tag -width Ds");
    for (size_t i = 0; i < count; i++)
        print_command(&commands[i]);
    puts(".El");
    fputs(sluice_rest, stdout);
    print_status();
    fputs(sluice_end, stdout);
}

/* ---- sluice.yaml(5) ---- */

static int print_yaml(const char *path)
{
    FILE *in = fopen(path, "re");
    if (!in) {
        fprintf(stderr, "manual: %s cannot be read\n", path);
        return 1;
    }
    roff_head("SLUICE.YAML", 5);
    puts(".Sh NAME\n.Nm sluice.yaml\n.Nd configuration of Sluice\n.Sh DESCRIPTION");
    markdown_print(in);
    puts(".Sh SEE ALSO\n.Xr sluice 1 ,\n.Xr sluice-scheduler 1 ,\n.Xr sluice-worker 1");
    fclose(in);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "sluice.yaml") == 0)
        return print_yaml(argv[2]);
    if (argc != 2 || strcmp(argv[1], "sluice") != 0) {
        fputs("usage: manual sluice | manual sluice.yaml README.md\n", stderr);
        return 64;
    }
    print_sluice();
    return 0;
}
