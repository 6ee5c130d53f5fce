/*
 * The stream and its group: looked at after each connect, made where they are missing.
 *
 * XINFO STREAM → XINFO GROUPS → XGROUP CREATE → XAUTOCLAIM → what is pending. A stream whose newest
 * id is before what was given already is another one: it was emptied, and began anew. Whatever
 * others hold of the group is taken over by a state that has settled nothing yet: the state before
 * it was lost.
 */
#include "scheduler/stream/events_private.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

static struct slice text_of(const struct redisReply *r)
{
    return slice_of(r->str, r->str ? (size_t)r->len : 0);
}

static bool starts(const struct err *err, const char *with)
{
    return strncmp(err->text, with, strlen(with)) == 0;
}

static void replay(struct events_feed *f)
{
    f->first = false;
    events_set_step(f, EVENTS_REPLAYING);
    events_read(f);
}

/* ---- taking over ---- */

static void take(struct events_feed *f);

static void on_taken(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    struct event_id next;
    f->asking = false;
    if (f->step != EVENTS_TAKING)
        return;
    if (err) {
        events_refused(f, err);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
               event_id_parse(text_of(reply->element[0]), &next) && (next.ms || next.seq)) {
        event_id_text(next, f->cursor);
        take(f);
    } else {
        replay(f);
    }
}

static void take(struct events_feed *f)
{
    char count[16];
    snprintf(count, sizeof count, "%d", EVENTS_TAKE_MAX);
    const struct slice argv[] = {SLICE_LIT("XAUTOCLAIM"),
                                 f->stream,
                                 f->group,
                                 f->consumer,
                                 SLICE_LIT("0"),
                                 slice_str(f->cursor),
                                 SLICE_LIT("COUNT"),
                                 slice_str(count),
                                 SLICE_LIT("JUSTID")};
    events_ask(f, argv, ARRAY_LEN(argv), on_taken);
}

/* ---- making ---- */

static void on_made(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    (void)reply;
    f->asking = false;
    if (f->step != EVENTS_MAKING)
        return;
    if (err && !starts(err, "BUSYGROUP")) {
        events_refused(f, err);
        return;
    }
    if (!err && event_id_compare(f->start, f->settled) > 0) {
        f->settled = f->given = f->replay_at = f->start;
        f->unmarked = true;
    }
    if (!f->first) {
        replay(f);
        return;
    }
    snprintf(f->cursor, sizeof f->cursor, "0-0");
    events_set_step(f, EVENTS_TAKING);
    take(f);
}

static void make(struct events_feed *f)
{
    char start[EVENT_ID_BYTES];
    const struct slice argv[] = {SLICE_LIT("XGROUP"),
                                 SLICE_LIT("CREATE"),
                                 f->stream,
                                 f->group,
                                 slice_str(event_id_text(f->start, start)),
                                 SLICE_LIT("MKSTREAM")};
    events_set_step(f, EVENTS_MAKING);
    events_ask(f, argv, ARRAY_LEN(argv), on_made);
}

/* ---- looking ---- */

static struct event_id newest_of(const struct redisReply *reply)
{
    struct event_id id = {0, 0};
    for (size_t i = 0; reply && i + 1 < reply->elements; i += 2)
        if (slice_eq_str(text_of(reply->element[i]), "last-generated-id") &&
            event_id_parse(text_of(reply->element[i + 1]), &id))
            return id;
    return id;
}

static void begin_anew(struct events_feed *f)
{
    struct err err;
    err_set(&err, ERR_STALE,
            "stream %s ends before what was read of it: it was emptied, and is read from its "
            "beginning",
            f->sync->model->stream);
    events_tell_lost(f, &err);
    f->era++;
    f->settled = f->given = f->replay_at = (struct event_id){0, 0};
    f->unmarked = false;
    f->acking = 0;
    event_ids_clear(&f->out);
}

/* Before anything is read: afterwards nothing tells what was gone unread. */
static void on_counted(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    f->asking = false;
    if (f->step != EVENTS_LOOKING)
        return;
    if (err && !starts(err, "ERR no such key")) {
        events_refused(f, err);
        return;
    }
    events_look_at_groups(f, reply);
    make(f);
}

static void on_looked(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    f->asking = false;
    if (f->step != EVENTS_LOOKING)
        return;
    if (err && !starts(err, "ERR no such key")) {
        events_refused(f, err);
        return;
    }
    f->newest = newest_of(reply);
    bool skip = f->first && f->sync->first_run == FIRST_SKIP;
    if (event_id_compare(f->newest, f->given) < 0)
        begin_anew(f);
    f->start = skip ? f->newest : f->settled;
    if (reply)
        events_count_gone(f, reply);
    const struct slice argv[] = {SLICE_LIT("XINFO"), SLICE_LIT("GROUPS"), f->stream};
    events_ask(f, argv, ARRAY_LEN(argv), on_counted);
}

void events_look(struct events_feed *f)
{
    const struct slice argv[] = {SLICE_LIT("XINFO"), SLICE_LIT("STREAM"), f->stream};
    events_set_step(f, EVENTS_LOOKING);
    events_ask(f, argv, ARRAY_LEN(argv), on_looked);
}
