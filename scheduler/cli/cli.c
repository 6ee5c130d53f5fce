#include "scheduler/cli/check_print.h"
#include "scheduler/cli/cli.h"
#include "scheduler/cli/options.h"
#include "scheduler/cli/shards.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 1 << 20 }; /* a path and a message */

static const struct command commands[] = {
    {"init", "[DIR]", "write a project folder for a table and a connector",
     "Reads the table's columns and primary key (or the query's columns), matches them to the\n"
     "connector's fields by name, and writes a commented sluice.yaml. Asks for what is not given\n"
     "when it runs in a terminal. Secrets are left as ${NAME}, to come from the environment. DIR "
     "is\n"
     "the current folder where none is given; nothing in it is ever overwritten.\n",
     "UTQNOPIMS", 0, 1, command_init},
    {"check", "", "validate the project folder",
     "Reads every YAML file of the project and reports all mistakes as file:line:col. Touches no\n"
     "database and no destination, but with --connect: then sources are connected to, models\n"
     "described and planned (not run), every mapped column looked for, Redis and the destinations\n"
     "reached. Exits 0 when all is right, 78 when something has to be mended, 69 when something\n"
     "cannot be reached. With --no-secrets, mistakes are found where the secrets are not, as in a\n"
     "check of a pull request.\n",
     "XAH", 0, 0, command_check},
    {"run", "[SYNC…]", "run syncs now (all of them when none is named)",
     "Reads each model once, sends what was added, changed or removed since the destination last\n"
     "accepted it, and ends with a summary. The first Ctrl-C finishes what is in flight and keeps "
     "the\n"
     "rest for the next run; the second stops at once. Neither loses anything.\n\n"
     "Exit status: 0 all accepted, 1 some records rejected, failed or invalid, 2 a run failed or "
     "was\n"
     "stopped, 3 a run is held for approval.\n",
     "fwV", 0, 1000, command_run},
    {"plan", "[SYNC…]", "show what a run would send, and send nothing",
     "Reads each model once and compares, in a copy of the state. Shows for each sync what would "
     "be\n"
     "added, changed and removed, samples of each, the first request with secrets starred out, "
     "and\n"
     "how long the limits make it take. With -o FILE the plan is kept: `sluice apply FILE` sends\n"
     "exactly that, as long as no other run of the sync came between.\n\n"
     "With --against DIR, another version of the project: which syncs are new, gone or otherwise\n"
     "and in what; only those are planned. Where there is no state, neither here nor by --state,\n"
     "what DIR's version reads counts as accepted, so that the plan shows what the change alone\n"
     "would do. With --state FILE it shows that for what was accepted elsewhere.\n\n"
     "With --markdown: a table for the comment of a pull request, below 60,000 bytes; samples of\n"
     "rows are in it with --limit only.\n\n"
     "Exit status: 0 planned, 2 a plan could not be made, 3 a guard would hold a run.\n",
     "flodsb", 0, 1000, command_plan},
    {"apply", "FILE", "send exactly what `sluice plan -o FILE` planned", "Exits as `run` does.\n",
     "w", 1, 1, command_apply},
    {"adopt", "SYNC…", "take a model's present rows as synced, and send nothing",
     "For a destination that has these records already, say from the tool that Sluice replaces.\n"
     "Reads each model once and remembers its rows as accepted; later runs send what changes from\n"
     "then on. Rows that were refused stay refused; vanished rows are removed by the next run,\n"
     "where the sync removes.\n",
     "", 1, 1000, command_adopt},
    {"up", "", "run syncs as their schedules say, until stopped",
     "Scheduler, workers, private Redis, API and dashboard in one command; `sluice-scheduler` is\n"
     "the same for services. The project folder is read again on SIGHUP or by `sluice reload`, "
     "and\n"
     "with --watch by itself: as a whole, or refused as a whole while the one before goes on.\n",
     "wJWBV", 0, 0, command_up},
    {"approve", "RUN", "send exactly what a held run planned",
     "Works only while state, mapping and target are as they were when the run was held; says so\n"
     "otherwise. Exits as `run` does.\n",
     "w", 1, 1, command_approve},
    {"reject", "RUN", "drop what a held run planned",
     "Nothing of it is sent; the sync's schedule goes on. Needs a scheduler that runs.\n", "", 1, 1,
     command_reject},
    {"cancel", "RUN", "stop a run of the scheduler",
     "What is in flight is finished; what is not sent is found again by the next run.\n", "", 1, 1,
     command_cancel},
    {"pause", "[SYNC…]", "let a sync or a destination rest",
     "A paused sync is not started by its schedule, and its run under way sends nothing; a paused\n"
     "destination receives nothing. Holds over restarts. Needs a scheduler that runs.\n",
     "D", 0, 1000, command_pause},
    {"resume", "[SYNC…]", "let what was paused go on", "Needs a scheduler that runs.\n", "D", 0,
     1000, command_resume},
    {"reload", "", "have the scheduler read the project folder again",
     "It is taken as a whole, or refused as a whole: then the scheduler goes on as it was.\n", "",
     0, 0, command_reload},
    {"token", "NAME", "make a token for the API",
     "Prints it once, and the line for `settings.tokens` with its SHA-256. Reads no project.\n",
     "R", 1, 1, command_token},
    {"retry", "[SYNC…]", "send refused records again with the next run",
     "Forgets refusals, so that the next run sends those rows once more: all of the named syncs\n"
     "(of every sync when none is named), or those chosen by --key or --message.\n",
     "km", 0, 1000, command_retry},
    {"runs", "[SYNC…]", "list past runs, newest first", "", "l", 0, 1000, command_runs},
    {"status", "[SYNC…]", "show each sync, its last run and what waits", "", "", 0, 1000,
     command_status},
    {"errors", "[SYNC…]", "show rejected, failed and invalid records with their reasons",
     "Groups equal messages; --key, --message or --run list single records. --export writes all "
     "of\n"
     "them, or those that the others choose, to a file.\n",
     "kmlrE", 0, 1000, command_errors},
    {"history", "SYNC KEY", "show what was sent of one record, and what came of it",
     "KEY is the primary key: 42, abc or {\"id\":42}. Newest first, as far back as\n"
     "`settings.history` keeps what ended runs sent.\n",
     "l", 2, 2, command_history},
    {"forget", "KEY", "erase a person from state, errors and history",
     "KEY is a value of the primary key or of identify_by, or a key as `sluice errors` shows it,\n"
     "such as '{\"id\":42}'. Goes through every sync, or those given by --sync; words of\n"
     "destinations that name the person go too. The state's file is written anew, so that nothing\n"
     "stays readable in it. Needs all runs to be over and nothing else at work on the state.\n",
     "Y", 1, 1, command_forget},
    {"state", "export|import|backup|drop FILE|SYNC…", "move or keep what was accepted",
     "export FILE writes everything as a stream with a digest, import FILE reads it into a state\n"
     "directory that has no state yet (--replace: over the one that is there), backup DIR copies\n"
     "the state. Export and backup also work while a scheduler runs. FILE may be - for standard\n"
     "output or input. A restored state keeps its age: where Redis knows of later work, every row\n"
     "is sent again.\n\n"
     "export FILE SYNC… writes these syncs alone, import FILE --merge adds them to another state\n"
     "beside what that has, and drop SYNC… forgets them where they were exported: so syncs move\n"
     "between shards, and no row is sent again. These need the scheduler of that state stopped.\n",
     "ZG", 2, 1000, command_state},
    {"stream", "status|drop|sql SYNC…", "tell how streams flow, and what they need at their source",
     "status [SYNC…] says for each sync that streams in which phase it is and how far behind; "
     "where\n"
     "no scheduler runs, what is at its source. sql SYNC prints the statements that make what the\n"
     "stream needs, for somebody with the rights to run, and what is wrong as things are. drop "
     "SYNC\n"
     "drops the slot and the publication that Sluice made, so that the source holds nothing back "
     "any\n"
     "more: once the sync no longer streams, or the scheduler is stopped. Those that the project\n"
     "names itself are dropped with --force only. A stream whose slot was dropped reads its model\n"
     "anew.\n",
     "F", 1, 1000, command_stream},
    {"alerts", "test [NAME]", "send a test message by the project's alerts",
     "Sends one by each alert, or by the one that is named, and says what came back. A PagerDuty\n"
     "incident is opened and resolved at once. Exits 0 when all were taken, 2 otherwise.\n",
     "", 1, 2, command_alerts},
    {"capacity", "", "tell what the load is, what limits allow, and what more would need",
     "Reads the last seven days of runs from state, beside a scheduler or without one, and says "
     "for\n"
     "each destination: records and requests a day, the busiest hour, what its limits carry at "
     "most,\n"
     "how long sending everything again takes; and for all of it: workers, Redis, scheduler, with\n"
     "half as much again in reserve. With --records-per-day or --growth: for what is planned. "
     "With\n"
     "--destinations N: for an idea, without a project, under the limits of --connector (default:\n"
     "webhook) and --object. What is not known is assumed, and named. Exits 1 where limits make "
     "it\n"
     "impossible.\n",
     "qnatugNO", 0, 0, command_capacity},
    {"connectors", "[show NAME]", "list what can be written to, or tell all about one",
     "Lists connectors with their objects and modes: those that are built in and, in a project\n"
     "folder, the project's own. `show NAME` prints options, authentication, limits, objects with\n"
     "their keys, fields, modes and maximums, and what a repeat after a crash does. With\n"
     "--markdown: everything about all that are built in.\n",
     "d", 0, 2, command_connectors},
    {"completion", "bash|zsh|fish", "print what makes a shell complete sluice's command lines",
     "bash: source <(sluice completion bash), or into "
     "/usr/share/bash-completion/completions/sluice\n"
     "zsh:  into a file _sluice in a folder of $fpath\n"
     "fish: into ~/.config/fish/completions/sluice.fish\n"
     "Completes commands, options, and the names of syncs, runs, destinations and connectors.\n",
     "", 1, 1, command_completion},
    {"version", "", "print the version", "", "", 0, 0, command_version},
};

