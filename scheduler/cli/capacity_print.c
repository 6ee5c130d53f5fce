#include "scheduler/cli/capacity_print.h"

#include "protocol/base/json.h"
#include "scheduler/cli/connector_print.h"
#include "scheduler/cli/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { WORDS_BYTES = 96, COUNT_MAX_DIGITS = 18 };

/* ---- words ---- */

/* A count with separators; what nothing bounds is "any". */
static const char *count_words(double n, char out[PRINT_NUMBER_BYTES])
{
    if (!isfinite(n) || n > pow(10, COUNT_MAX_DIGITS))
        snprintf(out, PRINT_NUMBER_BYTES, "any");
    else
        print_number((uint64_t)llround(n), out);
    return out;
}

/* Of a load, where one is known of. */
static const char *load_words(const struct capacity_survey *s, double n,
                              char out[PRINT_NUMBER_BYTES])
{
    if (s->unknown & UNKNOWN_LOAD)
        return "?";
    return count_words(n, out);
}

static const char *bytes_words(double n, char out[PRINT_NUMBER_BYTES])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t i = 0;
    while (n >= 1000 && i + 1 < ARRAY_LEN(units)) {
        n /= 1000;
        i++;
    }
    snprintf(out, PRINT_NUMBER_BYTES, n < 10 ? "%.1f %s" : "%.0f %s", n, units[i]);
    return out;
}

static const char *cores_words(double n, char out[PRINT_NUMBER_BYTES])
{
    snprintf(out, PRINT_NUMBER_BYTES, n < 0.01 ? "under 0.01 cores" : "%.2f cores", n);
    return out;
}

static const char *hours_words(double hours, char out[PRINT_NUMBER_BYTES])
{
    if (!isfinite(hours))
        snprintf(out, PRINT_NUMBER_BYTES, "?");
    else if (hours > 48)
        snprintf(out, PRINT_NUMBER_BYTES, "%.1f days", hours / 24);
    else
        print_duration((uint64_t)(hours * 3600000), out);
    return out;
}

/* "100 requests per 10s". */
static const char *limit_words(const struct capacity_target *t, int limit, char out[WORDS_BYTES])
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    char n[PRINT_NUMBER_BYTES];
    size_t i = 0;
    if (limit == CAPACITY_CONCURRENCY)
        snprintf(out, WORDS_BYTES, "%" PRIu32 " requests at a time", t->concurrency);
    else if (limit == CAPACITY_UNLIMITED)
        snprintf(out, WORDS_BYTES, "no limit");
    if (limit < 0)
        return out;
    const struct rate_limit *l = &t->limits[limit];
    while (l->per_ms % units[i].ms)
        i++;
    snprintf(out, WORDS_BYTES, "%s %s per %" PRIu64 "%s", print_number(l->count, n),
             l->kind == RATE_REQUESTS ? "requests" : "records", l->per_ms / units[i].ms,
             units[i].unit);
    return out;
}

static const struct {
    unsigned bit;
    const char *name, *words;
} assumptions[] = {
    {ASSUMED_REQUEST_MS, "request_ms", "a request takes 200 ms (--request-ms says otherwise)"},
    {ASSUMED_RECORD_BYTES, "record_bytes", "a record takes 250 bytes of a body"},
    {ASSUMED_PEAK, "peak", "an eighth of a day's records fall into its busiest hour"},
    {ASSUMED_RUNS, "runs_per_day",
     "models are read 24 times a day (--runs-per-day says otherwise)"},
    {ASSUMED_BATCHES, "batches", "batches are full"},
    {ASSUMED_SHARES, "shares", "each destination carries as many records as any other"},
};
static const struct {
    unsigned bit;
    const char *name, *words;
} unknowns[] = {
    {UNKNOWN_LOAD, "load",
     "the load: nothing ran in the last seven days (--records-per-day says what is planned)"},
    {UNKNOWN_ROWS, "rows",
     "the rows: state has none (--rows says how many there will be); memory and disk of the\n"
     "  scheduler, and how long sending everything again takes, are without them"},
};

/* ---- for people ---- */

