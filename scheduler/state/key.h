/*
 * Key bytes: the values of a primary key, or of an identity, as one string of bytes and back.
 *
 * Per value a tag and its bytes; plain whole numbers of up to 255 digits sort by size. Equal values
 * give equal bytes, whatever the width of their column: 7 as int4 and as int8 are the same key. A
 * numeric keeps what the warehouse prints: 7 and 7.0 are two keys. The form is fixed for ever:
 * state is full of it.
 */
#ifndef SLUICE_STATE_KEY_H
#define SLUICE_STATE_KEY_H

#include "protocol/base/buf.h"
#include "protocol/base/value.h"

enum { KEY_BYTES_MAX = 8192, KEY_VALUES_MAX = 32 };

/**
 * Appends the bytes. names (one per value) are for the message only. Errors: ERR_INVALID "null key
 * …" and the like, never with row contents; out is then as it was.
 */
enum err_code key_encode(struct buf *out, const struct value *values, size_t count,
                         const struct slice *names, struct err *err) MUST_CHECK;
/** Gives the values, which borrow from key. Errors: ERR_INVALID where it is not count values. */
enum err_code key_decode(struct slice key, struct value *values, size_t count,
                         struct err *err) MUST_CHECK;
/** Appends {"name":value,…}. */
enum err_code key_json(struct buf *out, struct slice key, const struct slice *names, size_t count,
                       struct err *err) MUST_CHECK;
/** The same of values that need not be a valid key. */
enum err_code key_values_json(struct buf *out, const struct value *values,
                              const struct slice *names, size_t count, struct err *err) MUST_CHECK;

#endif
