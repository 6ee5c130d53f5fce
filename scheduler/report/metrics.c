/* Reads: samples of the control. Writes: text. A crash here: nothing is lost, nothing is kept. */
#include "scheduler/report/metrics.h"

#include "protocol/base/exposition.h"
#include "scheduler/report/samples.h"

#include <inttypes.h>
#include <stdio.h>

#define MEMBER(m) offsetof(struct run_counts, m)

/* A member of the counts, under a word of its own. */
struct word {
    const char *word;
    size_t offset;
};

static const struct word verdicts[] = {
    {"succeeded", MEMBER(succeeded)},
    {"rejected", MEMBER(rejected)},
    {"failed", MEMBER(failed)},
    {"cancelled", MEMBER(cancelled)},
};
static const struct word classes[] = {
    {"added", MEMBER(added)},         {"changed", MEMBER(changed)},
    {"removed", MEMBER(removed)},     {"unchanged", MEMBER(unchanged)},
    {"invalid", MEMBER(invalid)},     {"quarantined", MEMBER(quarantined)},
    {"coalesced", MEMBER(coalesced)},
};
static const struct {
    const char *metric;
    size_t offset;
    const char *help;
} totals[] = {
    {"sluice_rows_total", MEMBER(rows), "Rows read from the warehouse."},
    {"sluice_requests_total", MEMBER(requests), "Requests sent to the destination."},
    {"sluice_retries_total", MEMBER(retries), "Requests that repeated an earlier one."},
    {"sluice_sent_bytes_total", MEMBER(bytes), "Bytes of request bodies."},
};

static uint64_t count_at(const struct run_counts *counts, size_t offset)
{
    return *(const uint64_t *)((const char *)counts + offset);
}

/* ---- syncs: counters ---- */

static void put_words(struct exposition *x, const struct samples *s, const char *label,
                      const struct word *words, size_t count)
{
    for (size_t i = 0; i < s->sync_count; i++)
        for (size_t k = 0; k < count; k++)
            exposition_count(x, LABELS({"sync", s->syncs[i].sync->name}, {label, words[k].word}),
                             count_at(&s->syncs[i].ledger.counts, words[k].offset));
}

static void put_counters(struct exposition *x, const struct samples *s)
{
    exposition_begin(x, "sluice_records_total", "counter", "Planned records, by their verdict.");
    put_words(x, s, "verdict", verdicts, ARRAY_LEN(verdicts));
    exposition_begin(x, "sluice_changes_total", "counter", "What rows turned out to be.");
    put_words(x, s, "class", classes, ARRAY_LEN(classes));
    for (size_t k = 0; k < ARRAY_LEN(totals); k++) {
        exposition_begin(x, totals[k].metric, "counter", totals[k].help);
        for (size_t i = 0; i < s->sync_count; i++)
            exposition_count(x, LABELS({"sync", s->syncs[i].sync->name}),
                             count_at(&s->syncs[i].ledger.counts, totals[k].offset));
    }
    exposition_begin(x, "sluice_runs_total", "counter", "Runs that ended, by their status.");
    for (size_t i = 0; i < s->sync_count; i++)
        for (int status = RUN_SUCCESS; status <= RUN_SUPERSEDED; status++)
            exposition_count(x,
                             LABELS({"sync", s->syncs[i].sync->name},
                                    {"status", run_status_name((enum run_status)status)}),
                             s->syncs[i].ledger.statuses[status]);
}

static void put_durations(struct exposition *x, const struct samples *s)
{
    exposition_begin(x, "sluice_run_duration_seconds", "histogram",
                     "Of runs that ended, from their start to their end.");
    for (size_t i = 0; i < s->sync_count; i++)
        exposition_histogram(x, LABELS({"sync", s->syncs[i].sync->name}),
                             &s->syncs[i].ledger.durations);
    exposition_begin(x, "sluice_run_latency_seconds", "histogram",
                     "Of runs that ended, from when they were due to their end.");
    for (size_t i = 0; i < s->sync_count; i++)
        exposition_histogram(x, LABELS({"sync", s->syncs[i].sync->name}),
                             &s->syncs[i].ledger.latencies);
}

/* ---- syncs: as they are ---- */

/* Gives false where the sync has no such number now: it has no sample then. */
typedef bool (*sync_number)(const struct samples *s, const struct sync_sample *y, double *ret);

static bool number_paused(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = y->view.paused;
    return true;
}

static bool number_held(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = y->view.held;
    return true;
}

