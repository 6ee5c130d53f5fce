/* sluice capacity: what the load is, what limits allow, what more would need. */
#include "protocol/base/clock.h"
#include "protocol/connector/connector.h"
#include "scheduler/cli/capacity_print.h"
#include "scheduler/cli/cli.h"
#include "scheduler/state/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DESTINATIONS_MAX = 100000 };

/* More than anybody has, so that a slip of the keyboard is not reckoned with. */
static const double RECORDS_MAX = 1e13, REQUEST_MS_MAX = 86400000, RUNS_MAX = 86400,
                    GROWTH_MAX = 1e6;

/* ---- numbers as people write them ---- */

/* 40M, 1.5k, 10x, 250000: more than nothing, and with an end. */
static bool parse_amount(const char *text, double *ret)
{
    static const struct {
        const char *word;
        double times;
    } units[] = {{"", 1}, {"x", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"m", 1e6}, {"G", 1e9}};
    char *end;
    double n = strtod(text, &end);
    if (end == text || !isfinite(n) || !(n > 0) || *text == '+')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strcmp(end, units[i].word) == 0) {
            *ret = n * units[i].times;
            return true;
        }
    return false;
}

static int bad_number(const char *option, const char *text)
{
    fprintf(stderr, "sluice: --%s wants a number above 0 such as 250k or 40M, not %s\n", option,
            text);
    return EXIT_USAGE;
}

static int too_much(const char *option, double most, const char *text)
{
    fprintf(stderr, "sluice: --%s is at most %.0f, not %s\n", option, most, text);
    return EXIT_USAGE;
}

static int read_wish(const struct cli_options *o, struct capacity_wish *wish, double *destinations)
{
    const struct {
        const char *name, *text;
        double *to, most;
    } numbers[] = {
        {"records-per-day", o->records_per_day, &wish->records_per_day, RECORDS_MAX},
        {"destinations", o->destinations, destinations, DESTINATIONS_MAX},
        {"rows", o->rows, &wish->rows, RECORDS_MAX},
        {"request-ms", o->request_ms, &wish->request_ms, REQUEST_MS_MAX},
        {"runs-per-day", o->runs_per_day, &wish->runs_per_day, RUNS_MAX},
        {"growth", o->growth, &wish->growth, GROWTH_MAX},
    };
    *wish = (struct capacity_wish){0};
    *destinations = 0;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!numbers[i].text)
            continue;
        if (!parse_amount(numbers[i].text, numbers[i].to))
            return bad_number(numbers[i].name, numbers[i].text);
        if (*numbers[i].to > numbers[i].most)
            return too_much(numbers[i].name, numbers[i].most, numbers[i].text);
    }
    if (*destinations != floor(*destinations)) {
        fprintf(stderr, "sluice: --destinations wants a whole number, not %s\n", o->destinations);
        return EXIT_USAGE;
    }
    if (*destinations <= 0 && (o->connector || o->object)) {
        fputs("sluice: --connector and --object go with --destinations\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

/* ---- a project, or an idea ---- */

static int say(const struct cli_options *opts, const struct capacity_survey *s)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, CAPACITY_TEXT_BYTES);
    struct err err;
    if (opts->json ? capacity_put_json(&text, s) : capacity_put_text(&text, s)) {
        err_set(&err, ERR_NOMEM, "no memory for so many destinations");
        return cli_fail(&err);
    }
    fwrite(text.p, 1, text.len, stdout);
    return s->possible ? EXIT_OK : EXIT_REJECTS;
}

static int of_project(const struct cli_options *opts, const struct capacity_wish *wish)
{
    struct project *project = NULL;
    struct state *state = NULL;
    struct capacity_survey survey = {0};
    struct err err = {0};
    int status = cli_load(opts, &project);
    if (status)
        return status;
    enum err_code rc = state_open(project->settings.state_dir,
                                  &(struct state_options){.read_only = true}, &state, &err);
    if (!rc || rc == ERR_NOTFOUND)
        rc = capacity_survey_project(project, state, clock_wall_ms(), wish, &survey, &err);
    status = rc ? cli_fail(&err) : say(opts, &survey);
    capacity_survey_done(&survey);
    state_close(state);
    project_free(project);
    return status;
}

static const struct connector *find_connector(const struct project *p, const char *name)
{
    for (size_t i = 0; i < p->connector_count; i++)
        if (strcmp(p->connectors[i]->name, name) == 0)
            return p->connectors[i];
    return NULL;
}

static int survey_idea(const struct cli_options *opts, const struct project *project,
                       double destinations, const struct capacity_wish *wish)
{
    const char *name = opts->connector ? opts->connector : "webhook";
    const struct connector *connector = find_connector(project, name);
    struct capacity_survey survey = {0};
    struct slice star;
    struct err err;
    if (!connector || !connector->object_count) {
        fprintf(stderr, "sluice: there is no connector %s; see sluice connectors\n", name);
        return EXIT_USAGE;
    }
    const struct object *object =
        opts->object ? connector_object(connector, opts->object, &star) : &connector->objects[0];
    if (!object) {
        fprintf(stderr, "sluice: %s has no object %s; see sluice connectors show %s\n", name,
                opts->object, name);
        return EXIT_USAGE;
    }
    enum err_code rc =
        capacity_survey_idea(connector, object, (size_t)destinations, wish, &survey, &err);
    int status = rc ? cli_fail(&err) : say(opts, &survey);
    capacity_survey_done(&survey);
    return status;
}

static int of_idea(const struct cli_options *opts, double destinations,
                   const struct capacity_wish *wish)
{
    struct project *project = NULL;
    int status = cli_load_connectors(opts, &project);
    if (!status)
        status = survey_idea(opts, project, destinations, wish);
    project_free(project);
    return status;
}

int command_capacity(const struct cli_options *opts)
{
    struct capacity_wish wish;
    double destinations;
    int status = read_wish(opts, &wish, &destinations);
    if (status)
        return status;
    return destinations > 0 ? of_idea(opts, destinations, &wish) : of_project(opts, &wish);
}
