#include "worker/postgres/statements.h"

const char statements_columns[] =
    "select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typcategory = 'A', "
    "a.atttypid = 'bytea'::pg_catalog.regtype, a.attrelid::pg_catalog.regclass "
    "from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid "
    "where a.attrelid = pg_catalog.to_regclass($1) and a.attnum > 0 and not a.attisdropped "
    "order by a.attnum";

/* What a statement is made with: text goes to out, the first failure stays. */
struct maker {
    struct buf *out;
    const struct shape *shape;
    const struct table *table;
    const struct table_column **keys; /* the table's columns of the shape's keys and fields */
    const struct table_column **fields;
    enum err_code rc;
};

static void put(struct maker *m, const char *text)
{
    if (!m->rc)
        m->rc = buf_puts(m->out, text);
}

static void put_name(struct maker *m, const char *name)
{
    put(m, "\"");
    for (const char *p = name; *p && !m->rc; p++) {
        if (*p == '"')
            put(m, "\"");
        if (!m->rc)
            m->rc = buf_putc(m->out, *p);
    }
    put(m, "\"");
}

static void put_column(struct maker *m, char letter, size_t i)
{
    if (!m->rc)
        m->rc = buf_printf(m->out, "i.%c%zu", letter, i);
}

/* The staged text as the column's own type. A list came as a JSON array. */
static void put_cast(struct maker *m, char letter, size_t i, const struct table_column *column)
{
    if (column->is_bytes) {
        put(m, "decode(");
        put_column(m, letter, i);
        put(m, ",'base64')");
        return;
    }
    if (column->is_array) {
        put(m, "case when ");
        put_column(m, letter, i);
        put(m, " like '[%' then array(select jsonb_array_elements_text(");
        put_column(m, letter, i);
        put(m, "::jsonb))::");
        put(m, column->type);
        put(m, " else ");
    }
    put_column(m, letter, i);
    put(m, "::");
    put(m, column->type);
    if (column->is_array)
        put(m, " end");
}

static void put_key_match(struct maker *m, const char *alias)
{
    for (size_t i = 0; i < m->shape->key_count; i++) {
        put(m, i ? " and " : "");
        put(m, alias);
        put(m, ".");
        put_name(m, m->shape->keys[i]);
        put(m, " = ");
        put_cast(m, 'k', i, m->keys[i]);
    }
}

static bool is_key(const struct shape *s, const char *field)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (strcmp(s->keys[i], field) == 0)
            return true;
    return false;
}

/* ---- inserting ---- */

/* The columns of a new row: the keys, and the fields that are not keys. */
static void put_insert_columns(struct maker *m)
{
    const struct shape *s = m->shape;
    for (size_t i = 0; i < s->key_count; i++) {
        put(m, i ? ", " : "");
        put_name(m, s->keys[i]);
    }
    for (size_t i = 0; i < s->field_count; i++) {
        if (is_key(s, s->fields[i]))
            continue;
        put(m, ", ");
        put_name(m, s->fields[i]);
    }
}

static void put_insert_values(struct maker *m)
{
    const struct shape *s = m->shape;
    for (size_t i = 0; i < s->key_count; i++) {
        put(m, i ? ", " : "");
        put_cast(m, 'k', i, m->keys[i]);
    }
    for (size_t i = 0; i < s->field_count; i++) {
        if (is_key(s, s->fields[i]))
            continue;
        put(m, ", ");
        if (s->absent && !m->rc) { /* what is not sent stays as it is */
            m->rc = buf_printf(m->out, "case when substr(i._a, %zu, 1) = '1' then o.", i + 1);
            put_name(m, s->fields[i]);
            put(m, " else ");
        }
        put_cast(m, 'f', i, m->fields[i]);
        put(m, s->absent ? " end" : "");
    }
}