static bool number_under_way(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = y->view.phase != CONTROL_IDLE && y->view.phase != CONTROL_QUEUED;
    return true;
}

static bool number_queued(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = y->view.phase == CONTROL_QUEUED;
    return true;
}

static bool number_freshness(const struct samples *s, const struct sync_sample *y, double *ret)
{
    *ret = s->now_ms > y->view.fresh_ms ? (double)(s->now_ms - y->view.fresh_ms) / 1000 : 0;
    return y->view.fresh_ms != 0;
}

static bool number_objective(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->sync->freshness_ms / 1000;
    return y->sync->freshness_ms != 0;
}

static bool number_next(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.next_ms / 1000;
    return y->view.next_ms != 0;
}

static bool number_last(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->ledger.last_ended_ms / 1000;
    return y->ledger.last_ended_ms != 0;
}

static bool number_accepted(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->entries.accepted;
    return true;
}

static bool number_refused(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->entries.refused;
    return true;
}

static bool number_doubt(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->entries.doubt;
    return true;
}

static bool number_stream_up(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    enum stream_phase phase = y->view.stream.phase;
    *ret = !stream_ails(&y->view.stream) && phase != STREAM_HELD && phase != STREAM_READING;
    return y->view.streams;
}

static bool number_stream_lag(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.stream.lag.behind_ms / 1000;
    return y->view.streams && *ret >= 0;
}

static bool number_stream_bytes(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.stream.lag.bytes;
    return y->view.streams && *ret >= 0;
}

static bool number_stream_records(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.stream.lag.records;
    return y->view.streams && *ret >= 0;
}

static bool number_stream_pending(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.stream.pending;
    return y->view.streams;
}

static bool number_stream_flight(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.stream.in_flight;
    return y->view.streams;
}

static bool number_stream_waits(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.stream.waits_ms / 1000;
    return y->view.streams;
}

static bool number_stream_drift(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->view.stream.drift;
    return y->view.streams && *ret >= 0;
}

/* Only where a slot holds the log back: the rest has no such limit. */
static bool number_stream_most(const struct samples *s, const struct sync_sample *y, double *ret)
{
    (void)s;
    *ret = (double)y->sync->schedule.stream.max_slot_bytes;
    return y->view.streams && *y->view.stream.slot;
}

static const struct {
    const char *metric;
    sync_number number;
    const char *help;
} gauges[] = {
    {"sluice_run_under_way", number_under_way, "1 while a run reads or sends."},
    {"sluice_run_queued", number_queued, "1 while a run waits to begin."},
    {"sluice_run_held", number_held, "1 while the last run waits for approval."},
    {"sluice_sync_paused", number_paused, "1 while the sync is paused."},
    {"sluice_freshness_seconds", number_freshness,
     "Since the last whole read whose records all have a verdict: no change not yet accepted is "
     "older."},
    {"sluice_freshness_objective_seconds", number_objective, "What the sync's freshness asks for."},
    {"sluice_next_run_timestamp_seconds", number_next, "When the schedule starts it next."},
    {"sluice_last_run_timestamp_seconds", number_last, "When its last run ended."},
    {"sluice_accepted_records", number_accepted, "Records that the destination has accepted."},
    {"sluice_quarantined_records", number_refused, "Records that it has refused."},
    {"sluice_doubtful_records", number_doubt,
     "Records that may have been sent, without a sure answer."},
    {"sluice_stream_up", number_stream_up, "1 while the sync's stream flows."},
    {"sluice_stream_lag_seconds", number_stream_lag,
     "Age of the change that the source gave last, 0 when none is to come."},
    {"sluice_stream_lag_bytes", number_stream_bytes,
     "Of the source's log, held back until what is in it has been accepted."},
    {"sluice_stream_max_lag_bytes", number_stream_most, "A slot that holds back more is given up."},
    {"sluice_stream_lag_records", number_stream_records,
     "Records that are known of and not accepted yet."},
    {"sluice_stream_drift_records", number_stream_drift,
     "Records that the last reconciliation found and no change had told of."},
    {"sluice_stream_pending", number_stream_pending,
     "Keys with a change that waits to be planned."},
    {"sluice_stream_in_flight", number_stream_flight, "Records of the stream without a verdict."},
    {"sluice_stream_waits_seconds", number_stream_waits,
     "How long the oldest change has waited to be accepted."},
};

