#include "protocol/base/utf8.h"
#include "protocol/config/files.h"
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <stdlib.h>

enum {
    KEY_COLUMNS = 32,     /* Postgres' own maximum in an index */
    TABLE_COLUMNS = 1600, /* and in a table */
    SQL_FILE_BYTES = INPUT_TEXT_BYTES,
};

struct model_form {
    struct model m;
    const struct node *source;
    const struct node *primary_key;
    const struct node *timezone;
    const struct node *dbt;
    const struct node *columns;
    const char *sql_file;
};

#define MEMBER(m) .offset = offsetof(struct model_form, m)
static const struct field fields[] = {
    {"source", FIELD_NODE, MEMBER(source), .required = true},
    {"primary_key", FIELD_NODE, MEMBER(primary_key), .required = true},
    {"sql", FIELD_TEXT, MEMBER(m.sql)},
    {"sql_file", FIELD_TEXT, MEMBER(sql_file)},
    {"table", FIELD_TEXT, MEMBER(m.table)},
    {"dbt", FIELD_NODE, MEMBER(dbt)},
    {"timezone", FIELD_NODE, MEMBER(timezone)},
    {"stream", FIELD_TEXT, MEMBER(m.stream)},
    {"columns", FIELD_NODE, MEMBER(columns)},
    {"where", FIELD_TEXT, MEMBER(m.where)},
};
static const struct form form = {"model", fields, ARRAY_LEN(fields), false};

struct dbt_form {
    const char *manifest;
    const char *model;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct dbt_form, m)
static const struct field dbt_fields[] = {
    {"manifest", FIELD_TEXT, MEMBER(manifest), .required = true},
    {"model", FIELD_TEXT, MEMBER(model), .required = true},
};
static const struct form dbt_form = {"`dbt` map", dbt_fields, ARRAY_LEN(dbt_fields), false};

static void read_dbt(struct reader *rd, const struct entry *of, struct model_form *f)
{
    struct dbt_form d = {0};
    struct entry dbt = {NULL, node_get(of->node, "dbt")->at, f->dbt};
    form_read(rd, &dbt_form, &dbt, &d);
    f->m.dbt_manifest = d.manifest ? reader_path(rd, d.manifest) : NULL;
    f->m.dbt_model = d.model;
}

static void read_sql_file(struct reader *rd, const struct entry *of, struct model_form *f)
{
    struct config_place at = node_get(of->node, "sql_file")->value->at;
    const char *path = reader_path(rd, f->sql_file);
    struct buf bytes CLEANUP(buf_done);
    struct err err;
    buf_init(&bytes, SQL_FILE_BYTES);
    if (!path)
        return;
    enum err_code rc = file_read(path, &bytes, &err);
    inputs_note(rd->inputs, INPUT_TEXT, path, buf_slice(&bytes), (int)rc);
    if (rc) {
        mistake(
            rd, at,
            "`sql_file` cannot be read: %s: %s; correct the path (it starts at the project folder)",
            path, err.text);
        return;
    }
    struct slice text = buf_slice(&bytes);
    if (!utf8_valid(text) || memchr(bytes.len ? text.p : "", '\0', text.n))
        mistake(rd, at, "`sql_file` does not hold UTF-8 text: save it as UTF-8");
    else
        f->m.sql = reader_str(rd, text);
}

static void check_not_blank(struct reader *rd, const struct entry *of, const char *sql)
{
    const struct pair *pair = node_get(of->node, "sql");
    if (!pair)
        pair = node_get(of->node, "sql_file");
    if (sql && pair && !sql[strspn(sql, " \t\r\n;")])
        mistake(rd, pair->value->at, "`%s` holds no statement: write a SELECT", pair->key);
}

static void read_query(struct reader *rd, const struct entry *of, struct model_form *f)
{
    static const char *const ways[] = {"sql", "sql_file", "table", "dbt", NULL};
    const struct pair *first = only_one_of(rd, of->node, ways);
    if (!first)
        mistake(rd, of->at, "the model %s has no query: add one of sql, sql_file, table and dbt",
                shown_text(rd, of->name));
    if (f->dbt)
        read_dbt(rd, of, f);
    if (f->sql_file)
        read_sql_file(rd, of, f);
    check_not_blank(rd, of, f->m.sql);
}

/* ---- a choice of a table's columns and rows ---- */

static bool has_column(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->column_count; i++)
        if (strcmp(m->columns[i], name) == 0)
            return true;
    return false;
}

