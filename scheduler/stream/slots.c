#include "scheduler/stream/slots.h"

#include "scheduler/source/pg_error.h"
#include "scheduler/stream/replication_words.h"
#include "scheduler/stream/slots_sql.h"

#include <ctype.h>
#include <stdio.h>
#include <xxhash.h>

enum { STATE_ID_CHARS = 8, DIGEST_CHARS = 9, SQL_BYTES = 4 << 20 };

static bool fits_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Slots have names of [a-z0-9_] only, and 63 of them. Where that is too little for the sync's own
 * name, a digest tells it from others that would look like it. */
static void make_name(const struct sync *sync, const char *state_id, char *out)
{
    int whole =
        snprintf(out, SLOT_NAME_BYTES, "sluice_%.*s_%s", STATE_ID_CHARS, state_id, sync->name);
    bool same = whole < SLOT_NAME_BYTES;
    for (const char *p = sync->name; *p; p++)
        same = same && fits_name(*p);
    for (char *p = out; *p; p++) {
        char c = (char)tolower((unsigned char)*p);
        *p = fits_name(c) ? c : '_';
    }
    if (same)
        return;
    size_t n = strlen(out), most = SLOT_NAME_BYTES - 1 - DIGEST_CHARS;
    snprintf(out + (n < most ? n : most), DIGEST_CHARS + 1, "_%08x",
             XXH32(sync->name, strlen(sync->name), 0));
}

void slot_names_of(const struct sync *sync, const char *state_id, struct slot_names *ret)
{
    const struct schedule_stream *stream = &sync->schedule.stream;
    char made[SLOT_NAME_BYTES];
    make_name(sync, state_id ? state_id : "", made);
    snprintf(ret->slot, sizeof ret->slot, "%s", stream->slot ? stream->slot : made);
    snprintf(ret->publication, sizeof ret->publication, "%s",
             stream->publication ? stream->publication : made);
}

/* *ret is to be cleared by the caller, whatever comes back. */
static enum err_code run(PGconn *conn, struct buf *sql, PGresult **ret, struct err *err)
{
    const char *text = buf_cstr(sql);
    *ret = text ? PQexec(conn, text) : NULL;
    ExecStatusType status = PQresultStatus(*ret);
    if (!text)
        return err_set(err, ERR_NOMEM, "no memory for a question");
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return ERR_OK;
    return pg_error_result(*ret, NULL, err);
}

static enum err_code look(PGconn *conn, const struct slot_names *names, struct slot_server *ret,
                          struct err *err)
{
    struct buf sql;
    PGresult *answer = NULL;
    buf_init(&sql, SQL_BYTES);
    enum err_code rc = slot_sql_server(&sql, names);
    if (rc)
        err_set(err, rc, "no memory for a question");
    if (!rc)
        rc = run(conn, &sql, &answer, err);
    if (!rc)
        rc = slot_read_server(answer, ret, err);
    PQclear(answer);
    buf_done(&sql);
    return rc;
}

enum err_code slot_look(PGconn *conn, const struct slot_names *names, struct slot_look *ret,
                        struct err *err)
{
    struct slot_server s;
    enum err_code rc = look(conn, names, &s, err);
    if (rc)
        return rc;
    *ret = (struct slot_look){
        .slot_exists = s.slot_exists,
        .slot_active = s.slot_active,
        .slot_lost = s.slot_lost,
        .publication_exists = s.publication_exists,
        .held_bytes = s.held_bytes,
    };
    if (s.confirmed)
        replication_lsn_text(s.confirmed, ret->confirmed);
    return ERR_OK;
}

static enum err_code drop_publication(PGconn *conn, const struct slot_names *names, struct err *err)
{
    struct buf sql;
    PGresult *answer = NULL;
    buf_init(&sql, SQL_BYTES);
    enum err_code rc = buf_puts(&sql, "DROP PUBLICATION ");
    if (!rc)
        rc = sql_put_identifier(&sql, slice_str(names->publication));
    rc = rc ? err_set(err, rc, "no memory for a statement") : run(conn, &sql, &answer, err);
    PQclear(answer);
    buf_done(&sql);
    return rc;
}

