/* A spool in a folder of its own, with a loop that its syncing thread wakes. */
#ifndef SLUICE_TESTS_BATCH_FIXTURE_H
#define SLUICE_TESTS_BATCH_FIXTURE_H

#include "scheduler/batch/batcher.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
    struct event_base *base;
    char dir[64];
    char path[96];
    int synced;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/sluice-spool-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/run.spool", f->dir);
    f->base = event_base_new();
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    event_base_free(f->base);
    unlink(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static inline void on_synced(void *ctx, const struct err *err)
{
    struct fixture *f = ctx;
    assert_null(err);
    f->synced++;
    event_base_loopbreak(f->base);
}

static inline void wait_durable(struct fixture *f, struct spool *s, uint64_t count)
{
    while (spool_durable(s) < count)
        event_base_loop(f->base, EVLOOP_ONCE);
}

static inline struct spool *create(struct fixture *f)
{
    struct err err;
    struct spool *s = NULL;
    assert_int_equal(spool_create(f->base, f->path, on_synced, f, &s, &err), ERR_OK);
    return s;
}

#endif
