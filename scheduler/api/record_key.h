/* A primary key as a person writes it, "42" or {"id":42}, as key bytes of state. */
#ifndef SLUICE_API_RECORD_KEY_H
#define SLUICE_API_RECORD_KEY_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"

enum { RECORD_KEYS_MAX = 3 };

/**
 * Appends the readings of text one after the other, most likely first: {"id":42} has one; a plain
 * 42, of a key of one column, may be a number or a text. ret_ends: where each ends in out. Errors:
 * ERR_INVALID, with words that say how the sync's keys are written.
 */
enum err_code record_keys(const struct model *model, const char *text, struct buf *out,
                          size_t ret_ends[RECORD_KEYS_MAX], size_t *ret_count,
                          struct err *err) MUST_CHECK;

#endif