const struct command *cli_commands(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(commands);
    return commands;
}

/* The width to give printf for a column of 11: … is one place wide, but three bytes. */
static int padded(const char *arguments)
{
    return strstr(arguments, "…") ? 13 : 11;
}

static void print_usage(FILE *out)
{
    fputs("Usage: sluice COMMAND [OPTION…] [ARGUMENT…]\n\n"
          "Keeps the tools people work in equal to the models of a warehouse.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-11s%-*s %s\n", commands[i].name, padded(commands[i].arguments),
                commands[i].arguments, commands[i].summary);
    fputs("\nEvery command takes -C DIR (the project folder, default the current one), --shard K, "
          "--json and --help.\n",
          out);
}

static void print_help(const struct command *c)
{
    printf("Usage: sluice %s [OPTION…]%s%s\n\n%c%s.\n%s%s\nOptions:\n", c->name,
           *c->arguments ? " " : "", c->arguments, toupper((unsigned char)*c->summary),
           c->summary + 1, *c->help ? "\n" : "", c->help);
    cli_print_options(c);
}

/* Prints what is wrong and where help is; returns the exit status. */
PRINTF_LIKE(2, 3)
static int usage_error(const char *command, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("sluice: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "; see sluice %s%s--help\n", command, *command ? " " : "");
    return EXIT_USAGE;
}

static int run_command(const struct command *c, struct cli_options o, int argc, char **argv)
{
    char text[512];
    switch (cli_parse(c, argc, argv, &o, text, sizeof text)) {
    case CLI_HELP:
        print_help(c);
        return EXIT_OK;
    case CLI_MISTAKE:
        return usage_error(c->name, "%s", text);
    case CLI_PARSED:
        break;
    }
    if (o.name_count < c->names_min)
        return usage_error(c->name, "%s needs a %s", c->name, c->arguments);
    if (o.name_count > c->names_max)
        return usage_error(c->name, "%s does not take %s", c->name, o.names[c->names_max]);
    return cli_run_in_shards(c, &o);
}

/* -C DIR, --shard K and --json may also stand before the command. Returns how many words they take.
 */
static int take_leading(int argc, char **argv, struct cli_options *o)
{
    int at = 1;
    while (at < argc) {
        if (strcmp(argv[at], "--json") == 0) {
            o->json = true;
            at++;
        } else if ((strcmp(argv[at], "-C") == 0 || strcmp(argv[at], "--directory") == 0) &&
                   at + 1 < argc) {
            o->dir = argv[at + 1];
            at += 2;
        } else if (strcmp(argv[at], "--shard") == 0 && at + 1 < argc) {
            cli_set_shard(argv[at + 1]);
            at += 2;
        } else {
            break;
        }
    }
    return at - 1;
}

int cli_main(int argc, char **argv)
{
    const char *names[ARRAY_LEN(commands)];
    struct cli_options o = {.dir = ".", .limit = 20};
    int leading = take_leading(argc, argv, &o);
    argc -= leading;
    argv += leading;
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0)
        return command_version(&(struct cli_options){0});
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], o, argc - 1, argv + 1);
        names[i] = commands[i].name;
    }
    const char *near = nearest_name(argv[1], names, ARRAY_LEN(names));
    return usage_error("", "there is no command %s%s%s%s", argv[1], near ? " (did you mean " : "",
                       near ? near : "", near ? "?)" : "");
}

