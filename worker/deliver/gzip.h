/*
 * Compresses request bodies (gzip, RFC 1952), keeping zlib's state from one body to the next, whose
 * making would cost more than a small body's compression. One thread.
 */
#ifndef SLUICE_DELIVER_GZIP_H
#define SLUICE_DELIVER_GZIP_H

#include "protocol/base/buf.h"

#include <zlib.h>

struct gzip {
    z_stream deflate;
    bool ready;
};

/** Errors: ERR_NOMEM. */
enum err_code gzip_init(struct gzip *g, struct err *err) MUST_CHECK;
/** A zeroed one that was never initialised is fine. */
void gzip_done(struct gzip *g);
/** Replaces what out holds by body, compressed. Errors: ERR_FULL, ERR_NOMEM. */
enum err_code gzip_pack(struct gzip *g, struct slice body, struct buf *out,
                        struct err *err) MUST_CHECK;

#endif
