#include "scheduler/cli/options.h"

#include "protocol/config/shard.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_OPTION_MAX = 64, LIMIT_OPTION_MAX = 1000000, OPT_JSON = 256, OPT_HELP, OPT_SHARD };
enum { OPTIONS_MAX = 64, HELP_COLUMN = 23 };

const struct cli_option cli_option_table[] = {
    {'C', "directory", "DIR", "the project folder (default: the current one)", true, true},
    {OPT_JSON, "json", NULL, "one JSON object per line on standard output", false, true},
    {OPT_SHARD, "shard", "K",
     "the shard, of a project that has several: a number, or hostname\n(default: SLUICE_SHARD)",
     false, true},
    {OPT_HELP, "help", NULL, "this text", false, true},
    {.letter = 'f', .name = "full", .help = "send every row again; removals are handled as always"},
    {.letter = 'w',
     .name = "workers",
     .value = "N",
     .help = "worker processes to start (default: one per processor, at most 4)"},
    {.letter = 'J',
     .name = "log-format",
     .value = "F",
     .help = "text or json (default: settings.log_format)"},
    {.letter = 'W',
     .name = "watch",
     .help = "read the project folder again whenever it has changed"},
    {.letter = 'k',
     .name = "key",
     .value = "TEXT",
     .help = "only records whose key contains TEXT, e.g. '\"id\":42'"},
    {.letter = 'm',
     .name = "message",
     .value = "TEXT",
     .help = "only records whose message contains TEXT"},
    {.letter = 'r', .name = "run", .value = "RUN", .help = "only records of this run"},
    {.letter = 'd', .name = "markdown", .help = "as Markdown"},
    {.letter = 'D',
     .name = "destination",
     .value = "NAME",
     .help = "a destination, instead of a sync or beside it"},
    {.letter = 'R', .name = "role", .value = "ROLE", .help = "viewer (default), operator or admin"},
    {.letter = 'o',
     .name = "output",
     .value = "FILE",
     .help = "keep the plan and write its name to FILE",
     .brief = true},
    {.letter = 'l', .name = "limit", .value = "N", .help = "at most N rows (default 20)"},
    {.letter = 'U',
     .name = "url",
     .value = "URL",
     .help = "the database, postgresql://…, or the name of an environment variable\nthat holds it "
             "(default: WAREHOUSE_URL)"},
    {.letter = 'T', .name = "table", .value = "NAME", .help = "the table to sync, schema.table"},
    {.letter = 'Q',
     .name = "query",
     .value = "SQL",
     .help = "the query to sync, instead of a table"},
    {.letter = 'N',
     .name = "connector",
     .value = "NAME",
     .help = "where to: see sluice connectors"},
    {.letter = 'O', .name = "object", .value = "NAME", .help = "which of the connector's objects"},
    {.letter = 'P',
     .name = "primary-key",
     .value = "COLUMN[,…]",
     .help = "columns that tell rows apart (default: the table's key)"},
    {.letter = 'I',
     .name = "identify-by",
     .value = "FIELD",
     .help = "destination field that names a record there"},
    {.letter = 'M',
     .name = "map",
     .value = "COLUMN=FIELD",
     .help = "map this column to this field; may be repeated"},
    {.letter = 'S',
     .name = "set",
     .value = "NAME=VALUE",
     .help = "an option of the connector that is no secret; may be repeated"},
    {.letter = 'E',
     .name = "export",
     .value = "FILE",
     .help = "write them to a file that ends in .csv, .ndjson or .jsonl (-: to output)"},
    {.letter = 'X', .name = "connect", .help = "also look whether everything outside is there"},
    {.letter = 'A',
     .name = "no-secrets",
     .help = "pass over what the environment and ${file:…} do not give here"},
    {.letter = 'H',
     .name = "format",
     .value = "FORMAT",
     .help = "github (annotations of a workflow) or gitlab (a Code Quality report)"},
    {.letter = 's',
     .name = "state",
     .value = "FILE",
     .help = "compare with what this export of a state has, not with the state here\n(-: from "
             "standard input)"},
    {.letter = 'b',
     .name = "against",
     .value = "DIR",
     .help = "say what differs from the project in DIR, and plan those syncs alone"},
    {.letter = 'Y', .name = "sync", .value = "SYNC", .help = "only in this sync; may be repeated"},
    {.letter = 'Z',
     .name = "replace",
     .help = "import over the state that is there, which is lost"},
    {.letter = 'B',
     .name = "standby",
     .help =
         "where another scheduler has the state, wait until it is gone and go\non in its place"},
    {.letter = 'V',
     .name = "take-over",
     .help = "go on where Redis knows a later scheduler of this state, or another\nstate of these "
             "syncs, that is gone for good; rows are sent again"},
    {.letter = 'G',
     .name = "merge",
     .help = "import single syncs into the state that is there, beside what it has"},
    {.letter = 'F',
     .name = "force",
     .help = "drop also what the project names itself, and others may use"},
    {.letter = 'q',
     .name = "records-per-day",
     .value = "N",
     .help = "records to be sent a day, by all destinations together: 40M, 250k"},
    {.letter = 'n',
     .name = "destinations",
     .value = "N",
     .help = "so many destinations of the connector, instead of the project's"},
    {.letter = 'a',
     .name = "rows",
     .value = "N",
     .help = "rows of all models together (default: those in state)"},
    {.letter = 't',
     .name = "request-ms",
     .value = "N",
     .help = "mean time of a request (default: as the history has it)"},
    {.letter = 'u',
     .name = "runs-per-day",
     .value = "N",
     .help = "how often models are read (default: as the history has it)"},
    {.letter = 'g',
     .name = "growth",
     .value = "FACTOR",
     .help = "so many times the records and rows: 10x"},
};
const size_t cli_option_count = ARRAY_LEN(cli_option_table);

