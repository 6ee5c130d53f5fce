/*
 * What is known of a sync as bytes, and back.
 *
 * Little-endian: version, run's state, its status, flags (1 byte each); digest, until, due, turns,
 * the run's time (8 bytes each); token taken, token seen (16 each); the run's id with its length (1
 * byte) before.
 */
#include "scheduler/schedule/schedule_private.h"

#include <endian.h>
#include <xxhash.h>

enum {
    MEMORY_VERSION = 2,
    FLAG_TAKEN = 1,
    FLAG_SEEN = 2,
    FIXED_BYTES = 4 + 5 * 8 + 2 * SCHEDULE_TOKEN_BYTES + 1,
};

#define TIME_MAX_MS ((int64_t)1 << 50) /* in the year 37,000 */

_Static_assert(FIXED_BYTES + SCHEDULE_RUN_MAX <= SCHEDULE_MEMORY_MAX, "memory fits");

static char *put_number(char *p, uint64_t n)
{
    n = htole64(n);
    memcpy(p, &n, sizeof n);
    return p + sizeof n;
}

static char *put_token(char *p, const struct token *token)
{
    memcpy(p, token->bytes, sizeof token->bytes);
    return p + sizeof token->bytes;
}

static struct slice pack(const struct memory *m, char *out)
{
    size_t n = strlen(m->run);
    char *p = out;
    *p++ = MEMORY_VERSION;
    *p++ = (char)m->run_state;
    *p++ = (char)m->status;
    *p++ = (char)((m->taken.set ? FLAG_TAKEN : 0) | (m->seen.set ? FLAG_SEEN : 0));
    p = put_number(p, m->digest);
    p = put_number(p, (uint64_t)m->until_ms);
    p = put_number(p, (uint64_t)m->due_ms);
    p = put_number(p, m->turns);
    p = put_number(p, (uint64_t)m->run_ms);
    p = put_token(p, &m->taken);
    p = put_token(p, &m->seen);
    *p++ = (char)n;
    memcpy(p, m->run, n);
    return slice_of(out, (size_t)(p - out) + n);
}

static uint64_t take_number(const char **p)
{
    uint64_t n;
    memcpy(&n, *p, sizeof n);
    *p += sizeof n;
    return le64toh(n);
}

static void take_token(const char **p, bool set, struct token *ret)
{
    ret->set = set;
    memcpy(ret->bytes, *p, sizeof ret->bytes);
    *p += sizeof ret->bytes;
}

static bool is_time(int64_t ms)
{
    return ms >= 0 && ms <= TIME_MAX_MS;
}

static bool unpack(struct slice packed, struct memory *ret)
{
    struct memory m = {0};
    const char *p = packed.p;
    if (packed.n < FIXED_BYTES || p[0] != MEMORY_VERSION || (unsigned char)p[1] > ITEM_RUN_ENDED ||
        (unsigned char)p[2] > SCHEDULE_RAN_HELD)
        return false;
    m.run_state = (enum item_run)p[1];
    m.status = (enum schedule_status)p[2];
    char flags = p[3];
    p += 4;
    m.digest = take_number(&p);
    m.until_ms = (int64_t)take_number(&p);
    m.due_ms = (int64_t)take_number(&p);
    m.turns = take_number(&p);
    m.run_ms = (int64_t)take_number(&p);
    take_token(&p, flags & FLAG_TAKEN, &m.taken);
    take_token(&p, flags & FLAG_SEEN, &m.seen);
    size_t n = (unsigned char)*p++;
    if (n > SCHEDULE_RUN_MAX || packed.n != FIXED_BYTES + n || memchr(p, '\0', n) ||
        !is_time(m.until_ms) || !is_time(m.due_ms) || !is_time(m.run_ms))
        return false;
    memcpy(m.run, p, n);
    *ret = m;
    return true;
}

enum err_code schedule_recall(struct schedule_table *table, const char *sync, struct slice packed,
                              int64_t now_ms, struct err *err)
{
    struct item *item = item_find(table, sync);
    struct memory m;
    if (!item)
        return ERR_OK;
    if (!unpack(packed, &m))
        return err_set(err, ERR_INVALID,
                       "what was kept of the schedule of %s cannot be read: it begins anew", sync);
    item->recalled = true;
    item->kept = true;
    item->kept_digest = XXH64(packed.p, packed.n, 0);
    if (m.digest != item->memory.digest) {
        /* Another schedule: only the run is the same. */
        item->memory.run_state = m.run_state;
        item->memory.status = m.status;
        item->memory.run_ms = m.run_ms;
        memcpy(item->memory.run, m.run, sizeof m.run);
        return ERR_OK;
    }
    item->memory = m;
    item_decided(item, m.until_ms);
    item_check_clock(item, now_ms);
    item_advance(item, now_ms, true);
    return ERR_OK;
}

enum err_code schedule_keep(struct schedule_table *table, schedule_keep_cb cb, void *ctx,
                            struct err *err)
{
    char bytes[SCHEDULE_MEMORY_MAX];
    for (size_t i = 0; i < table->count; i++) {
        struct item *item = &table->items[i];
        struct slice packed = pack(&item->memory, bytes);
        uint64_t digest = XXH64(packed.p, packed.n, 0);
        if (item->kept && item->kept_digest == digest)
            continue;
        enum err_code rc = cb(ctx, item->sync->name, packed, err);
        if (rc)
            return rc;
        item->kept = true;
        item->kept_digest = digest;
    }
    return ERR_OK;
}
