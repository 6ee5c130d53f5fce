#include "scheduler/stream/poll_place.h"

enum {
    VERSION = 1,
    IS_SET = 1,
    IS_EARLY = 2,
    HEAD_BYTES = 6, /* version, flags, hash of the cursor's name */
    SECONDS_BYTES = sizeof "2026-01-02T03:04:05" - 1,
};

bool poll_place_take(struct poll_place *p, struct value v)
{
    if ((v.kind != VALUE_NUMBER && v.kind != VALUE_TEXT) || v.n >= sizeof p->text)
        return false;
    memcpy(p->text, v.p, v.n);
    p->text[v.n] = '\0';
    p->set = true;
    return true;
}

/* Fractions of a second differ in length: `05Z`, `05.5Z`, `05.25Z`. */
bool poll_place_time_is_before(const struct poll_place *a, const struct poll_place *b)
{
    if (!a->set || !b->set)
        return !a->set && b->set;
    int order = strncmp(a->text, b->text, SECONDS_BYTES);
    if (order || strlen(a->text) < SECONDS_BYTES || strlen(b->text) < SECONDS_BYTES)
        return order < 0;
    const char *p = a->text + SECONDS_BYTES, *q = b->text + SECONDS_BYTES;
    p += *p == '.';
    q += *q == '.';
    for (;; p++, q++) {
        char x = *p >= '0' && *p <= '9' ? *p : '\0', y = *q >= '0' && *q <= '9' ? *q : '\0';
        if (!x && !y)
            return false;
        if (!x)
            return strspn(q, "0") != strspn(q, "0123456789");
        if (!y)
            return false;
        if (x != y)
            return x < y;
    }
}

/* FNV-1a. */
static uint32_t hash_of(const char *name)
{
    uint32_t hash = 2166136261U;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    return hash;
}

void poll_place_write(const struct poll_place *p, const char *cursor, bool early,
                      struct feed_position *ret)
{
    uint32_t hash = hash_of(cursor);
    size_t n = p->set ? strlen(p->text) : 0;
    *ret = (struct feed_position){.n = (uint8_t)(HEAD_BYTES + n)};
    ret->bytes[0] = VERSION;
    ret->bytes[1] = (uint8_t)((p->set ? IS_SET : 0) | (early ? IS_EARLY : 0));
    for (int i = 0; i < 4; i++)
        ret->bytes[2 + i] = (uint8_t)(hash >> 8 * i);
    memcpy(ret->bytes + HEAD_BYTES, p->text, n);
}

bool poll_place_read(const struct feed_position *at, const char *cursor, struct poll_place *ret)
{
    uint32_t hash = 0;
    if (at->n < HEAD_BYTES || at->bytes[0] != VERSION || (at->bytes[1] & IS_EARLY) ||
        at->n - HEAD_BYTES >= POLL_PLACE_BYTES)
        return false;
    for (int i = 0; i < 4; i++)
        hash |= (uint32_t)at->bytes[2 + i] << 8 * i;
    if (hash != hash_of(cursor))
        return false;
    *ret = (struct poll_place){.set = at->bytes[1] == IS_SET};
    memcpy(ret->text, at->bytes + HEAD_BYTES, (size_t)at->n - HEAD_BYTES);
    return !memchr(ret->text, '\0', (size_t)at->n - HEAD_BYTES);
}
