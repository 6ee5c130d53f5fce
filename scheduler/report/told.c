#include "scheduler/report/told.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOLD_VERSION = 1, TOLD_BYTES = 64 << 10, TOLD_NAME_BYTES = STATE_NAME_MAX + 16 };

static void name_of(const char *sync, char *out)
{
    snprintf(out, TOLD_NAME_BYTES, "alert:%s", sync);
}

static struct told_by *find(const struct told *t, const char *alert)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->by[i].alert, alert) == 0)
            return &t->by[i];
    return NULL;
}

uint32_t told_get(const struct told *t, const char *alert)
{
    const struct told_by *by = find(t, alert);
    return by ? by->bits : 0;
}

static enum err_code add(struct told *t, const char *alert, uint32_t bits, struct err *err)
{
    struct told_by *longer = realloc(t->by, (t->count + 1) * sizeof *longer);
    if (longer)
        t->by = longer;
    char *copy = longer ? strdup(alert) : NULL;
    if (!copy)
        return err_set(err, ERR_NOMEM, "no memory for alerts");
    t->by[t->count++] = (struct told_by){copy, bits};
    return ERR_OK;
}

enum err_code told_set(struct told *t, const char *alert, uint32_t bits, struct err *err)
{
    struct told_by *by = find(t, alert);
    if (by && bits) {
        by->bits = bits;
    } else if (by) {
        free(by->alert);
        *by = t->by[--t->count];
    } else if (bits && t->count >= TOLD_MAX) {
        return err_set(err, ERR_FULL, "more than %d alerts told something of one sync", TOLD_MAX);
    } else if (bits) {
        return add(t, alert, bits, err);
    }
    return ERR_OK;
}

static bool has_alert(const struct project *p, const char *alert)
{
    for (size_t i = 0; i < p->alert_count; i++)
        if (strcmp(p->alerts[i].name, alert) == 0)
            return true;
    return false;
}

void told_keep(struct told *t, const struct project *p)
{
    for (size_t i = t->count; i-- > 0;) {
        if (has_alert(p, t->by[i].alert))
            continue;
        free(t->by[i].alert);
        t->by[i] = t->by[--t->count];
    }
}

enum err_code told_put(struct state *s, const char *sync, const struct told *t, struct err *err)
{
    char name[TOLD_NAME_BYTES];
    uint8_t *bytes = malloc(TOLD_BYTES);
    if (!bytes)
        return err_set(err, ERR_NOMEM, "no memory for alerts");
    struct pack k = {.p = bytes, .cap = TOLD_BYTES};
    pack_u8(&k, TOLD_VERSION);
    pack_u64(&k, (uint64_t)t->since_ms);
    pack_u32(&k, (uint32_t)t->count);
    for (size_t i = 0; i < t->count; i++) {
        pack_str(&k, t->by[i].alert);
        pack_u32(&k, t->by[i].bits);
    }
    name_of(sync, name);
    enum err_code rc = k.full ? err_set(err, ERR_FULL, "too much was told of the sync %s", sync)
                              : state_misc_put(s, name, slice_of(bytes, k.n), err);
    free(bytes);
    return rc;
}

enum err_code told_load(struct state *s, const char *sync, struct told *ret, struct err *err)
{
    char name[TOLD_NAME_BYTES], alert[STATE_NAME_MAX + 1];
    CLEANUP(buf_done) struct buf bytes;
    buf_init(&bytes, TOLD_BYTES);
    *ret = (struct told){0};
    name_of(sync, name);
    enum err_code rc = state_misc_get(s, name, &bytes, err);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    if (rc)
        return rc;
    struct unpack u = {(const uint8_t *)bytes.p, bytes.len};
    uint8_t version = unpack_u8(&u);
    if (version != TOLD_VERSION)
        return err_set(err, ERR_INVALID, "state: what alerts told has version %u", version);
    ret->since_ms = (int64_t)unpack_u64(&u);
    for (uint32_t n = unpack_u32(&u); n > 0 && u.n && !rc; n--) {
        unpack_str(&u, alert, sizeof alert);
        rc = told_set(ret, alert, unpack_u32(&u), err);
    }
    return rc;
}

void told_done(struct told *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->by[i].alert);
    free(t->by);
    *t = (struct told){0};
}
