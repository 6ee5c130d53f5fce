#include "scheduler/source/types.h"

#include <stdlib.h>

enum {
    NESTING_LIMIT = 16,
    TYPES_ARENA_BYTES = 16 << 20,
};

/* Oids below 10,000 are the same in every PostgreSQL (src/include/catalog/pg_type.dat). */
static const struct pg_type builtin[] = {
    {16, "boolean", COLUMN_BOOL, CONVERT_BOOL, ',', 0, 0},
    {17, "bytea", COLUMN_BYTES, CONVERT_BYTES, ',', 0, 0},
    {20, "bigint", COLUMN_INT, CONVERT_NUMBER, ',', 0, 0},
    {21, "smallint", COLUMN_INT, CONVERT_NUMBER, ',', 0, 0},
    {23, "integer", COLUMN_INT, CONVERT_NUMBER, ',', 0, 0},
    {25, "text", COLUMN_TEXT, CONVERT_TEXT, ',', 0, 0},
    {114, "json", COLUMN_JSON, CONVERT_JSON, ',', 0, 0},
    {700, "real", COLUMN_FLOAT, CONVERT_NUMBER, ',', 0, 0},
    {701, "double precision", COLUMN_FLOAT, CONVERT_NUMBER, ',', 0, 0},
    {1042, "character", COLUMN_TEXT, CONVERT_TEXT, ',', 0, 0},
    {1043, "character varying", COLUMN_TEXT, CONVERT_TEXT, ',', 0, 0},
    {1082, "date", COLUMN_DATE, CONVERT_DATE, ',', 0, 0},
    {1083, "time without time zone", COLUMN_OTHER, CONVERT_TEXT, ',', 0, 0},
    {1114, "timestamp without time zone", COLUMN_TIMESTAMP, CONVERT_TIMESTAMP, ',', 0, 0},
    {1184, "timestamp with time zone", COLUMN_TIMESTAMP, CONVERT_TIMESTAMPTZ, ',', 0, 0},
    {1186, "interval", COLUMN_OTHER, CONVERT_TEXT, ',', 0, 0},
    {1266, "time with time zone", COLUMN_OTHER, CONVERT_TEXT, ',', 0, 0},
    {1700, "numeric", COLUMN_NUMERIC, CONVERT_NUMBER, ',', 0, 0},
    {2950, "uuid", COLUMN_OTHER, CONVERT_TEXT, ',', 0, 0},
    {3802, "jsonb", COLUMN_JSON, CONVERT_JSON, ',', 0, 0},
};

void types_init(struct types *t)
{
    *t = (struct types){0};
    arena_init(&t->arena, TYPES_ARENA_BYTES);
}

void types_done(struct types *t)
{
    free(t->learned);
    arena_done(&t->arena);
    *t = (struct types){0};
}

const struct pg_type *types_find(const struct types *t, Oid oid)
{
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
        if (builtin[i].oid == oid)
            return &builtin[i];
    for (size_t i = 0; i < t->count; i++)
        if (t->learned[i].oid == oid)
            return &t->learned[i];
    return NULL;
}

/* Follows domains and arrays from oid. Returns the first type that is not known, 0 when all are. */
static Oid first_unknown(const struct types *t, Oid oid)
{
    for (int i = 0; oid && i < NESTING_LIMIT; i++) {
        const struct pg_type *type = types_find(t, oid);
        if (!type)
            return oid;
        oid = type->base ? type->base : type->element;
    }
    return 0;
}

enum err_code types_query(const struct types *t, const Oid *oids, size_t count, struct buf *sql,
                          struct err *err)
{
    static const char head[] = "SELECT t.oid, pg_catalog.format_type(t.oid, NULL), t.typtype, "
                               "t.typelem, t.typbasetype, t.typdelim,"
                               " t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc"
                               " FROM pg_catalog.pg_type t WHERE t.oid IN (";
    enum err_code rc = ERR_OK;
    buf_reset(sql);
    for (size_t i = 0; i < count && !rc; i++) {
        Oid missing = first_unknown(t, oids[i]);
        if (missing)
            rc = buf_printf(sql, "%s%u", sql->len ? "," : head, missing);
    }
    if (!rc && sql->len)
        rc = buf_putc(sql, ')');
    return rc ? err_set(err, rc, "no room for the query of the columns' types") : ERR_OK;
}

static Oid oid_field(const PGresult *answer, int row, int column)
{
    return (Oid)strtoul(PQgetvalue(answer, row, column), NULL, 10);
}

static enum err_code learn_one(struct types *t, const PGresult *answer, int row)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 16;
        struct pg_type *grown = realloc(t->learned, cap * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        t->learned = grown;
        t->cap = cap;
    }
    struct pg_type type = {
        .oid = oid_field(answer, row, 0),
        .name = arena_str(&t->arena, slice_str(PQgetvalue(answer, row, 1))),
        .column = COLUMN_OTHER,
        .convert = CONVERT_TEXT,
        .delimiter = PQgetvalue(answer, row, 5)[0],
    };
    if (!type.name)
        return ERR_NOMEM;
    if (PQgetvalue(answer, row, 2)[0] == 'd')
        type.base = oid_field(answer, row, 4);
    else if (PQgetvalue(answer, row, 6)[0] == 't') {
        type.element = oid_field(answer, row, 3);
        type.column = COLUMN_ARRAY;
        type.convert = CONVERT_ARRAY;
    }
    t->learned[t->count++] = type;
    return ERR_OK;
}

enum err_code types_learn(struct types *t, const PGresult *answer, struct err *err)
{
    if (PQntuples(answer) < 1 || PQnfields(answer) < 7)
        return err_set(err, ERR_SQL,
                       "the warehouse does not know the type of one of the model's columns");
    for (int i = 0; i < PQntuples(answer); i++)
        if (learn_one(t, answer, i))
            return err_set(err, ERR_NOMEM, "no memory for the columns' types");
    return ERR_OK;
}

/* oid, or what it is a domain over. */
static const struct pg_type *below_domains(const struct types *t, Oid oid)
{
    const struct pg_type *type = types_find(t, oid);
    for (int i = 0; type && type->base && i < NESTING_LIMIT; i++)
        type = types_find(t, type->base);
    return type;
}

enum column_type types_column(const struct types *t, Oid oid)
{
    const struct pg_type *type = below_domains(t, oid);
    return type ? type->column : COLUMN_OTHER;
}

const struct converter *types_converter(struct types *t, Oid oid)
{
    struct converter *first = NULL, **link = &first;
    for (int depth = 0; depth < NESTING_LIMIT; depth++) {
        const struct pg_type *type = below_domains(t, oid);
        struct converter *c = type ? arena_alloc(&t->arena, sizeof *c) : NULL;
        if (!c)
            return NULL;
        c->kind = type->convert;
        *link = c;
        if (c->kind != CONVERT_ARRAY)
            return first;
        const struct pg_type *element = types_find(t, type->element);
        c->delimiter = element && element->delimiter ? element->delimiter : ',';
        oid = type->element;
        link = (struct converter **)&c->element;
    }
    return NULL;
}