static void put_insert(struct maker *m, char op)
{
    put(m, "insert into ");
    put(m, m->table->name);
    put(m, " as t (");
    put_insert_columns(m);
    put(m, ") select ");
    put_insert_values(m);
    put(m, " from sluice_in i");
    if (m->shape->absent) {
        put(m, " left join ");
        put(m, m->table->name);
        put(m, " o on ");
        put_key_match(m, "o");
    }
    if (!m->rc)
        m->rc = buf_printf(m->out, " where i._op = '%c' order by i._n", op);
}

/* ---- what an existing row gets ---- */

static void put_old(struct maker *m, size_t i)
{
    put(m, "t.");
    put_name(m, m->shape->fields[i]);
}

/* The new value: of the row that was proposed, or of the staged text. */
static void put_new(struct maker *m, size_t i, bool excluded)
{
    if (!excluded) {
        put_cast(m, 'f', i, m->fields[i]);
        return;
    }
    put(m, "excluded.");
    put_name(m, m->shape->fields[i]);
}

static void put_merged(struct maker *m, size_t i, bool excluded)
{
    put(m, "case when ");
    put_new(m, i, excluded);
    put(m, " is null then ");
    put_old(m, i);
    put(m, " else coalesce(");
    put_old(m, i);
    put(m, ", '{}') || array(select x from unnest(");
    put_new(m, i, excluded);
    put(m, ") x where x <> all (coalesce(");
    put_old(m, i);
    put(m, ", '{}'))) end");
}

static void put_assignment(struct maker *m, size_t i, bool excluded)
{
    bool masked = !excluded && m->shape->absent;
    put_name(m, m->shape->fields[i]);
    put(m, " = ");
    if (masked && !m->rc)
        m->rc = buf_printf(m->out, "case when substr(i._a, %zu, 1) = '1' then ", i + 1);
    if (masked) {
        put_old(m, i);
        put(m, " else ");
    }
    if (m->shape->policies[i] == POLICY_SET_IF_EMPTY) {
        put(m, "coalesce(");
        put_old(m, i);
        put(m, ", ");
        put_new(m, i, excluded);
        put(m, ")");
    } else if (m->shape->policies[i] == POLICY_MERGE) {
        put_merged(m, i, excluded);
    } else {
        put_new(m, i, excluded);
    }
    put(m, masked ? " end" : "");
}

static bool is_set(const struct shape *s, size_t i)
{
    return !is_key(s, s->fields[i]) && s->policies[i] != POLICY_CREATE_ONLY;
}

static bool sets_anything(const struct shape *s)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (is_set(s, i))
            return true;
    return false;
}

static void put_assignments(struct maker *m, bool excluded)
{
    bool first = true;
    for (size_t i = 0; i < m->shape->field_count; i++) {
        if (!is_set(m->shape, i))
            continue;
        put(m, first ? "" : ", ");
        put_assignment(m, i, excluded);
        first = false;
    }
}

/* A record that is older than the row leaves it alone. */
static void put_newest(struct maker *m, const char *word, bool excluded)
{
    if (m->shape->newest < 0)
        return;
    size_t i = (size_t)m->shape->newest;
    put(m, word);
    put(m, "(");
    put_old(m, i);
    put(m, " is null or ");
    put_new(m, i, excluded);
    put(m, " >= ");
    put_old(m, i);
    put(m, ")");
}

/* ---- the statements ---- */

static void put_upsert(struct maker *m)
{
    put_insert(m, 'p');
    put(m, " on conflict (");
    for (size_t i = 0; i < m->shape->key_count; i++) {
        put(m, i ? ", " : "");
        put_name(m, m->shape->keys[i]);
    }
    if (sets_anything(m->shape)) {
        put(m, ") do update set ");
        put_assignments(m, true);
        put_newest(m, " where ", true);
    } else {
        put(m, ") do nothing");
    }
    put(m, ";\n");
}

