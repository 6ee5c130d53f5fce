/*
 * Questions beside a stream: one statement at a time on an ordinary connection of its own.
 *
 * Opens the connection when it is asked something and closes it after a while without questions.
 * Never blocks the loop; a question that is not answered within a minute fails. One thread.
 */
#ifndef SLUICE_STREAM_SIDE_H
#define SLUICE_STREAM_SIDE_H

#include "protocol/base/err.h"
#include "protocol/config/config.h"

#include <libpq-fe.h>

struct event_base;
struct side;

enum { SIDE_VALUES_MAX = 4 };

/* Once per question. result: borrowed; NULL with err. The next question may be asked inside. */
struct side_answer {
    void (*call)(void *ctx, const PGresult *result, const struct err *err);
    void *ctx;
};

/** The source is borrowed until freed. The connection is closed after idle_s without questions.
 * Errors: ERR_NOMEM. */
enum err_code side_new(struct event_base *base, const struct source *source, int idle_s,
                       struct side **ret, struct err *err) MUST_CHECK;
/** Not while a question is under way. Copies all; values of $1 and so on. Errors: ERR_NOMEM, or
 * why the connection cannot be begun; the answer is not called then. */
enum err_code side_ask(struct side *s, const char *sql, const char *const *values, int count,
                       struct side_answer answer, struct err *err) MUST_CHECK;
bool side_busy(const struct side *s);
/** Forgets the question under way. */
void side_drop(struct side *s);
/** Accepts NULL. */
void side_free(struct side *s);

#endif