static enum err_code drop_slot(PGconn *conn, const struct slot_names *names, struct err *err)
{
    struct buf sql;
    PGresult *answer = NULL;
    buf_init(&sql, SQL_BYTES);
    enum err_code rc = slot_sql_drop_slot(&sql, names);
    rc = rc ? err_set(err, rc, "no memory for a statement") : run(conn, &sql, &answer, err);
    const char *state = answer ? PQresultErrorField(answer, PG_DIAG_SQLSTATE) : NULL;
    if (rc && state && strcmp(state, "55006") == 0)
        rc = err_set(err, ERR_BUSY, "replication slot \"%s\" is in use", names->slot);
    PQclear(answer);
    buf_done(&sql);
    return rc;
}

enum err_code slot_drop(PGconn *conn, const struct slot_names *names, struct slot_dropped *ret,
                        struct err *err)
{
    struct slot_server s;
    *ret = (struct slot_dropped){0};
    enum err_code rc = look(conn, names, &s, err);
    if (!rc && s.slot_active)
        rc = err_set(err, ERR_BUSY, "replication slot \"%s\" is in use by process %d", names->slot,
                     s.slot_pid);
    if (!rc && s.slot_exists) {
        rc = drop_slot(conn, names, err);
        ret->slot = !rc;
    }
    if (!rc && s.publication_exists) {
        rc = drop_publication(conn, names, err);
        ret->publication = !rc;
    }
    return rc;
}

/* ---- for people ---- */

static enum err_code put_comment(struct buf *out, const char *text)
{
    enum err_code rc = buf_puts(out, "-- ");
    for (const char *p = text; *p && !rc; p++)
        rc = buf_putc(out, *p == '\n' ? ' ' : *p);
    return rc ? rc : buf_putc(out, '\n');
}

static enum err_code put_table(struct buf *out, const struct slot_server *s,
                               const struct slot_table *t, const struct sync *sync,
                               const struct slot_names *names)
{
    struct err wrong;
    char note[ERR_TEXT_BYTES];
    enum err_code rc = ERR_OK;
    if (slot_fit_table(s, t, sync, names, &wrong))
        rc = put_comment(out, wrong.text);
    if (!rc && sync->schedule.stream.from == STREAM_KEYS && t->not_covering && !t->without) {
        snprintf(note, sizeof note,
                 "deletes in %s, and rows that move to another record, are not told unless: ALTER "
                 "TABLE %s REPLICA IDENTITY FULL",
                 slot_table_name(sync, t->number), t->not_covering);
        rc = put_comment(out, note);
    }
    if (!rc && s->publication_exists && t->oid && !slot_table_told(s, t)) {
        rc = slot_sql_add(out, names, slot_table_name(sync, t->number));
        if (!rc)
            rc = buf_puts(out, ";\n");
    }
    return rc;
}

static enum err_code put_tables(PGconn *conn, struct buf *out, const struct slot_server *s,
                                const struct sync *sync, const struct slot_names *names,
                                struct err *err)
{
    struct buf sql;
    PGresult *answer = NULL;
    buf_init(&sql, SQL_BYTES);
    enum err_code rc = slot_sql_tables(&sql, sync, names, err);
    if (!rc)
        rc = run(conn, &sql, &answer, err);
    for (int i = 0; !rc && i < PQntuples(answer); i++) {
        struct slot_table t;
        rc = slot_read_table(answer, i, &t, err);
        if (!rc && t.number < slot_table_count(sync) && put_table(out, s, &t, sync, names))
            rc = err_set(err, ERR_NOMEM, "no memory for the statements");
    }
    PQclear(answer);
    buf_done(&sql);
    return rc;
}

