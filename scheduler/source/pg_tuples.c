/*
 * Rows one by one, as results of the plain statement (single-row mode): for servers without COPY …
 * TO.
 *
 * Reads DataRow messages, gives rows. Invariant: END only after the server's CommandComplete.
 */
#include "scheduler/source/pg_read.h"

/* The result's bytes are read-only and die with it: the cells go into the decoder's own line. */
static enum pg_progress copy_cells(struct pg_read *r, const PGresult *tuple, struct err *err)
{
    struct row_decoder *d = &r->decoder;
    size_t total = 0;
    for (size_t i = 0; i < d->cells.count; i++)
        total += (size_t)PQgetlength(tuple, 0, (int)i) + 1;
    buf_reset(&d->line);
    if (total > ROW_LIMIT_BYTES || buf_reserve(&d->line, total)) {
        err_set(err, ERR_INVALID, "a row of the model is larger than %d MB", ROW_LIMIT_BYTES >> 20);
        return PG_PROGRESS_FAIL;
    }
    char *p = d->line.p;
    for (size_t i = 0; i < d->cells.count; i++) {
        bool null = PQgetisnull(tuple, 0, (int)i);
        size_t n = (size_t)PQgetlength(tuple, 0, (int)i);
        memcpy(p, PQgetvalue(tuple, 0, (int)i), n);
        d->cells.items[i] = (struct cell){null ? NULL : p, n};
        p += n + 1;
    }
    d->cells.ascii = false;
    d->line.len = total;
    return PG_PROGRESS_YIELD;
}

static enum pg_progress give_tuple(struct pg_read *r, const PGresult *tuple,
                                   struct pg_budget *budget, struct err *err)
{
    if ((size_t)PQnfields(tuple) != r->decoder.cells.count) {
        err_set(err, ERR_INVALID, "the warehouse sent a row with a wrong number of columns");
        return PG_PROGRESS_FAIL;
    }
    enum pg_progress progress = copy_cells(r, tuple, err);
    return progress == PG_PROGRESS_FAIL ? progress
                                        : pg_read_give_row(r, r->decoder.line.len, budget, err);
}

static enum pg_progress take_result(struct pg_read *r, struct pg_budget *budget, struct err *err)
{
    PGresult *result = PQgetResult(pg_link_conn(r->link));
    ExecStatusType status = PQresultStatus(result);
    enum pg_progress progress = PG_PROGRESS_YIELD;
    if (!result && r->complete)
        progress = PG_PROGRESS_END;
    else if (status == PGRES_SINGLE_TUPLE)
        progress = give_tuple(r, result, budget, err);
    else if (status == PGRES_TUPLES_OK)
        r->complete = true;
    else
        progress = pg_read_failed(r, result, err);
    PQclear(result);
    return progress;
}

enum pg_progress pg_tuples_take(struct pg_read *r, struct pg_budget *budget, struct err *err)
{
    while (!r->paused && budget->rows && budget->bytes) {
        if (!pg_read_ready(r))
            return PG_PROGRESS_WAIT;
        enum pg_progress progress = take_result(r, budget, err);
        if (progress != PG_PROGRESS_YIELD)
            return progress;
    }
    return PG_PROGRESS_YIELD;
}
