/* Reads: what a permit told, or state. Writes: state. Invariant: what is given back holds no longer
 * than the destination asked for. A crash here: the record is as it was, and passes by itself. */
#include "scheduler/run/closed.h"

#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CLOSED_VERSION = 1,
    CLOSED_MAX = 1024, /* destinations of one quota; more of them are asked afresh */
    HEAD_BYTES = 32,
    KEY_BYTES = 256,
    FACTOR_ALL = 1000,
    FACTOR_STEP = 100,
    FACTOR_STEP_MS = 10000,
};

void closed_done(struct closed *c)
{
    for (size_t i = 0; i < c->count; i++)
        free((char *)c->items[i].destination.p);
    free(c->items);
    *c = (struct closed){0};
}

static enum err_code add(struct closed *c, struct slice destination, uint64_t left_ms,
                         struct err *err)
{
    char *name = malloc(destination.n + 1);
    if (!name)
        return err_set(err, ERR_NOMEM, "no memory for closed destinations");
    memcpy(name, destination.p, destination.n);
    c->items[c->count++] =
        (struct queue_closed){.destination = slice_of(name, destination.n), .left_ms = left_ms};
    return ERR_OK;
}

static enum err_code make(struct closed *c, size_t count, struct err *err)
{
    *c = (struct closed){.items = calloc(count ? count : 1, sizeof *c->items)};
    return c->items ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for closed destinations");
}

enum err_code closed_note(struct closed *c, const struct queue_stats *stats, struct err *err)
{
    struct closed told;
    size_t count = stats->closed_count < CLOSED_MAX ? stats->closed_count : CLOSED_MAX;
    enum err_code rc = make(&told, count, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = add(&told, stats->closed[i].destination, stats->closed[i].left_ms, err);
    if (rc) {
        closed_done(&told);
        return rc;
    }
    told.factor = (uint32_t)(stats->factor * FACTOR_ALL + 0.5);
    told.recovers_ms = stats->recovers_ms;
    told.told_ms = clock_wall_ms();
    closed_done(c);
    *c = told;
    return ERR_OK;
}

/* ---- state ---- */

static const char *key_of(const char *quota, char *out)
{
    snprintf(out, KEY_BYTES, "closed:%s", quota);
    return out;
}

enum err_code closed_save(const struct closed *c, struct state *state, const char *quota,
                          struct err *err)
{
    char key[KEY_BYTES];
    size_t n = HEAD_BYTES;
    for (size_t i = 0; i < c->count; i++)
        n += sizeof(uint32_t) + c->items[i].destination.n + sizeof(uint64_t);
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return err_set(err, ERR_NOMEM, "no memory for closed destinations");
    struct pack k = {.p = bytes, .cap = n};
    pack_u8(&k, CLOSED_VERSION);
    pack_u64(&k, (uint64_t)c->told_ms);
    pack_u32(&k, c->factor);
    pack_u64(&k, c->recovers_ms);
    pack_u32(&k, (uint32_t)c->count);
    for (size_t i = 0; i < c->count; i++) {
        pack_slice(&k, c->items[i].destination);
        pack_u64(&k, c->items[i].left_ms);
    }
    ensure(!k.full);
    enum err_code rc = state_misc_put(state, key_of(quota, key), slice_of(bytes, k.n), err);
    free(bytes);
    return rc;
}

/* A tenth comes back for each step of clean time, as it would have in Redis. */
static void recover(struct closed *c, uint64_t passed_ms)
{
    if (passed_ms < c->recovers_ms) {
        c->recovers_ms -= passed_ms;
        return;
    }
    uint64_t over = passed_ms - c->recovers_ms, steps = over / FACTOR_STEP_MS + 1;
    uint64_t back = steps < FACTOR_ALL / FACTOR_STEP ? steps * FACTOR_STEP : FACTOR_ALL;
    c->factor = c->factor + back < FACTOR_ALL ? c->factor + (uint32_t)back : FACTOR_ALL;
    c->recovers_ms = FACTOR_STEP_MS - over % FACTOR_STEP_MS;
}

static enum err_code take_items(struct closed *c, struct unpack *u, size_t count,
                                uint64_t passed_ms, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < count && !rc; i++) {
        char name[QUEUE_NAME_MAX + 1];
        unpack_str(u, name, sizeof name);
        uint64_t left_ms = unpack_u64(u);
        if (*name && left_ms > passed_ms)
            rc = add(c, slice_str(name), left_ms - passed_ms, err);
    }
    return rc;
}

enum err_code closed_load(struct closed *c, struct state *state, const char *quota, struct err *err)
{
    char key[KEY_BYTES];
    CLEANUP(buf_done) struct buf b;
    closed_done(c);
    buf_init(&b, HEAD_BYTES + CLOSED_MAX * (QUEUE_NAME_MAX + HEAD_BYTES));
    enum err_code rc = state_misc_get(state, key_of(quota, key), &b, err);
    if (rc)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    struct unpack u = {(const uint8_t *)b.p, b.len};
    uint8_t version = unpack_u8(&u);
    int64_t told_ms = (int64_t)unpack_u64(&u), now_ms = clock_wall_ms();
    uint64_t passed_ms = now_ms > told_ms ? (uint64_t)(now_ms - told_ms) : 0;
    uint32_t factor = unpack_u32(&u);
    uint64_t recovers_ms = unpack_u64(&u);
    size_t count = unpack_u32(&u);
    if (version != CLOSED_VERSION || count > CLOSED_MAX || factor > FACTOR_ALL)
        return err_set(err, ERR_INVALID, "state: damaged: closed destinations of version %u",
                       version);
    rc = make(c, count, err);
    if (rc)
        return rc;
    c->told_ms = now_ms;
    c->factor = factor;
    c->recovers_ms = recovers_ms;
    if (factor && factor < FACTOR_ALL)
        recover(c, passed_ms);
    return take_items(c, &u, count, passed_ms, err);
}
