/*
 * Questions that come up beside the flow: one at a time, the most urgent first.
 *
 * Reads what the feed wants to know, gives the answers back to it. Where an answer fails the
 * connection is made anew, which asks everything again.
 */
#include "scheduler/stream/cdc_private.h"

#include "protocol/base/clock.h"
#include "scheduler/stream/replication_words.h"

#include <stdio.h>

enum { SEEN_WAIT_MOST_MS = 50 };

static void on_answer(void *ctx, const PGresult *result, const struct err *err);

void cdc_ask(struct cdc_feed *f, enum cdc_job job, const char *sql)
{
    const struct side_answer answer = {on_answer, f};
    struct err err;
    f->job = job;
    if (!sql)
        err_set(&err, ERR_NOMEM, "no memory for a question");
    if (!sql || side_ask(f->side, sql, NULL, 0, answer, &err)) {
        f->job = JOB_NONE;
        cdc_lose(f, &err);
    }
}

void cdc_forget_jobs(struct cdc_feed *f)
{
    side_drop(f->side);
    f->job = JOB_NONE;
    memset(f->wants, 0, sizeof f->wants);
}

/* The text of a job; NULL: no memory. */
static const char *text_of(struct cdc_feed *f, enum cdc_job job)
{
    struct err err;
    if (job == JOB_SEEN)
        return cdc_seen_sql;
    if (job == JOB_HORIZON || job == JOB_END)
        return "SELECT pg_catalog.pg_current_wal_insert_lsn()";
    if (job == JOB_TYPES)
        return buf_cstr(&f->types_sql);
    buf_reset(&f->sql);
    enum err_code rc = job == JOB_SHAPE ? cdc_shape_sql(f, &f->sql)
                       : job == JOB_FIT ? slot_sql_tables(&f->sql, f->sync, &f->names, &err)
                                        : slot_sql_server(&f->sql, &f->names);
    return rc ? NULL : buf_cstr(&f->sql);
}

static void next(struct cdc_feed *f)
{
    bool live = f->phase == CDC_FLOWING || f->phase == CDC_WAITING;
    for (int job = JOB_HORIZON; job < JOB_COUNT && live && f->job == JOB_NONE; job++) {
        if (!f->wants[job])
            continue;
        f->wants[job] = false;
        cdc_ask(f, (enum cdc_job)job, text_of(f, (enum cdc_job)job));
    }
}

void cdc_want(struct cdc_feed *f, enum cdc_job job)
{
    f->wants[job] = true;
    next(f);
}

/* ---- answers ---- */

static void go_on(struct cdc_feed *f)
{
    if (f->phase == CDC_FLOWING)
        replication_go_on(f->link);
}

