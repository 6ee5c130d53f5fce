/*
 * Writing JSON text (RFC 8259) into a buffer, and making foreign JSON compact.
 *
 * Takes UTF-8 that is already known to be valid. Escapes only what must be escaped. No allocation
 * beyond the buffer's own growth. Any thread, no state.
 */
#ifndef SLUICE_BASE_JSON_H
#define SLUICE_BASE_JSON_H

#include "protocol/base/buf.h"
#include "protocol/base/value.h"

enum { JSON_ESCAPE_BYTES = 6 }; /* the longest form of one byte: \u001f */

/** The most bytes that a JSON string of n bytes can take. */
static inline size_t json_string_max(size_t n)
{
    return n * JSON_ESCAPE_BYTES + 2;
}

/** Writes s as a JSON string with its quotes to out, which has room for json_string_max; returns
 * the end. */
char *json_write_string(char *out, struct slice s);

/** Appends s as a JSON string with its quotes. */
enum err_code json_put_string(struct buf *b, struct slice s) MUST_CHECK;

/** The same for words of others, which may hold anything: what is not UTF-8, and NUL,
 * becomes U+FFFD. */
enum err_code json_put_words(struct buf *b, struct slice s) MUST_CHECK;

/** Appends v; ABSENT and BAD are ERR_BUG. */
enum err_code json_put_value(struct buf *b, struct value v) MUST_CHECK;

/** Appends text without the white space between its tokens; text is JSON that its source validated.
 */
enum err_code json_put_compact(struct buf *b, struct slice text) MUST_CHECK;

/** True when s is a JSON number literal. */
bool json_is_number(struct slice s);

#endif
