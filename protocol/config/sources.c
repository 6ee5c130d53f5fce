#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { LIBPQ_PARAMS = 128 };

struct source_form {
    struct source s;
    int read;
    const char *url;
    const struct node *params;
};

#define MEMBER(m) .offset = offsetof(struct source_form, m)
static const char *const reads[] = {"auto", "copy", "rows", NULL};
static const struct field fields[] = {
    {"type", FIELD_TEXT, MEMBER(s.type)},
    {"url", FIELD_TEXT, MEMBER(url)},
    {"params", FIELD_NODE, MEMBER(params)},
    {"statement_timeout", FIELD_DURATION, MEMBER(s.statement_timeout_ms), .max = INT32_MAX},
    {"read", FIELD_WORD, MEMBER(read), .words = reads},
    {"connections", FIELD_COUNT, MEMBER(s.connections), .min = 1, .max = 64},
};
static const struct form form = {"source", fields, ARRAY_LEN(fields), true};

/* The first three are carried out. */
static const char *const types[] = {
    "postgres", "redshift",   "redis",      "snowflake", "bigquery", "mysql",
    "mariadb",  "databricks", "clickhouse", "mssql",     "oracle",   "duckdb",
    "sqlite",   "trino",      "athena",     "csv",       NULL,
};
enum { TYPE_POSTGRES, TYPE_REDSHIFT, TYPE_REDIS };

/* All names a postgres source may have: ours, then libpq's own list. */
struct known_keys {
    const char *names[ARRAY_LEN(fields) + LIBPQ_PARAMS + 1];
    const char *const *libpq;
};

static void known_init(struct known_keys *known, const PQconninfoOption *options)
{
    size_t n = 0;
    *known = (struct known_keys){0};
    for (; n < ARRAY_LEN(fields); n++)
        known->names[n] = fields[n].name;
    known->libpq = known->names + n;
    for (; options->keyword && n < ARRAY_LEN(known->names) - 1; options++)
        known->names[n++] = options->keyword;
}

static bool is_libpq(const struct known_keys *known, const char *key)
{
    for (size_t i = 0; known->libpq[i]; i++)
        if (strcmp(known->libpq[i], key) == 0)
            return true;
    return false;
}

static bool is_ours(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(fields[i].name, key) == 0)
            return true;
    return false;
}

static void add_param(struct reader *rd, struct source_form *f, const char *name,
                      const struct node *value)
{
    struct param *params = (struct param *)f->s.params;
    const char *text = scalar_of(rd, value, name);
    for (size_t i = 0; i < f->s.param_count; i++) {
        if (strcmp(params[i].name, name) != 0)
            continue;
        mistake(rd, value->at, "`%s` is given twice for this source: keep one", name);
        return;
    }
    if (text)
        params[f->s.param_count++] = (struct param){name, text};
}

static void read_params(struct reader *rd, struct source_form *f, const struct node *map, bool top)
{
    PQconninfoOption *options = PQconndefaults();
    struct known_keys known;
    if (!options) {
        rd->failed = ERR_NOMEM;
        return;
    }
    known_init(&known, options);
    for (size_t i = 0; i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        if (is_libpq(&known, pair->key))
            add_param(rd, f, pair->key, pair->value);
        else if (!top || !is_ours(pair->key))
            form_unknown(rd, "postgres source", pair, top ? known.names : known.libpq);
    }
    PQconninfoFree(options);
}

/* libpq says what is wrong in words that quote the address, so ours stay general. */
static void check_url(struct reader *rd, const struct node *map, const char *url)
{
    char *words = NULL;
    PQconninfoOption *parsed = PQconninfoParse(url, &words);
    if (!parsed)
        mistake(
            rd, node_get(map, "url")->value->at,
            "`url` is no Postgres address: write postgresql://user:password@host:5432/database");
    PQconninfoFree(parsed);
    PQfreemem(words);
}

static void read_connection(struct reader *rd, struct source_form *f, const struct entry *of)
{
    size_t room =
        of->node->count + (f->params && f->params->kind == NODE_MAP ? f->params->count : 0) + 1;
    struct param *params = reader_alloc(rd, room * sizeof *params);
    if (!params)
        return;
    f->s.params = params;
    if (f->url) {
        check_url(rd, of->node, f->url);
        params[f->s.param_count++] = (struct param){"dbname", f->url};
    }
    read_params(rd, f, of->node, true);
    if (f->params && f->params->kind == NODE_MAP)
        read_params(rd, f, f->params, false);
    else if (f->params)
        wrong_type(rd, f->params, "params", "a map of connection parameters");
    const struct pair *url = node_get(of->node, "url");
    if (f->s.param_count == 0 && !url && of->node->count <= 1)
        mistake(rd, of->at, "the source %s has no `url`: add it, or host, dbname and user",
                shown_text(rd, of->name));
}

/* Redshift speaks Postgres' protocol, but has no COPY to the client. */
static void set_redshift(struct reader *rd, struct source_form *f, const struct node *map)
{
    if (f->s.read == READ_COPY)
        mistake(rd, node_get(map, "read")->value->at,
                "redshift cannot be read with `copy`: write rows, or remove `read`");
    f->s.read = READ_ROWS;
}

static void source_read(struct reader *rd, const struct entry *of, struct source *out)
{
    struct source_form f = {.s = {.connections = 4}};
    const struct pair *type = node_get(of->node, "type");
    if (of->node->kind == NODE_MAP && !type)
        mistake(rd, of->at, "the source %s has no `type`: add it, for example type: postgres",
                shown_text(rd, of->name));
    int which = type ? word_of(rd, type->value, "type", types) : -1;
    if (which == TYPE_REDIS)
        source_redis_read(rd, of, &f.s);
    else if (which > TYPE_REDIS)
        unsupported(rd, type->value->at,
                    "a source of type %s is not supported by this version: use postgres",
                    types[which]);
    else if ((which >= 0 || of->node->kind != NODE_MAP) && form_read(rd, &form, of, &f))
        read_connection(rd, &f, of);
    f.s.read = (enum read_method)f.read;
    if (which == TYPE_REDSHIFT)
        set_redshift(rd, &f, of->node);
    f.s.type = types[which == TYPE_REDIS ? TYPE_REDIS : TYPE_POSTGRES];
    f.s.name = of->name;
    f.s.place = of->at;
    *out = f.s;
}

void sources_read(struct reader *rd)
{
    const struct section *s = &rd->sections[SECTION_SOURCES];
    rd->project->sources = reader_alloc(rd, s->count * sizeof *rd->project->sources);
    if (!rd->project->sources)
        return;
    rd->project->source_count = s->count;
    for (size_t i = 0; i < s->count && !rd->failed; i++)
        source_read(rd, &s->entries[i], &rd->project->sources[i]);
}
