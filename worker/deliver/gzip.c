#include "worker/deliver/gzip.h"

enum {
    GZIP_LEVEL = 3,        /* most of the gain on JSON at a third of the default level's time */
    GZIP_WINDOW = 15 + 16, /* zlib's way to ask for the gzip form */
    GZIP_MEMORY = 8,       /* zlib's default */
};

enum err_code gzip_init(struct gzip *g, struct err *err)
{
    *g = (struct gzip){0};
    g->ready = deflateInit2(&g->deflate, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                            Z_DEFAULT_STRATEGY) == Z_OK;
    return g->ready ? ERR_OK : err_set(err, ERR_NOMEM, "no memory to compress requests");
}

void gzip_done(struct gzip *g)
{
    if (g->ready)
        deflateEnd(&g->deflate);
    g->ready = false;
}

enum err_code gzip_pack(struct gzip *g, struct slice body, struct buf *out, struct err *err)
{
    z_stream *z = &g->deflate;
    deflateReset(z);
    buf_reset(out);
    size_t most = deflateBound(z, (uLong)body.n);
    enum err_code rc = buf_reserve(out, most);
    if (rc)
        return err_set(err, rc, "no room to compress a request");
    z->next_in = (Bytef *)(uintptr_t)body.p;
    z->avail_in = (uInt)body.n;
    z->next_out = (Bytef *)out->p;
    z->avail_out = (uInt)most;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return err_set(err, ERR_BUG, "zlib did not finish a request");
    out->len = most - z->avail_out;
    return ERR_OK;
}
