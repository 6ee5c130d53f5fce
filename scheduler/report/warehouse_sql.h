/*
 * The statements of logs in the warehouse: what makes the tables, and what writes one run.
 *
 * Pure but for reading state. One statement writes everything of a run, so that it is there whole
 * or not at all, and once however often it is sent.
 */
#ifndef SLUICE_REPORT_WAREHOUSE_SQL_H
#define SLUICE_REPORT_WAREHOUSE_SQL_H

#include "protocol/base/buf.h"
#include "scheduler/state/runs.h"

#include <libpq-fe.h>

enum {
    WAREHOUSE_PARAMS = 27,
    WAREHOUSE_REJECTED_MAX = 1000, /* of a run; the newest */
    WAREHOUSE_SQL_BYTES = 8 << 10,
};

/** Makes the schema and the tables that are not there; what is there is not touched. */
enum err_code warehouse_sql_setup(PGconn *conn, const char *schema, struct buf *out) MUST_CHECK;
/** Writes a run; its parameters are warehouse_params'. */
enum err_code warehouse_sql_run(PGconn *conn, const char *schema, struct buf *out) MUST_CHECK;

/* The parameters of one run, all as text. */
struct warehouse_params {
    const char *values[WAREHOUSE_PARAMS];
    size_t count;
    struct buf text; /* that they point into, once it is whole */
    size_t at[WAREHOUSE_PARAMS];
};

/** Errors: ERR_FULL, ERR_NOMEM and those of state. warehouse_params_done afterwards. */
enum err_code warehouse_params_make(struct state *s, const struct run_record *r,
                                    struct warehouse_params *ret, struct err *err) MUST_CHECK;
void warehouse_params_done(struct warehouse_params *p);

#endif