static void put_gauges(struct exposition *x, const struct samples *s)
{
    for (size_t k = 0; k < ARRAY_LEN(gauges); k++) {
        exposition_begin(x, gauges[k].metric, "gauge", gauges[k].help);
        for (size_t i = 0; i < s->sync_count; i++) {
            double number;
            if (gauges[k].number(s, &s->syncs[i], &number))
                exposition_number(x, LABELS({"sync", s->syncs[i].sync->name}), number);
        }
    }
}

/* ---- quotas ---- */

static void put_queue(struct exposition *x, const struct samples *s)
{
    exposition_begin(x, "sluice_queue_batches", "gauge",
                     "Batches in Redis that no worker holds, by what they wait for.");
    for (size_t i = 0; i < s->quota_count; i++) {
        const struct quota_sample *q = &s->quotas[i];
        exposition_count(x, LABELS({"quota", q->destination->quota}, {"state", "queued"}),
                         q->view.now.queued);
        exposition_count(x, LABELS({"quota", q->destination->quota}, {"state", "parked"}),
                         q->view.now.parked);
    }
    exposition_begin(x, "sluice_runnable_batches", "gauge",
                     "Queued batches that the limits allow at this moment.");
    for (size_t i = 0; i < s->quota_count; i++)
        exposition_count(x, LABELS({"quota", s->quotas[i].destination->quota}),
                         s->quotas[i].runnable);
    exposition_begin(x, "sluice_useful_slots", "gauge",
                     "Slots of workers that the backlog would keep busy within the limits.");
    for (size_t i = 0; i < s->quota_count; i++)
        exposition_number(x, LABELS({"quota", s->quotas[i].destination->quota}),
                          s->quotas[i].slots);
    exposition_begin(x, "sluice_in_flight_batches", "gauge", "Batches that workers hold.");
    for (size_t i = 0; i < s->quota_count; i++)
        exposition_count(x, LABELS({"quota", s->quotas[i].destination->quota}),
                         s->quotas[i].view.now.leased);
    exposition_begin(x, "sluice_lease_losses_total", "counter",
                     "Batches whose worker was lost, or settled too late.");
    for (size_t i = 0; i < s->quota_count; i++)
        if (s->quotas[i].view.open)
            exposition_count(x, LABELS({"quota", s->quotas[i].destination->quota}),
                             s->quotas[i].view.now.leases_lost);
}

static void put_throttle(struct exposition *x, const struct samples *s)
{
    exposition_begin(x, "sluice_throttled_seconds_total", "counter",
                     "Time in which nothing but throttling came back.");
    for (size_t i = 0; i < s->quota_count; i++)
        exposition_number(x, LABELS({"quota", s->quotas[i].destination->quota}),
                          (double)s->quotas[i].throttled_ms / 1000);
    exposition_begin(x, "sluice_throttled", "gauge",
                     "1 while nothing is sent because the destination asked for it.");
    for (size_t i = 0; i < s->quota_count; i++)
        exposition_count(x, LABELS({"quota", s->quotas[i].destination->quota}),
                         s->quotas[i].view.now.throttled_left_ms > 0);
    exposition_begin(x, "sluice_limit_factor", "gauge",
                     "Part of the limits that is used, below 1 after throttling.");
    for (size_t i = 0; i < s->quota_count; i++)
        if (s->quotas[i].view.open)
            exposition_number(x, LABELS({"quota", s->quotas[i].destination->quota}),
                              s->quotas[i].view.factor);
}

static void put_limits(struct exposition *x, const struct samples *s)
{
    static const struct {
        const char *metric, *help;
    } both[] = {
        {"sluice_limit_used", "Tokens of a rate limit that are in use."},
        {"sluice_limit_tokens", "Tokens that a rate limit has."},
    };
    for (size_t k = 0; k < ARRAY_LEN(both); k++) {
        exposition_begin(x, both[k].metric, "gauge", both[k].help);
        for (size_t i = 0; i < s->quota_count; i++) {
            const struct quota_sample *q = &s->quotas[i];
            const struct destination *d = q->destination;
            for (size_t l = 0; l < d->limit_count; l++) {
                char text[DEMAND_LIMIT_BYTES];
                bool known = q->view.open && l < q->view.limit_count;
                demand_limit_text(&d->limits[l], text);
                exposition_count(x, LABELS({"quota", d->quota}, {"limit", text}),
                                 k       ? d->limits[l].count
                                 : known ? q->view.limit_used[l]
                                         : 0);
            }
        }
    }
    exposition_begin(x, "sluice_quota_paused", "gauge",
                     "1 while all destinations of the quota are paused.");
    for (size_t i = 0; i < s->quota_count; i++)
        exposition_count(x, LABELS({"quota", s->quotas[i].destination->quota}),
                         s->quotas[i].paused);
    exposition_begin(x, "sluice_quota_broken", "gauge", "1 while the quota cannot be used.");
    for (size_t i = 0; i < s->quota_count; i++)
        exposition_count(x, LABELS({"quota", s->quotas[i].destination->quota}),
                         s->quotas[i].view.error != NULL);
}

