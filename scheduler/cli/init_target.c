/* sluice init: the connector, its object and options, and which column goes to which field. */
#include "scheduler/cli/init_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64 };

static const struct connector *connector_named(const struct project *p, const char *name)
{
    for (size_t i = 0; i < p->connector_count; i++)
        if (strcmp(p->connectors[i]->name, name) == 0)
            return p->connectors[i];
    return NULL;
}

enum err_code init_find_connector(struct init *in, struct err *err)
{
    const struct project *p = in->connectors;
    const char *given = in->opts->connector;
    const char *names[256];
    size_t n = 0;
    for (; n < p->connector_count && n < ARRAY_LEN(names); n++) {
        names[n] = p->connectors[n]->name;
        if (!given && in->asks)
            fprintf(stderr, "  %-12s %s\n", names[n],
                    p->connectors[n]->title ? p->connectors[n]->title : "");
    }
    if (!given)
        given = init_ask(in, "a connector", "--connector", err);
    if (!given)
        return ERR_USAGE;
    in->plan.connector = connector_named(p, given);
    const char *near = nearest_name(given, names, n);
    if (!in->plan.connector)
        return err_set(err, ERR_USAGE,
                       "there is no connector %s%s%s%s; sluice connectors lists them", given,
                       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    if (strcmp(given, "http") == 0)
        return err_set(err, ERR_USAGE,
                       "a destination of the type http is described by hand: see `sluice "
                       "connectors show http`");
    return ERR_OK;
}

static enum err_code object_unknown(const struct connector *c, const char *given, struct err *err)
{
    char list[512] = "";
    for (size_t i = 0; i < c->object_count; i++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", c->objects[i].name);
    }
    return given ? err_set(err, ERR_USAGE, "%s has no object %s (it has %s)", c->name, given, list)
                 : err_set(err, ERR_USAGE, "%s needs an object: give --object (it has %s)", c->name,
                           list);
}

enum err_code init_find_object(struct init *in, struct err *err)
{
    const struct connector *c = in->plan.connector;
    const char *given = in->opts->object;
    struct slice star;
    bool only = c->object_count == 1 && strcmp(c->driver ? c->driver : "http", "postgres") != 0;
    for (size_t i = 0; !given && !only && in->asks && i < c->object_count; i++)
        fprintf(stderr, "  %-20s %s\n", c->objects[i].name,
                c->objects[i].about ? c->objects[i].about : "");
    if (!given && !only && in->asks)
        given = init_ask(in, "an object of the connector (* is any text)", "--object", err);
    if (!given && !only)
        return object_unknown(c, NULL, err);
    in->plan.object_name = given;
    in->plan.object = connector_object(c, given, &star);
    return in->plan.object ? ERR_OK : object_unknown(c, given, err);
}

static enum sync_mode choose_mode(const struct object *o)
{
    static const enum sync_mode order[] = {MODE_UPSERT, MODE_MIRROR, MODE_APPEND,
                                           MODE_INSERT, MODE_UPDATE, MODE_FULL};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (o->modes & 1u << order[i])
            return order[i];
    return MODE_UPSERT;
}

/* ---- options ---- */

static const char *set_value(const struct init *in, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < in->opts->sets.count; i++)
        if (strncmp(in->opts->sets.items[i], name, n) == 0 && in->opts->sets.items[i][n] == '=')
            return in->opts->sets.items[i] + n + 1;
    return NULL;
}

static enum err_code check_sets(const struct init *in, struct err *err)
{
    const struct connector *c = in->plan.connector;
    for (size_t i = 0; i < in->opts->sets.count; i++) {
        const char *text = in->opts->sets.items[i];
        size_t n = strcspn(text, "="), j = 0;
        while (j < c->option_count && !slice_eq_str(slice_of(text, n), c->options[j].name))
            j++;
        if (!text[n] || j == c->option_count)
            return err_set(err, ERR_USAGE, "--set %.*s: %s", (int)n, text,
                           text[n] ? "the connector has no such option; see sluice connectors show"
                                   : "write NAME=VALUE");
        if (c->options[j].secret)
            return err_set(err, ERR_USAGE,
                           "--set %s: is a secret, and belongs into the environment",
                           c->options[j].name);
    }
    return ERR_OK;
}

static const char *variable_name(struct init *in, const struct option *o)
{
    char name[NAME_BYTES * 2];
    snprintf(name, sizeof name, "%s_%s", in->plan.connector->name, o->name);
    for (char *p = name; *p; p++)
        *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
    return arena_str(&in->arena, slice_str(name));
}

