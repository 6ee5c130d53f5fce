#include "worker/deliver/rendered.h"

enum {
    RENDERED_ARENA_MAX = 128 << 20, /* 65,535 records, each refused with 1 KiB of words, and room */
    RENDERED_KEEP_BYTES = 4 << 20,  /* a buffer that grew beyond this is given back */
};

void rendered_init(struct rendered *r)
{
    *r = (struct rendered){0};
    buf_init(&r->text, RENDERED_BODY_MAX);
    buf_init(&r->packed, RENDERED_BODY_MAX);
    arena_init(&r->arena, RENDERED_ARENA_MAX);
}

void rendered_done(struct rendered *r)
{
    buf_done(&r->text);
    buf_done(&r->packed);
    arena_done(&r->arena);
}

static void reset_buf(struct buf *b)
{
    if (b->cap > RENDERED_KEEP_BYTES)
        buf_done(b);
    buf_reset(b);
}

void rendered_reset(struct rendered *r)
{
    reset_buf(&r->text);
    reset_buf(&r->packed);
    arena_reset(&r->arena);
    r->work = NULL;
    r->method = NULL;
    r->url = NULL;
    r->headers = NULL;
    r->header_count = 0;
    r->sigv4 = (struct rendered_sigv4){0};
    r->body = (struct slice){0};
    r->shape = NULL;
    r->timeout_ms = 0;
    r->answer_max = 0;
    r->ordinals = NULL;
    r->ops = NULL;
    r->chosen = NULL;
    r->keys = NULL;
    r->records = 0;
}
