/* sluice completion: scripts for shells, made from the tables of commands and options.
 *
 * Names are asked for when they are needed, by `sluice completion syncs` and the like, which prints
 * one a line and is silent where there is no project. */
#include "protocol/connector/connector.h"
#include "scheduler/cli/options.h"
#include "scheduler/state/runs.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RUNS_SHOWN = 50, WORDS_BYTES = 256 };

/* ---- what belongs where ---- */

/* What completes a value: a list that is asked for, "files", "folders", or words. */
static const char *kind_of_value(const struct cli_option *o)
{
    switch (o->letter) {
    case 'C':
    case 'b':
        return "folders";
    case 'o':
    case 'E':
    case 's':
        return "files";
    case 'r':
        return "runs";
    case 'Y':
        return "syncs";
    case 'N':
        return "connectors";
    case 'D':
        return "destinations";
    case 'J':
        return "=text json";
    case 'H':
        return "=github gitlab";
    case 'R':
        return "=viewer operator admin";
    default:
        return "";
    }
}

/* The arguments as help shows them: lower-case words stand for themselves, others for what they
 * name. */
static void kinds_of_arguments(const struct command *c, char words[WORDS_BYTES],
                               char kinds[WORDS_BYTES])
{
    static const struct {
        const char *name, *kind;
    } named[] = {{"SYNC", "syncs"}, {"RUN", "runs"}, {"DIR", "folders"}, {"FILE", "files"}};
    *words = *kinds = '\0';
    for (const char *p = c->arguments; *p;) {
        size_t n = 0;
        while (isalpha((unsigned char)p[n]))
            n++;
        size_t used = strlen(words), had = strlen(kinds);
        if (n && islower((unsigned char)*p))
            snprintf(words + used, WORDS_BYTES - used, "%s%.*s", used ? " " : "", (int)n, p);
        for (size_t i = 0; n && i < ARRAY_LEN(named); i++)
            if (slice_eq_str(slice_of(p, n), named[i].name))
                snprintf(kinds + had, WORDS_BYTES - had, "%s%s", had ? " " : "", named[i].kind);
        if (strcmp(c->name, "connectors") == 0 && n && strncmp(p, "NAME", n) == 0)
            snprintf(kinds + had, WORDS_BYTES - had, "%sconnectors", had ? " " : "");
        p += n ? n : 1;
    }
}

/* ---- bash ---- */

static const char bash_head[] =
    "# bash completion of sluice, made by: sluice completion bash\n"
    "_sluice_list() {\n"
    "    case $1 in\n"
    "        files) compgen -f -- \"$cur\" ;;\n"
    "        folders) compgen -d -- \"$cur\" ;;\n"
    "        =*) compgen -W \"${1#=}\" -- \"$cur\" ;;\n"
    "        ?*) compgen -W \"$(\"$program\" ${dir:+-C \"$dir\"} completion \"$1\" 2>/dev/null)\" "
    "-- "
    "\"$cur\" ;;\n"
    "    esac\n"
    "}\n"
    "_sluice() {\n"
    "    local program=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command='' dir='' options='' words='' kinds='' kind i\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "            -C | --directory) dir=${COMP_WORDS[++i]} ;;\n"
    "            -*) ;;\n"
    "            *) [ -n \"$command\" ] || command=${COMP_WORDS[i]} ;;\n"
    "        esac\n"
    "    done\n"
    "    case $command in\n";

static const char bash_tail[] =
    "    case $cur in\n"
    "        -*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\"); return ;;\n"
    "    esac\n"
    "    COMPREPLY=()\n"
    "    for kind in \"=$words\" $kinds; do\n"
    "        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(_sluice_list \"$kind\")\n"
    "    done\n"
    "}\n"
    "complete -o filenames -F _sluice sluice\n";

static void bash_command(const struct command *c)
{
    char words[WORDS_BYTES], kinds[WORDS_BYTES];
    kinds_of_arguments(c, words, kinds);
    printf("        %s) words='%s' kinds='%s' options='", c->name, words, kinds);
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_takes(c, &cli_option_table[i]))
            printf("--%s ", cli_option_table[i].name);
    puts("' ;;");
}

static void bash_values(void)
{
    puts("    case $prev in");
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct cli_option *o = &cli_option_table[i];
        if (!o->value)
            continue;
        printf("        ");
        if (o->brief)
            printf("-%c | ", o->letter);
        printf("--%s) mapfile -t COMPREPLY < <(_sluice_list '%s'); return ;;\n", o->name,
               kind_of_value(o));
    }
    puts("    esac");
}

