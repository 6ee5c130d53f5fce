#include "scheduler/stream/slots_sql.h"

#include "scheduler/stream/replication_words.h"

#include <stdio.h>
#include <stdlib.h>

/* Columns that older servers lack are looked up by name in the row as JSON. */
static const char server_sql[] =
    "SELECT pg_catalog.current_setting('wal_level'), r.rolreplication OR r.rolsuper OR EXISTS ("
    "SELECT FROM pg_catalog.pg_roles g WHERE g.rolname = 'rds_replication' AND "
    "pg_catalog.pg_has_role(r.oid, g.oid, 'member')), r.rolname, pg_catalog.pg_is_in_recovery(), "
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE "
    "pg_catalog.pg_current_wal_insert_lsn() END, s.slot_name IS NOT NULL, "
    "s.slot_type = 'logical' AND s.plugin = 'pgoutput' AND s.database = "
    "pg_catalog.current_database(), s.active, s.active_pid, "
    "pg_catalog.to_jsonb(s) ->> 'wal_status' = 'lost' OR "
    "pg_catalog.to_jsonb(s) ->> 'invalidation_reason' IS NOT NULL, s.confirmed_flush_lsn, "
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE "
    "pg_catalog.pg_current_wal_insert_lsn() - s.confirmed_flush_lsn END, "
    "p.oid IS NOT NULL, p.puballtables, pg_catalog.to_jsonb(p) ->> 'pubviaroot' = 'true', "
    "p.pubinsert, p.pubupdate, p.pubdelete, "
    "pg_catalog.current_setting('synchronous_standby_names') <> '' "
    "FROM pg_catalog.pg_roles r LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = ";

enum { SERVER_COLUMNS = 19, TABLE_COLUMNS = 14 };

enum err_code slot_sql_server(struct buf *out, const struct slot_names *names)
{
    enum err_code rc = buf_puts(out, server_sql);
    if (!rc)
        rc = sql_put_literal(out, slice_str(names->slot));
    if (!rc)
        rc = buf_puts(out, " LEFT JOIN pg_catalog.pg_publication p ON p.pubname = ");
    if (!rc)
        rc = sql_put_literal(out, slice_str(names->publication));
    return rc ? rc : buf_puts(out, " WHERE r.rolname = current_user");
}

static const char *text_at(const PGresult *answer, int row, int column)
{
    return PQgetisnull(answer, row, column) ? NULL : PQgetvalue(answer, row, column);
}

static bool true_at(const PGresult *answer, int row, int column)
{
    return PQgetvalue(answer, row, column)[0] == 't';
}

enum err_code slot_read_server(const PGresult *answer, struct slot_server *ret, struct err *err)
{
    if (PQntuples(answer) != 1 || PQnfields(answer) != SERVER_COLUMNS)
        return err_set(err, ERR_INVALID, "the warehouse did not say what its slots are");
    struct slot_server s = {.held_bytes = -1};
    const char *held = text_at(answer, 0, 11);
    snprintf(s.wal_level, sizeof s.wal_level, "%s", PQgetvalue(answer, 0, 0));
    snprintf(s.role, sizeof s.role, "%s", PQgetvalue(answer, 0, 2));
    s.logical = strcmp(s.wal_level, "logical") == 0;
    s.may_replicate = true_at(answer, 0, 1);
    s.standby = true_at(answer, 0, 3);
    s.end = replication_lsn(PQgetvalue(answer, 0, 4));
    s.slot_exists = true_at(answer, 0, 5);
    s.slot_fits = true_at(answer, 0, 6);
    s.slot_active = true_at(answer, 0, 7);
    s.slot_pid = atoi(PQgetvalue(answer, 0, 8));
    s.slot_lost = true_at(answer, 0, 9);
    s.confirmed = replication_lsn(PQgetvalue(answer, 0, 10));
    if (held)
        s.held_bytes = strtoll(held, NULL, 10);
    if (s.held_bytes < -1)
        s.held_bytes = 0;
    s.publication_exists = true_at(answer, 0, 12);
    s.all_tables = true_at(answer, 0, 13);
    s.via_root = true_at(answer, 0, 14);
    s.inserts = true_at(answer, 0, 15);
    s.updates = true_at(answer, 0, 16);
    s.deletes = true_at(answer, 0, 17);
    s.synchronous = true_at(answer, 0, 18);
    *ret = s;
    return ERR_OK;
}

