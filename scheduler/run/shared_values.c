#include "scheduler/run/shared_values.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

enum {
    SHARED_VERSION = 1,
    SHARED_BYTES_MAX = 32 << 20,
    SHARED_HEAD_BYTES = 21, /* with the version at the end */
    SHARED_ITEM_BYTES = 24, /* besides its name and value */
    NAME_BYTES = 256,
};

void shared_values_done(struct shared_values *v)
{
    buf_done(&v->text);
    free(v->items);
    *v = (struct shared_values){0};
}

static const char *name_of(const char *quota, char *out)
{
    snprintf(out, NAME_BYTES, "shared:%s", quota);
    return out;
}

static struct slice take_slice(struct unpack *u)
{
    size_t n = unpack_u32(u);
    if (n > u->n) {
        u->n = 0;
        return (struct slice){0};
    }
    struct slice s = slice_of((const char *)u->p, n);
    u->p += n;
    u->n -= n;
    return s;
}

/* One that ended while nobody ran is not given back. */
static void take_item(struct shared_values *v, struct unpack *u, uint64_t passed_ms)
{
    struct queue_shared_value item = {.version = unpack_u64(u), .left_ms = unpack_u64(u)};
    item.name = take_slice(u);
    item.value = take_slice(u);
    if (item.left_ms && item.left_ms <= passed_ms)
        return;
    if (item.left_ms)
        item.left_ms -= passed_ms;
    if (item.name.n)
        v->items[v->count++] = item;
}

enum err_code shared_values_load(struct shared_values *v, struct state *state, const char *quota,
                                 struct err *err)
{
    char name[NAME_BYTES];
    shared_values_done(v);
    buf_init(&v->text, SHARED_BYTES_MAX);
    enum err_code rc = state_misc_get(state, name_of(quota, name), &v->text, err);
    if (rc)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    struct unpack u = {(const uint8_t *)v->text.p, v->text.len};
    uint8_t version = unpack_u8(&u);
    int64_t saved_ms = (int64_t)unpack_u64(&u), now_ms = clock_wall_ms();
    size_t count = unpack_u32(&u);
    if (version != SHARED_VERSION || count > QUEUE_SHARED_DURABLE_MAX)
        return err_set(err, ERR_INVALID, "state: damaged: shared values of version %u", version);
    v->items = calloc(count ? count : 1, sizeof *v->items);
    if (!v->items)
        return err_set(err, ERR_NOMEM, "no memory for shared values");
    for (size_t i = 0; i < count; i++)
        take_item(v, &u, now_ms > saved_ms ? (uint64_t)(now_ms - saved_ms) : 0);
    v->version = unpack_u64(&u); /* 0 in what an earlier release wrote */
    return ERR_OK;
}

enum err_code shared_values_save(struct state *state, const char *quota,
                                 const struct queue_shared_value *values, size_t count,
                                 uint64_t version, struct err *err)
{
    size_t n = SHARED_HEAD_BYTES;
    for (size_t i = 0; i < count; i++)
        n += SHARED_ITEM_BYTES + values[i].name.n + values[i].value.n;
    uint8_t *bytes = n <= SHARED_BYTES_MAX ? malloc(n) : NULL;
    if (!bytes)
        return err_set(err, ERR_NOMEM, "no memory for shared values");
    struct pack k = {.p = bytes, .cap = n};
    pack_u8(&k, SHARED_VERSION);
    pack_u64(&k, (uint64_t)clock_wall_ms());
    pack_u32(&k, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        pack_u64(&k, values[i].version);
        pack_u64(&k, values[i].left_ms);
        pack_slice(&k, values[i].name);
        pack_slice(&k, values[i].value);
    }
    pack_u64(&k, version);
    ensure(!k.full);
    char name[NAME_BYTES];
    enum err_code rc =
        state_misc_put(state, name_of(quota, name), slice_of((char *)bytes, k.n), err);
    free(bytes);
    return rc;
}
