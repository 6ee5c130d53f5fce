/*
 * Rows one by one, as results of the plain statement (single-row mode): for servers without COPY …
 * TO.
 *
 * Reads DataRow messages, gives rows. Invariant: END only after the server's CommandComplete.
 */
#include "scheduler/source/pg_read.h"
#include "scheduler/source/pg_result.h"

static enum pg_progress give_tuple(struct pg_read *r, const PGresult *tuple,
                                   struct pg_budget *budget, struct err *err)
{
    if (pg_result_cells(tuple, 0, &r->decoder, err))
        return PG_PROGRESS_FAIL;
    return pg_read_give_row(r, r->decoder.line.len, budget, err);
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