static size_t shown(const struct capacity_survey *s)
{
    return s->alike && s->count ? 1 : s->count;
}

static enum err_code put_head(struct buf *b, const struct capacity_survey *s)
{
    char n[PRINT_NUMBER_BYTES];
    enum err_code rc = ERR_OK;
    if (s->runs)
        PUT(rc, buf_printf(b, "From %s runs of the last %.1f days.\n\n", print_number(s->runs, n),
                           s->days));
    if (s->alike && s->count > 1)
        PUT(rc, buf_printf(b, "Each of %s destinations:\n\n", print_number(s->count, n)));
    PUT(rc,
        buf_printf(b, "%-20s %15s %13s %13s %6s %16s  %-28s %s\n", "DESTINATION", "RECORDS/DAY",
                   "REQUESTS/DAY", "BUSIEST HOUR", "USED", "AT MOST/DAY", "BOUND BY", "ALL AGAIN"));
    return rc;
}

static enum err_code put_target(struct buf *b, const struct capacity_survey *s, size_t i)
{
    const struct capacity_target *t = &s->targets[i];
    const struct capacity_room *r = &s->rooms[i];
    char n[4][PRINT_NUMBER_BYTES], words[WORDS_BYTES], again[PRINT_NUMBER_BYTES], used[16];
    snprintf(used, sizeof used, s->unknown & UNKNOWN_LOAD ? "?" : "%.0f %%", r->used * 100);
    return buf_printf(b, "%-20s %15s %13s %13s %6s %16s  %-28s %s\n", t->name,
                      load_words(s, t->day.records, n[0]), load_words(s, t->day.requests, n[1]),
                      load_words(s, t->hour.records, n[2]), used, count_words(r->records_day, n[3]),
                      limit_words(t, r->bound, words),
                      t->full_records > 0 ? hours_words(r->full_hours, again) : "?");
}

/* What the table does not show at a glance. */
static enum err_code put_remarks(struct buf *b, const struct capacity_survey *s, size_t i)
{
    const struct capacity_target *t = &s->targets[i];
    const struct capacity_room *r = &s->rooms[i];
    char n[2][PRINT_NUMBER_BYTES], words[WORDS_BYTES], hours[PRINT_NUMBER_BYTES];
    enum err_code rc = ERR_OK;
    if (!r->possible)
        PUT(rc, buf_printf(
                    b, "\n%s: impossible: %s carry at most %s records a day; %s are wanted.\n",
                    t->name, limit_words(t, r->bound, words),
                    count_words(floor(r->records_day), n[0]), count_words(t->day.records, n[1])));
    else if (r->hour_takes > 1)
        PUT(rc, buf_printf(
                    b, "\n%s: the busiest hour's work takes %s under %s; it waits meanwhile.\n",
                    t->name, hours_words(r->hour_takes, hours), limit_words(t, r->used_by, words)));
    return rc;
}

static enum err_code put_need(struct buf *b, const struct capacity_survey *s)
{
    const struct capacity_need *n = &s->need;
    char a[4][PRINT_NUMBER_BYTES];
    enum err_code rc = buf_puts(b, "\nAll of it needs, with half as much again in reserve:\n");
    if (s->shards > 1)
        PUT(rc, buf_printf(b,
                           "  (shard %u of %u alone: workers and Redis serve all shards, so add "
                           "up what each needs)\n",
                           s->of_shard, s->shards));
    PUT(rc, buf_printf(b,
                       "  workers    %s, %s and %s of memory in all; %.1f requests are under "
                       "way at a time\n",
                       count_words(n->workers, a[0]), cores_words(n->worker_cores, a[1]),
                       bytes_words(n->workers * n->worker_bytes, a[2]), n->in_flight));
    PUT(rc, buf_printf(b,
                       "  Redis      %s primar%s, %s, at most %s of memory in all, %s/s of "
                       "network",
                       count_words(n->primaries, a[0]), n->primaries > 1 ? "ies" : "y",
                       cores_words(n->redis_cores, a[1]), bytes_words(n->redis_bytes, a[2]),
                       bytes_words(n->redis_net, a[3])));
    if (s->redis_listed)
        PUT(rc, buf_printf(b, "; the project lists %zu", s->redis_listed));
    if (n->quota_cores > 1)
        PUT(rc, buf_printf(b,
                           "\n             the busiest destination alone wants %.1f cores of a "
                           "server and has one: give it larger batches",
                           n->quota_cores));
    PUT(rc, buf_puts(b, "\n"));
    PUT(rc, buf_printf(b, "  scheduler  %s shard%s, %s", count_words(n->shards, a[0]),
                       n->shards > 1 ? "s" : "", cores_words(n->scheduler_cores, a[1])));
    if (!(s->unknown & UNKNOWN_ROWS))
        PUT(rc, buf_printf(b, ", %s of memory, %s of disk", bytes_words(n->scheduler_bytes, a[1]),
                           bytes_words(n->disk_bytes, a[2])));
    PUT(rc, buf_puts(b, "\n"));
    return rc;
}

