/*
 * Who asks for work, and when: quotas that are due get free slots, leases of running requests are
 * renewed.
 */
#include "worker/engine.h"

#include <stdlib.h>

#include "protocol/base/clock.h"

enum { LOG_AGAIN_MS = 60000 };

void engine_kick(struct engine *e)
{
    event_active(e->pump, EV_TIMEOUT, 0);
}

static struct slot *take_free(struct engine *e)
{
    struct slot *s = e->free_slots;
    e->free_slots = slot_next_free(s);
    e->free_count--;
    return s;
}

/* Workers that wait are told when this one was called, or is to ask, for work that it has no slots
 * for. */
static void pass_calls_on(struct engine *e, int64_t now_ms)
{
    for (size_t i = 0; i < e->quotas.count; i++) {
        struct quota *q = e->quotas.items[i];
        if (!q->pass_on || !quota_due(q, now_ms) || q->asking)
            continue;
        q->pass_on = false;
        struct err err;
        if (queue_wake(q->queue, &err))
            log_event(&e->log, LOG_WARN, "wake_failed", LOG_STR("quota", q->name),
                      LOG_STR("error", err.text));
    }
}

void engine_on_pump(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct engine *e = ctx;
    int64_t now_ms = clock_mono_ms();
    if (e->draining) {
        if (e->free_count == e->slot_count)
            event_base_loopbreak(e->base);
        return;
    }
    struct quota *q;
    quota_list_move(&e->quotas, e->fleet);
    engine_servers_turn(e);
    while (e->free_slots && (q = quota_next(&e->quotas, e->slot_count, e->free_count, now_ms)))
        slot_claim(take_free(e), q);
    pass_calls_on(e, now_ms);
    engine_wait(e);
    int64_t wait_ms = quota_wait_ms(&e->quotas, now_ms);
    if (wait_ms < 0)
        return;
    struct timeval tv = {wait_ms / 1000, wait_ms % 1000 * 1000};
    event_add(e->pump, &tv);
}

bool engine_may_continue(const struct engine *e, const struct quota *q)
{
    int64_t now_ms = clock_mono_ms();
    return !e->draining && q->ability_count && !q->moves &&
           quota_may_take(&e->quotas, q, q->held - 1, e->slot_count, e->free_count + 1, now_ms);
}

/* ---- answers without work ---- */

static bool log_due(int64_t *last_ms, int64_t now_ms)
{
    if (*last_ms && now_ms - *last_ms < LOG_AGAIN_MS)
        return false;
    *last_ms = now_ms;
    return true;
}

void engine_note_denied(struct engine *e, const char *server, const struct err *err)
{
    if (err->code == ERR_DENIED && log_due(&e->denied_logged_ms, clock_mono_ms()))
        log_event(&e->log, LOG_ERROR, "redis_denies", LOG_STR("server", server),
                  LOG_STR("error", err->text));
}

/* True when the project was read again, so that asking again may help at once. */
static bool on_mismatch(struct engine *e, const struct quota *q, int64_t now_ms)
{
    if (log_due(&e->mismatch_logged_ms, now_ms))
        log_event(&e->log, LOG_WARN, "config_mismatch", LOG_STR("quota", q->name),
                  LOG_STR("reason", "batches wait for another configuration of their destination"));
    if (now_ms - e->reloaded_ms < ENGINE_RELOAD_MS)
        return false;
    engine_reload(e);
    return true;
}

void engine_no_work(struct engine *e, struct quota *q, const struct queue_claimed *claimed,
                    int64_t asked_ms)
{
    int64_t now_ms = clock_mono_ms();
    bool reloaded = claimed->mismatch && on_mismatch(e, q, now_ms);
    if (claimed->refused && log_due(&e->refused_logged_ms, now_ms))
        log_event(&e->log, LOG_INFO, "claims_refused", LOG_STR("quota", q->name),
                  LOG_STR("reason", "no scheduler holds a permit there now"));
    if (claimed->refused)
        engine_servers_doubt(e);
    if (reloaded || q->called_ms >= asked_ms) {
        q->ask_at_ms = now_ms; /* the answer may be out of date */
    } else if (claimed->refused || claimed->mismatch || claimed->wait_ms < 0) {
        /* Who opens, permits or publishes calls, and a scheduler sees work that nobody asks for. */
        q->pass_on = false;
        q->ask_at_ms = QUOTA_ASK_WHEN_CALLED;
    } else {
        bool soon = claimed->wait_ms < ENGINE_WAIT_MAX_MS;
        q->pass_on = true; /* the others rely on this one */
        q->ask_at_ms = now_ms + (soon ? claimed->wait_ms : ENGINE_WAIT_MAX_MS);
    }
}

/* ---- beats ---- */

/* The leases that one beat renews. */
struct beat {
    struct engine *engine;
    struct quota *quota;
    int64_t sent_ms;
    size_t count;
    uint64_t tokens[];
};

static void on_beaten(void *ctx, int64_t valid, const struct err *err)
{
    struct beat *b = ctx;
    struct engine *e = b->engine;
    /* Which of them is gone is not said, so then none counts as renewed: they end when they would
     * have. */
    if (!err && valid == (int64_t)b->count)
        for (size_t i = 0; i < b->count; i++)
            for (size_t k = 0; k < e->slot_count; k++)
                slot_renewed(e->slots[k], b->quota, b->tokens[i],
                             b->sent_ms + (int64_t)b->quota->lease_ms);
    free(b);
}

static void beat_quota(struct engine *e, struct quota *q)
{
    struct beat *b = calloc(1, sizeof *b + e->slot_count * sizeof *b->tokens);
    if (!b)
        return;
    *b = (struct beat){.engine = e, .quota = q, .sent_ms = clock_mono_ms()};
    for (size_t i = 0; i < e->slot_count; i++)
        if (slot_beats(e->slots[i], q, b->sent_ms, &b->tokens[b->count]))
            b->count++;
    struct err err;
    if (!b->count ||
        queue_beat(q->queue, e->name, b->tokens, b->count, q->lease_ms, on_beaten, b, &err))
        free(b);
}

void engine_on_beat(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct engine *e = ctx;
    if (!redis_fleet_connected(e->fleet))
        engine_servers_doubt(e);
    for (size_t i = 0; i < e->quotas.count; i++)
        if (e->quotas.items[i]->held)
            beat_quota(e, e->quotas.items[i]);
}