/* An endpoint of one's own may do without authentication, a vendor does not. */
static bool is_own_endpoint(const struct connector *c)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].name, "url") == 0 && c->options[i].required)
            return true;
    return false;
}

/* There is no way in without one of its options. */
static bool must_choose_auth(const struct connector *c)
{
    size_t n = 0;
    while (n < c->auth_count && c->auths[n].when_count)
        n++;
    return c->auth_count && n == c->auth_count && !is_own_endpoint(c);
}

/* Required, needed by the object, given, or what the first way of authentication goes by. Maps such
 * as a webhook's `basic` are for those who ask for them. */
static bool is_wanted(const struct init *in, uint32_t index)
{
    const struct connector *c = in->plan.connector;
    const struct option *o = &c->options[index];
    bool wanted = o->required && !o->preset;
    for (size_t i = 0; in->plan.object && i < in->plan.object->need_count; i++)
        wanted |= in->plan.object->needs[i] == index;
    if (must_choose_auth(c))
        for (size_t i = 0; i < c->auths[0].when_count; i++)
            wanted |= c->auths[0].when[i] == index;
    return (wanted && !strchr(o->name, '.')) || set_value(in, o->name);
}

enum err_code init_find_options(struct init *in, struct err *err)
{
    const struct connector *c = in->plan.connector;
    enum err_code rc = check_sets(in, err);
    struct init_option *list = arena_alloc(&in->arena, (c->option_count + 1) * sizeof *list);
    for (uint32_t i = 0; list && !rc && i < c->option_count; i++) {
        if (!is_wanted(in, i))
            continue;
        struct init_option *o = &list[in->plan.option_count++];
        *o = (struct init_option){&c->options[i], set_value(in, c->options[i].name),
                                  variable_name(in, &c->options[i])};
        if (!o->value && c->options[i].one_of_count)
            o->value = c->options[i].one_of[0];
        if (!o->variable)
            list = NULL;
    }
    in->plan.options = list;
    return rc || list ? rc : err_set(err, ERR_NOMEM, "no memory for options");
}

/* ---- the mappings ---- */

static enum err_code take_maps(struct init *in, struct err *err)
{
    for (size_t i = 0; i < in->opts->maps.count; i++) {
        const char *text = in->opts->maps.items[i];
        size_t n = strcspn(text, "="), j = 0;
        if (!text[n] || !text[n + 1])
            return err_set(err, ERR_USAGE, "--map %s: write COLUMN=FIELD", text);
        while (j < in->shape.column_count && !slice_eq_str(slice_of(text, n), in->shape.columns[j]))
            j++;
        if (j == in->shape.column_count)
            return init_no_column(in, slice_of(text, n), "--map", err);
        in->matches[j].field = text + n + 1;
    }
    return ERR_OK;
}

static enum err_code no_key(const struct init *in, struct err *err)
{
    const struct object *o = in->plan.object;
    char list[256] = "";
    for (size_t i = 0; i < o->key_count; i++) {
        size_t n = strlen(list);
        bool any = strcmp(o->keys[i].name, "*") == 0;
        snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
                 any ? "a field that is unique there" : o->keys[i].name);
    }
    return err_set(err, ERR_USAGE,
                   "no column names a record of %s %s, which is named by: %s; give --map "
                   "COLUMN=FIELD and --identify-by FIELD with one of them",
                   in->plan.connector->name, in->plan.object_name ? in->plan.object_name : o->name,
                   list);
}

enum err_code init_find_fields(struct init *in, struct err *err)
{
    size_t n = in->shape.column_count;
    in->matches = arena_alloc(&in->arena, n * sizeof *in->matches);
    if (!in->matches)
        return err_set(err, ERR_NOMEM, "no memory for mappings");
    for (size_t i = 0; i < n; i++)
        in->matches[i].column = in->shape.columns[i];
    enum err_code rc = take_maps(in, err);
    if (!rc && init_match(&in->arena, &in->plan, in->matches, n))
        rc = err_set(err, ERR_NOMEM, "no memory for mappings");
    in->plan.matches = in->matches;
    in->plan.match_count = n;
    in->plan.mode = choose_mode(in->plan.object);
    in->plan.identify_by = in->opts->identify_by;
    if (!in->plan.identify_by && in->plan.mode != MODE_APPEND)
        in->plan.identify_by = init_key(in->plan.object, in->matches, n);
    if (!rc && !in->plan.identify_by && in->plan.mode != MODE_APPEND &&
        !init_takes_any_key(&in->plan))
        rc = no_key(in, err);
    return rc;
}
