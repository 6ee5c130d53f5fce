/*
 * Rows by COPY … TO STDOUT.
 *
 * Reads CopyData messages, gives rows. Invariant: END only after the server's CommandComplete.
 * PQgetlineAsync copies a line into our own buffer; PQgetCopyData would allocate and free one per
 * row.
 */
#include "scheduler/source/pg_read.h"

enum { LINE_ROOM_BYTES = 64 << 10 };

static enum pg_progress too_large(struct err *err)
{
    err_set(err, ERR_INVALID, "a row of the model is larger than %d MB", ROW_LIMIT_BYTES >> 20);
    return PG_PROGRESS_FAIL;
}

/* Makes room for more of the line; doubling keeps the number of moves small. */
static enum err_code make_room(struct buf *line)
{
    size_t room = line->cap > line->len ? line->cap - line->len : 0;
    return room > LINE_ROOM_BYTES / 2 + COPY_ROW_PAD_BYTES ? ERR_OK
                                                           : buf_reserve(line, LINE_ROOM_BYTES);
}

/* The end of the data: what follows is the command's result. */
static void end_data(struct pg_read *r)
{
    char *unexpected = NULL;
    if (PQgetCopyData(pg_link_conn(r->link), &unexpected, 1) > 0)
        PQfreemem(unexpected);
    r->phase = PG_ROWS_TAIL;
}

static enum pg_progress give_line(struct pg_read *r, struct pg_budget *budget, struct err *err)
{
    struct buf *line = &r->decoder.line;
    size_t n = line->len;
    if (n > ROW_LIMIT_BYTES)
        return too_large(err);
    memset(line->p + n, 0, COPY_ROW_PAD_BYTES);
    if (copy_row_split(line->p, n - 1, &r->decoder.cells, err))
        return PG_PROGRESS_FAIL;
    buf_reset(line);
    return pg_read_give_row(r, n, budget, err);
}

/* WAIT: the line goes on in the next input, or the data has ended (the phase tells). */
static enum pg_progress take_line(struct pg_read *r, struct pg_budget *budget, struct err *err)
{
    struct buf *line = &r->decoder.line;
    for (;;) {
        enum err_code rc = line->len > ROW_LIMIT_BYTES ? ERR_FULL : make_room(line);
        if (rc == ERR_FULL)
            return too_large(err);
        if (rc) {
            err_set(err, rc, "no memory for a row");
            return PG_PROGRESS_FAIL;
        }
        size_t room = line->cap - line->len - COPY_ROW_PAD_BYTES;
        int n = PQgetlineAsync(pg_link_conn(r->link), line->p + line->len, (int)room);
        if (n < 0)
            end_data(r);
        if (n <= 0)
            return PG_PROGRESS_WAIT;
        line->len += (size_t)n;
        /* A line feed ends the row: those inside values are escaped. */
        if (line->p[line->len - 1] == '\n')
            return give_line(r, budget, err);
    }
}

static enum pg_progress take_data(struct pg_read *r, struct pg_budget *budget, struct err *err)
{
    while (!r->paused && budget->rows && budget->bytes) {
        enum pg_progress progress = take_line(r, budget, err);
        if (progress != PG_PROGRESS_YIELD)
            return progress;
    }
    return PG_PROGRESS_YIELD;
}

/*
 * A server without COPY (query) TO says so at once, and has understood the model by itself before:
 * then feature_not_supported and syntax_error speak of COPY. Should they not, the rows' way gets
 * them too.
 */
static bool is_refusal(const struct pg_read *r, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state && r->phase == PG_ROWS_START && r->model->source->read == READ_AUTO &&
           (strcmp(state, "0A000") == 0 || strcmp(state, "42601") == 0);
}

/* Results before and behind the data. */
static enum pg_progress take_result(struct pg_read *r, struct err *err)
{
    PGresult *result = PQgetResult(pg_link_conn(r->link));
    ExecStatusType status = PQresultStatus(result);
    enum pg_progress progress = PG_PROGRESS_WAIT;
    if (!result && r->complete)
        progress = PG_PROGRESS_END;
    else if (!result && r->copy_refused)
        progress = PG_PROGRESS_REFUSED;
    else if (status == PGRES_COPY_OUT && r->phase == PG_ROWS_START)
        r->phase = PG_ROWS_DATA;
    else if (status == PGRES_COMMAND_OK && r->phase == PG_ROWS_TAIL)
        r->complete = true;
    else if (is_refusal(r, result))
        r->copy_refused = true;
    else
        progress = pg_read_failed(r, result, err);
    PQclear(result);
    return progress;
}

enum pg_progress pg_copy_take(struct pg_read *r, struct pg_budget *budget, struct err *err)
{
    for (;;) {
        bool data = r->phase == PG_ROWS_DATA;
        if (!data && !pg_read_ready(r))
            return PG_PROGRESS_WAIT;
        enum pg_progress progress = data ? take_data(r, budget, err) : take_result(r, err);
        if (progress != PG_PROGRESS_WAIT)
            return progress;
        if (data && r->phase == PG_ROWS_DATA) {
            if (!pg_link_lost(r->link))
                return PG_PROGRESS_WAIT;
            end_data(r);
        }
    }
}
