/*
 * A source reads one model and gives its rows, streamed, on the event loop.
 *
 * Gives the columns once, then every row, then the end. Invariant: on_end without an error means
 * that the query ran to its end and every row was given; anything else is an error. Memory is
 * bounded by one row and the connection's own buffers. A crash here loses nothing: nothing is kept.
 */
#ifndef SLUICE_SOURCE_SOURCE_H
#define SLUICE_SOURCE_SOURCE_H

#include "protocol/base/err.h"
#include "protocol/base/value.h"
#include "protocol/config/config.h"

struct event_base;
struct source_read;

struct source_events {
    /** Before the first row. A return other than ERR_OK ends the read with that error. */
    enum err_code (*on_columns)(void *ctx, const struct column *columns, size_t count,
                                struct err *err);
    /** Every row; the values are borrowed for the call. A return other than ERR_OK ends the read.
     */
    enum err_code (*on_row)(void *ctx, const struct row *row, struct err *err);
    /** Once, as the last call; the warehouse connection is already closed. err is NULL when the
     * query ran to its end. */
    void (*on_end)(void *ctx, const struct err *err);
    void *ctx;
};

/** The implementation for source->type. Starts in the background. The configuration is borrowed
 * until the end. */
enum err_code source_read_start(struct event_base *base, const struct model *model,
                                const struct source_events *events, struct source_read **ret_read,
                                struct err *err) MUST_CHECK;
/** The same at an exported snapshot, where the source knows them and it still is; NULL: none. */
enum err_code source_read_start_at(struct event_base *base, const struct model *model,
                                   const char *snapshot, const struct source_events *events,
                                   struct source_read **ret_read, struct err *err) MUST_CHECK;
/** It was to be read at a snapshot, and that is gone: it is read as it is now. From on_columns on.
 */
bool source_read_lost_snapshot(const struct source_read *read);
/** Stops asking the warehouse for more; the rows of the buffer in hand may still come. Nests not.
 */
void source_read_pause(struct source_read *read);
void source_read_resume(struct source_read *read);
/** Ends it without another event and frees it; also frees one that has ended. Accepts NULL. Not
 * inside its own callback. */
void source_read_free(struct source_read *read);
/** Bytes received so far. */
uint64_t source_read_bytes(const struct source_read *read);

#endif