static void print_bash(const struct command *commands, size_t count)
{
    fputs(bash_head, stdout);
    printf("        '') options='--directory --json --help --version' words='");
    for (size_t i = 0; i < count; i++)
        printf("%s ", commands[i].name);
    puts("' ;;");
    for (size_t i = 0; i < count; i++)
        bash_command(&commands[i]);
    puts("    esac");
    bash_values();
    fputs(bash_tail, stdout);
}

/* ---- zsh ---- */

/* Within '…': a quote ends it, is written, and begins it anew; : separates in descriptions. */
static void put_quoted(const char *text, const char *escape)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            fputs("'\\''", stdout);
        else if (*p == '\n')
            putchar(' ');
        else if (strchr(escape, *p))
            printf("\\%c", *p);
        else
            putchar(*p);
    }
}

static const char zsh_head[] = "#compdef sluice\n"
                               "# zsh completion of sluice, made by: sluice completion zsh\n"
                               "_sluice_list() {\n"
                               "    case $1 in\n"
                               "        files) _files ;;\n"
                               "        folders) _files -/ ;;\n"
                               "        '='*) compadd -- ${=1#=} ;;\n"
                               "        ?*) compadd -- ${(f)\"$($words[1] ${dir:+-C} ${dir:+$dir} "
                               "completion $1 2>/dev/null)\"} ;;\n"
                               "    esac\n"
                               "}\n"
                               "_sluice() {\n"
                               "    local command= dir= given= kinds= kind i\n"
                               "    local -a options commands\n"
                               "    for ((i = 2; i < CURRENT; i++)); do\n"
                               "        case $words[i] in\n"
                               "            -C | --directory) dir=$words[++i] ;;\n"
                               "            -*) ;;\n"
                               "            *) [[ -n $command ]] || command=$words[i] ;;\n"
                               "        esac\n"
                               "    done\n"
                               "    case $command in\n";

static const char zsh_tail[] =
    "    if [[ $words[CURRENT] == -* ]]; then\n"
    "        _describe option options\n"
    "        return\n"
    "    fi\n"
    "    (( $#commands )) && _describe command commands\n"
    "    for kind in \"=$given\" ${=kinds}; do\n"
    "        _sluice_list $kind\n"
    "    done\n"
    "}\n"
    "if [[ $funcstack[1] == _sluice ]]; then _sluice \"$@\"; else compdef "
    "_sluice sluice; fi\n";

static void zsh_option(const struct cli_option *o)
{
    printf(" '--%s:", o->name);
    put_quoted(o->help, ":\\");
    putchar('\'');
}

static void zsh_command(const struct command *c)
{
    char words[WORDS_BYTES], kinds[WORDS_BYTES];
    kinds_of_arguments(c, words, kinds);
    printf("        %s) given='%s' kinds='%s' options=(", c->name, words, kinds);
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_takes(c, &cli_option_table[i]))
            zsh_option(&cli_option_table[i]);
    puts(") ;;");
}

static void print_zsh(const struct command *commands, size_t count)
{
    fputs(zsh_head, stdout);
    printf("        '') options=('--version:print the version'");
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_option_table[i].common)
            zsh_option(&cli_option_table[i]);
    printf(") commands=(");
    for (size_t i = 0; i < count; i++) {
        printf(" '%s:", commands[i].name);
        put_quoted(commands[i].summary, ":\\");
        putchar('\'');
    }
    puts(") ;;");
    for (size_t i = 0; i < count; i++)
        zsh_command(&commands[i]);
    puts("    esac\n    case $words[CURRENT-1] in");
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct cli_option *o = &cli_option_table[i];
        if (o->value)
            printf("        --%s%s) _sluice_list '%s'; return ;;\n", o->name,
                   o->letter == 'C'   ? " | -C"
                   : o->letter == 'o' ? " | -o"
                                      : "",
                   kind_of_value(o));
    }
    puts("    esac");
    fputs(zsh_tail, stdout);
}

/* ---- fish ---- */

static const char fish_head[] =
    "# fish completion of sluice, made by: sluice completion fish\n"
    "function __sluice_list\n"
    "    set -l words (commandline -opc)\n"
    "    set -l dir\n"
    "    for i in (seq 2 (count $words))\n"
    "        if contains -- $words[$i] -C --directory; and test $i -lt (count $words)\n"
    "            set dir -C $words[(math $i + 1)]\n"
    "        end\n"
    "    end\n"
    "    $words[1] $dir completion $argv[1] 2>/dev/null\n"
    "end\n"
    "complete -c sluice -f\n";

