#include "scheduler/cli/shards.h"

#include "protocol/config/shard.h"
#include "scheduler/state/entries.h"
#include "scheduler/state/part.h"
#include "scheduler/state/runs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* For which shards a command runs where the command line names none. */
enum which {
    SHARDS_ANY,      /* it needs the state of none */
    SHARDS_LOOK,     /* of the named syncs; of none: all that are here */
    SHARDS_NAMED,    /* of the named syncs, or of the destination */
    SHARDS_OF_FIRST, /* the first name is a sync, what follows is none */
    SHARDS_BY_RUN,   /* the name is a run */
    SHARDS_ALL,      /* all of them */
    SHARDS_BY_STATE, /* of the one whose state has the named syncs, whoever they belong to */
    SHARDS_ONE,      /* one must be named */
};

struct rule {
    const char *command;
    enum which which;
    size_t names_at; /* where the names of syncs begin */
};

/* The others need the state of none. */
static const struct rule rules[] = {
    {"adopt", SHARDS_NAMED, 0},   {"apply", SHARDS_ONE, 0},        {"approve", SHARDS_BY_RUN, 0},
    {"cancel", SHARDS_BY_RUN, 0}, {"capacity", SHARDS_LOOK, 0},    {"errors", SHARDS_LOOK, 0},
    {"forget", SHARDS_ALL, 0},    {"history", SHARDS_OF_FIRST, 0}, {"pause", SHARDS_NAMED, 0},
    {"plan", SHARDS_LOOK, 0},     {"reject", SHARDS_BY_RUN, 0},    {"reload", SHARDS_ONE, 0},
    {"resume", SHARDS_NAMED, 0},  {"retry", SHARDS_NAMED, 0},      {"run", SHARDS_NAMED, 0},
    {"runs", SHARDS_LOOK, 0},     {"state", SHARDS_BY_STATE, 2},   {"status", SHARDS_LOOK, 0},
    {"stream", SHARDS_LOOK, 1},   {"up", SHARDS_ONE, 0},
};

static struct rule rule_of(const struct command *c)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (strcmp(rules[i].command, c->name) == 0)
            return rules[i];
    return (struct rule){c->name, SHARDS_ANY, 0};
}

struct choice {
    bool of[SHARDS_MAX]; /* runs for this one */
    size_t count;
};

/* The project as a whole, or only its settings where it has mistakes: the command tells them. */
static struct project *load_quietly(const struct cli_options *o)
{
    struct problem_list problems;
    struct project *p = NULL;
    struct err err;
    problem_list_init(&problems);
    if (project_load_settings(o->dir, &p, &problems, &err))
        p = NULL;
    struct project *whole = NULL;
    if (p && p->settings.shards > 1 && !project_load(o->dir, &whole, &problems, &err)) {
        project_free(p);
        p = whole;
    }
    problem_list_done(&problems);
    return p;
}

static void choose(struct choice *c, uint32_t shard)
{
    c->count += !c->of[shard];
    c->of[shard] = true;
}

