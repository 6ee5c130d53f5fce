/*
 * Entries of a Redis stream as rows of a model.
 *
 * Fields are found by name; a field that an entry lacks, or that is empty where it is no text, is
 * NULL. A field whose text is not what its column's type says is VALUE_BAD with a reason, which
 * makes its row invalid. Allocates nothing per entry but the growth of its buffers. One thread.
 */
#ifndef SLUICE_STREAM_EVENT_ROW_H
#define SLUICE_STREAM_EVENT_ROW_H

#include "protocol/base/err.h"
#include "protocol/base/value.h"
#include "protocol/config/config.h"
#include "scheduler/stream/event_ids.h"

struct event_rows;
struct redisReply;

/** Borrows model. Errors: ERR_CONFIG (a key column that is none), ERR_NOMEM. */
enum err_code event_rows_new(const struct model *model, struct event_rows **ret_rows,
                             struct err *err) MUST_CHECK;
/** Accepts NULL. */
void event_rows_free(struct event_rows *rows);

/**
 * The row of an entry, and its key's values; borrowed from fields and from rows until the next
 * call. fields: the names and values of the entry, in turn. Errors: ERR_FULL (a text that no row
 * can hold), ERR_NOMEM, ERR_INVALID (no such list).
 */
enum err_code event_rows_read(struct event_rows *rows, struct event_id id,
                              const struct redisReply *fields, struct row *ret_row,
                              const struct value **ret_key, struct err *err) MUST_CHECK;

#endif