/* ---- the scheduler ---- */

static void one(struct exposition *x, const char *metric, const char *help, double number)
{
    exposition_begin(x, metric, "gauge", help);
    exposition_number(x, NULL, number);
}

static void put_config(struct exposition *x, const struct control *c)
{
    struct control_config config;
    control_config_look(c, &config);
    one(x, "sluice_config_valid",
        "0 while the project folder is refused and the one before is used.",
        control_reload_error(c) == NULL);
    one(x, "sluice_config_loaded_timestamp_seconds", "When the project in force was read.",
        (double)config.loaded_ms / 1000);
    exposition_begin(x, "sluice_config_info", "gauge",
                     "1, with the revision of the project in force.");
    exposition_count(x, LABELS({"revision", config.revision}), 1);
}

static void put_shard(struct exposition *x, const struct settings *s)
{
    char shard[16], shards[16];
    snprintf(shard, sizeof shard, "%d", s->shards > 1 ? s->shard : 0);
    snprintf(shards, sizeof shards, "%u", s->shards);
    exposition_begin(x, "sluice_shard_info", "gauge",
                     "1, with the shard and how many there are as labels.");
    exposition_count(x, LABELS({"shard", shard}, {"shards", shards}), 1);
}

static void put_scheduler(struct exposition *x, const struct control *c, const struct samples *s)
{
    const char *why;
    exposition_begin(x, "sluice_build_info", "gauge", "1, with the version as a label.");
    exposition_count(x, LABELS({"version", SLUICE_VERSION}), 1);
    put_shard(x, &control_project(c)->settings);
    one(x, "sluice_start_time_seconds", "When the scheduler was started.",
        (double)control_started_ms(c) / 1000);
    one(x, "sluice_ready", "1 while runs can begin.", control_is_ready(c, &why));
    put_config(x, c);
    one(x, "sluice_workers", "Workers of this scheduler that are alive.", control_workers_alive(c));
    one(x, "sluice_desired_workers", "Workers that would find work under the limits.",
        (double)s->desired_workers);
    one(x, "sluice_worker_load",
        "The same unrounded: what several schedulers say may be added before it is rounded up.",
        s->worker_load);
}

static void put_servers(struct exposition *x, const struct control *c)
{
    struct engine_redis_view v;
    size_t n = control_redis_count(c);
    exposition_begin(x, "sluice_redis_connected", "gauge", "1 while the Redis server is reached.");
    for (size_t i = 0; i < n; i++) {
        control_redis_look(c, i, &v);
        exposition_count(x, LABELS({"server", v.name}), v.connected);
    }
    exposition_begin(x, "sluice_redis_quotas", "gauge",
                     "Quotas that are at the Redis server; one that is leaving may be switched off "
                     "at 0.");
    for (size_t i = 0; i < n; i++) {
        control_redis_look(c, i, &v);
        exposition_count(x, LABELS({"server", v.name}, {"stays", v.stays ? "yes" : "no"}),
                         v.quotas);
    }
    exposition_begin(x, "sluice_redis_round_trip_seconds", "histogram",
                     "From a command's sending to its reply.");
    for (size_t i = 0; i < n; i++) {
        control_redis_look(c, i, &v);
        exposition_histogram(x, LABELS({"server", v.name}), v.trips);
    }
}

enum err_code metrics_write(struct control *c, struct buf *out, struct err *err)
{
    struct samples s;
    struct exposition x;
    enum err_code rc = samples_take(c, &s, err);
    if (rc)
        return rc;
    exposition_init(&x, out);
    put_scheduler(&x, c, &s);
    put_servers(&x, c);
    put_counters(&x, &s);
    put_durations(&x, &s);
    put_gauges(&x, &s);
    put_queue(&x, &s);
    put_throttle(&x, &s);
    put_limits(&x, &s);
    samples_done(&s);
    return x.failed ? err_set(err, x.failed, "the metrics: %s", err_name(x.failed)) : ERR_OK;
}
