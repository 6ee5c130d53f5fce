/* Reads: what the slots tell, the engine's leases and connections. Writes: nothing but its
 * counters. A crash here: counters start at 0, which Prometheus' rate() knows. */
#include "worker/metrics.h"

#include <stdlib.h>

#include "protocol/base/exposition.h"
#include "worker/engine.h"

static const double duration_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                         1,     2.5,  5,     10,   30,  60};
static const char other[] = "other";

static const char *const claim_names[CLAIM_ANSWERS] = {
    [CLAIM_GOT] = "got",           [CLAIM_NOTHING] = "nothing", [CLAIM_REFUSED] = "refused",
    [CLAIM_MISMATCH] = "mismatch", [CLAIM_FAILED] = "failed",
};

/* As the scheduler counts them: a record that is not found there is a rejected one. */
static const struct {
    const char *name;
    enum verdict verdict, also;
} verdict_names[] = {
    {"succeeded", VERDICT_OK, VERDICT_OK},
    {"rejected", VERDICT_REJECTED, VERDICT_NOT_FOUND},
    {"failed", VERDICT_FAILED, VERDICT_FAILED},
    {"cancelled", VERDICT_CANCELLED, VERDICT_CANCELLED},
};

/* ---- counting ---- */

void metrics_init(struct metrics *m)
{
    *m = (struct metrics){0};
}

void metrics_done(struct metrics *m)
{
    for (size_t i = 0; i < m->meter_count; i++)
        free(m->meters[i].destination);
    free(m->meters);
    metrics_init(m);
}

static struct meter *find(const struct metrics *m, const char *destination)
{
    for (size_t i = 0; i < m->meter_count; i++)
        if (strcmp(m->meters[i].destination, destination) == 0)
            return &m->meters[i];
    return NULL;
}

static struct meter *add(struct metrics *m, const char *destination)
{
    struct meter *longer = realloc(m->meters, (m->meter_count + 1) * sizeof *longer);
    if (!longer)
        return NULL;
    m->meters = longer;
    struct meter *meter = &m->meters[m->meter_count];
    *meter = (struct meter){.destination = strdup(destination)};
    histogram_init(&meter->durations, duration_bounds, ARRAY_LEN(duration_bounds));
    if (!meter->destination)
        return NULL;
    m->meter_count++;
    return meter;
}

/* NULL: no memory to count with, which must not stop the work. Borrowed until the next call. */
static struct meter *meter_of(struct metrics *m, const char *destination)
{
    struct meter *meter = find(m, destination);
    if (meter)
        return meter;
    if (m->meter_count < METRICS_DESTINATIONS_MAX)
        return add(m, destination);
    meter = find(m, other);
    return meter ? meter : add(m, other);
}

void metrics_claim(struct metrics *m, enum claim_answer answer)
{
    m->claims[answer]++;
}

void metrics_request(struct metrics *m, const char *destination, const struct http_answer *answer)
{
    struct meter *meter = meter_of(m, destination);
    if (!meter)
        return;
    if (answer->error)
        meter->unanswered++;
    else
        meter->answered++;
    meter->bytes += answer->body_bytes_sent;
    histogram_add(&meter->durations, (double)answer->duration_ms / 1000);
}

void metrics_throttled(struct metrics *m, const char *destination)
{
    struct meter *meter = meter_of(m, destination);
    if (meter)
        meter->throttled++;
}

void metrics_verdicts(struct metrics *m, const char *destination, const struct settle_plan *plan,
                      uint32_t records)
{
    struct meter *meter = meter_of(m, destination);
    if (!meter || !plan->result.len)
        return;
    for (size_t i = 0; i < VERDICTS; i++)
        meter->verdicts[i] += plan->verdicts[i];
    meter->verdicts[plan->rest] += records > plan->entries ? records - plan->entries : 0;
}

/* ---- writing ---- */

static void put_counters(struct exposition *x, const struct metrics *m)
{
    exposition_begin(x, "sluice_worker_requests_total", "counter",
                     "Requests sent, by whether an answer came.");
    for (size_t i = 0; i < m->meter_count; i++) {
        const char *d = m->meters[i].destination;
        exposition_count(x, LABELS({"destination", d}, {"result", "answered"}),
                         m->meters[i].answered);
        exposition_count(x, LABELS({"destination", d}, {"result", "unanswered"}),
                         m->meters[i].unanswered);
    }
    exposition_begin(x, "sluice_worker_throttled_total", "counter",
                     "Answers that asked to be asked less often.");
    for (size_t i = 0; i < m->meter_count; i++)
        exposition_count(x, LABELS({"destination", m->meters[i].destination}),
                         m->meters[i].throttled);
    exposition_begin(x, "sluice_worker_sent_bytes_total", "counter", "Bytes of request bodies.");
    for (size_t i = 0; i < m->meter_count; i++)
        exposition_count(x, LABELS({"destination", m->meters[i].destination}), m->meters[i].bytes);
}

