/* Reads: the results of one quota. Writes: its position, and what Redis may forget. Invariant:
 * every result up to `position` was handed on. A crash here: read again from the committed
 * position. */
#include "scheduler/run/quota_private.h"

#include "protocol/base/clock.h"
#include "scheduler/state/state.h"

#include <event2/event.h>

enum {
    RESULTS_COUNT = 256,
    RESULTS_PAUSE_MS = 2, /* doubles while there are none, */
    RESULTS_PAUSE_MAX_MS = 50,
    RESULTS_PAUSE_IDLE_MS = 250, /* and further where none can come */
    PUBLISHED_LATELY_MS = 2000,  /* some permits ago */
};

void quota_ask_results(struct quota *q, uint32_t pause_ms)
{
    struct timeval t = {0, pause_ms * 1000};
    if (!q->results_busy)
        event_add(q->results, &t);
}

/* Where nothing was out when the last permit told, and nothing was published since, nothing comes
 * either; but for a cancel, which is told of what was out. */
static uint32_t longest_pause_ms(const struct quota *q)
{
    const struct quota_summary *s = &q->summary;
    bool out = s->queued || s->parked || s->leased ||
               clock_mono_ms() - q->published_ms < PUBLISHED_LATELY_MS;
    return out ? RESULTS_PAUSE_MAX_MS : RESULTS_PAUSE_IDLE_MS;
}

void quota_published(struct quota *q)
{
    q->published_ms = clock_mono_ms();
    if (q->stage != STAGE_READY || q->results_pause_ms <= RESULTS_PAUSE_MS)
        return; /* asked soon anyway, and not put off by the next one */
    q->results_pause_ms = RESULTS_PAUSE_MS;
    quota_ask_results(q, RESULTS_PAUSE_MS);
}

static void take_position(struct quota *q, const struct queue_result *last)
{
    ensure(last->stream_id.n < sizeof q->position);
    memcpy(q->position, last->stream_id.p, last->stream_id.n);
    q->position[last->stream_id.n] = '\0';
}

static void on_results(void *ctx, const struct queue_result *results, size_t count,
                       const struct err *err)
{
    struct quota *q = ctx;
    q->results_busy = false;
    if (err && quota_refused(q, err))
        return;
    if (err || q->stage == STAGE_BROKEN) {
        if (q->stage == STAGE_DRAIN)
            quota_step_soon(q, RETRY_MS);
        else if (q->stage == STAGE_READY)
            quota_ask_results(q, RETRY_MS);
        return;
    }
    if (count) {
        take_position(q, &results[count - 1]);
        q->host->on_results(q->host->ctx, q, results, count);
        q->results_pause_ms = RESULTS_PAUSE_MS;
        quota_ask_results(q, 0);
        return;
    }
    q->results_ended_ms = q->results_asked_ms;
    if (q->stage == STAGE_DRAIN) {
        quota_go(q, STAGE_CLEAR);
        return;
    }
    uint32_t longer_ms = q->results_pause_ms * 2, most_ms = longest_pause_ms(q);
    q->results_pause_ms = longer_ms < most_ms ? longer_ms : most_ms;
    quota_ask_results(q, q->results_pause_ms);
}

static void on_results_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct quota *q = arg;
    struct err err;
    if (q->results_busy || (q->stage != STAGE_READY && q->stage != STAGE_DRAIN))
        return;
    q->results_busy = true;
    q->results_asked_ms = clock_mono_ms();
    if (queue_results(q->queue, q->position, RESULTS_COUNT, 0, on_results, q, &err)) {
        q->results_busy = false;
        quota_ask_results(q, RETRY_MS);
    }
}

static void on_trimmed(void *ctx, int64_t number, const struct err *err)
{
    (void)ctx;
    (void)number;
    (void)err; /* a later trim covers this one */
}

enum err_code quota_save_position(struct quota *q, struct err *err)
{
    return *q->position ? state_results_put(q->host->state, quota_name(q), q->position, err)
                        : ERR_OK;
}

void quota_committed(struct quota *q)
{
    struct err err;
    if (q->stage != STAGE_READY || strcmp(q->position, q->committed) == 0)
        return;
    if (!queue_trim(q->queue, q->epoch, q->position, on_trimmed, q, &err))
        memcpy(q->committed, q->position, sizeof q->committed);
}

bool quota_results_init(struct quota *q)
{
    q->results_pause_ms = RESULTS_PAUSE_MS;
    q->results = evtimer_new(q->host->base, on_results_due, q);
    return q->results != NULL;
}

bool quota_results_end(const struct quota *q, int64_t since_ms)
{
    return q->results_ended_ms > since_ms;
}
