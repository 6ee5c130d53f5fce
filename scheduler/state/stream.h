/*
 * A store as a stream of msgpack: a head, its pairs, an end with their number and a digest.
 *
 * Internal to scheduler/state; the form is described in README.md. Invariant: a stream that was
 * read without an error is the one that was written.
 */
#ifndef SLUICE_STATE_STREAM_H
#define SLUICE_STATE_STREAM_H

#include "protocol/base/buf.h"
#include "scheduler/state/maker.h"
#include "scheduler/state/transfer.h"

/** Writes the last commit of a state. */
enum err_code stream_write(struct state *s, FILE *out, struct transfer_counts *ret,
                           struct err *err) MUST_CHECK;
/** Gives every pair, in order. Errors: ERR_INVALID, also after the last pair, when the end does not
 * fit. */
enum err_code stream_read(FILE *in, pair_cb cb, void *ctx, struct transfer_counts *ret,
                          struct err *err) MUST_CHECK;

#endif
