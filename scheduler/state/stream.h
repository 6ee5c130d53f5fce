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

struct stream_head {
    char id[STATE_ID_BYTES]; /* of the state that was written */
    uint64_t commit;
};

/** Gives the pairs of a part, in an order of its own. */
typedef enum err_code (*stream_source)(void *ctx, pair_cb cb, void *cb_ctx, struct err *err);
/** Writes what the source gives, as a part of this state (part.h). */
enum err_code stream_write_part(struct state *s, stream_source source, void *ctx, FILE *out,
                                struct transfer_counts *ret, struct err *err) MUST_CHECK;
/** As stream_read, of a part. */
enum err_code stream_read_part(FILE *in, struct stream_head *ret_head, pair_cb cb, void *ctx,
                               struct transfer_counts *ret, struct err *err) MUST_CHECK;

/** Writes the last commit of a state. */
enum err_code stream_write(struct state *s, FILE *out, struct transfer_counts *ret,
                           struct err *err) MUST_CHECK;
/** Gives every pair, in order. Errors: ERR_INVALID, also after the last pair, when the end does not
 * fit. */
enum err_code stream_read(FILE *in, pair_cb cb, void *ctx, struct transfer_counts *ret,
                          struct err *err) MUST_CHECK;

#endif