static void put_records(struct exposition *x, const struct metrics *m)
{
    exposition_begin(x, "sluice_worker_records_total", "counter", "Records settled, by verdict.");
    for (size_t i = 0; i < m->meter_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(verdict_names); k++) {
            const uint64_t *verdicts = m->meters[i].verdicts;
            uint64_t n = verdicts[verdict_names[k].verdict];
            if (verdict_names[k].also != verdict_names[k].verdict)
                n += verdicts[verdict_names[k].also];
            exposition_count(x,
                             LABELS({"destination", m->meters[i].destination},
                                    {"verdict", verdict_names[k].name}),
                             n);
        }
    exposition_begin(x, "sluice_worker_request_duration_seconds", "histogram",
                     "From a request's start to the end of its answer.");
    for (size_t i = 0; i < m->meter_count; i++)
        exposition_histogram(x, LABELS({"destination", m->meters[i].destination}),
                             &m->meters[i].durations);
}

static void put_queue(struct exposition *x, const struct engine *e)
{
    const struct metrics *m = &e->metrics;
    exposition_begin(x, "sluice_worker_claims_total", "counter",
                     "Questions for work, by their answer.");
    for (size_t i = 0; i < CLAIM_ANSWERS; i++)
        exposition_count(x, LABELS({"answer", claim_names[i]}), m->claims[i]);
    exposition_begin(x, "sluice_worker_leases_lost_total", "counter",
                     "Batches whose lease ended before they were settled.");
    exposition_count(x, NULL, m->leases_lost);
    exposition_begin(x, "sluice_worker_slots", "gauge", "Batches that it can carry at a time.");
    exposition_count(x, NULL, e->slot_count);
    exposition_begin(x, "sluice_worker_slots_used", "gauge",
                     "Slots that hold a leased batch or ask for one.");
    exposition_count(x, NULL, e->slot_count - e->free_count);
    exposition_begin(x, "sluice_worker_redis_connected", "gauge",
                     "1 while the Redis server is reached.");
    for (size_t i = 0; i < redis_fleet_count(e->fleet); i++)
        exposition_count(x, LABELS({"server", redis_fleet_name(e->fleet, i)}),
                         redis_connected(redis_fleet_server(e->fleet, i)));
    exposition_begin(x, "sluice_worker_redis_round_trip_seconds", "histogram",
                     "From a command's sending to its reply.");
    for (size_t i = 0; i < redis_fleet_count(e->fleet); i++)
        exposition_histogram(x, LABELS({"server", redis_fleet_name(e->fleet, i)}),
                             redis_trips(redis_fleet_server(e->fleet, i)));
}

static void put_config(struct exposition *x, const struct engine *e)
{
    char revision[INPUTS_REVISION_BYTES];
    inputs_revision(&e->setup->project->inputs, revision);
    exposition_begin(x, "sluice_worker_config_valid", "gauge",
                     "0 while the project folder is refused and the one before is used.");
    exposition_count(x, NULL, e->refused_ms == 0);
    exposition_begin(x, "sluice_worker_config_loaded_timestamp_seconds", "gauge",
                     "When the project in use was read.");
    exposition_number(x, NULL, (double)e->loaded_ms / 1000);
    exposition_begin(x, "sluice_worker_config_info", "gauge",
                     "1, with the revision of the project in use.");
    exposition_count(x, LABELS({"revision", revision}), 1);
}

enum err_code metrics_put(const struct engine *e, struct buf *out)
{
    struct exposition x;
    char why[ENGINE_WHY_BYTES];
    exposition_init(&x, out);
    exposition_begin(&x, "sluice_worker_build_info", "gauge", "1, with the version as a label.");
    exposition_count(&x, LABELS({"version", SLUICE_VERSION}), 1);
    exposition_begin(&x, "sluice_worker_ready", "gauge", "1 while work can be claimed.");
    exposition_count(&x, NULL, engine_is_ready(e, why));
    put_config(&x, e);
    put_counters(&x, &e->metrics);
    put_records(&x, &e->metrics);
    put_queue(&x, e);
    return x.failed;
}
