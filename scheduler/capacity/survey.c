/* Reads: projects, history, wishes. Writes: a survey. A crash here: nothing is lost or kept. */
#include "scheduler/capacity/survey.h"

#include <math.h>
#include <stdlib.h>

#include "protocol/connector/connector.h"
#include "scheduler/state/entries.h"

enum {
    IDEA_WINDOW_BYTES = 64000000,
    IDEA_HISTORY_BYTES = 128000000,
    IDEA_CONCURRENCY = 8,
    IDEA_WORKER_SLOTS = 32,
};

static enum err_code make_room(struct capacity_survey *s, size_t count, struct err *err)
{
    *s = (struct capacity_survey){0};
    s->targets = calloc(count + 1, sizeof *s->targets);
    s->rooms = calloc(count + 1, sizeof *s->rooms);
    s->today = calloc(count + 1, sizeof *s->today);
    return s->targets && s->rooms && s->today
               ? ERR_OK
               : err_set(err, ERR_NOMEM, "no memory for %zu destinations", count);
}

void capacity_survey_done(struct capacity_survey *s)
{
    free(s->targets);
    free(s->rooms);
    free(s->today);
    *s = (struct capacity_survey){0};
}

/* ---- loads ---- */

static double growth_of(const struct capacity_wish *wish)
{
    return wish->growth > 0 ? wish->growth : 1;
}

/* A load of so many records for a target that has none of its own to go by. */
static void assume_load(struct capacity_survey *s, struct capacity_target *t, double records,
                        const struct capacity_wish *wish)
{
    double runs = wish->runs_per_day > 0 ? wish->runs_per_day : CAPACITY_RUNS_PER_DAY;
    double batches = ceil(records / t->batch_records);
    t->day = (struct capacity_load){.records = records,
                                    .batches = batches,
                                    .requests = batches * t->requests_per_batch,
                                    .bytes = records * CAPACITY_RECORD_BYTES,
                                    .rows = t->full_records * runs};
    t->hour = (struct capacity_load){0};
    capacity_load_add(&t->hour, &t->day, CAPACITY_PEAK);
    s->assumed |= ASSUMED_PEAK | ASSUMED_BATCHES | ASSUMED_RECORD_BYTES;
    if (t->full_records > 0 && !(wish->runs_per_day > 0))
        s->assumed |= ASSUMED_RUNS;
}

/* More records are sent of rows that are read as often as before. */
static void scale(struct capacity_load *load, double factor, double rows_factor)
{
    struct capacity_load was = *load;
    *load = (struct capacity_load){0};
    capacity_load_add(load, &was, factor);
    load->rows = was.rows * rows_factor;
}

/* Gives every target its part of the records that are wished for, as history shares them, and lets
 * all grow. */
static void spread_wish(struct capacity_survey *s, double rows_factor,
                        const struct capacity_wish *wish)
{
    double now = 0, growth = growth_of(wish);
    for (size_t i = 0; i < s->count; i++)
        now += s->targets[i].day.records;
    for (size_t i = 0; i < s->count; i++) {
        struct capacity_target *t = &s->targets[i];
        double factor = growth;
        if (wish->records_per_day > 0 && now > 0)
            factor *= wish->records_per_day / now;
        if (now > 0) {
            scale(&t->day, factor, rows_factor);
            scale(&t->hour, factor, rows_factor);
        } else if (wish->records_per_day > 0) {
            assume_load(s, t, wish->records_per_day * growth / (double)s->count, wish);
            s->assumed |= s->count > 1 ? ASSUMED_SHARES : 0;
        }
    }
    if (!(now > 0) && !(wish->records_per_day > 0))
        s->unknown |= UNKNOWN_LOAD;
}

/* The rows that were said, or those of state, grown. Gives by how much that is more. */
static double spread_rows(struct capacity_survey *s, double stored,
                          const struct capacity_wish *wish)
{
    double growth = growth_of(wish), all = wish->rows > 0 ? wish->rows : stored, known = 0;
    for (size_t i = 0; i < s->count; i++)
        known += s->targets[i].full_records;
    for (size_t i = 0; i < s->count; i++) {
        struct capacity_target *t = &s->targets[i];
        double share = known > 0 ? t->full_records / known : 1 / (double)s->count;
        if (wish->rows > 0)
            t->full_records = wish->rows * share;
        t->full_records *= growth;
    }
    s->frame.stored_rows = all * growth;
    if (!(all > 0))
        s->unknown |= UNKNOWN_ROWS;
    return growth * (wish->rows > 0 && stored > 0 ? wish->rows / stored : 1);
}

static void finish(struct capacity_survey *s, const struct capacity_wish *wish)
{
    s->possible = true;
    for (size_t i = 0; i < s->count; i++) {
        struct capacity_target *t = &s->targets[i];
        if (wish->request_ms > 0)
            t->request_ms = wish->request_ms;
        if (!(t->request_ms > 0)) {
            t->request_ms = CAPACITY_REQUEST_MS;
            s->assumed |= ASSUMED_REQUEST_MS;
        }
        capacity_room(t, &s->rooms[i]);
        s->possible &= s->rooms[i].possible;
    }
    if (!(s->unknown & UNKNOWN_LOAD))
        capacity_need(&capacity_measured, &s->frame, s->targets, s->rooms, s->count, &s->need);
}

