#include "worker/slot_parts.h"

#include <stdlib.h>

#include "protocol/base/clock.h"

enum {
    WORDS_BYTES_MAX = 4 << 20, /* names and ordinal set of one batch */
    AGAIN_FIRST_MS = 50,       /* pause before a lost call is sent again; doubles */
    AGAIN_MAX_MS = 1000,
};

/* ---- life ---- */

static void on_again(evutil_socket_t fd, short what, void *ctx);

struct slot *slot_new(struct engine *e)
{
    struct slot *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->engine = e;
    arena_init(&s->words, WORDS_BYTES_MAX);
    rendered_init(&s->rendered);
    settle_plan_init(&s->plan);
    s->reader = batch_reader_new();
    s->again = evtimer_new(e->base, on_again, s);
    if (s->reader && s->again)
        return s;
    slot_free(s);
    return NULL;
}

void slot_free(struct slot *s)
{
    if (!s)
        return;
    setup_release(s->setup);
    arena_done(&s->words);
    rendered_done(&s->rendered);
    settle_plan_done(&s->plan);
    batch_reader_free(s->reader);
    if (s->again)
        event_free(s->again);
    free(s);
}

struct slot *slot_next_free(const struct slot *s)
{
    return s->next_free;
}

void slot_set_next_free(struct slot *s, struct slot *next)
{
    s->next_free = next;
}

void slot_drop(struct slot *s)
{
    struct engine *e = s->engine;
    slot_await_end(s);
    s->state = SLOT_FREE;
    if (s->asks)
        s->quota->asking = false;
    s->asks = false;
    s->quota->held--;
    s->quota = NULL;
    s->target = NULL;
    setup_release(s->setup);
    s->setup = NULL;
    event_del(s->again);
    s->next_free = e->free_slots;
    e->free_slots = s;
    e->free_count++;
    engine_kick(e);
}

static void again_later(struct slot *s)
{
    struct timeval tv = {(time_t)(s->pause_ms / 1000), (suseconds_t)(s->pause_ms % 1000 * 1000)};
    s->pause_ms = s->pause_ms * 2 < AGAIN_MAX_MS ? s->pause_ms * 2 : AGAIN_MAX_MS;
    event_add(s->again, &tv);
}

/* ---- claiming ---- */

static void fill_claim(const struct slot *s, uint64_t token, struct queue_claim *ret_claim)
{
    *ret_claim = (struct queue_claim){
        .worker = s->engine->name,
        .token = token,
        .lease_ms = s->quota->lease_ms,
        .abilities = s->quota->abilities,
        .ability_count = s->quota->ability_count,
    };
}

static enum claim_answer claim_answer(const struct queue_claimed *c)
{
    if (c->got)
        return CLAIM_GOT;
    return c->refused ? CLAIM_REFUSED : c->mismatch ? CLAIM_MISMATCH : CLAIM_NOTHING;
}

static void claim_lost(struct slot *s, const struct err *err)
{
    struct engine *e = s->engine;
    int64_t now_ms = clock_mono_ms();
    /* Whatever it leased has ended by then, or is left to end when this process goes. */
    bool over = now_ms >= s->claim_sent_ms + (int64_t)s->quota->lease_ms;
    engine_note_denied(e, queue_member(s->quota->queue), err);
    engine_servers_doubt(e);
    /* Of a quota that moves nobody waits for it: what it leased there is the scheduler's to wait
     * for. */
    if (!e->draining && !over && !s->quota->moves) {
        again_later(s);
        return;
    }
    metrics_claim(&e->metrics, CLAIM_FAILED);
    log_event(&e->log, LOG_WARN, "claim_failed", LOG_STR("quota", s->quota->name),
              LOG_STR("error", err->text));
    s->quota->ask_at_ms = now_ms + ENGINE_PAUSE_MS;
    slot_drop(s);
}

static void on_claimed(void *ctx, const struct queue_claimed *c, const struct err *err)
{
    struct slot *s = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    if (err) {
        claim_lost(s, err);
        return;
    }
    metrics_claim(&s->engine->metrics, claim_answer(c));
    if (c->got) {
        if (s->asks) { /* where this came from there may be more */
            s->asks = s->quota->asking = false;
            engine_kick(s->engine);
        }
        slot_carry(s, c);
        return;
    }
    engine_no_work(s->engine, s->quota, c, s->asked_ms);
    slot_drop(s);
}

static void send_claim(struct slot *s)
{
    struct queue_claim claim;
    struct err err;
    fill_claim(s, s->token, &claim);
    s->asked_ms = clock_mono_ms();
    if (queue_claim(s->quota->queue, &claim, on_claimed, s, &err))
        claim_lost(s, &err);
}

void slot_claim(struct slot *s, struct quota *q)
{
    s->state = SLOT_CLAIMING;
    s->quota = q;
    s->setup = setup_hold(s->engine->setup);
    s->token = ++q->last_token;
    s->claim_sent_ms = clock_mono_ms();
    s->pause_ms = AGAIN_FIRST_MS;
    q->held++;
    s->asks = q->asking = true;
    send_claim(s);
}

/* ---- settling ---- */

static void settle_lost(struct slot *s, const struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    engine_note_denied(s->engine, queue_member(s->quota->queue), err);
    if (now_ms < s->lease_end_ms) {
        s->resent = true;
        again_later(s);
        return;
    }
    s->engine->metrics.leases_lost++;
    slot_log(s, LOG_ERROR, "settle_failed", err->text);
    s->quota->ask_at_ms = now_ms + ENGINE_PAUSE_MS;
    slot_drop(s);
}

