#include "scheduler/source/pg_result.h"

#include "protocol/base/utf8.h"

#include <stdlib.h>

enum err_code pg_result_is_model(const PGresult *described, struct err *err)
{
    int n = PQnfields(described);
    if (PQnparams(described) > 0)
        return err_set(err, ERR_CONFIG, "the model holds a parameter ($1); write the value itself");
    if (n < 1)
        return err_set(err, ERR_CONFIG, "the model gives no columns; it must be one SELECT");
    if (n > COLUMN_LIMIT)
        return err_set(err, ERR_CONFIG, "the model gives %d columns; the most is %d", n,
                       COLUMN_LIMIT);
    for (int i = 0; i < n; i++) {
        if (!utf8_valid(slice_str(PQfname(described, i))))
            return err_set(err, ERR_CONFIG, "column %d has a name that is not valid UTF-8", i + 1);
        for (int other = 0; other < i; other++)
            if (strcmp(PQfname(described, i), PQfname(described, other)) == 0)
                return err_set(err, ERR_CONFIG,
                               "two columns are named %s (number %d and %d); give one another name",
                               PQfname(described, i), other + 1, i + 1);
    }
    return ERR_OK;
}

enum err_code pg_result_oids(const PGresult *described, Oid **ret, struct err *err)
{
    int n = PQnfields(described);
    Oid *oids = calloc((size_t)n, sizeof *oids);
    if (!oids)
        return err_set(err, ERR_NOMEM, "no memory for %d columns", n);
    for (int i = 0; i < n; i++)
        oids[i] = PQftype(described, i);
    *ret = oids;
    return ERR_OK;
}

enum err_code pg_result_columns(const PGresult *described, const struct types *types,
                                struct column **ret, struct err *err)
{
    size_t n = (size_t)PQnfields(described);
    struct column *columns = calloc(n, sizeof *columns);
    if (!columns)
        return err_set(err, ERR_NOMEM, "no memory for %zu columns", n);
    for (size_t i = 0; i < n; i++) {
        Oid oid = PQftype(described, (int)i);
        columns[i] = (struct column){PQfname(described, (int)i), types_find(types, oid)->name,
                                     types_column(types, oid)};
    }
    *ret = columns;
    return ERR_OK;
}

bool pg_result_same_columns(const PGresult *a, const PGresult *b)
{
    bool same = PQnfields(a) == PQnfields(b);
    for (int i = 0; same && i < PQnfields(a); i++)
        same = PQftype(a, i) == PQftype(b, i) && strcmp(PQfname(a, i), PQfname(b, i)) == 0;
    return same;
}

enum err_code pg_result_cells(const PGresult *tuples, int row, struct row_decoder *d,
                              struct err *err)
{
    size_t total = 0;
    if ((size_t)PQnfields(tuples) != d->cells.count)
        return err_set(err, ERR_INVALID, "the warehouse sent a row with a wrong number of columns");
    for (size_t i = 0; i < d->cells.count; i++)
        total += (size_t)PQgetlength(tuples, row, (int)i) + 1;
    buf_reset(&d->line);
    if (total > ROW_LIMIT_BYTES || buf_reserve(&d->line, total))
        return err_set(err, ERR_INVALID, "a row of the model is larger than %d MB",
                       ROW_LIMIT_BYTES >> 20);
    char *p = d->line.p;
    for (size_t i = 0; i < d->cells.count; i++) {
        bool null = PQgetisnull(tuples, row, (int)i);
        size_t n = (size_t)PQgetlength(tuples, row, (int)i);
        memcpy(p, PQgetvalue(tuples, row, (int)i), n);
        d->cells.items[i] = (struct cell){null ? NULL : p, n};
        p += n + 1;
    }
    d->cells.ascii = false;
    d->line.len = total;
    return ERR_OK;
}
