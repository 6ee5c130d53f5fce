/*
 * Messages to changes.
 *
 * Reads what the server tells, gives rows, keys and keys that are gone. Invariant: a message is
 * either held with nothing given of it, or given as a whole; rows that may be older than what was
 * read otherwise are given as keys, and no key before others can see its transaction.
 */
#include "scheduler/stream/cdc_private.h"

#include "protocol/base/clock.h"

#include <stdio.h>

enum replication_taken cdc_needs_read(struct cdc_feed *f, enum err_code code, const char *fmt, ...)
{
    va_list args;
    if (f->commit_lsn <= f->skip)
        return REPLICATION_TAKEN;
    va_start(args, fmt);
    vsnprintf(f->why, sizeof f->why, fmt, args);
    va_end(args);
    f->why_code = code;
    cdc_want(f, f->unusable ? JOB_FIT : JOB_END);
    return REPLICATION_HELD;
}

/* The old key is not told. If the table is still like that the feed fails when it is looked at;
 * if not, only what lies behind is lost. */
static enum replication_taken cannot_tell(struct cdc_feed *f, const struct cdc_table *t)
{
    f->unusable = f->commit_lsn > f->skip;
    return cdc_needs_read(f, ERR_REMOTE,
                          "the replica identity of table %s.%s did not hold the model's key when "
                          "rows were changed",
                          t->schema, t->name);
}

static enum replication_taken emit(struct cdc_feed *f, enum change_kind kind, const struct row *row)
{
    struct change change = {kind, f->key, row};
    struct err err;
    f->given = f->unmarked = true;
    f->in_event = true;
    enum err_code rc = f->events.on_change(f->events.ctx, &change, &err);
    f->in_event = false;
    if (!rc)
        return REPLICATION_TAKEN;
    cdc_fail(f, &err);
    return REPLICATION_STOP;
}

/* ---- keys ---- */

static size_t key_count(const struct cdc_feed *f)
{
    return f->sync->model->primary_key_count;
}

static struct cell cell_of(const struct pgoutput_cell *cell)
{
    return cell->kind == PGOUTPUT_TEXT ? (struct cell){cell->p, cell->n} : (struct cell){NULL, 0};
}

/* The cell of the new row, or of the old one where it did not change. NULL: it is not told. */
static const struct pgoutput_cell *cell_at(const struct pgoutput_message *m, uint16_t at, bool key)
{
    const struct pgoutput_cell *cell = &m->after.cells[at];
    if (cell->kind != PGOUTPUT_UNCHANGED)
        return cell;
    bool told = m->before.count && (m->whole || key);
    cell = told ? &m->before.cells[at] : NULL;
    return cell && cell->kind == PGOUTPUT_TEXT ? cell : NULL;
}

/* The key in cells goes to f->key. False: it holds no value that can be asked for. */
static bool read_key(struct cdc_feed *f, struct cdc_table *t,
                     const struct pgoutput_cell *const *cells)
{
    bool ok = true;
    for (size_t k = 0; k < key_count(f); k++)
        t->key.cells.items[k] = cell_of(cells[k]);
    t->key.cells.ascii = false;
    struct row row = row_decoder_run(&t->key);
    for (size_t k = 0; k < key_count(f); k++) {
        f->key[k] = row.values[k];
        ok &= f->key[k].kind != VALUE_NULL && f->key[k].kind != VALUE_BAD;
    }
    return ok;
}

static void cells_before(const struct cdc_feed *f, const struct cdc_table *t,
                         const struct pgoutput_message *m, const struct pgoutput_cell **cells)
{
    for (size_t k = 0; k < key_count(f); k++)
        cells[k] = &m->before.cells[t->key_at[k]];
}

/* False: a value of the key is not told. */
static bool cells_after(const struct cdc_feed *f, const struct cdc_table *t,
                        const struct pgoutput_message *m, const struct pgoutput_cell **cells)
{
    for (size_t k = 0; k < key_count(f); k++) {
        cells[k] = cell_at(m, t->key_at[k], t->identity);
        if (!cells[k])
            return false;
    }
    return true;
}

