/*
 * A rendered request: what is sent, and which records it stands for.
 *
 * Made by a driver, sent by the engine, read again when its answer is judged. Its memory is used
 * again by the next one. One thread.
 */
#ifndef SLUICE_DELIVER_RENDERED_H
#define SLUICE_DELIVER_RENDERED_H

#include "protocol/base/arena.h"
#include "protocol/base/buf.h"
#include "protocol/wire/batch.h"

enum { RENDERED_BODY_MAX = 256 << 20 };

/* For AWS Signature Version 4 (sigv4.h); all NULL: none. */
struct rendered_sigv4 {
    const char *service;
    const char *region;
    const char *key;
    const char *secret;
};

struct rendered {
    const void *work;     /* the driver's own note of what this is, in arena */
    const char *method;   /* NULL: POST */
    const char *url;      /* in arena, or borrowed from the driver */
    const char **headers; /* "Name: value", in arena */
    size_t header_count;
    struct rendered_sigv4 sigv4;
    struct slice body;
    struct buf text;   /* the body before compression */
    struct buf packed; /* and after it */
    struct arena arena;
    const void *shape;   /* of a driver that does not speak HTTP; in arena */
    uint64_t timeout_ms; /* 0: the destination's */
    size_t answer_max;   /* bytes of the answer that are needed; 0: HTTP_BODY_MAX */
    uint32_t records;    /* of the batch; one entry each in the following, in arena */
    uint32_t *ordinals;
    enum record_op *ops;
    struct slice *chosen; /* text of the field by which the body's arrays choose their records
                             (`only: {field:}`); borrowed from the batch. NULL: none does */
    struct slice *keys;   /* text of the value that names the record; borrowed from the batch. NULL:
                             nobody asked */
};

void rendered_init(struct rendered *r);
void rendered_done(struct rendered *r);
void rendered_reset(struct rendered *r);

#endif