/* The batch is settled; the same slot goes on with the next one when it asked for one. */
static void settle_over(struct slot *s)
{
    event_del(s->again);
    if (s->next_token)
        return;
    if (s->engine->draining) {
        struct err err;
        if (queue_wake(s->quota->queue,
                       &err)) /* others find what this one leaves, a little later */
            log_event(&s->engine->log, LOG_WARN, "wake_failed", LOG_STR("error", err.text));
    } else if (s->plan.kind != SETTLE_RELEASE) {
        s->quota->ask_at_ms = clock_mono_ms();
    }
    slot_drop(s);
}

/* Counts what the queue took, once. After a lost reply that cannot be told: then the first settle
 * was taken, most likely. */
static void count_settled(struct slot *s, int64_t number)
{
    struct metrics *m = &s->engine->metrics;
    if (number == 0 && !s->resent)
        m->leases_lost++;
    else if (s->target)
        metrics_verdicts(m, s->target->destination->name, &s->plan, batch_reader_count(s->reader));
}

static void on_settled(void *ctx, int64_t number, const struct err *err)
{
    struct slot *s = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    if (err) {
        if (!s->next_token)
            settle_lost(s, err);
        return; /* with a claim, the claim's callback follows and says the same */
    }
    s->settled = true;
    count_settled(s, number);
    if (number == 0) /* after a lost reply that is to be expected: the first one was carried out */
        slot_log(s, s->resent ? LOG_DEBUG : LOG_WARN, "lease_lost",
                 "the queue had ended it before the settle");
    settle_over(s);
}

static void on_settled_claimed(void *ctx, const struct queue_claimed *c, const struct err *err)
{
    struct slot *s = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    if (!s->settled) {
        struct err none;
        err_set(&none, ERR_REMOTE, "no answer to the settle");
        settle_lost(s, err ? err : &none);
        return;
    }
    /* From here on the slot is that of the next batch. */
    setup_release(s->setup);
    s->setup = setup_hold(s->engine->setup);
    s->state = SLOT_CLAIMING;
    s->token = s->next_token;
    s->next_token = 0;
    s->target = NULL;
    s->pause_ms = AGAIN_FIRST_MS;
    if (err) {
        claim_lost(s, err);
        return;
    }
    metrics_claim(&s->engine->metrics, claim_answer(c));
    if (c->got) {
        slot_carry(s, c);
    } else {
        engine_no_work(s->engine, s->quota, c, s->asked_ms);
        slot_drop(s);
    }
}

/* How long ago the request counted, rounded so that its tokens are never back too early. */
static uint64_t charge_age_ms(const struct slot *s, int64_t now_ms)
{
    if (!s->facts.requests)
        return UINT64_MAX;
    return s->charge_at_ms && now_ms > s->charge_at_ms ? (uint64_t)(now_ms - s->charge_at_ms - 1)
                                                       : 0;
}

static void send_settle(struct slot *s)
{
    int64_t now_ms = clock_mono_ms();
    struct queue_settle settle = {
        .epoch = s->leased.epoch,
        .worker = s->engine->name,
        .token = s->token,
        .kind = s->plan.kind,
        .delay_ms = s->plan.delay_ms,
        .unsure = s->plan.unsure,
        .charge_age_ms = charge_age_ms(s, now_ms),
        .keep_throttle = s->plan.keep_throttle,
        .result = buf_slice(&s->plan.result),
        .parts = s->plan.parts,
        .part_count = s->plan.part_count,
        .progress = s->plan.progress,
        .next_group = s->plan.next_group,
        .next_records = s->plan.next_records,
        .open = s->plan.open,
        .uncharge_records = s->plan.uncharge_records,
        .pause_ms = s->plan.pause_ms,
        .hold_ms = s->plan.hold_ms,
    };
    struct queue_claim claim;
    struct err err;
    s->settled = false;
    s->asked_ms = now_ms;
    if (s->next_token)
        fill_claim(s, s->next_token, &claim);
    if (queue_settle(s->quota->queue, &settle, on_settled, s->next_token ? &claim : NULL,
                     s->next_token ? on_settled_claimed : NULL, s, &err))
        settle_lost(s, &err);
}

/* The plan is made, or could not be made: then the batch is left to the end of its lease. */
void slot_settle(struct slot *s, enum err_code rc, const struct err *err)
{
    slot_await_end(s);
    if (rc) {
        slot_log(s, LOG_ERROR, "settle_failed", err->text);
        slot_drop(s);
        return;
    }
    s->state = SLOT_SETTLING;
    s->pause_ms = AGAIN_FIRST_MS;
    s->resent = false;
    s->next_token = 0;
    if (s->plan.kind != SETTLE_RELEASE && engine_may_continue(s->engine, s->quota)) {
        s->next_token = ++s->quota->last_token;
        s->claim_sent_ms = clock_mono_ms();
    }
    send_settle(s);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct slot *s = ctx;
    if (s->state == SLOT_CLAIMING)
        send_claim(s);
    else if (s->state == SLOT_SETTLING)
        send_settle(s);
    else if (s->state == SLOT_AWAITING || s->state == SLOT_SHARING)
        slot_await_again(s);
}

/* ---- beats ---- */

bool slot_beats(const struct slot *s, const struct quota *q, int64_t now_ms, uint64_t *ret_token)
{
    bool at_work =
        s->state == SLOT_SENDING || s->state == SLOT_AWAITING || s->state == SLOT_SHARING;
    bool soon = s->lease_end_ms - now_ms < (int64_t)q->lease_ms / 2;
    if (!at_work || !soon || s->quota != q)
        return false;
    *ret_token = s->token;
    return true;
}

void slot_renewed(struct slot *s, const struct quota *q, uint64_t token, int64_t lease_end_ms)
{
    if (s->quota == q && s->token == token && s->lease_end_ms < lease_end_ms)
        s->lease_end_ms = lease_end_ms;
}