static void check_key_is_read(struct reader *rd, const struct node *list, const struct model *m)
{
    for (size_t i = 0; i < m->primary_key_count; i++)
        if (!has_column(m, m->primary_key[i]))
            mistake(rd, list->at, "`columns` lacks %s of the primary key: add it",
                    shown_text(rd, m->primary_key[i]));
}

static void read_columns(struct reader *rd, const struct node *list, struct model *m)
{
    if (list->broken)
        return;
    if (list->kind != NODE_LIST || list->count == 0 || list->count > TABLE_COLUMNS) {
        wrong_type(rd, list, "columns", "a list of the table's columns");
        return;
    }
    const char **columns = reader_alloc(rd, list->count * sizeof *columns);
    if (!columns)
        return;
    m->columns = columns;
    for (size_t i = 0; i < list->count; i++) {
        const char *name = text_of(rd, list->items[i], "columns");
        if (name && has_column(m, name))
            mistake(rd, list->items[i]->at, "%s is twice in `columns`: remove one",
                    shown(rd, list->items[i]));
        else if (name)
            columns[m->column_count++] = name;
    }
    check_key_is_read(rd, list, m);
}

static void read_choice(struct reader *rd, const struct entry *of, struct model_form *f)
{
    static const char *const keys[] = {"columns", "where"};
    const struct pair *where = node_get(of->node, "where");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct pair *pair = node_get(of->node, keys[i]);
        if (pair && !f->m.table)
            mistake(rd, pair->at, "`%s` belongs to `table`: write it in the model's SQL", keys[i]);
    }
    if (f->m.where && !f->m.where[strspn(f->m.where, " \t\r\n;")])
        mistake(rd, where->value->at, "`where` holds no condition: write one, or remove it");
    if (f->columns && f->m.table)
        read_columns(rd, f->columns, &f->m);
}

/* A model of a warehouse. */
static void read_rows(struct reader *rd, const struct entry *of, struct model_form *f)
{
    const struct pair *stream = node_get(of->node, "stream");
    if (stream)
        mistake(rd, stream->at, "`stream` belongs to a model of a redis source: remove it");
    f->m.stream = NULL;
    read_query(rd, of, f);
    read_choice(rd, of, f);
    if (f->timezone)
        f->m.timezone = text_of(rd, f->timezone, "timezone");
    if (f->m.timezone)
        timezone_check(rd, f->timezone);
}

static void add_key_column(struct reader *rd, const struct node *node, struct model *m,
                           const char **columns)
{
    const char *name = text_of(rd, node, "primary_key");
    if (!name)
        return;
    for (size_t i = 0; i < m->primary_key_count; i++) {
        if (strcmp(columns[i], name) == 0) {
            mistake(rd, node->at, "%s is twice in `primary_key`: remove one", shown(rd, node));
            return;
        }
    }
    columns[m->primary_key_count++] = name;
}

static void read_primary_key(struct reader *rd, const struct node *node, struct model *m)
{
    const char **columns = reader_alloc(rd, KEY_COLUMNS * sizeof *columns);
    if (!columns)
        return;
    m->primary_key = columns;
    if (node->kind != NODE_LIST) {
        add_key_column(rd, node, m, columns);
        return;
    }
    if (node->count == 0)
        mistake(rd, node->at, "`primary_key` is empty: name the columns that tell rows apart");
    if (node->count > KEY_COLUMNS) {
        mistake(rd, node->at, "`primary_key` has more than %d columns: use fewer", KEY_COLUMNS);
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        add_key_column(rd, node->items[i], m, columns);
}

static void model_read(struct reader *rd, const struct entry *of, struct model *out)
{
    struct model_form f = {0};
    if (form_read(rd, &form, of, &f)) {
        const struct entry *source = f.source ? reader_find(rd, SECTION_SOURCES, f.source) : NULL;
        if (source)
            f.m.source = &rd->project->sources[entry_index(rd, SECTION_SOURCES, source)];
        if (f.primary_key)
            read_primary_key(rd, f.primary_key, &f.m);
        if (f.m.source ? source_is_redis(f.m.source) : f.m.stream != NULL)
            model_events_read(rd, of, f.columns, &f.m);
        else
            read_rows(rd, of, &f);
    }
    f.m.name = of->name;
    f.m.place = of->at;
    *out = f.m;
}

void models_read(struct reader *rd)
{
    const struct section *s = &rd->sections[SECTION_MODELS];
    rd->project->models = reader_alloc(rd, s->count * sizeof *rd->project->models);
    if (!rd->project->models)
        return;
    rd->project->model_count = s->count;
    for (size_t i = 0; i < s->count && !rd->failed; i++)
        model_read(rd, &s->entries[i], &rd->project->models[i]);
}