enum err_code slot_fit_server(const struct slot_server *s, struct err *err)
{
    if (s->standby)
        return err_set(err, ERR_CONFIG,
                       "the warehouse is a standby, which gives no changes: the source must be the "
                       "primary");
    if (!s->logical)
        return err_set(err, ERR_CONFIG,
                       "the warehouse has wal_level = %s: run ALTER SYSTEM SET wal_level = logical "
                       "and restart PostgreSQL",
                       s->wal_level);
    if (!s->may_replicate)
        return err_set(err, ERR_CONFIG,
                       "role \"%s\" may not replicate: run ALTER ROLE \"%s\" REPLICATION", s->role,
                       s->role);
    return ERR_OK;
}

/* ---- tables ---- */

size_t slot_table_count(const struct sync *sync)
{
    const struct schedule_stream *stream = &sync->schedule.stream;
    if (stream->from == STREAM_KEYS)
        return stream->table_count;
    return sync->model->table ? 1 : 0;
}

const char *slot_table_name(const struct sync *sync, size_t i)
{
    const struct schedule_stream *stream = &sync->schedule.stream;
    return stream->from == STREAM_KEYS ? stream->tables[i].table : sync->model->table;
}

const char *const *slot_table_keys(const struct sync *sync, size_t i)
{
    const struct schedule_stream *stream = &sync->schedule.stream;
    return stream->from == STREAM_KEYS ? stream->tables[i].columns : sync->model->primary_key;
}

/*
 * Per table: what it is, and, over the relations that hold its rows (itself, or the leaves of a
 * partitioned one), the first without a replica identity and the first whose identity lacks a key
 * column.
 */
static const char tables_head[] =
    "SELECT t.n, c.oid, n.nspname, c.relname, c.relkind, "
    "EXISTS (SELECT FROM pg_catalog.pg_publication_tables f WHERE f.pubname = ";
static const char tables_middle[] =
    " AND f.schemaname = n.nspname AND f.tablename = c.relname), "
    "(SELECT k FROM pg_catalog.unnest(t.keys) k WHERE NOT EXISTS (SELECT FROM "
    "pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = k AND a.attnum > 0 AND NOT "
    "a.attisdropped) LIMIT 1), x.without, x.lacking, "
    "(SELECT pg_catalog.to_jsonb(f) ->> 'rowfilter' FROM pg_catalog.pg_publication_tables f WHERE "
    "f.pubname = ";
static const char tables_tail[] =
    " AND f.schemaname = n.nspname AND f.tablename = c.relname LIMIT 1), (SELECT "
    "pg_catalog.max(coalesce(pr.oid, p.oid)) FROM pg_catalog.pg_publication p LEFT JOIN "
    "pg_catalog.pg_publication_rel pr ON pr.prpubid = p.oid AND pr.prrelid = c.oid WHERE p.pubname "
    "= ";
static const char tables_end[] =
    "), c.relkind <> 'p' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = "
    "c.oid), CASE WHEN c.oid IS NULL THEN false ELSE pg_catalog.row_security_active(c.oid) END, "
    "x.leaves "
    "FROM t LEFT JOIN "
    "pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name) LEFT JOIN "
    "pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN LATERAL ("
    "SELECT pg_catalog.string_agg(l.leaf, ',' ORDER BY l.leaf COLLATE \"C\") AS leaves, "
    "pg_catalog.min(l.name) FILTER (WHERE NOT l.identity) AS without, "
    "pg_catalog.min(l.name) FILTER (WHERE NOT l.covers) AS lacking FROM ("
    "SELECT r.oid::pg_catalog.regclass::text AS name, CASE WHEN c.relkind = 'p' THEN "
    "r.oid || ':' || r.relfilenode END AS leaf, r.relreplident = 'f' OR EXISTS ("
    "SELECT FROM i WHERE i.indrelid = r.oid AND (r.relreplident = 'd' AND i.indisprimary OR "
    "r.relreplident = 'i' AND i.indisreplident)) AS identity, r.relreplident = 'f' OR NOT EXISTS ("
    "SELECT FROM pg_catalog.unnest(t.keys) k WHERE NOT EXISTS (SELECT FROM i JOIN "
    "pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = ANY (i.indkey) WHERE "
    "i.indrelid = r.oid AND a.attname = k AND (r.relreplident = 'd' AND i.indisprimary OR "
    "r.relreplident = 'i' AND i.indisreplident))) AS covers FROM pg_catalog.pg_class r WHERE r.oid "
    "= c.oid AND c.relkind <> 'p' OR c.relkind = 'p' AND r.oid IN (SELECT relid FROM "
    "pg_catalog.pg_partition_tree(c.oid) WHERE isleaf) AND r.relkind <> 'p') l) x ON true ORDER BY "
    "t.n";

