/* What a receiver holds of records that carry a version. */
#define _GNU_SOURCE
#include "versions.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACK_MAX = 100, LATENCIES_MAX = 1 << 24, LINE_BYTES = 64, FIRST_IDS = 1 << 16 };

#define OP "\"op\":\""
#define PRESENT (UINT64_C(1) << 63)
#define SEEN (UINT64_C(1) << 62)
#define VERSION_BITS (SEEN - 1)

struct back {
    uint64_t id, before, version;
};

struct versions {
    uint64_t *ids; /* per id: PRESENT, SEEN and the version */
    size_t id_count;
    struct versions_count count;
    struct back back[BACK_MAX];
    size_t back_count;
    uint32_t *latencies_us;
    size_t latency_count;
};

struct versions *versions_new(void)
{
    struct versions *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->id_count = FIRST_IDS;
    v->ids = calloc(v->id_count, sizeof *v->ids);
    v->latencies_us = calloc(LATENCIES_MAX, sizeof *v->latencies_us);
    if (v->ids && v->latencies_us)
        return v;
    free(v->ids);
    free(v->latencies_us);
    free(v);
    return NULL;
}

void versions_reset(struct versions *v)
{
    memset(v->ids, 0, v->id_count * sizeof *v->ids);
    v->count = (struct versions_count){0};
    v->back_count = v->latency_count = 0;
}

void versions_forget_latencies(struct versions *v)
{
    v->latency_count = 0;
}

static bool make_room(struct versions *v, uint64_t id)
{
    if (id < v->id_count)
        return true;
    if (id >= VERSIONS_IDS_MAX)
        return false;
    size_t count = v->id_count;
    while (count <= id)
        count *= 2;
    uint64_t *ids = realloc(v->ids, count * sizeof *ids);
    if (!ids)
        return false;
    memset(ids + v->id_count, 0, (count - v->id_count) * sizeof *ids);
    v->ids = ids;
    v->id_count = count;
    return true;
}

/* The number behind a mark; false: there is none. */
static bool number_after(const char *p, const char *end, const char *mark, uint64_t *ret)
{
    const size_t mark_bytes = strlen(mark);
    p = memmem(p, (size_t)(end - p), mark, mark_bytes);
    if (!p)
        return false;
    p += mark_bytes;
    const char *first = p;
    uint64_t n = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint64_t)(*p - '0');
    *ret = n;
    return p > first;
}

static void note_back(struct versions *v, uint64_t id, uint64_t before, uint64_t version)
{
    v->count.back++;
    if (v->back_count < BACK_MAX)
        v->back[v->back_count++] = (struct back){id, before, version};
}

static void take_upsert(struct versions *v, uint64_t id, uint64_t version)
{
    const uint64_t held = v->ids[id], before = held & VERSION_BITS;
    if (held & SEEN && (held & PRESENT ? version < before : version <= before))
        note_back(v, id, before, version);
    v->count.rows += !(held & PRESENT);
    v->count.upserts++;
    v->ids[id] = PRESENT | SEEN | version;
}

static void take_delete(struct versions *v, uint64_t id)
{
    v->count.rows -= !!(v->ids[id] & PRESENT);
    v->count.deletes++;
    v->ids[id] &= ~PRESENT;
}

/* p: what follows OP; end: of the record. */
static void take_record(struct versions *v, const char *p, const char *end, int64_t now_us)
{
    uint64_t id, version, at;
    const char *key = memmem(p, (size_t)(end - p), "\"key\":{", 7);
    if (!key || !number_after(key + 7, end, "\":", &id) || !make_room(v, id)) {
        v->count.strange++;
        return;
    }
    if (*p == 'd') {
        take_delete(v, id);
        return;
    }
    if (!number_after(key, end, "\"version\":", &version)) {
        v->count.strange++;
        return;
    }
    take_upsert(v, id, version);
    if (v->latency_count < LATENCIES_MAX && number_after(key, end, "\"at\":", &at) && at)
        v->latencies_us[v->latency_count++] =
            now_us > (int64_t)at ? (uint32_t)(now_us - (int64_t)at) : 0;
}

uint64_t versions_take(struct versions *v, const char *body, size_t bytes, int64_t now_us)
{
    const char *end = body + bytes;
    const char *p = memmem(body, bytes, OP, sizeof OP - 1);
    uint64_t records = 0;
    while (p) {
        p += sizeof OP - 1;
        const char *next = memmem(p, (size_t)(end - p), OP, sizeof OP - 1);
        take_record(v, p, next ? next : end, now_us);
        records++;
        p = next;
    }
    return records;
}

struct versions_count versions_count(const struct versions *v)
{
    return v->count;
}

char *versions_rows(const struct versions *v, size_t *ret_bytes)
{
    const size_t room = v->count.rows * LINE_BYTES + 1;
    size_t used = 0;
    char *text = malloc(room);
    for (size_t id = 0; text && id < v->id_count; id++)
        if (v->ids[id] & PRESENT)
            used += (size_t)snprintf(text + used, room - used, "%zu %llu\n", id,
                                     (unsigned long long)(v->ids[id] & VERSION_BITS));
    *ret_bytes = used;
    return text;
}

char *versions_back(const struct versions *v, size_t *ret_bytes)
{
    const size_t room = v->back_count * LINE_BYTES + 1;
    size_t used = 0;
    char *text = malloc(room);
    for (size_t i = 0; text && i < v->back_count; i++)
        used += (size_t)snprintf(
            text + used, room - used, "%llu %llu %llu\n", (unsigned long long)v->back[i].id,
            (unsigned long long)v->back[i].before, (unsigned long long)v->back[i].version);
    *ret_bytes = used;
    return text;
}

char *versions_latencies(const struct versions *v, size_t *ret_bytes)
{
    const size_t room = v->latency_count * 11 + 1;
    size_t used = 0;
    char *text = malloc(room);
    for (size_t i = 0; text && i < v->latency_count; i++)
        used += (size_t)snprintf(text + used, room - used, "%u\n", v->latencies_us[i]);
    *ret_bytes = used;
    return text;
}