static void put_update(struct maker *m)
{
    put(m, "select i._n from sluice_in i where i._op = 'u' and not exists (select from ");
    put(m, m->table->name);
    put(m, " o where ");
    put_key_match(m, "o");
    put(m, ") order by i._n;\n");
    if (!sets_anything(m->shape))
        return;
    put(m, "update ");
    put(m, m->table->name);
    put(m, " as t set ");
    put_assignments(m, false);
    put(m, " from sluice_in i where i._op = 'u' and ");
    put_key_match(m, "t");
    put_newest(m, " and ", false);
    put(m, ";\n");
}

static void put_delete(struct maker *m)
{
    put(m, "delete from ");
    put(m, m->table->name);
    put(m, " as t using sluice_in i where i._op = 'd' and ");
    put_key_match(m, "t");
    put(m, ";\n");
}

static void put_clear(struct maker *m)
{
    bool first = true;
    for (size_t i = 0; i < m->shape->field_count; i++) {
        if (is_key(m->shape, m->shape->fields[i]))
            continue;
        if (first) {
            put(m, "update ");
            put(m, m->table->name);
            put(m, " as t set ");
        } else {
            put(m, ", ");
        }
        put_name(m, m->shape->fields[i]);
        put(m, " = null");
        first = false;
    }
    if (first)
        return;
    put(m, " from sluice_in i where i._op = 'c' and ");
    put_key_match(m, "t");
    put(m, ";\n");
}

/* ---- the whole ---- */

enum err_code statements_put_load(struct buf *out, const struct shape *shape, uint64_t timeout_ms)
{
    enum err_code rc =
        buf_printf(out,
                   "begin;\nset local statement_timeout = %llu;\ncreate temporary table sluice_in "
                   "(_n int, _op \"char\", _a text",
                   (unsigned long long)(timeout_ms < INT32_MAX ? timeout_ms : INT32_MAX));
    for (size_t i = 0; !rc && i < shape->key_count; i++)
        rc = buf_printf(out, ", k%zu text", i);
    for (size_t i = 0; !rc && i < shape->field_count; i++)
        rc = buf_printf(out, ", f%zu text", i);
    return rc ? rc : buf_puts(out, ") on commit drop;\ncopy sluice_in from stdin");
}

static const struct table_column *find(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static enum err_code find_all(const struct table *t, const char *const *names, size_t count,
                              const struct table_column **out, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = find(t, names[i]);
        if (!out[i])
            return err_set(err, ERR_CONFIG, "table %s has no column \"%s\"", t->name, names[i]);
    }
    return ERR_OK;
}

static enum err_code make(struct maker *m, struct err *err)
{
    const struct shape *s = m->shape;
    enum err_code rc = find_all(m->table, s->keys, s->key_count, m->keys, err);
    if (!rc)
        rc = find_all(m->table, s->fields, s->field_count, m->fields, err);
    if (rc)
        return rc;
    if (s->ops & 1u << OP_DELETE)
        put_delete(m);
    if (s->ops & 1u << OP_CLEAR)
        put_clear(m);
    if (s->ops & 1u << OP_UPDATE)
        put_update(m);
    if (s->ops & 1u << OP_UPSERT)
        put_upsert(m);
    if (s->ops & (1u << OP_INSERT | 1u << OP_APPEND)) {
        put_insert(m, 'i');
        put(m, " on conflict do nothing;\n");
    }
    put(m, "commit");
    return m->rc ? err_set(err, m->rc, "the statements of a batch: %s", err_name(m->rc)) : ERR_OK;
}

enum err_code statements_put_write(struct buf *out, const struct shape *shape,
                                   const struct table *table, struct err *err)
{
    struct arena a CLEANUP(arena_done);
    arena_init(&a, 1 << 20);
    struct maker m = {.out = out, .shape = shape, .table = table};
    m.keys = arena_alloc(&a, (shape->key_count + 1) * sizeof *m.keys);
    m.fields = arena_alloc(&a, (shape->field_count + 1) * sizeof *m.fields);
    if (!m.keys || !m.fields)
        return err_set(err, ERR_NOMEM, "no memory for the statements of a batch");
    return make(&m, err);
}
