/*
 * Asks a model for the rows of some keys: `… where key = any($1)`.
 *
 * Holds one connection while it is used, in READ ONLY transactions; closes it after a minute
 * without questions and opens it again by itself. One question at a time. Never blocks the loop.
 */
#ifndef SLUICE_SOURCE_KEY_ASK_H
#define SLUICE_SOURCE_KEY_ASK_H

#include "protocol/base/err.h"
#include "protocol/base/value.h"
#include "protocol/config/config.h"

struct event_base;
struct key_ask;

enum { KEY_ASK_MAX = 2000 }; /* keys of one question */

struct key_ask_events {
    /** What rows consist of, exactly as source_read_start gives it. Once per key_ask_start that
     * went well. Borrowed for the call. */
    void (*on_columns)(void *ctx, const struct column *columns, size_t count);
    /** Once per question, before its rows, and not where it fails before: they will tell of no
     * commit that is not before this place in the source's log (an LSN). 0: the source has none. */
    void (*on_horizon)(void *ctx, uint64_t horizon);
    /** A row of the answer; borrowed for the call. Its key may be another form of the one that was
     * asked for: 7 of '7', or of 7.0. */
    enum err_code (*on_row)(void *ctx, const struct row *row, struct err *err);
    /** The answer is whole (err NULL), or failed and may be asked again. ERR_STALE in err->code:
     * the model has other columns by now; nothing was answered. */
    void (*on_answer)(void *ctx, const struct err *err);
    /** key_ask_start failed; nothing follows. */
    void (*on_refused)(void *ctx, const struct err *err);
    void *ctx;
};

/** Describes the model, then waits for questions. The configuration is borrowed until freed. */
enum err_code key_ask_start(struct event_base *base, const struct model *model,
                            const struct key_ask_events *events, struct key_ask **ret_ask,
                            struct err *err) MUST_CHECK;
/**
 * Asks for count keys (1 to KEY_ASK_MAX) of the model's primary key, each key_count values in a
 * row. Copies them. Not while a question is under way. count 0: asks for nothing but the horizon.
 */
enum err_code key_ask_send(struct key_ask *ask, const struct value *keys, size_t count,
                           struct err *err) MUST_CHECK;
/** How long it may be without questions before its connection is closed; a minute unless said. */
void key_ask_idle_after(struct key_ask *ask, uint64_t ms);
bool key_ask_busy(const struct key_ask *ask);
/** Not inside its own callback. Accepts NULL. */
void key_ask_free(struct key_ask *ask);

#endif