static enum err_code put_one_table(struct buf *out, const struct sync *sync, size_t i)
{
    struct buf name;
    buf_init(&name, 4096);
    enum err_code rc = sql_put_table(&name, slot_table_name(sync, i));
    if (!rc)
        rc = buf_printf(out, "%s(%zu, ", i ? ", " : "", i);
    if (!rc)
        rc = sql_put_literal(out, buf_slice(&name));
    if (!rc)
        rc = buf_puts(out, ", ARRAY[");
    for (size_t k = 0; k < sync->model->primary_key_count && !rc; k++) {
        rc = k ? buf_putc(out, ',') : ERR_OK;
        if (!rc)
            rc = sql_put_literal(out, slice_str(slot_table_keys(sync, i)[k]));
    }
    buf_done(&name);
    return rc ? rc : buf_puts(out, "]::text[])");
}

enum err_code slot_sql_tables(struct buf *out, const struct sync *sync,
                              const struct slot_names *names, struct err *err)
{
    enum err_code rc = buf_puts(out, "WITH i AS MATERIALIZED (SELECT * FROM pg_catalog.pg_index), "
                                     "t(n, name, keys) AS (VALUES ");
    for (size_t i = 0; i < slot_table_count(sync) && !rc; i++) {
        rc = put_one_table(out, sync, i);
        if (rc == ERR_CONFIG)
            return err_set(err, rc, "%s is not a table's name; write schema.table",
                           slot_table_name(sync, i));
    }
    if (!rc)
        rc = buf_puts(out, ") ");
    if (!rc)
        rc = buf_puts(out, tables_head);
    if (!rc)
        rc = sql_put_literal(out, slice_str(names->publication));
    if (!rc)
        rc = buf_puts(out, tables_middle);
    if (!rc)
        rc = sql_put_literal(out, slice_str(names->publication));
    if (!rc)
        rc = buf_puts(out, tables_tail);
    if (!rc)
        rc = sql_put_literal(out, slice_str(names->publication));
    if (!rc)
        rc = buf_puts(out, tables_end);
    return rc ? err_set(err, rc, "no memory for a question") : ERR_OK;
}

enum err_code slot_read_table(const PGresult *answer, int row, struct slot_table *ret,
                              struct err *err)
{
    if (PQnfields(answer) != TABLE_COLUMNS || row >= PQntuples(answer))
        return err_set(err, ERR_INVALID, "the warehouse did not say what its tables are");
    *ret = (struct slot_table){
        .number = strtoul(PQgetvalue(answer, row, 0), NULL, 10),
        .oid = (Oid)strtoul(PQgetvalue(answer, row, 1), NULL, 10),
        .schema = PQgetvalue(answer, row, 2),
        .name = PQgetvalue(answer, row, 3),
        .kind = PQgetvalue(answer, row, 4)[0],
        .covered = true_at(answer, row, 5),
        .missing = text_at(answer, row, 6),
        .without = text_at(answer, row, 7),
        .not_covering = text_at(answer, row, 8),
        .filter = text_at(answer, row, 9),
        .cover = (Oid)strtoul(PQgetvalue(answer, row, 10), NULL, 10),
        .inherited = true_at(answer, row, 11),
        .guarded = true_at(answer, row, 12),
        .leaves = PQgetvalue(answer, row, 13),
    };
    return ERR_OK;
}