/* ---- a project ---- */

static bool is_https(const struct destination *d)
{
    const char *url = destination_option(d, "url");
    if (strcmp(d->connector->driver, "http") != 0)
        return false;
    return !url || strncmp(url, "https:", 6) == 0;
}

static void describe(struct capacity_survey *s, const struct project *p,
                     const struct destination *d, const struct capacity_past *past,
                     struct capacity_target *t)
{
    *t = (struct capacity_target){.name = d->quota,
                                  .limits = d->limits,
                                  .limit_count = d->limit_count,
                                  .concurrency = d->concurrency,
                                  .requests_per_batch = 1,
                                  .https = is_https(d)};
    for (size_t i = 0; i < p->sync_count; i++)
        if (strcmp(p->syncs[i].destination->quota, d->quota) == 0)
            t->batch_records = fmax(t->batch_records, p->syncs[i].batch_size);
    if (!(t->batch_records > 0))
        t->batch_records = d->batch_size ? d->batch_size : CAPACITY_BATCH_RECORDS;
    capacity_past_loads(past, s->days, &t->day, &t->hour);
    if (past->total.batches > 0)
        t->requests_per_batch = fmax(1, past->total.requests / past->total.batches);
    if (past->timed_requests > 0)
        t->request_ms = past->request_ms / past->timed_requests;
}

static struct capacity_target *target_of(struct capacity_survey *s, const char *quota)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->targets[i].name, quota) == 0)
            return &s->targets[i];
    return NULL;
}

/* What each target has accepted; the sum of all entries. */
static enum err_code count_rows(struct capacity_survey *s, const struct project *p,
                                struct state *state, double *stored, struct err *err)
{
    for (size_t i = 0; i < p->sync_count && state; i++) {
        struct state_counts counts;
        enum err_code rc = state_sync_look(state, p->syncs[i].name, &counts, err);
        if (rc && rc != ERR_NOTFOUND)
            return rc;
        if (rc)
            continue;
        target_of(s, p->syncs[i].destination->quota)->full_records += (double)counts.accepted;
        *stored += (double)counts.stored;
    }
    return ERR_OK;
}

enum err_code capacity_survey_project(const struct project *project, struct state *state,
                                      int64_t now_ms, const struct capacity_wish *wish,
                                      struct capacity_survey *ret, struct err *err)
{
    struct capacity_history history = {0};
    double stored = 0;
    enum err_code rc = make_room(ret, project->destination_count, err);
    rc = rc ? rc : capacity_history_read(state, project, now_ms, &history, err);
    ret->days = history.days;
    ret->runs = history.runs;
    for (size_t i = 0; i < project->destination_count && !rc; i++) {
        const struct destination *d = &project->destinations[i];
        if (target_of(ret, d->quota))
            continue;
        describe(ret, project, d, capacity_history_of(&history, d->quota),
                 &ret->targets[ret->count]);
        ret->today[ret->count] = ret->targets[ret->count].day;
        ret->count++;
    }
    rc = rc ? rc : count_rows(ret, project, state, &stored, err);
    capacity_history_done(&history);
    if (rc)
        return rc;
    ret->frame.window_bytes = (double)project->settings.window_bytes;
    ret->frame.history_bytes = (double)project->settings.history_bytes;
    ret->frame.worker_slots = project->settings.worker_slots;
    ret->redis_listed = project->settings.redis_count;
    ret->shards = project->settings.shards;
    ret->of_shard = project->settings.shard < 0 ? 0 : (unsigned)project->settings.shard;
    spread_wish(ret, spread_rows(ret, stored, wish), wish);
    finish(ret, wish);
    return ERR_OK;
}

/* ---- an idea ---- */

enum err_code capacity_survey_idea(const struct connector *connector, const struct object *object,
                                   size_t destinations, const struct capacity_wish *wish,
                                   struct capacity_survey *ret, struct err *err)
{
    const char *none[CONNECTOR_OPTIONS_MAX] = {0};
    const struct limit_case *limits = connector_limits(connector, none);
    enum err_code rc = make_room(ret, destinations, err);
    if (rc)
        return rc;
    uint32_t batch = object->batch_records ? object->batch_records : object->max_records;
    for (size_t i = 0; i < destinations; i++)
        ret->targets[i] = (struct capacity_target){
            .name = connector->name,
            .limits = limits ? limits->limits : NULL,
            .limit_count = limits ? limits->count : 0,
            .concurrency = connector->concurrency ? connector->concurrency : IDEA_CONCURRENCY,
            .batch_records = batch ? batch : CAPACITY_BATCH_RECORDS,
            .requests_per_batch = 1,
            .https = strcmp(connector->driver, "http") == 0,
        };
    ret->count = destinations;
    ret->alike = true;
    ret->frame.window_bytes = IDEA_WINDOW_BYTES;
    ret->frame.history_bytes = IDEA_HISTORY_BYTES;
    ret->frame.worker_slots = IDEA_WORKER_SLOTS;
    spread_wish(ret, spread_rows(ret, 0, wish), wish);
    finish(ret, wish);
    return ERR_OK;
}