static enum err_code put_guesses(struct buf *b, const struct capacity_survey *s)
{
    enum err_code rc = ERR_OK;
    if (s->assumed)
        PUT(rc, buf_puts(b, "\nAssumed, since nobody said:\n"));
    for (size_t i = 0; i < ARRAY_LEN(assumptions); i++)
        if (s->assumed & assumptions[i].bit)
            PUT(rc, buf_printf(b, "  %s\n", assumptions[i].words));
    if (s->unknown)
        PUT(rc, buf_puts(b, "\nNot known:\n"));
    for (size_t i = 0; i < ARRAY_LEN(unknowns); i++)
        if (s->unknown & unknowns[i].bit)
            PUT(rc, buf_printf(b, "  %s\n", unknowns[i].words));
    return rc;
}

enum err_code capacity_put_text(struct buf *b, const struct capacity_survey *s)
{
    enum err_code rc = put_head(b, s);
    for (size_t i = 0; i < shown(s); i++)
        PUT(rc, put_target(b, s, i));
    for (size_t i = 0; i < shown(s); i++)
        PUT(rc, put_remarks(b, s, i));
    if (!(s->unknown & UNKNOWN_LOAD))
        PUT(rc, put_need(b, s));
    PUT(rc, put_guesses(b, s));
    return rc;
}

/* ---- for programs ---- */

/* ,"name":1.5; what nothing bounds, or is not known, is null. */
static enum err_code put_number(struct buf *b, const char *name, double n)
{
    return isfinite(n) ? buf_printf(b, ",\"%s\":%.10g", name, n)
                       : buf_printf(b, ",\"%s\":null", name);
}

static enum err_code put_load(struct buf *b, const char *name, const struct capacity_load *l)
{
    return buf_printf(b,
                      ",\"%s\":{\"records\":%.10g,\"requests\":%.10g,\"batches\":%.10g,"
                      "\"bytes\":%.10g,\"rows\":%.10g}",
                      name, l->records, l->requests, l->batches, l->bytes, l->rows);
}

static enum err_code put_words(struct buf *b, const char *name, const char *words)
{
    enum err_code rc = buf_printf(b, ",\"%s\":", name);
    PUT(rc, json_put_string(b, slice_str(words)));
    return rc;
}

static enum err_code put_target_json(struct buf *b, const struct capacity_survey *s, size_t i)
{
    const struct capacity_target *t = &s->targets[i];
    const struct capacity_room *r = &s->rooms[i];
    bool again = t->full_records > 0;
    char words[WORDS_BYTES];
    enum err_code rc = buf_puts(b, "{\"destination\":");
    PUT(rc, json_put_string(b, slice_str(t->name)));
    PUT(rc, buf_printf(b, ",\"count\":%zu", s->alike ? s->count : 1));
    if (s->runs)
        PUT(rc, put_load(b, "today", &s->today[i]));
    PUT(rc, put_load(b, "day", &t->day));
    PUT(rc, put_load(b, "busiest_hour", &t->hour));
    PUT(rc, put_number(b, "request_ms", t->request_ms));
    PUT(rc, put_number(b, "batch_records", t->batch_records));
    PUT(rc, put_number(b, "requests_per_batch", t->requests_per_batch));
    PUT(rc, put_number(b, "records_at_most", r->records_day));
    PUT(rc, put_words(b, "bound_by", limit_words(t, r->bound, words)));
    PUT(rc, put_number(b, "used", r->used));
    PUT(rc, put_words(b, "used_by", limit_words(t, r->used_by, words)));
    PUT(rc, put_number(b, "busiest_hour_takes_hours", r->hour_takes));
    PUT(rc, put_number(b, "records_again", again ? t->full_records : INFINITY));
    PUT(rc, put_number(b, "again_takes_hours", again ? r->full_hours : INFINITY));
    PUT(rc, put_number(b, "in_flight", r->in_flight));
    PUT(rc, buf_printf(b, ",\"possible\":%s}\n", r->possible ? "true" : "false"));
    return rc;
}

