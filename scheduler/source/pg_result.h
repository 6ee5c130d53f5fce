/*
 * What PostgreSQL's results hold: the columns that a description names, the cells of a tuple.
 *
 * Reads results, gives columns and a decoder's cells. The same for everything that reads a model,
 * so that rows are equal however they were asked for. Pure; any thread.
 */
#ifndef SLUICE_SOURCE_PG_RESULT_H
#define SLUICE_SOURCE_PG_RESULT_H

#include "scheduler/source/row_decoder.h"

/** Is it the description of a model: no parameters, columns with names that differ? Errors:
 * ERR_CONFIG. */
enum err_code pg_result_is_model(const PGresult *described, struct err *err) MUST_CHECK;
/** The types of its columns; free() by the caller. */
enum err_code pg_result_oids(const PGresult *described, Oid **ret, struct err *err) MUST_CHECK;
/** Its columns, when types knows them all; free() by the caller. Names are borrowed from both. */
enum err_code pg_result_columns(const PGresult *described, const struct types *types,
                                struct column **ret, struct err *err) MUST_CHECK;
/** Names and types of all columns are the same. */
bool pg_result_same_columns(const PGresult *a, const PGresult *b);

/** The cells of one tuple, copied into the decoder's line, since a result's bytes are read-only.
 * Errors: ERR_INVALID. */
enum err_code pg_result_cells(const PGresult *tuples, int row, struct row_decoder *d,
                              struct err *err) MUST_CHECK;

#endif