int cli_status_of(enum err_code code)
{
    switch ((int)code) {
    case ERR_OK:
        return EXIT_OK;
    case ERR_BUSY:
        return EXIT_BUSY;
    case ERR_UNREACHABLE:
        return EXIT_UNREACHABLE;
    case ERR_CONFIG:
        return EXIT_CONFIG_BAD;
    case ERR_USAGE:
        return EXIT_USAGE;
    default:
        return EXIT_RUN_FAILED;
    }
}

int cli_fail(const struct err *err)
{
    fprintf(stderr, "sluice: %s\n", err->text);
    return cli_status_of(err->code);
}

int cli_fail_in(const struct log *log, const struct err *err)
{
    if (!log)
        return cli_fail(err);
    log_event(log, LOG_ERROR, "cannot_go_on", LOG_STR("error", err->text));
    return cli_status_of(err->code);
}

static void print_problem(const struct problem *p)
{
    CLEANUP(buf_done) struct buf line;
    buf_init(&line, LINE_BYTES_MAX);
    if (!check_put_problem(&line, p))
        fwrite(line.p, 1, line.len, stderr);
}

int cli_check_names(const struct cli_options *opts, const struct project *project)
{
    struct err err;
    for (size_t i = 0; i < opts->name_count; i++)
        if (!project_sync(project, opts->names[i])) {
            project_no_sync(project, opts->names[i], &err);
            return cli_fail(&err);
        }
    return EXIT_OK;
}