static bool is_here(const struct project *p, uint32_t shard)
{
    char path[PATH_MAX];
    struct stat st;
    return snprintf(path, sizeof path, "%s/shard-%u", p->settings.state_root, shard) <
               (int)sizeof path &&
           stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int say_which(const struct project *p)
{
    fprintf(stderr,
            "sluice: the project has %u shards: say which one with --shard K, from 0 to %u\n",
            p->settings.shards, p->settings.shards - 1);
    return EXIT_USAGE;
}

int cli_check_shard(const struct project *p)
{
    return p->settings.shards > 1 && p->settings.shard < 0 ? say_which(p) : EXIT_OK;
}

/* ---- choosing ---- */

static int choose_named(const struct rule *r, const struct cli_options *o, const struct project *p,
                        struct choice *ret)
{
    struct err err;
    for (size_t i = r->names_at; i < o->name_count; i++) {
        const struct sync *s = project_sync(p, o->names[i]);
        if (!s) {
            project_no_sync(p, o->names[i], &err);
            return cli_fail(&err);
        }
        choose(ret, s->destination->shard);
        if (r->which == SHARDS_OF_FIRST)
            break;
    }
    if (o->destination) {
        const struct destination *d = project_destination(p, o->destination);
        if (d)
            choose(ret, d->shard);
    }
    return ret->count ? EXIT_OK : say_which(p);
}

static int choose_here(const struct project *p, struct choice *ret)
{
    for (uint32_t i = 0; i < p->settings.shards; i++)
        if (is_here(p, i))
            choose(ret, i);
    if (ret->count)
        return EXIT_OK;
    fprintf(stderr,
            "sluice: no shard has its state here, in %s/shard-K: say with --shard K which one is "
            "meant\n",
            p->settings.state_root);
    return EXIT_USAGE;
}

/* Whoever erases something must not believe that it is gone where it is not. */
static int choose_all(const struct project *p, struct choice *ret)
{
    for (uint32_t i = 0; i < p->settings.shards; i++) {
        if (!is_here(p, i)) {
            fprintf(stderr,
                    "sluice: the state of shard %u is not here, and this concerns all %u: do it "
                    "with --shard K for each, where its state is\n",
                    i, p->settings.shards);
            return EXIT_USAGE;
        }
        choose(ret, i);
    }
    return EXIT_OK;
}

static bool has_run(const struct project *p, uint32_t shard, const char *run)
{
    struct state_options o = {.read_only = true};
    struct state *s = NULL;
    struct run_record r;
    struct err err;
    char path[PATH_MAX];
    if (!is_here(p, shard) || strlen(run) > STATE_RUN_ID_MAX)
        return false;
    snprintf(path, sizeof path, "%s/shard-%u", p->settings.state_root, shard);
    bool has = !state_open(path, &o, &s, &err) && !state_run_get(s, run, &r, &err);
    state_close(s);
    return has;
}

static int choose_by_run(const struct cli_options *o, const struct project *p, struct choice *ret)
{
    for (uint32_t i = 0; i < p->settings.shards; i++)
        if (has_run(p, i, o->names[0]))
            choose(ret, i);
    if (ret->count)
        return EXIT_OK;
    fprintf(stderr,
            "sluice: no shard that has its state here knows a run %s: name its shard with "
            "--shard K\n",
            o->names[0]);
    return EXIT_USAGE;
}

static bool has_sync(const struct project *p, uint32_t shard, const char *sync, bool exported)
{
    struct state_options o = {.read_only = true};
    struct state *s = NULL;
    struct state_counts c;
    struct err err;
    char path[PATH_MAX];
    bool has;
    if (!is_here(p, shard))
        return false;
    snprintf(path, sizeof path, "%s/shard-%u", p->settings.state_root, shard);
    has = !state_open(path, &o, &s, &err) && !state_sync_look(s, sync, &c, &err) &&
          (!exported || (!state_part_is_exported(s, sync, &has, &err) && has));
    state_close(s);
    return has;
}

static int choose_by_state(const struct cli_options *o, const struct project *p, struct choice *ret)
{
    bool drops = strcmp(o->names[0], "drop") == 0;
    for (size_t i = drops ? 1 : 2; i < o->name_count; i++)
        for (uint32_t k = 0; k < p->settings.shards; k++)
            if (has_sync(p, k, o->names[i], drops))
                choose(ret, k);
    return ret->count == 1 ? EXIT_OK : say_which(p);
}

static int choose_shards(const struct rule *r, const struct cli_options *o, const struct project *p,
                         struct choice *ret)
{
    bool named = o->name_count > r->names_at || o->destination;
    switch (r->which) {
    case SHARDS_LOOK:
        return named ? choose_named(r, o, p, ret) : choose_here(p, ret);
    case SHARDS_NAMED:
    case SHARDS_OF_FIRST:
        return choose_named(r, o, p, ret);
    case SHARDS_ALL:
        return choose_all(p, ret);
    case SHARDS_BY_RUN:
        return choose_by_run(o, p, ret);
    case SHARDS_BY_STATE:
        return choose_by_state(o, p, ret);
    case SHARDS_ANY:
    case SHARDS_ONE:
        break;
    }
    return say_which(p);
}

/* ---- running ---- */

static int worse(int a, int b)
{
    static const int order[] = {EXIT_OK, EXIT_REJECTS, EXIT_HELD, EXIT_RUN_FAILED};
    size_t at = 0, bt = 0;
    while (at < ARRAY_LEN(order) && order[at] != a)
        at++;
    while (bt < ARRAY_LEN(order) && order[bt] != b)
        bt++;
    return bt > at ? b : a;
}

static int run_for(const struct command *c, const struct rule *r, const struct cli_options *o,
                   const struct project *p, uint32_t shard)
{
    const char **names = calloc(o->name_count + 1, sizeof *names);
    struct cli_options own = *o;
    char number[16];
    if (!names) {
        fputs("sluice: no memory\n", stderr);
        return EXIT_RUN_FAILED;
    }
    bool filters = r->which != SHARDS_OF_FIRST && r->which != SHARDS_BY_STATE;
    own.names = names;
    own.name_count = 0;
    for (size_t i = 0; i < o->name_count; i++) {
        const struct sync *s = filters && i >= r->names_at ? project_sync(p, o->names[i]) : NULL;
        if (!s || s->destination->shard == shard)
            names[own.name_count++] = o->names[i];
    }
    snprintf(number, sizeof number, "%u", shard);
    int status = EXIT_RUN_FAILED;
    if (!setenv(SHARD_VARIABLE, number, 1))
        status = c->run(&own);
    unsetenv(SHARD_VARIABLE);
    free(names);
    return status;
}

static int run_all(const struct command *c, const struct rule *r, const struct cli_options *o,
                   const struct project *p, const struct choice *choice)
{
    int status = EXIT_OK;
    if (choice->count > 1 && (o->output || o->export_to)) {
        fputs("sluice: one file cannot hold what several shards write: name one with --shard K\n",
              stderr);
        return EXIT_USAGE;
    }
    for (uint32_t i = 0; i < p->settings.shards; i++) {
        if (!choice->of[i])
            continue;
        if (choice->count > 1 && !o->json && !o->markdown) {
            printf("shard %u\n", i);
            fflush(stdout);
        }
        status = worse(status, run_for(c, r, o, p, i));
    }
    return status;
}

int cli_run_in_shards(const struct command *c, const struct cli_options *o)
{
    const char *named = getenv(SHARD_VARIABLE);
    struct rule r = rule_of(c);
    if (o->state_file || o->against) /* a plan of what no shard here has */
        r.which = SHARDS_ANY;
    if (r.which == SHARDS_ANY || (named && *named))
        return c->run(o);
    struct project *p = load_quietly(o);
    if (!p || p->settings.shards < 2) {
        project_free(p);
        return c->run(o);
    }
    struct choice choice = {0};
    int status = choose_shards(&r, o, p, &choice);
    if (!status)
        status = run_all(c, &r, o, p, &choice);
    project_free(p);
    return status;
}
