/* msgpack-c's packer writing into a struct buf: for heads and results, where speed does not matter.
 */
#ifndef SLUICE_WIRE_PACK_H
#define SLUICE_WIRE_PACK_H

#include "protocol/base/buf.h"

#include <msgpack/pack.h>

static inline int pack_write(void *buf, const char *p, size_t n)
{
    return (int)buf_put(buf, p, n);
}

/** A packer for b; its functions return 0 or the enum err_code of the append that failed. */
static inline msgpack_packer pack_into(struct buf *b)
{
    return (msgpack_packer){.data = b, .callback = pack_write};
}

static inline int pack_text(msgpack_packer *pk, struct slice s)
{
    int rc = msgpack_pack_str(pk, s.n);
    return rc ? rc : msgpack_pack_str_body(pk, s.p, s.n);
}

#endif