static enum err_code put_need_json(struct buf *b, const struct capacity_survey *s)
{
    const struct capacity_need *n = &s->need;
    bool load = !(s->unknown & UNKNOWN_LOAD), rows = !(s->unknown & UNKNOWN_ROWS);
    const struct {
        const char *name;
        double n;
        bool known;
    } needs[] = {
        {"requests_in_flight", n->in_flight, load},
        {"workers", n->workers, load},
        {"worker_cores", n->worker_cores, load},
        {"worker_bytes", n->worker_bytes, load},
        {"redis_primaries", n->primaries, load},
        {"redis_cores", n->redis_cores, load},
        {"redis_cores_of_busiest_destination", n->quota_cores, load},
        {"redis_bytes", n->redis_bytes, load},
        {"redis_bytes_per_second", n->redis_net, load},
        {"scheduler_shards", n->shards, load},
        {"scheduler_cores", n->scheduler_cores, load},
        {"scheduler_bytes", n->scheduler_bytes, load && rows},
        {"disk_bytes", n->disk_bytes, load && rows},
    };
    enum err_code rc = buf_printf(b, "{\"needs\":{\"headroom\":%g", CAPACITY_HEADROOM);
    for (size_t i = 0; i < ARRAY_LEN(needs); i++)
        PUT(rc, put_number(b, needs[i].name, needs[i].known ? needs[i].n : INFINITY));
    if (s->shards > 1)
        PUT(rc, buf_printf(b, "},\"shard\":{\"number\":%u,\"of\":%u", s->of_shard, s->shards));
    PUT(rc, buf_printf(b, "},\"redis_listed\":%zu", s->redis_listed));
    PUT(rc, buf_printf(b, ",\"possible\":%s,\"runs\":%" PRIu64 ",\"days\":%.3f,\"assumed\":[",
                       s->possible ? "true" : "false", s->runs, s->days));
    const char *between = "";
    for (size_t i = 0; i < ARRAY_LEN(assumptions); i++)
        if (s->assumed & assumptions[i].bit) {
            PUT(rc, buf_printf(b, "%s\"%s\"", between, assumptions[i].name));
            between = ",";
        }
    PUT(rc, buf_puts(b, "],\"unknown\":["));
    between = "";
    for (size_t i = 0; i < ARRAY_LEN(unknowns); i++)
        if (s->unknown & unknowns[i].bit) {
            PUT(rc, buf_printf(b, "%s\"%s\"", between, unknowns[i].name));
            between = ",";
        }
    PUT(rc, buf_puts(b, "]}\n"));
    return rc;
}

static enum err_code put_costs_json(struct buf *b)
{
    enum err_code rc = buf_puts(b, "{\"costs\":{");
    const char *between = "";
#define X(name, value)                                                                             \
    PUT(rc, buf_printf(b, "%s\"" #name "\":%.10g", between, capacity_measured.name));              \
    between = ",";
    CAPACITY_COSTS(X)
#undef X
    (void)between;
    PUT(rc, buf_puts(b, "}}\n"));
    return rc;
}

enum err_code capacity_put_json(struct buf *b, const struct capacity_survey *s)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < shown(s); i++)
        PUT(rc, put_target_json(b, s, i));
    PUT(rc, put_need_json(b, s));
    PUT(rc, put_costs_json(b));
    return rc;
}