bool cli_is_named(const struct cli_options *opts, const char *sync)
{
    for (size_t i = 0; i < opts->name_count; i++)
        if (strcmp(opts->names[i], sync) == 0)
            return true;
    return !opts->name_count;
}

typedef enum err_code load_fn(const char *, struct project **, struct problem_list *, struct err *);

static int load_telling(load_fn *load, const struct cli_options *opts, struct project **ret_project,
                        struct problem_list *problems)
{
    struct err err = {0};
    enum err_code rc = load(opts->dir, ret_project, problems, &err);
    if (opts->log)
        problem_list_log(problems, opts->log);
    for (size_t i = 0; i < problems->count && !opts->log; i++)
        if (problems->items[i].kind != PROBLEM_NOTE)
            print_problem(&problems->items[i]);
    if (rc && !problems->mistakes)
        cli_fail_in(opts->log, &err);
    return rc ? EXIT_CONFIG_BAD : EXIT_OK;
}

static int load_with(load_fn *load, const struct cli_options *opts, struct project **ret_project)
{
    struct problem_list problems;
    problem_list_init(&problems);
    int status = load_telling(load, opts, ret_project, &problems);
    problem_list_done(&problems);
    return status;
}

int cli_load(const struct cli_options *opts, struct project **ret_project)
{
    return load_with(project_load, opts, ret_project);
}

int cli_load_with_problems(const struct cli_options *opts, struct project **ret_project,
                           struct problem_list *problems)
{
    return load_telling(project_load, opts, ret_project, problems);
}

int cli_load_settings(const struct cli_options *opts, struct project **ret_project)
{
    return load_with(project_load_settings, opts, ret_project);
}

int cli_load_connectors(const struct cli_options *opts, struct project **ret_project)
{
    return load_with(project_load_connectors, opts, ret_project);
}
