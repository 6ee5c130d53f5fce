#include "scheduler/run/windows.h"

#include "protocol/base/clock.h"
#include "protocol/wire/batch.h"
#include "scheduler/state/limits.h"

#include <stdlib.h>

/* A grant lasts for about one renewal of the permit: this part of the limit, but never less than a
 * few. */
enum { GRANT_PARTS = 50, GRANT_LEAST = 100, WINDOW_SHORT_MS = 60000 };

void windows_done(struct windows *w)
{
    free(w->items);
    *w = (struct windows){0};
}

static enum err_code add(struct windows *w, struct queue_window item, struct err *err)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 64;
        struct queue_window *items = realloc(w->items, cap * sizeof *items);
        if (!items)
            return err_set(err, ERR_NOMEM, "limits: no memory for the windows");
        w->items = items;
        w->cap = cap;
    }
    w->items[w->count++] = item;
    return ERR_OK;
}

/* As state keeps it: the kind, and above it the group. */
static uint32_t saved_kind(const struct rate_limit *limit)
{
    return (uint32_t)limit->kind | limit->group << 8;
}

/* The destination's limit that a saved one belongs to; limit_count where there is none any more. */
static size_t match(const struct destination *d, const struct saved_limit *s)
{
    size_t i = 0;
    while (i < d->limit_count &&
           (d->limits[i].per_ms != s->per_ms || saved_kind(&d->limits[i]) != s->kind))
        i++;
    return i;
}

static enum err_code restore(struct windows *w, const struct destination *d,
                             const struct saved_limits *saved, struct err *err)
{
    int64_t passed = clock_wall_ms() - saved->saved_ms;
    uint64_t elapsed = passed > 0 ? (uint64_t)passed
                                  : 0; /* a clock set back makes tokens return late, never early */
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < saved->window_count && !rc; i++) {
        struct saved_window s = saved->windows[i];
        size_t to =
            s.limit < saved->limit_count ? match(d, &saved->limits[s.limit]) : d->limit_count;
        if (to < d->limit_count && s.left_ms > elapsed)
            rc = add(w, (struct queue_window){(uint32_t)to, s.left_ms - elapsed, s.count}, err);
    }
    for (size_t i = 0; i < saved->limit_count && !rc; i++) {
        const struct saved_limit *s = &saved->limits[i];
        uint64_t unknown = s->grant > s->charged ? s->grant - s->charged : 0;
        size_t to = match(d, s);
        /* They may have been charged until the permit ran out after the last save. */
        uint64_t horizon = s->per_ms + d->timeout_ms + 2 * QUEUE_LEASE_MARGIN_MS;
        if (to < d->limit_count && unknown && elapsed < horizon)
            rc = add(w,
                     (struct queue_window){(uint32_t)to, s->per_ms,
                                           unknown < s->count ? unknown : s->count},
                     err);
    }
    return rc;
}

enum err_code windows_load(struct windows *w, struct state *state, const struct destination *d,
                           const struct queue_window **ret_windows, size_t *ret_count,
                           struct err *err)
{
    struct saved_limits *saved = NULL;
    enum err_code rc = ERR_OK;
    *w = (struct windows){.limit_count = d->limit_count, .items = w->items, .cap = w->cap};
    if (d->limit_count > WINDOWS_LIMITS_MAX)
        return err_set(err, ERR_CONFIG, "destination %s has more than %d rate limits", d->name,
                       WINDOWS_LIMITS_MAX);
    if (d->limit_count)
        rc = state_limits_get(state, d->quota, &saved, err);
    if (rc == ERR_NOTFOUND)
        rc = ERR_OK;
    else if (!rc && saved)
        rc = restore(w, d, saved, err);
    free(saved);
    *ret_windows = w->items;
    *ret_count = w->count;
    return rc;
}

enum err_code windows_note(struct windows *w, const struct queue_stats *stats, struct err *err)
{
    enum err_code rc = ERR_OK;
    w->count = 0;
    for (size_t i = 0; i < stats->window_count && !rc; i++)
        rc = add(w, stats->windows[i], err);
    for (size_t i = 0; i < w->limit_count && !rc; i++)
        w->unknown[i] = w->grant[i];
    return rc;
}

/* What the next renewal may grant: all of a short window (an unclean end costs one short wait), a
 * part of a long one. */
static uint64_t grant_of(const struct rate_limit *limit)
{
    uint64_t least = limit->kind == RATE_RECORDS ? BATCH_RECORDS_MAX : GRANT_LEAST,
             part = limit->count / GRANT_PARTS;
    if (limit->per_ms <= WINDOW_SHORT_MS || part > limit->count)
        return limit->count;
    part = part > least ? part : least;
    return part < limit->count ? part : limit->count;
}

enum err_code windows_save(struct windows *w, struct state *state, const struct destination *d,
                           bool clean, struct err *err)
{
    struct saved_limit limits[WINDOWS_LIMITS_MAX];
    if (!w->limit_count)
        return ERR_OK;
    for (size_t i = 0; i < w->limit_count; i++) {
        w->grant[i] = clean ? 0 : grant_of(&d->limits[i]);
        w->unknown[i] = clean ? 0 : w->unknown[i] + w->grant[i];
        limits[i] = (struct saved_limit){
            .kind = saved_kind(&d->limits[i]),
            .count = d->limits[i].count,
            .per_ms = d->limits[i].per_ms,
            .grant = w->unknown[i],
        };
    }
    struct saved_window *saved = calloc(w->count ? w->count : 1, sizeof *saved);
    if (!saved)
        return err_set(err, ERR_NOMEM, "limits: no memory for the windows");
    for (size_t i = 0; i < w->count; i++)
        saved[i] = (struct saved_window){w->items[i].limit, w->items[i].left_ms, w->items[i].count};
    struct saved_limits all = {clock_wall_ms(), limits, w->limit_count, saved, w->count};
    enum err_code rc = state_limits_put(state, d->quota, &all, err);
    free(saved);
    return rc;
}
