#include "scheduler/run/place.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>

enum {
    PLACE_VERSION = 1,
    PLACE_BYTES = 2 * REDIS_MEMBER_NAME_MAX + 32,
    KEY_BYTES = 256,
    FLAG_OPEN = 1,
    FLAG_ARRIVING = 2,
};

static const char *key_of(const char *quota, char *out)
{
    snprintf(out, KEY_BYTES, "place:%s", quota);
    return out;
}

enum err_code place_load(struct place *p, struct state *state, const char *quota, struct err *err)
{
    char key[KEY_BYTES];
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, PLACE_BYTES);
    *p = (struct place){0};
    enum err_code rc = state_misc_get(state, key_of(quota, key), &b, err);
    if (rc)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    struct unpack u = {(const uint8_t *)b.p, b.len};
    uint8_t version = unpack_u8(&u), flags = unpack_u8(&u);
    if (version != PLACE_VERSION)
        return err_set(err, ERR_INVALID, "state: damaged: a place of version %u", version);
    p->open = flags & FLAG_OPEN;
    p->arriving = flags & FLAG_ARRIVING;
    unpack_str(&u, p->at, sizeof p->at);
    unpack_str(&u, p->from, sizeof p->from);
    return ERR_OK;
}

enum err_code place_save(const struct place *p, struct state *state, const char *quota,
                         struct err *err)
{
    uint8_t bytes[PLACE_BYTES];
    char key[KEY_BYTES];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_u8(&k, PLACE_VERSION);
    pack_u8(&k, (uint8_t)((p->open ? FLAG_OPEN : 0) | (p->arriving ? FLAG_ARRIVING : 0)));
    pack_str(&k, p->at);
    pack_str(&k, p->from);
    ensure(!k.full);
    return state_misc_put(state, key_of(quota, key), slice_of(bytes, k.n), err);
}
