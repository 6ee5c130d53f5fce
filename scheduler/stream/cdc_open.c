/*
 * From nothing to a flow: looks at the server, makes what is missing where it was told to,
 * connects, and finds out whether the stream can go on where it was.
 *
 * Reads settings and catalog. Invariant: the slot exists before the owner is told to read the
 * model, and a slot never serves a table that was published after it began. A crash between two
 * steps leaves a publication or a slot that the next start finds.
 */
#include "scheduler/stream/cdc_private.h"

#include "scheduler/stream/replication_words.h"

#include <stdio.h>

static void why(struct cdc_feed *f, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The first reason to read the model counts. */
static void why(struct cdc_feed *f, enum err_code code, const char *fmt, ...)
{
    va_list args;
    if (f->why[0])
        return;
    f->why_code = code;
    va_start(args, fmt);
    vsnprintf(f->why, sizeof f->why, fmt, args);
    va_end(args);
}

static bool creates(const struct cdc_feed *f)
{
    return f->sync->schedule.stream.create;
}

static void fail(struct cdc_feed *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void fail(struct cdc_feed *f, const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES];
    struct err err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    err_set(&err, ERR_CONFIG, "%s", text);
    cdc_fail(f, &err);
}

static void ask_server(struct cdc_feed *f)
{
    buf_reset(&f->sql);
    bool ok = !slot_sql_server(&f->sql, &f->names);
    cdc_ask(f, JOB_SERVER, ok ? buf_cstr(&f->sql) : NULL);
}

void cdc_open(struct cdc_feed *f)
{
    cdc_forget_jobs(f);
    cdc_close_link(f);
    cdc_unbind(f);
    types_done(&f->types);
    types_init(&f->types);
    f->phase = CDC_CHECKING;
    f->seen.known = f->unusable = false;
    f->given_rows.seen = f->given_rows.count; /* what is not settled comes again, as keys */
    f->seen_for = 0;
    f->caught_up = false;
    f->note[0] = '\0';
    ask_server(f);
}

/* ---- the connection ---- */

static void begin_or_read(struct cdc_feed *f)
{
    char ours[LSN_TEXT_BYTES], theirs[LSN_TEXT_BYTES];
    uint64_t lsn = f->from.lsn;
    if (!f->read)
        why(f, ERR_REMOTE, "the stream begins: its slot \"%s\" was there already", f->names.slot);
    else if (f->placed && f->from.parts != f->parts)
        why(f, ERR_REMOTE, "partitions came or went while nobody looked");
    else if (f->placed && lsn < f->server.confirmed)
        why(f, ERR_REMOTE,
            "replication slot \"%s\" was confirmed up to %s by somebody, beyond %s, up to where "
            "this stream has settled its changes",
            f->names.slot, replication_lsn_text(f->server.confirmed, theirs),
            replication_lsn_text(lsn, ours));
    else if (f->placed && f->server.end && lsn > f->server.end)
        why(f, ERR_REMOTE,
            "the warehouse's log ends at %s, before %s, which this stream has seen: it was "
            "restored from a backup",
            replication_lsn_text(f->server.end, theirs), replication_lsn_text(lsn, ours));
    if (!f->why[0]) {
        cdc_begin(f);
        return;
    }
    f->placed = f->read = false;
    f->skip = f->server.end;
    cdc_resync(f, f->why_code, f->why);
}

static void on_ready(void *ctx, const struct replication_server *server)
{
    struct cdc_feed *f = ctx;
    if (f->placed && (f->from.system != server->system || f->from.timeline != server->timeline)) {
        f->why[0] = '\0'; /* says more than that the slot is gone */
        why(f, ERR_REMOTE, "the warehouse is another server than before (%s)",
            f->from.system == server->system ? "a standby was promoted, or a backup restored"
                                             : "another cluster");
    }
    f->system = server->system;
    f->timeline = server->timeline;
    if (f->phase == CDC_CREATING)
        replication_create(f->link, f->names.slot);
    else
        begin_or_read(f);
}

static void on_created(void *ctx, uint64_t lsn, const char *snapshot)
{
    struct cdc_feed *f = ctx;
    f->server.confirmed = lsn;
    f->anew = f->give_up = f->early = false;
    f->placed = f->read = false;
    f->outdated = f->waits;
    snprintf(f->snapshot, sizeof f->snapshot, "%s", snapshot);
    why(f, ERR_REMOTE, "the stream begins: its slot \"%s\" was made", f->names.slot);
    cdc_resync(f, f->why_code, f->why);
}

void cdc_begin(struct cdc_feed *f)
{
    if (!f->placed)
        f->from = (struct cdc_place){.lsn = f->server.confirmed};
    f->from.system = f->system;
    f->from.timeline = f->timeline;
    f->from.cover = f->cover;
    f->from.parts = f->parts;
    f->placed = f->read = true;
    f->waits = false;
    f->snapshot[0] = '\0';
    f->confirmed = f->marked = f->from.lsn;
    f->reached = 0;
    f->unmarked = false;
    f->phase = CDC_STARTING;
    replication_begin(f->link, f->names.slot, f->names.publication, f->from.lsn);
}

static void on_flow(void *ctx, uint64_t horizon)
{
    cdc_flows(ctx, horizon);
}

static enum replication_taken on_message(void *ctx, const struct pgoutput_frame *frame)
{
    struct cdc_feed *f = ctx;
    if (f->close_link || f->phase != CDC_FLOWING)
        return REPLICATION_STOP;
    f->in_link = true;
    enum replication_taken taken = cdc_message(f, frame);
    f->in_link = false;
    return taken;
}

static void on_reached(void *ctx, uint64_t lsn, int64_t clock_ms)
{
    (void)clock_ms;
    struct cdc_feed *f = ctx;
    if (lsn > f->reached)
        f->reached = lsn;
    if (lsn > f->end)
        f->end = lsn;
    f->caught_up = !f->in_transaction;
}

void cdc_turn(struct cdc_feed *f)
{
    if (!f->given || f->phase != CDC_FLOWING)
        return;
    f->given = false;
    f->in_link = f->in_event = true;
    f->events.on_turn(f->events.ctx);
    f->in_link = f->in_event = false;
}

static void on_turn(void *ctx)
{
    cdc_turn(ctx);
}

/* A publication that is younger than what the slot has still to tell is none to it. */
static void on_lost(void *ctx, const struct err *err, const char *state)
{
    struct cdc_feed *f = ctx;
    struct err copy = *err;
    if (strcmp(state, "42704") == 0 && strstr(err->text, "publication"))
        f->early = true;
    cdc_lose(f, &copy);
}

static void connect_slot(struct cdc_feed *f, bool create)
{
    const struct replication_events events = {on_ready,   on_created, on_flow, on_message,
                                              on_reached, on_turn,    on_lost, f};
    struct err err;
    f->phase = create ? CDC_CREATING : CDC_CONNECTING;
    if (replication_open(f->base, f->sync->model->source, &events, &f->link, &err)) {
        if (err.code == ERR_CONFIG)
            cdc_fail(f, &err);
        else
            cdc_lose(f, &err);
    }
}

/* ---- the slot ---- */

static void drop_slot(struct cdc_feed *f)
{
    buf_reset(&f->sql);
    bool ok = !slot_sql_drop_slot(&f->sql, &f->names);
    cdc_ask(f, JOB_DROP, ok ? buf_cstr(&f->sql) : NULL);
}

static void say_missing(struct cdc_feed *f, const char *what)
{
    fail(f,
         "%s: run SELECT pg_create_logical_replication_slot('%s', 'pgoutput') (sluice stream sql "
         "%s prints it all), or set create: true",
         what, f->names.slot, f->sync->name);
}

static void fail_slot(struct cdc_feed *f)
{
    char what[CDC_WORDS_BYTES + 64];
    if (f->give_up)
        snprintf(what, sizeof what, "%s; it was dropped. Make it anew", f->why);
    else if (!f->server.slot_exists)
        snprintf(what, sizeof what, "replication slot \"%s\" does not exist", f->names.slot);
    else
        snprintf(what, sizeof what, "replication slot \"%s\" %s; drop it and make it anew",
                 f->names.slot,
                 f->server.slot_lost ? "is lost: it held back too much of the log"
                                     : "is older than what it is to tell of");
    say_missing(f, what);
}

static void choose_slot(struct cdc_feed *f)
{
    const struct slot_server *s = &f->server;
    bool moved = f->placed && f->from.cover != f->cover;
    bool make = f->anew || f->give_up || f->early || !s->slot_exists || s->slot_lost ||
                (moved && creates(f));
    if (s->slot_lost)
        why(f, ERR_REMOTE, "replication slot \"%s\" was lost: it held back too much of the log",
            f->names.slot);
    else if (!s->slot_exists && f->read && !f->anew)
        why(f, ERR_REMOTE, "replication slot \"%s\" was gone", f->names.slot);
    else if (f->early)
        why(f, ERR_REMOTE, "replication slot \"%s\" was older than its publication", f->names.slot);
    if (moved)
        why(f, ERR_REMOTE, "a table was made anew, or taken out of publication \"%s\" for a while",
            f->names.publication);
    if (!make)
        connect_slot(f, false);
    else if (s->slot_exists && (f->give_up || creates(f)))
        drop_slot(f);
    else if (creates(f))
        connect_slot(f, true);
    else
        fail_slot(f);
}

/* ---- the publication ---- */

static void publish(struct cdc_feed *f, const char *table)
{
    buf_reset(&f->sql);
    enum err_code rc = table ? slot_sql_add(&f->sql, &f->names, table)
                             : slot_sql_publication(&f->sql, f->sync, &f->names);
    cdc_ask(f, JOB_PUBLISH, rc ? NULL : buf_cstr(&f->sql));
}

static void choose_publication(struct cdc_feed *f)
{
    size_t i = 0;
    while (i < f->table_count && !f->uncovered[i])
        i++;
    const char *table = i < f->table_count ? slot_table_name(f->sync, i) : NULL;
    if (f->server.publication_exists && !table)
        choose_slot(f);
    else if (creates(f))
        publish(f, f->server.publication_exists ? table : NULL);
    else if (f->server.publication_exists)
        fail(f,
             "publication \"%s\" does not tell of table %s: run ALTER PUBLICATION \"%s\" ADD "
             "TABLE %s",
             f->names.publication, table, f->names.publication, table);
    else
        fail(f,
             "publication \"%s\" does not exist: sluice stream sql %s prints how to make it, or "
             "set create: true",
             f->names.publication, f->sync->name);
}

/* ---- the tables ---- */

static uint64_t digest(uint64_t h, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        h = (h ^ (v >> 8 * i & 0xFF)) * UINT64_C(1099511628211); /* FNV-1a */
    return h;
}

static void note_table(struct cdc_feed *f, const struct slot_table *t)
{
    const char *table = slot_table_name(f->sync, t->number);
    const struct slot_server *s = &f->server;
    if (f->keys_mode && t->not_covering)
        cdc_note(f,
                 "deletes in %s, and rows there that move to another record, are not told: its "
                 "replica identity lacks columns of the key; run ALTER TABLE %s REPLICA IDENTITY "
                 "FULL",
                 table, t->not_covering);
    if (t->filter)
        cdc_note(f, "publication \"%s\" tells only of some rows of %s", f->names.publication,
                 table);
    if (s->publication_exists && !(s->inserts && s->updates && s->deletes))
        cdc_note(f, "publication \"%s\" does not tell of all kinds of changes",
                 f->names.publication);
}

static void keep_table(struct cdc_feed *f, const struct slot_table *t)
{
    struct cdc_table *kept = &f->tables[t->number];
    kept->oid = t->oid;
    kept->guarded = t->guarded;
    snprintf(kept->schema, sizeof kept->schema, "%s", t->schema);
    snprintf(kept->name, sizeof kept->name, "%s", t->name);
    f->uncovered[t->number] = !slot_table_told(&f->server, t);
    note_table(f, t);
}

enum err_code cdc_take_tables(struct cdc_feed *f, const PGresult *result, bool keep,
                              uint64_t *ret_cover, bool *ret_less, struct err *err)
{
    uint64_t cover = UINT64_C(14695981039346656037);
    if ((size_t)PQntuples(result) != f->table_count)
        return err_set(err, ERR_INVALID, "the warehouse did not say what its tables are");
    for (int i = 0; i < PQntuples(result); i++) {
        struct slot_table t;
        enum err_code rc = slot_read_table(result, i, &t, err);
        if (!rc && t.number >= f->table_count)
            rc = err_set(err, ERR_INVALID, "the warehouse told of a table that it was not asked");
        if (!rc)
            rc = slot_fit_table(&f->server, &t, f->sync, &f->names, err);
        if (rc)
            return rc;
        cover = digest(digest(cover, t.oid), t.covered ? t.cover : 0);
        if (keep)
            keep_table(f, &t);
        bool less = false;
        if (t.oid == f->tables[t.number].oid)
            rc = cdc_parts_keep(f, t.number, t.leaves, &less, err);
        if (rc)
            return rc;
        *ret_less |= less;
    }
    *ret_cover = cover;
    return ERR_OK;
}

/* ---- answers ---- */

static void take_server(struct cdc_feed *f, const PGresult *result)
{
    struct err err;
    enum err_code rc = slot_read_server(result, &f->server, &err);
    if (!rc)
        rc = slot_fit_server(&f->server, &err);
    if (rc) {
        cdc_fail(f, &err);
        return;
    }
    if (f->server.slot_exists && !f->server.slot_fits) {
        fail(f, "replication slot \"%s\" is not one of pgoutput in this database", f->names.slot);
        return;
    }
    if (f->server.slot_active) {
        err_set(&err, ERR_BUSY, "replication slot \"%s\" is in use by process %d", f->names.slot,
                f->server.slot_pid);
        cdc_lose(f, &err);
        return;
    }
    buf_reset(&f->sql);
    if (slot_sql_tables(&f->sql, f->sync, &f->names, &err))
        cdc_fail(f, &err);
    else
        cdc_ask(f, JOB_TABLES, buf_cstr(&f->sql));
}

static void take_tables(struct cdc_feed *f, const PGresult *result)
{
    struct err err;
    bool less = false;
    if (cdc_take_tables(f, result, true, &f->cover, &less, &err))
        cdc_fail(f, &err);
    else
        choose_publication(f);
}

void cdc_open_answer(struct cdc_feed *f, enum cdc_job job, const PGresult *result)
{
    if (job == JOB_SERVER) {
        take_server(f, result);
    } else if (job == JOB_TABLES) {
        take_tables(f, result);
    } else if (job == JOB_PUBLISH) {
        /* Transactions under way at this moment are told as if it were not: only a slot that
           begins later tells all. */
        f->anew = true;
        if (f->read)
            why(f, ERR_REMOTE, "publication \"%s\" was gone, or lacked a table",
                f->names.publication);
        ask_server(f);
    } else if (job == JOB_DROP) {
        f->server.slot_exists = f->server.slot_lost = false;
        f->anew = true;
        if (creates(f))
            connect_slot(f, true);
        else
            fail_slot(f);
    }
}
