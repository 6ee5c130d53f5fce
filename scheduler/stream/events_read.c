/*
 * Entries: asked for, made rows of, told to the owner.
 *
 * First what is pending for us, from where it was read last; then what is new. Neither waits: where
 * there is nothing more, XREAD waits, which delivers nothing to the group. A connection that is
 * gone, and of which Redis does not know it yet, could otherwise still be given entries that
 * nobody sees.
 *
 * What comes while the owner wants nothing is left where it is, pending for us, and read again.
 * Entries whose bytes are gone (deleted, trimmed) are acknowledged like others, and give nothing.
 */
#include "scheduler/stream/events_private.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>

static struct slice text_of(const struct redisReply *r)
{
    return slice_of(r->str, r->str ? (size_t)r->len : 0);
}

/* What one portion brought. */
struct portion {
    size_t entries;
    uint64_t bytes;
    struct event_id old[EVENTS_COUNT_MAX]; /* settled before: only their acknowledgement was lost */
    size_t old_count;
};

/* ---- one entry ---- */

static uint64_t bytes_of(const struct redisReply *fields)
{
    uint64_t n = 0;
    for (size_t i = 0; fields->type == REDIS_REPLY_ARRAY && i < fields->elements; i++)
        n += text_of(fields->element[i]).n;
    return n;
}

static enum err_code give(struct events_feed *f, struct event_id id,
                          const struct redisReply *fields, struct err *err)
{
    struct row row;
    struct change change = {.kind = CHANGE_ROW, .row = &row};
    enum err_code rc = event_rows_read(f->rows, id, fields, &row, &change.key, err);
    return rc ? rc : f->events.on_change(f->events.ctx, &change, err);
}

static enum err_code take_entry(struct events_feed *f, const struct redisReply *entry,
                                struct portion *p, struct err *err)
{
    struct event_id id;
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        !event_id_parse(text_of(entry->element[0]), &id))
        return err_set(err, ERR_INVALID, "an entry of stream %s is not of Redis' form",
                       f->sync->model->stream);
    const struct redisReply *fields = entry->element[1];
    uint64_t bytes = bytes_of(fields);
    p->entries++;
    p->bytes += bytes;
    if (event_id_compare(id, f->replay_at) > 0)
        f->replay_at = id;
    if (event_id_compare(id, f->settled) <= 0) {
        p->old[p->old_count++] = id;
        return ERR_OK;
    }
    if (event_id_compare(id, f->given) <= 0)
        return ERR_OK; /* the owner has it */
    event_ids_push(&f->out, id, bytes);
    f->given = id;
    f->unmarked = true;
    return fields->type == REDIS_REPLY_NIL ? ERR_OK : give(f, id, fields, err);
}

/* ---- a portion ---- */

static bool is_full(const struct events_feed *f)
{
    return f->out.count >= EVENTS_OUT_MAX || f->out.bytes >= EVENTS_OUT_BYTES_MAX;
}

void events_tell_back(struct events_feed *f)
{
    if (f->told_back)
        return;
    f->told_back = true;
    f->told_lost = false;
    f->events.on_trouble(f->events.ctx, FEED_BACK, NULL);
}

/* Larger where entries are small, so that a portion stays within its bytes. */
static void set_count(struct events_feed *f, const struct portion *p)
{
    uint64_t most = EVENTS_COUNT_MAX;
    if (p->bytes)
        most = EVENTS_PORTION_BYTES * p->entries / p->bytes;
    if (p->entries >= f->count)
        f->count *= 2;
    if (f->count > most)
        f->count = (uint32_t)most;
    if (f->count > EVENTS_COUNT_MAX)
        f->count = EVENTS_COUNT_MAX;
    if (f->count == 0)
        f->count = 1;
}

/* The owner plans once all that it had before is there again, or can take no more of it. */
static void end_portion(struct events_feed *f, const struct portion *p, bool whole)
{
    if (p->old_count)
        events_acknowledge_old(f, p->old, p->old_count);
    if (f->unmarked) {
        struct feed_position at = events_position(f);
        f->unmarked = false;
        f->events.on_mark(f->events.ctx, &at);
    }
    if (!whole && f->step == EVENTS_FLOWING)
        events_set_step(f, EVENTS_REPLAYING);
    else if (whole && p->entries == 0 && f->step == EVENTS_REPLAYING)
        events_set_step(f, EVENTS_FLOWING);
    if (f->step == EVENTS_FLOWING || f->paused || is_full(f))
        events_tell_back(f);
    if (f->told_back)
        f->events.on_turn(f->events.ctx);
}

