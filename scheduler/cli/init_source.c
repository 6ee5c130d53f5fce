/* sluice init: the database, its table or query, the columns and the key. */
#include "scheduler/cli/init_private.h"
#include "scheduler/source/pg_connect.h"
#include "scheduler/source/sql_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLES_SHOWN = 40, TABLES_SEARCHED = 10000, NAME_BYTES = 64 };

bool init_is_url(const char *text)
{
    return strstr(text, "://") || strchr(text, '=');
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

enum err_code init_find_url(struct init *in, struct err *err)
{
    const char *given = in->opts->url;
    in->plan.variable = "WAREHOUSE_URL";
    in->known = is_set(in->plan.variable);
    if (!given && in->known)
        given = in->plan.variable;
    if (!given)
        given = init_ask(in,
                         "the database's URL (postgresql://user@host/database), or the name of an "
                         "environment variable that holds it",
                         "--url, or set WAREHOUSE_URL", err);
    if (!given)
        return ERR_USAGE;
    if (!init_is_url(given)) {
        in->plan.variable = given;
        given = is_set(given) ? getenv(given) : NULL;
    }
    if (!given)
        return err_set(err, ERR_USAGE, "the environment variable %s is not set", in->plan.variable);
    in->url = (struct param){"url", given};
    in->source = (struct source){
        .name = "warehouse", .type = "postgres", .params = &in->url, .param_count = 1};
    return pg_connect(&in->source, &in->conn, err);
}

/* ---- the table or query ---- */

enum err_code init_find_table(struct init *in, struct err *err)
{
    const struct cli_options *o = in->opts;
    if (o->table && o->query)
        return err_set(err, ERR_USAGE, "--table and --query cannot go together");
    const char *given = o->table ? o->table : o->query;
    if (!given && in->asks) {
        const char **tables = NULL;
        size_t n = 0;
        enum err_code rc = pg_shape_tables(in->conn, &in->arena, TABLES_SHOWN, &tables, &n, err);
        if (rc)
            return rc;
        for (size_t i = 0; i < n; i++)
            fprintf(stderr, "  %s\n", tables[i]);
    }
    if (!given)
        given = init_ask(in, "a table, or a SELECT", "--table or --query", err);
    if (!given)
        return ERR_USAGE;
    bool query = !o->table && sql_text_is_query(slice_str(given));
    if (o->query && !query)
        return err_set(err, ERR_USAGE, "--query must be one SELECT");
    in->model = (struct model){.name = "rows",
                               .source = &in->source,
                               .table = query ? NULL : given,
                               .sql = query ? given : NULL};
    in->plan.table = in->model.table;
    in->plan.query = in->model.sql;
    return ERR_OK;
}

/* The server's words, and which table may be meant. */
static enum err_code no_such_table(struct init *in, enum err_code code, struct err *err)
{
    const char **tables = NULL;
    size_t n = 0;
    struct err ignored;
    if (!in->model.table || code != ERR_SQL ||
        pg_shape_tables(in->conn, &in->arena, TABLES_SEARCHED, &tables, &n, &ignored))
        return code;
    const char *near = nearest_name(in->model.table, tables, n);
    size_t used = strlen(err->text);
    if (near)
        snprintf(err->text + used, sizeof err->text - used, " (did you mean %s?)", near);
    return code;
}

/* The table's last name, with what a name must not have taken out. */
static const char *model_name(struct init *in)
{
    char name[NAME_BYTES];
    size_t n = 0;
    const char *table = in->model.table;
    const char *dot = table ? strrchr(table, '.') : NULL;
    for (const char *p = dot ? dot + 1 : table; p && *p && n < sizeof name - 1; p++)
        if (isalnum((unsigned char)*p) || *p == '_' || *p == '-')
            name[n++] = *p;
    return n ? arena_str(&in->arena, slice_of(name, n)) : "rows";
}

static bool is_column(const struct init *in, struct slice name)
{
    for (size_t i = 0; i < in->shape.column_count; i++)
        if (slice_eq_str(name, in->shape.columns[i]))
            return true;
    return false;
}

enum err_code init_no_column(const struct init *in, struct slice name, const char *option,
                             struct err *err)
{
    char text[NAME_BYTES * 2];
    snprintf(text, sizeof text, "%.*s", (int)name.n, name.p ? name.p : "");
    const char *near = nearest_name(text, in->shape.columns, in->shape.column_count);
    return err_set(err, ERR_USAGE, "%s: there is no column %s%s%s%s", option, text,
                   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* Columns between commas. */
static enum err_code take_key(struct init *in, const char *given, struct err *err)
{
    const char **key = arena_alloc(&in->arena, (strlen(given) / 2 + 1) * sizeof *key);
    while (key && *given) {
        struct slice part = slice_of(given, strcspn(given, ","));
        if (!is_column(in, part))
            return init_no_column(in, part, "--primary-key", err);
        key[in->plan.key_count] = arena_str(&in->arena, part);
        if (!key[in->plan.key_count++])
            key = NULL;
        given += part.n + (given[part.n] == ',');
    }
    in->plan.key = key;
    return key ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for the key");
}

static enum err_code find_key(struct init *in, struct err *err)
{
    const char *given = in->opts->primary_key;
    if (!given && in->shape.key_count) {
        in->plan.key = in->shape.key;
        in->plan.key_count = in->shape.key_count;
        return ERR_OK;
    }
    if (!given && is_column(in, SLICE_LIT("id"))) {
        in->plan.key_guessed = true;
        given = "id";
    }
    for (size_t i = 0; !given && i < in->shape.column_count && in->asks; i++)
        fprintf(stderr, "  %s\n", in->shape.columns[i]);
    if (!given)
        given = init_ask(in, "the primary key (no key is declared): columns that tell rows apart",
                         "--primary-key", err);
    return given ? take_key(in, given, err) : ERR_USAGE;
}

enum err_code init_find_rows(struct init *in, struct err *err)
{
    enum err_code rc = pg_shape_columns(in->conn, &in->model, &in->shape, err);
    if (rc)
        return no_such_table(in, rc, err);
    rc = pg_shape_readable(in->conn, &in->model, err);
    if (!rc)
        rc = pg_shape_key(in->conn, &in->model, &in->shape, err);
    in->plan.model = model_name(in);
    return rc ? rc : find_key(in, err);
}
