/*
 * What is said about entries while the other connection waits for more: acknowledgements, and how
 * far the group is behind.
 *
 * One XACK at a time, of the ids at the front of what is out; one that was lost is said again.
 */
#include "protocol/base/clock.h"
#include "scheduler/stream/events_private.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t TIME_FROM_MS = 1000000000000; /* 2001: an id below it is no time */

/* ---- acknowledging ---- */

static void on_acknowledged(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    size_t n = f->acking;
    (void)reply;
    f->acking = 0;
    if (f->step == EVENTS_FAILED)
        return;
    if (err && (err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT))
        return; /* said again when the connection stands */
    event_ids_pop(&f->out, n);
    events_acknowledge(f);
    events_read(f);
}

static enum err_code send_acknowledgement(struct events_feed *f, size_t n, redis_cb cb,
                                          struct err *err)
{
    f->ack_argv[0] = SLICE_LIT("XACK");
    f->ack_argv[1] = f->stream;
    f->ack_argv[2] = f->group;
    for (size_t i = 0; i < n; i++)
        f->ack_argv[3 + i] = slice_str(f->ack_text[i]);
    return redis_command(f->clerk, f->ack_argv, 3 + n, 0, cb, f, err);
}

void events_acknowledge(struct events_feed *f)
{
    struct err err;
    size_t n = 0;
    if (f->acking || f->step == EVENTS_FAILED || !redis_connected(f->clerk))
        return;
    while (n < EVENTS_ACK_MAX && n < f->out.count &&
           event_id_compare(event_ids_at(&f->out, n), f->settled) <= 0) {
        event_id_text(event_ids_at(&f->out, n), f->ack_text[n]);
        n++;
    }
    if (!n)
        return;
    f->acking = n;
    if (send_acknowledgement(f, n, on_acknowledged, &err))
        f->acking = 0; /* again with the next confirmation */
}

/* Where it is lost, they come again with the next start, and are acknowledged then. */
void events_acknowledge_old(struct events_feed *f, const struct event_id *ids, size_t count)
{
    struct err err;
    for (size_t i = 0; i < count; i++)
        event_id_text(ids[i], f->ack_text[i]);
    (void)!send_acknowledgement(f, count, NULL, &err);
}

/* ---- lag ---- */

static struct slice text_of(const struct redisReply *r)
{
    return slice_of(r->str, r->str ? (size_t)r->len : 0);
}

static const struct redisReply *value_of_name(const struct redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (slice_eq_str(text_of(map->element[i]), name))
            return map->element[i + 1];
    return NULL;
}

static int64_t number_of(const struct redisReply *map, const char *name, int64_t otherwise)
{
    const struct redisReply *v = value_of_name(map, name);
    return v && v->type == REDIS_REPLY_INTEGER ? v->integer : otherwise;
}

void events_count_gone(struct events_feed *f, const struct redisReply *stream)
{
    int64_t added = number_of(stream, "entries-added", -1);
    f->gone = added < 0 ? 0 : added - number_of(stream, "length", added);
}

static void on_stream(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    if (err)
        f->gone = 0;
    else
        events_count_gone(f, reply);
}

/* More entries are gone than were ever read: so many at least were never read. */
static void note_missed(struct events_feed *f, int64_t entries_read)
{
    char at[CLOCK_TEXT_BYTES];
    if (entries_read < 0 || f->gone <= entries_read)
        return;
    snprintf(f->lag.note, sizeof f->lag.note,
             "%" PRId64 " entries were trimmed or deleted before they were read (seen at %s): let "
             "the stream keep more",
             f->gone - entries_read, clock_text(clock_wall_ms(), at));
}

void events_look_at_groups(struct events_feed *f, const struct redisReply *groups)
{
    f->lag.records = -1;
    for (size_t i = 0; groups && i < groups->elements; i++) {
        const struct redisReply *group = groups->element[i];
        const struct redisReply *name = value_of_name(group, "name");
        if (!name || !slice_eq(text_of(name), f->group))
            continue;
        f->lag.records = number_of(group, "lag", -1);
        note_missed(f, number_of(group, "entries-read", -1));
    }
}

static void on_groups(void *ctx, const struct redisReply *reply, const struct err *err)
{
    (void)err;
    events_look_at_groups(ctx, reply);
}

static void on_time(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    f->lag.behind_ms = -1;
    if (err || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return;
    int64_t now_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
                     strtoll(reply->element[1]->str, NULL, 10) / 1000;
    if (f->lag.records == 0)
        f->lag.behind_ms = 0;
    else if (f->lag.records > 0 && f->given.ms >= TIME_FROM_MS && f->given.ms <= (uint64_t)now_ms)
        f->lag.behind_ms = now_ms - (int64_t)f->given.ms;
}

void events_look_at_lag(struct events_feed *f)
{
    struct err err;
    const struct slice stream[] = {SLICE_LIT("XINFO"), SLICE_LIT("STREAM"), f->stream};
    const struct slice groups[] = {SLICE_LIT("XINFO"), SLICE_LIT("GROUPS"), f->stream};
    const struct slice now[] = {SLICE_LIT("TIME")};
    if (!redis_connected(f->clerk)) {
        f->lag.records = f->lag.behind_ms = -1;
        return;
    }
    if (redis_command(f->clerk, stream, ARRAY_LEN(stream), 0, on_stream, f, &err) ||
        redis_command(f->clerk, groups, ARRAY_LEN(groups), 0, on_groups, f, &err) ||
        redis_command(f->clerk, now, ARRAY_LEN(now), 0, on_time, f, &err))
        f->lag.records = f->lag.behind_ms = -1;
}