static void take_entries(struct events_feed *f, const struct redisReply *entries)
{
    struct portion p;
    struct err err;
    p.entries = p.old_count = 0;
    p.bytes = 0;
    size_t n = entries ? entries->elements : 0, i = 0;
    for (; i < n && !f->paused && p.entries < EVENTS_COUNT_MAX; i++) {
        if (take_entry(f, entries->element[i], &p, &err)) {
            events_fail(f, &err);
            return;
        }
    }
    if (n)
        set_count(f, &p);
    end_portion(f, &p, i == n && !f->paused);
}

/* The one stream's entries in a reply to a read; NULL: none. */
static const struct redisReply *entries_of(const struct redisReply *reply)
{
    const struct redisReply *stream =
        reply->type == REDIS_REPLY_ARRAY && reply->elements ? reply->element[0] : NULL;
    bool good = stream && stream->type == REDIS_REPLY_ARRAY && stream->elements == 2 &&
                stream->element[1]->type == REDIS_REPLY_ARRAY;
    return good ? stream->element[1] : NULL;
}

static void on_entries(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    f->asking = false;
    if (f->step != EVENTS_REPLAYING && f->step != EVENTS_FLOWING)
        return;
    if (err) {
        events_refused(f, err);
        return;
    }
    const struct redisReply *entries = entries_of(reply);
    f->drained = f->step == EVENTS_FLOWING && (!entries || entries->elements < f->asked_for);
    if (entries || f->step == EVENTS_REPLAYING)
        take_entries(f, entries);
    if (f->step != EVENTS_FAILED)
        events_read(f);
}

/* ---- asking ---- */

static void on_woken(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct events_feed *f = ctx;
    struct event_id id;
    f->asking = false;
    if (f->step != EVENTS_REPLAYING && f->step != EVENTS_FLOWING)
        return;
    if (err) {
        events_refused(f, err);
        return;
    }
    const struct redisReply *entries = entries_of(reply);
    if (entries && entries->elements && entries->element[0]->elements &&
        event_id_parse(text_of(entries->element[0]->element[0]), &id) &&
        event_id_compare(id, f->newest) > 0)
        f->newest = id;
    f->drained = false; /* looked at also where none came: the group may be gone */
    events_read(f);
}

static void wait_for_entries(struct events_feed *f)
{
    char id[EVENT_ID_BYTES], block[16];
    struct event_id from = event_id_compare(f->newest, f->given) > 0 ? f->newest : f->given;
    snprintf(block, sizeof block, "%d", EVENTS_BLOCK_MS);
    const struct slice argv[] = {SLICE_LIT("XREAD"), SLICE_LIT("COUNT"),
                                 SLICE_LIT("1"),     SLICE_LIT("BLOCK"),
                                 slice_str(block),   SLICE_LIT("STREAMS"),
                                 f->stream,          slice_str(event_id_text(from, id))};
    events_ask(f, argv, ARRAY_LEN(argv), on_woken);
}

static void ask_for_entries(struct events_feed *f)
{
    char count[16], id[EVENT_ID_BYTES];
    size_t room = EVENTS_OUT_MAX - f->out.count;
    f->asked_for = f->count < room ? f->count : (uint32_t)room;
    snprintf(count, sizeof count, "%" PRIu32, f->asked_for);
    struct slice from =
        f->step == EVENTS_REPLAYING ? slice_str(event_id_text(f->replay_at, id)) : SLICE_LIT(">");
    const struct slice argv[] = {
        SLICE_LIT("XREADGROUP"), SLICE_LIT("GROUP"),   f->group,  f->consumer, SLICE_LIT("COUNT"),
        slice_str(count),        SLICE_LIT("STREAMS"), f->stream, from};
    events_ask(f, argv, ARRAY_LEN(argv), on_entries);
}

void events_read(struct events_feed *f)
{
    bool flows = f->step == EVENTS_FLOWING;
    if (f->asking || f->paused || is_full(f) || (!flows && f->step != EVENTS_REPLAYING))
        return;
    if (flows && f->drained)
        wait_for_entries(f);
    else
        ask_for_entries(f);
}
