/*
 * A set of ordinals of one planned batch, as text: "0-249,300,302-303"; the empty text is all of
 * them.
 *
 * It names a part of a batch in the queue, in results and in idempotency keys: the same records
 * always give the same text.
 */
#ifndef SLUICE_WIRE_ORDSET_H
#define SLUICE_WIRE_ORDSET_H

#include "protocol/base/buf.h"

#include <stdint.h>

/** Appends the text for count ordinals in ascending order out of planned. */
enum err_code ordset_put(struct buf *out, const uint32_t *ordinals, size_t count,
                         uint32_t planned) MUST_CHECK;
/** Sets bit i of bits (planned bits, zeroed by this call) for every member. Errors: ERR_INVALID. */
enum err_code ordset_bits(struct slice text, uint32_t planned, uint8_t *bits,
                          struct err *err) MUST_CHECK;

enum { BATCH_PART_ID_BYTES = 160 };
/** The id of a part: the batch id itself for the empty set, else id + "-" + 16 hex digits of the
 * set's hash. */
enum err_code batch_part_id(struct slice batch_id, struct slice ordset, char *out,
                            size_t out_bytes) MUST_CHECK;

#endif