static void fish_kind(const char *kind)
{
    if (strcmp(kind, "files") == 0)
        printf(" -F");
    else if (strcmp(kind, "folders") == 0)
        printf(" -a '(__fish_complete_directories)'");
    else if (*kind == '=')
        printf(" -a '%s'", kind + 1);
    else if (*kind)
        printf(" -a '(__sluice_list %s)'", kind);
}

static void fish_option(const char *condition, const struct cli_option *o)
{
    printf("complete -c sluice%s -l %s", condition, o->name);
    if (o->brief)
        printf(" -s %c", o->letter);
    if (o->value)
        printf(" -r");
    fish_kind(o->value ? kind_of_value(o) : "");
    printf(" -d '");
    put_quoted(o->help, "\\");
    puts("'");
}

static void fish_command(const struct command *c)
{
    char words[WORDS_BYTES], kinds[WORDS_BYTES], condition[WORDS_BYTES];
    kinds_of_arguments(c, words, kinds);
    printf("complete -c sluice -n __fish_use_subcommand -a %s -d '", c->name);
    put_quoted(c->summary, "\\");
    puts("'");
    snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", c->name);
    if (*words)
        printf("complete -c sluice%s -a '%s'\n", condition, words);
    for (char *kind = strtok(kinds, " "); kind; kind = strtok(NULL, " ")) {
        printf("complete -c sluice%s", condition);
        fish_kind(kind);
        putchar('\n');
    }
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_takes(c, &cli_option_table[i]) && !cli_option_table[i].common)
            fish_option(condition, &cli_option_table[i]);
}

static void print_fish(const struct command *commands, size_t count)
{
    fputs(fish_head, stdout);
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_option_table[i].common)
            fish_option("", &cli_option_table[i]);
    for (size_t i = 0; i < count; i++)
        fish_command(&commands[i]);
}

/* ---- names ---- */

static void print_syncs(const struct project *p)
{
    for (size_t i = 0; i < p->sync_count; i++)
        puts(p->syncs[i].name);
}

static void print_destinations(const struct project *p)
{
    for (size_t i = 0; i < p->destination_count; i++)
        puts(p->destinations[i].name);
}

static bool print_run(void *ctx, const struct run_record *r)
{
    (void)ctx;
    puts(r->id);
    return true;
}

static void print_runs(const struct project *p)
{
    struct state *state = NULL;
    struct state_options o = {.read_only = true};
    struct err err;
    enum err_code rc = state_open(p->settings.state_dir, &o, &state, &err);
    if (!rc)
        rc = state_run_list(state, NULL, RUNS_SHOWN, print_run, NULL, &err);
    (void)rc; /* what came so far is all there is */
    state_close(state);
}

static void print_connectors(const struct project *p)
{
    for (size_t i = 0; i < p->connector_count; i++)
        puts(p->connectors[i]->name);
}

static const struct {
    const char *name;
    void (*print)(const struct project *);
} lists[] = {
    {"syncs", print_syncs},
    {"destinations", print_destinations},
    {"runs", print_runs},
};

/* A shell that asks for names wants no words about a project that is none. */
static int print_names(const struct cli_options *opts)
{
    struct project *project = NULL;
    bool connectors = strcmp(opts->names[0], "connectors") == 0;
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    int status = connectors ? cli_load_connectors(opts, &project) : cli_load(opts, &project);
    for (size_t i = 0; !status && !connectors && i < ARRAY_LEN(lists); i++)
        if (strcmp(opts->names[0], lists[i].name) == 0)
            lists[i].print(project);
    if (!status && connectors)
        print_connectors(project);
    project_free(project);
    if (nowhere >= 0)
        close(nowhere);
    return status;
}

static const struct {
    const char *name;
    void (*print)(const struct command *, size_t);
} shells[] = {
    {"bash", print_bash},
    {"zsh", print_zsh},
    {"fish", print_fish},
};

int command_completion(const struct cli_options *opts)
{
    struct err err;
    size_t count;
    const struct command *commands = cli_commands(&count);
    const char *want = opts->names[0];
    for (size_t i = 0; i < ARRAY_LEN(shells); i++)
        if (strcmp(want, shells[i].name) == 0) {
            shells[i].print(commands, count);
            return EXIT_OK;
        }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (strcmp(want, lists[i].name) == 0)
            return print_names(opts);
    if (strcmp(want, "connectors") == 0)
        return print_names(opts);
    err_set(&err, ERR_USAGE, "there is no completion for %s; write bash, zsh or fish", want);
    return cli_fail(&err);
}
