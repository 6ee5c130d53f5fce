/*
 * An answer being written as JSON: objects, lists and members, commas set by themselves.
 *
 * Writes into one capped buffer. The first error stays (a text that is too long, memory): what
 * follows does nothing, and whoever sends the answer asks once at the end. Texts are valid UTF-8.
 */
#ifndef SLUICE_API_OUTPUT_H
#define SLUICE_API_OUTPUT_H

#include "protocol/base/buf.h"

#include <stdbool.h>

struct output {
    struct buf buf;
    bool comma; /* something stands before, in the same object or list */
    enum err_code failed;
};

enum { OUTPUT_BYTES_MAX = 32 << 20 };

void output_init(struct output *o);
void output_done(struct output *o);

/* name: the member's; NULL in a list and at the top. */
void output_open(struct output *o, const char *name, char bracket);
/** bracket: } or ]. */
void output_close(struct output *o, char bracket);
/** text NULL: null. */
void output_text(struct output *o, const char *name, const char *text);
/** An empty text is null. */
void output_text_or_null(struct output *o, const char *name, const char *text);
void output_slice(struct output *o, const char *name, struct slice text);
void output_count(struct output *o, const char *name, uint64_t n);
/** Three digits behind the point. */
void output_decimal(struct output *o, const char *name, double d);
void output_flag(struct output *o, const char *name, bool yes);
void output_null(struct output *o, const char *name);
/** RFC 3339 in UTC with milliseconds; 0: null. */
void output_time(struct output *o, const char *name, int64_t wall_ms);
/** json: one value that is valid JSON already. */
void output_raw(struct output *o, const char *name, const char *json);
/** The same of bytes without an end; none: null. */
void output_json(struct output *o, const char *name, struct slice json);

#endif