bool cli_set_shard(const char *text)
{
    return setenv(SHARD_VARIABLE, text, 1) == 0;
}

bool cli_takes(const struct command *c, const struct cli_option *o)
{
    return o->common || strchr(c->options, o->letter);
}

/* ---- help ---- */

/* Places that UTF-8 text takes. */
static int width_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_option(const struct cli_option *o)
{
    char head[96];
    snprintf(head, sizeof head, "  %c%c%c --%s%s%s", o->brief ? '-' : ' ',
             o->brief ? o->letter : ' ', o->brief ? ',' : ' ', o->name, o->value ? " " : "",
             o->value ? o->value : "");
    fputs(head, stdout);
    int at = width_of(head);
    for (const char *p = o->help; *p;) {
        int n = (int)strcspn(p, "\n");
        bool fits = at + 2 <= HELP_COLUMN;
        printf("%s%*s%.*s\n", fits || p != o->help ? "" : "\n",
               fits ? HELP_COLUMN - at : HELP_COLUMN, "", n, p);
        at = 0;
        p += n + (p[n] == '\n');
    }
}

void cli_print_options(const struct command *c)
{
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_takes(c, &cli_option_table[i]))
            print_option(&cli_option_table[i]);
}

/* ---- parsing ---- */

static bool parse_number(const char *text, uint32_t max, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || n == 0 || n > max)
        return false;
    *ret = (uint32_t)n;
    return true;
}

static bool add_to(struct cli_list *list, const char *value)
{
    if (list->count == CLI_LIST_MAX)
        return false;
    list->items[list->count++] = value;
    return true;
}

/* Where the text of an option goes that takes one as it is; NULL: it does not. */
static const char **text_of(int letter, struct cli_options *o)
{
    const struct {
        int letter;
        const char **text;
    } texts[] = {
        {'C', &o->dir},          {'k', &o->key},
        {'m', &o->message},      {'r', &o->run},
        {'J', &o->log_format},   {'o', &o->output},
        {'D', &o->destination},  {'R', &o->role},
        {'U', &o->url},          {'T', &o->table},
        {'Q', &o->query},        {'N', &o->connector},
        {'O', &o->object},       {'P', &o->primary_key},
        {'I', &o->identify_by},  {'E', &o->export_to},
        {'a', &o->rows},         {'t', &o->request_ms},
        {'g', &o->growth},       {'u', &o->runs_per_day},
        {'n', &o->destinations}, {'q', &o->records_per_day},
        {'H', &o->form},         {'s', &o->state_file},
        {'b', &o->against},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].letter == letter)
            return texts[i].text;
    return NULL;
}