static bool same_cell(const struct pgoutput_cell *a, const struct pgoutput_cell *b)
{
    if (a == b)
        return true;
    return a->kind == b->kind && a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

/* ---- rows ---- */

/* Up to the horizon, and as long as it is not known, even what is gone is asked for. */
static bool behind(const struct cdc_feed *f)
{
    return f->keys_mode || f->commit_lsn <= f->horizon || f->horizon_asked;
}

/* Gathers the row's cells. False: a value that did not change is not told. */
static bool gather(const struct cdc_feed *f, struct cdc_table *t, const struct pgoutput_message *m)
{
    for (size_t i = 0; i < f->column_count; i++) {
        const struct pgoutput_cell *cell = cell_at(m, t->columns[i], false);
        if (UNLIKELY(!cell))
            return false;
        t->rows.cells.items[i] = cell_of(cell);
    }
    t->rows.cells.ascii = false;
    return true;
}

static enum replication_taken emit_row(struct cdc_feed *f, struct cdc_table *t)
{
    struct row row = row_decoder_run(&t->rows);
    for (size_t k = 0; k < key_count(f); k++)
        f->key[k] = row.values[f->key_column[k]];
    enum replication_taken taken = emit(f, CHANGE_ROW, &row);
    row_decoder_trim(&t->rows);
    return taken;
}

static enum replication_taken emit_key(struct cdc_feed *f, struct cdc_table *t,
                                       const struct pgoutput_cell *const *cells,
                                       enum change_kind kind)
{
    enum replication_taken taken = REPLICATION_TAKEN;
    if (read_key(f, t, cells))
        taken = emit(f, kind, NULL);
    row_decoder_trim(&t->key);
    return taken;
}

/* Others can see the transaction: what is asked for now is not older than it. */
static bool can_ask(struct cdc_feed *f)
{
    if (!f->xid_seen)
        f->xid_seen = cdc_seen_has(&f->seen, f->xid);
    if (!f->xid_seen)
        cdc_want(f, JOB_SEEN);
    return f->xid_seen;
}

/*
 * What a message says, decided as a whole before anything is given: values are converted in place,
 * so a message can be held only while it is untouched.
 */
struct decision {
    const struct pgoutput_cell *before[KEY_VALUES_MAX];
    const struct pgoutput_cell *after[KEY_VALUES_MAX];
    bool gives_before, gives_after;
    bool row; /* what is given of the row after is the row itself */
};

/* False: something about the key is not told. */
static bool decide_keys(const struct cdc_feed *f, const struct cdc_table *t,
                        const struct pgoutput_message *m, struct decision *d)
{
    bool told = m->before.count && t->identity;
    d->gives_after = m->kind != PGOUTPUT_DELETE;
    if (!f->keys_mode && m->before.count && !t->identity)
        return false;
    if (told)
        cells_before(f, t, m, d->before);
    if (d->gives_after && !cells_after(f, t, m, d->after))
        return false;
    d->gives_before = told;
    if (told && d->gives_after) {
        bool same = true;
        for (size_t k = 0; k < key_count(f); k++)
            same &= same_cell(d->before[k], d->after[k]);
        d->gives_before = !same;
    }
    return true;
}

static enum replication_taken give(struct cdc_feed *f, struct cdc_table *t,
                                   const struct decision *d, enum change_kind gone)
{
    enum replication_taken taken = REPLICATION_TAKEN;
    if (d->gives_before)
        taken = emit_key(f, t, d->before, gone);
    if (taken == REPLICATION_TAKEN && d->gives_after)
        taken = d->row ? emit_row(f, t) : emit_key(f, t, d->after, CHANGE_KEY);
    return taken;
}

static struct cdc_table *bound_table(struct cdc_feed *f, uint32_t relation)
{
    for (size_t i = 0; i < f->table_count; i++)
        if (f->tables[i].oid == relation && f->tables[i].bound)
            return &f->tables[i];
    return NULL;
}

static bool fits(const struct cdc_table *t, const struct pgoutput_message *m)
{
    return (!m->before.count || m->before.count == t->most) &&
           (m->kind == PGOUTPUT_DELETE ? m->before.count == t->most : m->after.count == t->most);
}

static enum replication_taken take_change(struct cdc_feed *f, const struct pgoutput_message *m)
{
    struct cdc_table *t = bound_table(f, m->relation);
    struct decision d = {0};
    if (!t)
        return REPLICATION_TAKEN;
    if (!fits(t, m)) {
        struct err err;
        err_set(&err, ERR_INVALID, "the server sent a row that does not fit its table");
        cdc_lose(f, &err);
        return REPLICATION_STOP;
    }
    if (!t->usable || !decide_keys(f, t, m, &d))
        return cannot_tell(f, t);
    bool keyed = behind(f), rows = !keyed && !f->keys_only && !t->by_key;
    d.row = d.gives_after && rows && gather(f, t, m);
    bool asks = (d.gives_after && !d.row) || (d.gives_before && keyed);
    /* A row is told by the log itself; but where commits wait for standbys it may still be lost
       with the server, and a read of the model would not see it. */
    if ((asks || f->server.synchronous) && !can_ask(f))
        return REPLICATION_HELD;
    if (!asks)
        cdc_given_add(&f->given_rows, f->xid);
    return give(f, t, &d, keyed ? CHANGE_KEY : CHANGE_GONE);
}

static enum replication_taken take_truncate(struct cdc_feed *f, const struct pgoutput_message *m)
{
    for (uint32_t i = 0; i < m->truncated_count; i++)
        for (size_t k = 0; k < f->table_count; k++)
            if (f->tables[k].oid == pgoutput_truncated(m, i))
                return cdc_needs_read(f, ERR_REMOTE, "table %s.%s was truncated",
                                      f->tables[k].schema, f->tables[k].name);
    return REPLICATION_TAKEN;
}

static void take_begin(struct cdc_feed *f, const struct pgoutput_message *m)
{
    f->in_transaction = true;
    f->caught_up = f->xid_seen = false;
    f->xid = m->xid;
    f->commit_lsn = m->lsn;
    f->commit_ms = m->commit_ms;
}

static void take_commit(struct cdc_feed *f, const struct pgoutput_message *m)
{
    f->in_transaction = false;
    if (f->unmarked)
        cdc_mark(f, m->end_lsn);
    else if (m->end_lsn > f->reached)
        f->reached = m->end_lsn; /* nothing of ours: marked once all else is settled */
    if (m->end_lsn > f->end)
        f->end = m->end_lsn;
}

enum replication_taken cdc_message(struct cdc_feed *f, const struct pgoutput_frame *frame)
{
    struct pgoutput_message m;
    struct err err;
    if (pgoutput_decode(f->decoder, frame->payload, frame->n, &m, &err)) {
        cdc_lose(f, &err);
        return REPLICATION_STOP;
    }
    f->clock_ms = frame->clock_ms;
    f->heard_ms = clock_mono_ms();
    switch (m.kind) {
    case PGOUTPUT_BEGIN:
        take_begin(f, &m);
        break;
    case PGOUTPUT_COMMIT:
        take_commit(f, &m);
        break;
    case PGOUTPUT_RELATION:
        return cdc_bind(f, &m);
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
        return take_change(f, &m);
    case PGOUTPUT_TRUNCATE:
        return take_truncate(f, &m);
    case PGOUTPUT_OTHER:
        break;
    }
    return REPLICATION_TAKEN;
}