static enum err_code put_made(struct buf *out, const struct slot_server *s, const struct sync *sync,
                              const struct slot_names *names)
{
    enum err_code rc = ERR_OK;
    if (!s->publication_exists) {
        rc = put_comment(out, "the publication, first");
        if (!rc)
            rc = slot_sql_publication(out, sync, names);
        if (!rc)
            rc = buf_puts(out, ";\n");
    }
    if (!rc && s->slot_exists && s->slot_lost) {
        rc = put_comment(out, "the slot is lost: it held back too much of the log");
        if (!rc)
            rc = slot_sql_drop_slot(out, names);
        if (!rc)
            rc = buf_puts(out, ";\n");
    }
    if (!rc && (!s->slot_exists || s->slot_lost)) {
        rc = put_comment(out, "the slot, which keeps the log from now on until it is read");
        if (!rc)
            rc = slot_sql_slot(out, names);
        if (!rc)
            rc = buf_puts(out, ";\n");
    }
    return rc;
}

enum err_code slot_sql(PGconn *conn, const struct sync *sync, const struct slot_names *names,
                       struct buf *out, struct err *err)
{
    struct slot_server s;
    struct err wrong;
    enum err_code rc = look(conn, names, &s, err);
    if (rc)
        return rc;
    if (slot_fit_server(&s, &wrong) && put_comment(out, wrong.text))
        return err_set(err, ERR_NOMEM, "no memory for the statements");
    if (s.slot_exists && !s.slot_fits &&
        put_comment(out, "the slot of that name is not one of pgoutput in this database"))
        return err_set(err, ERR_NOMEM, "no memory for the statements");
    rc = put_tables(conn, out, &s, sync, names, err);
    if (!rc && put_made(out, &s, sync, names))
        rc = err_set(err, ERR_NOMEM, "no memory for the statements");
    if (!rc && !out->len && put_comment(out, "everything is there"))
        rc = err_set(err, ERR_NOMEM, "no memory for the statements");
    return rc;
}

/* ---- whether all is there ---- */

static enum err_code check_tables(PGconn *conn, const struct slot_server *s,
                                  const struct sync *sync, const struct slot_names *names,
                                  struct err *err)
{
    struct buf sql;
    PGresult *answer = NULL;
    buf_init(&sql, SQL_BYTES);
    enum err_code rc = slot_sql_tables(&sql, sync, names, err);
    if (!rc)
        rc = run(conn, &sql, &answer, err);
    for (int i = 0; !rc && i < PQntuples(answer); i++) {
        struct slot_table t;
        rc = slot_read_table(answer, i, &t, err);
        if (rc || t.number >= slot_table_count(sync))
            break;
        rc = slot_fit_table(s, &t, sync, names, err);
        if (!rc && s->publication_exists && !slot_table_told(s, &t) &&
            !sync->schedule.stream.create)
            rc = err_set(err, ERR_CONFIG, "publication \"%s\" does not have the table %s",
                         names->publication, slot_table_name(sync, t.number));
    }
    PQclear(answer);
    buf_done(&sql);
    return rc;
}

/* What `create: true` makes is not missing. */
static enum err_code check_made(const struct slot_server *s, const struct sync *sync,
                                const struct slot_names *names, struct err *err)
{
    if (s->slot_exists && !s->slot_fits)
        return err_set(err, ERR_CONFIG,
                       "the slot \"%s\" is not one of pgoutput in this database: name another",
                       names->slot);
    if (sync->schedule.stream.create)
        return ERR_OK;
    if (!s->publication_exists)
        return err_set(
            err, ERR_CONFIG,
            "publication \"%s\" does not exist: `sluice stream sql %s` prints what makes "
            "it",
            names->publication, sync->name);
    if (!s->slot_exists || s->slot_lost)
        return err_set(err, ERR_CONFIG,
                       "replication slot \"%s\" %s: `sluice stream sql %s` prints what makes it",
                       names->slot, s->slot_exists ? "is lost" : "does not exist", sync->name);
    return ERR_OK;
}

enum err_code slot_check(PGconn *conn, const struct sync *sync, const struct slot_names *names,
                         struct err *err)
{
    struct slot_server s;
    enum err_code rc = look(conn, names, &s, err);
    rc = rc ? rc : slot_fit_server(&s, err);
    rc = rc ? rc : check_tables(conn, &s, sync, names, err);
    return rc ? rc : check_made(&s, sync, names, err);
}
