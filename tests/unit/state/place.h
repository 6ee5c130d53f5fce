/* A temporary folder for a state, and the checks that its tests share. Header only. */
#ifndef SLUICE_TESTS_STATE_PLACE_H
#define SLUICE_TESTS_STATE_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scheduler/state/entries.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct place {
    char dir[32];
    struct state *s;
};

#define must(call)                                                                                 \
    do {                                                                                           \
        struct err err;                                                                            \
        if (call)                                                                                  \
            fail_msg("%s", err.text);                                                              \
    } while (0)

static inline void place_file(const struct place *p, const char *name, char *out, size_t n)
{
    snprintf(out, n, "%s/%s", p->dir, name);
}

static inline void place_open(struct place *p)
{
    must(state_open(p->dir, &(struct state_options){.map_bytes = 4 << 20}, &p->s, &err));
}

static inline void place_reopen(struct place *p)
{
    state_close(p->s);
    p->s = NULL;
    place_open(p);
}

static inline int place_setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/sluice-state-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    place_open(p);
    *state = p;
    return 0;
}

static inline int place_teardown(void **state)
{
    struct place *p = *state;
    char path[64];
    state_close(p->s);
    place_file(p, "state.lmdb", path, sizeof path);
    unlink(path);
    place_file(p, "state.lmdb-lock", path, sizeof path);
    unlink(path);
    rmdir(p->dir);
    free(p);
    return 0;
}

/* Takes key number i. */
static inline uint32_t place_take(struct state_sync *ss, uint32_t i, bool *ret_new)
{
    char key[32];
    uint32_t slot;
    int n = snprintf(key, sizeof key, "t%08u", i);
    must(state_key_take(ss, slice_of(key, (size_t)n), &slot, ret_new, &err));
    return slot;
}

static inline void place_accept(struct state_sync *ss, uint32_t i)
{
    bool added;
    struct entry e = {.flags = ENTRY_ACCEPTED};
    memcpy(e.hash, &i, sizeof i);
    uint32_t slot = place_take(ss, i, &added);
    must(state_entry_put(ss, slot, &e, &err));
}

#endif