static void take_seen(struct cdc_feed *f, const PGresult *result)
{
    cdc_seen_read(&f->seen, PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    bool holds = f->in_transaction && !cdc_seen_has(&f->seen, f->xid);
    bool waits = cdc_given_look(&f->given_rows, &f->seen) < f->seen_for;
    if (holds || waits) {
        f->seen_wait_ms = f->seen_wait_ms ? 2 * f->seen_wait_ms : 1;
        if (f->seen_wait_ms > SEEN_WAIT_MOST_MS)
            f->seen_wait_ms = SEEN_WAIT_MOST_MS;
        cdc_again_in(f, f->seen_wait_ms);
    } else {
        f->seen_wait_ms = 0;
    }
    if (!holds)
        go_on(f);
    if (f->seen_for && !waits) {
        f->seen_for = 0;
        f->given = true;
        cdc_turn(f);
    }
}

static void take_types(struct cdc_feed *f, const PGresult *result)
{
    struct err err;
    f->types_failed = types_learn(&f->types, result, &err) != ERR_OK;
    go_on(f);
}

/* Where the log ended before the model is read: what is behind is not news. */
static void take_end(struct cdc_feed *f, uint64_t lsn)
{
    f->skip = lsn;
    cdc_resync(f, f->why_code, f->why);
    go_on(f);
}

static void take_fit(struct cdc_feed *f, const PGresult *result)
{
    struct err err;
    uint64_t cover = 0;
    bool less = false;
    bool failed = cdc_take_tables(f, result, false, &cover, &less, &err) != ERR_OK;
    f->from.parts = f->parts; /* what is less is said below */
    if (failed) {
        cdc_fail(f, &err);
    } else if (cover != f->cover) {
        err_set(&err, ERR_STALE, "what is published has changed");
        cdc_lose(f, &err);
    } else if (f->unusable) {
        f->unusable = false;
        cdc_want(f, JOB_END);
    } else if (less && f->phase == CDC_FLOWING && !f->waits) {
        f->why_code = ERR_REMOTE;
        snprintf(f->why, sizeof f->why, "a partition was dropped, detached or emptied by itself");
        cdc_want(f, JOB_END);
    }
}

static void give_up(struct cdc_feed *f, const struct slot_server *s)
{
    struct err err;
    f->give_up = true;
    snprintf(f->why, sizeof f->why,
             "replication slot \"%s\" held back %lld MB of the warehouse's log (max_slot_lag is "
             "%llu MB) and is given up",
             f->names.slot, (long long)(s->held_bytes >> 20),
             (unsigned long long)(f->sync->schedule.stream.max_slot_bytes >> 20));
    err_set(&err, ERR_FULL, "%s", f->why);
    cdc_lose(f, &err);
}

static void take_watch(struct cdc_feed *f, const PGresult *result)
{
    struct slot_server s;
    struct err err;
    uint64_t most = f->sync->schedule.stream.max_slot_bytes;
    if (slot_read_server(result, &s, &err))
        return;
    f->server.synchronous = s.synchronous;
    if (s.end > f->end)
        f->end = s.end;
    if (!s.slot_exists || s.slot_lost || !s.publication_exists) {
        err_set(&err, ERR_STALE, "%s \"%s\" is gone",
                s.publication_exists ? "replication slot" : "publication",
                s.publication_exists ? f->names.slot : f->names.publication);
        cdc_lose(f, &err);
    } else if (most && s.held_bytes > 0 && (uint64_t)s.held_bytes > most) {
        give_up(f, &s);
    }
}

static void take(struct cdc_feed *f, enum cdc_job job, const PGresult *result)
{
    uint64_t lsn = 0;
    if (job == JOB_HORIZON || job == JOB_END)
        lsn = replication_lsn(PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    if (job == JOB_HORIZON)
        cdc_flows(f, lsn);
    else if (job == JOB_END)
        take_end(f, lsn);
    else if (job == JOB_SEEN)
        take_seen(f, result);
    else if (job == JOB_TYPES)
        take_types(f, result);
    else if (job == JOB_SHAPE) {
        if (cdc_shape_answer(f, result))
            go_on(f);
    } else if (job == JOB_FIT)
        take_fit(f, result);
    else if (job == JOB_WATCH)
        take_watch(f, result);
    else
        cdc_open_answer(f, job, result);
}

/* A refusal by words of the server, not by its absence. */
static bool refused(const struct err *err)
{
    return err->code == ERR_SQL || err->code == ERR_DENIED;
}

static void take_error(struct cdc_feed *f, enum cdc_job job, const struct err *err)
{
    struct err copy = *err;
    if (job == JOB_TYPES && refused(err)) {
        f->types_failed = true;
        go_on(f);
    } else if (job == JOB_SHAPE && refused(err)) {
        f->shape = SHAPE_DIFFERS;
        go_on(f);
    } else if (job == JOB_PUBLISH && refused(err)) {
        err_prefix(&copy, "publication \"%s\" cannot be made", f->names.publication);
        cdc_fail(f, &copy);
    } else if ((job != JOB_WATCH && job != JOB_FIT) ||
               (err->code == ERR_UNREACHABLE && (f->paused || f->waits))) {
        /* A server that shuts down waits for those who read slots; whoever does not read cannot
           know otherwise. */
        cdc_lose(f, &copy);
    }
}

static void on_answer(void *ctx, const PGresult *result, const struct err *err)
{
    struct cdc_feed *f = ctx;
    enum cdc_job job = f->job;
    f->job = JOB_NONE;
    if (err)
        take_error(f, job, err);
    else
        take(f, job, result);
    next(f);
}