/* Sets one option; returns false when its value is no good. */
static bool take_option(int letter, struct cli_options *o)
{
    const char **text = text_of(letter, o);
    if (text) {
        *text = optarg;
        return true;
    }
    switch (letter) {
    case OPT_JSON:
        return o->json = true;
    case OPT_SHARD:
        return cli_set_shard(optarg);
    case 'f':
        return o->full = true;
    case 'd':
        return o->markdown = true;
    case 'W':
        return o->watch = true;
    case 'w':
        return parse_number(optarg, WORKERS_OPTION_MAX, &o->workers);
    case 'l':
        o->limit_set = true;
        return parse_number(optarg, LIMIT_OPTION_MAX, &o->limit);
    case 'M':
        return add_to(&o->maps, optarg);
    case 'X':
        return o->connect = true;
    case 'A':
        return o->no_secrets = true;
    case 'Z':
        return o->replace = true;
    case 'G':
        return o->merge = true;
    case 'F':
        return o->force = true;
    case 'B':
        return o->standby = true;
    case 'V':
        return o->take_over = true;
    case 'Y':
        return add_to(&o->syncs, optarg);
    case 'S':
        return add_to(&o->sets, optarg);
    default:
        return false;
    }
}

/* getopt's form of the table. */
static void list_options(struct option *list, char *brief)
{
    *brief++ = ':';
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct cli_option *o = &cli_option_table[i];
        list[i] =
            (struct option){o->name, o->value ? required_argument : no_argument, NULL, o->letter};
        if (o->brief) {
            *brief++ = (char)o->letter;
            *brief++ = ':';
        }
    }
    list[cli_option_count] = (struct option){0};
    *brief = '\0';
}

static const struct cli_option *option_of(int letter)
{
    for (size_t i = 0; i < cli_option_count; i++)
        if (cli_option_table[i].letter == letter)
            return &cli_option_table[i];
    return NULL;
}

/* The value of the option was refused. */
static void say_bad_value(const struct cli_option *o, char *text, size_t n)
{
    if (o->letter != 'w' && o->letter != 'l')
        snprintf(text, n, "--%s can be given %d times at most", o->name, CLI_LIST_MAX);
    else
        snprintf(text, n, "--%s wants a whole number from 1 to %d, not %s", o->name,
                 o->letter == 'w' ? WORKERS_OPTION_MAX : LIMIT_OPTION_MAX, optarg);
}

enum cli_parse_result cli_parse(const struct command *c, int argc, char **argv,
                                struct cli_options *o, char *text, size_t text_bytes)
{
    struct option list[OPTIONS_MAX];
    char brief[2 * OPTIONS_MAX];
    int letter;
    _Static_assert(ARRAY_LEN(cli_option_table) < OPTIONS_MAX, "room for getopt's end mark");
    list_options(list, brief);
    opterr = 0;
    while ((letter = getopt_long(argc, argv, brief, list, NULL)) != -1) {
        const struct cli_option *option = option_of(letter);
        if (letter == OPT_HELP)
            return CLI_HELP;
        if (letter == '?')
            snprintf(text, text_bytes, "%s has no option %s", c->name, argv[optind - 1]);
        else if (letter == ':')
            snprintf(text, text_bytes, "%s needs a value", argv[optind - 1]);
        else if (!cli_takes(c, option))
            snprintf(text, text_bytes, "%s has no option --%s", c->name, option->name);
        else if (!take_option(letter, o))
            say_bad_value(option, text, text_bytes);
        else
            continue;
        return CLI_MISTAKE;
    }
    o->names = (const char *const *)argv + optind;
    o->name_count = (size_t)(argc - optind);
    return CLI_PARSED;
}