static bool partitioned_apart(const struct slot_server *s, const struct slot_table *t)
{
    return t->kind == 'p' && s->publication_exists && !s->via_root;
}

enum err_code slot_fit_table(const struct slot_server *s, const struct slot_table *t,
                             const struct sync *sync, const struct slot_names *names,
                             struct err *err)
{
    const char *table = slot_table_name(sync, t->number);
    bool changes = !s->publication_exists || s->updates || s->deletes;
    bool keys = sync->schedule.stream.from == STREAM_KEYS;
    if (!t->oid)
        return err_set(err, ERR_CONFIG, "table %s does not exist", table);
    if (t->kind != 'r' && t->kind != 'p')
        return err_set(err, ERR_CONFIG,
                       "%s is not a table: changes can be told of tables and partitioned tables "
                       "only",
                       table);
    if (t->inherited)
        return err_set(err, ERR_CONFIG,
                       "other tables inherit from %s, whose changes are not told as its own: use "
                       "from: poll, or partitions",
                       table);
    if (t->missing)
        return err_set(err, ERR_CONFIG, "table %s has no column %s", table, t->missing);
    if (partitioned_apart(s, t))
        return err_set(err, ERR_CONFIG,
                       "table %s is partitioned and publication \"%s\" tells of its partitions "
                       "only: run ALTER PUBLICATION \"%s\" SET (publish_via_partition_root = true)",
                       table, names->publication, names->publication);
    if (changes && t->without)
        return err_set(err, ERR_CONFIG,
                       "table %s has no replica identity, so PostgreSQL refuses its updates and "
                       "deletes once they are published: give it a primary key or run ALTER TABLE "
                       "%s REPLICA IDENTITY FULL",
                       table, t->without);
    if (changes && !keys && t->not_covering)
        return err_set(err, ERR_CONFIG,
                       "the replica identity of table %s does not hold the primary key of model "
                       "%s: run ALTER TABLE %s REPLICA IDENTITY FULL, or USING INDEX with a unique "
                       "index on just these columns",
                       table, sync->model->name, t->not_covering);
    return ERR_OK;
}

bool slot_table_told(const struct slot_server *s, const struct slot_table *t)
{
    return s->publication_exists && t->covered;
}

/* ---- statements ---- */

enum err_code slot_sql_publication(struct buf *out, const struct sync *sync,
                                   const struct slot_names *names)
{
    enum err_code rc = buf_puts(out, "CREATE PUBLICATION ");
    if (!rc)
        rc = sql_put_identifier(out, slice_str(names->publication));
    if (!rc)
        rc = buf_puts(out, " FOR TABLE ");
    for (size_t i = 0; i < slot_table_count(sync) && !rc; i++) {
        rc = i ? buf_puts(out, ", ") : ERR_OK;
        if (!rc)
            rc = sql_put_table(out, slot_table_name(sync, i));
    }
    return rc ? rc : buf_puts(out, " WITH (publish_via_partition_root = true)");
}

enum err_code slot_sql_add(struct buf *out, const struct slot_names *names, const char *table)
{
    enum err_code rc = buf_puts(out, "ALTER PUBLICATION ");
    if (!rc)
        rc = sql_put_identifier(out, slice_str(names->publication));
    if (!rc)
        rc = buf_puts(out, " ADD TABLE ");
    return rc ? rc : sql_put_table(out, table);
}

enum err_code slot_sql_slot(struct buf *out, const struct slot_names *names)
{
    enum err_code rc = buf_puts(out, "SELECT pg_create_logical_replication_slot(");
    if (!rc)
        rc = sql_put_literal(out, slice_str(names->slot));
    return rc ? rc : buf_puts(out, ", 'pgoutput')");
}

enum err_code slot_sql_drop_slot(struct buf *out, const struct slot_names *names)
{
    enum err_code rc = buf_puts(out, "SELECT pg_catalog.pg_drop_replication_slot(");
    if (!rc)
        rc = sql_put_literal(out, slice_str(names->slot));
    return rc ? rc : buf_putc(out, ')');
}
