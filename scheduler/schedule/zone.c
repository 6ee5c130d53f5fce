/*
 * Reads: TZif files, whole, at most ZONE_FILE_BYTES. Keeps: the moments at which the offset
 * changes, and the rule for what comes behind them. Leap seconds are not counted: files that do
 * (right/…) are refused.
 */
#include "scheduler/schedule/zone.h"

#include "protocol/base/buf.h"
#include "protocol/config/files.h"
#include "scheduler/schedule/zone_rule.h"

#include <stdio.h>
#include <stdlib.h>

static const char zone_folder[] = "/usr/share/zoneinfo";

enum {
    ZONE_FILE_BYTES = 1 << 20,
    HEADER_BYTES = 44,
    TYPE_BYTES = 6,
    OFFSET_MAX_S = 26 * 3600 - 1, /* RFC 8536 3.2: more than -25 h and less than 26 h */
    OFFSET_MIN_S = -25 * 3600 + 1,
};

struct change {
    int64_t time_s;
    int32_t offset_s;
};

struct zone {
    int32_t first_offset_s; /* before the first change */
    bool has_rule;          /* from the last change on; without one the last offset stays */
    struct zone_rule rule;
    size_t count;
    struct change changes[]; /* in the order of time */
};

/* ---- reading ---- */

/* How many there are of each kind in a block (RFC 8536 3.1). */
struct counts {
    uint64_t universal, standard, leaps, times, types, chars;
};

static uint64_t big_endian(const char *p, size_t bytes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | (unsigned char)p[i];
    return n;
}

static const char *take(struct slice *s, uint64_t n)
{
    const char *p = s->p;
    if (n > s->n)
        return NULL;
    s->p += n;
    s->n -= (size_t)n;
    return p;
}

static bool take_header(struct slice *s, char *ret_version, struct counts *ret)
{
    const char *p = take(s, HEADER_BYTES);
    if (!p || memcmp(p, "TZif", 4) != 0)
        return false;
    *ret_version = p[4];
    *ret = (struct counts){big_endian(p + 20, 4), big_endian(p + 24, 4), big_endian(p + 28, 4),
                           big_endian(p + 32, 4), big_endian(p + 36, 4), big_endian(p + 40, 4)};
    return true;
}

static uint64_t block_bytes(const struct counts *c, uint64_t time_bytes)
{
    return c->times * (time_bytes + 1) + c->types * TYPE_BYTES + c->chars +
           c->leaps * (time_bytes + 4) + c->standard + c->universal;
}

static bool take_offset(const char *types, uint64_t type, uint64_t count, int32_t *ret)
{
    if (type >= count)
        return false;
    *ret = (int32_t)(uint32_t)big_endian(types + type * TYPE_BYTES, 4);
    return *ret >= OFFSET_MIN_S && *ret <= OFFSET_MAX_S;
}

static enum err_code damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "not a zone's file: %s", what);
}

static enum err_code read_changes(const char *block, const struct counts *c, struct zone *zone,
                                  struct err *err)
{
    const char *indices = block + c->times * 8, *types = indices + c->times;
    if (!take_offset(types, 0, c->types, &zone->first_offset_s))
        return damaged(err, "it has no offset");
    for (uint64_t i = 0; i < c->times; i++) {
        struct change *change = &zone->changes[i];
        change->time_s = (int64_t)big_endian(block + i * 8, 8);
        if (i > 0 && change->time_s <= change[-1].time_s)
            return damaged(err, "its times are not in order");
        if (!take_offset(types, (unsigned char)indices[i], c->types, &change->offset_s))
            return damaged(err, "an offset is missing or too large");
    }
    zone->count = (size_t)c->times;
    return ERR_OK;
}

/* The rest of the file: a line with the rule, which may be empty. */
static enum err_code read_rule(struct slice rest, struct zone *zone, struct err *err)
{
    if (rest.n < 2 || rest.p[0] != '\n')
        return damaged(err, "its rule is missing");
    const char *end = memchr(rest.p + 1, '\n', rest.n - 1);
    if (!end)
        return damaged(err, "its rule does not end");
    struct slice text = slice_of(rest.p + 1, (size_t)(end - rest.p - 1));
    zone->has_rule = text.n > 0;
    if (zone->has_rule && !zone_rule_parse(text, &zone->rule))
        return damaged(err, "its rule cannot be read");
    return ERR_OK;
}

enum err_code zone_parse(struct slice bytes, struct zone **ret_zone, struct err *err)
{
    struct counts c;
    char version;
    if (!take_header(&bytes, &version, &c))
        return damaged(err, "it does not begin with TZif");
    if (version < '2')
        return damaged(err, "version 1 has no times after 2037");
    /* The first block, of 32 bits, is for old readers. */
    if (!take(&bytes, block_bytes(&c, 4)) || !take_header(&bytes, &version, &c))
        return damaged(err, "it is too short");
    if (c.leaps)
        return damaged(err, "it counts leap seconds");
    const char *block = take(&bytes, block_bytes(&c, 8));
    if (!block)
        return damaged(err, "it is too short");
    struct zone *zone = calloc(1, sizeof *zone + (size_t)c.times * sizeof *zone->changes);
    if (!zone)
        return err_set(err, ERR_NOMEM, "no memory for a time zone");
    enum err_code rc = read_changes(block, &c, zone, err);
    if (!rc)
        rc = read_rule(bytes, zone, err);
    if (rc)
        zone_free(zone);
    else
        *ret_zone = zone;
    return rc;
}

enum err_code zone_load(const char *name, struct zone **ret_zone, struct err *err)
{
    char path[512];
    struct buf bytes CLEANUP(buf_done);
    buf_init(&bytes, ZONE_FILE_BYTES);
    if (!name || strcmp(name, "UTC") == 0) {
        *ret_zone = calloc(1, sizeof **ret_zone);
        return *ret_zone ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for a time zone");
    }
    int n = snprintf(path, sizeof path, "%s/%s", zone_folder, name);
    if (n < 0 || (size_t)n >= sizeof path || strstr(name, ".."))
        return err_set(err, ERR_CONFIG, "there is no time zone %.100s", name);
    enum err_code rc = file_read(path, &bytes, err);
    if (!rc)
        rc = zone_parse(buf_slice(&bytes), ret_zone, err);
    if (rc && rc != ERR_NOMEM && err)
        err->code = rc = ERR_CONFIG;
    return rc ? err_prefix(err, "time zone %s", name) : ERR_OK;
}

void zone_free(struct zone *zone)
{
    free(zone);
}

/* ---- asking ---- */

/* Changes at or before that time. */
static size_t count_until(const struct zone *zone, int64_t time_s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].time_s <= time_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct zone_span zone_span_at(const struct zone *zone, int64_t time_s)
{
    size_t until = count_until(zone, time_s);
    const struct change *last = until ? &zone->changes[until - 1] : NULL;
    struct zone_span span = {
        .start_s = last ? last->time_s : INT64_MIN,
        .end_s = until < zone->count ? zone->changes[until].time_s : INT64_MAX,
        .offset_s = last ? last->offset_s : zone->first_offset_s,
    };
    if (until == zone->count && zone->has_rule) {
        struct zone_span ruled = zone_rule_span(&zone->rule, time_s);
        span.offset_s = ruled.offset_s;
        span.end_s = ruled.end_s;
        if (ruled.start_s > span.start_s)
            span.start_s = ruled.start_s;
    }
    return span;
}
