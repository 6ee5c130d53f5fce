/*
 * What must be known before a batch's own request: looked up, waited for, or got in this turn.
 * Reads and writes the fleet's shared values; sends the prelude's request through carry.c.
 * Invariant: of one quota at most one batch at a time gets it, while it holds the fleet's lock. A
 * crash here: the lock ends by itself, and the batch's lease as well.
 */
#include "worker/slot_parts.h"

#include "protocol/base/clock.h"
#include "protocol/queue/shared.h"
#include "worker/deliver/redact.h"

enum {
    LOOK_AGAIN_MS = 100, /* while another gets it */
    LOST_AGAIN_MS = 500, /* after a call to the queue was lost */
};

static void look_later(struct slot *s, int ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    event_add(s->again, &tv);
}

static struct slice name_of(const struct slot *s)
{
    return slice_str(s->prelude->name);
}

/* ---- giving up ---- */

static void on_unlocked(void *ctx, const struct queue_shared *shared, const struct err *err)
{
    (void)ctx, (void)shared, (void)err; /* a lock that is not given back ends by itself */
}

void slot_await_end(struct slot *s)
{
    struct err err;
    if (!s->prelude)
        return;
    if (s->prelude->getter == s)
        s->prelude->getter = NULL;
    if (s->locked &&
        queue_shared_unlock(s->quota->queue, name_of(s), s->leased.part.p, on_unlocked, NULL, &err))
        slot_log(s, LOG_WARN, "lock_kept", err.text);
    s->locked = false;
    s->prelude = NULL;
}

/* ---- getting it ---- */

static void get_it(struct slot *s)
{
    struct err err;
    s->prelude->getter = s;
    s->delivery.now_ms = clock_wall_ms();
    enum err_code rc = s->prelude->ops->render(s->prelude, &s->delivery, &s->rendered, &err);
    if (rc)
        slot_render_failed(s, rc, &err);
    else
        slot_send(s);
}

static void on_locked(void *ctx, const struct queue_shared *shared, const struct err *err)
{
    struct slot *s = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    if (err) {
        look_later(s, LOST_AGAIN_MS);
        return;
    }
    s->locked = shared->granted;
    if (s->prelude->ops->learn(s->prelude, shared->value, clock_wall_ms())) {
        slot_await_end(s);
        slot_request(s);
    } else if (s->locked) {
        get_it(s);
    } else {
        look_later(s, LOOK_AGAIN_MS);
    }
}

static void lock(struct slot *s)
{
    struct err err;
    if (queue_shared_lock(s->quota->queue, name_of(s), s->leased.part.p, s->quota->lease_ms,
                          on_locked, s, &err))
        look_later(s, LOST_AGAIN_MS);
}

static void on_looked(void *ctx, const struct queue_shared *shared, const struct err *err)
{
    struct slot *s = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    if (err) {
        look_later(s, LOST_AGAIN_MS);
        return;
    }
    if (s->prelude->ops->learn(s->prelude, shared->value, clock_wall_ms())) {
        slot_await_end(s);
        slot_request(s);
    } else if (shared->holder.n && !slice_eq(shared->holder, s->leased.part)) {
        look_later(s, LOOK_AGAIN_MS);
    } else {
        lock(s);
    }
}

void slot_await(struct slot *s)
{
    struct prelude *p = s->prelude;
    struct err err;
    s->state = SLOT_AWAITING;
    s->locked = false;
    if (s->engine->draining) {
        slot_give_back(s, NULL);
        return;
    }
    if (clock_mono_ms() >= s->lease_end_ms) {
        slot_log(s, LOG_WARN, "lease_lost", "it ended while another got what is needed first");
        slot_drop(s);
        return;
    }
    if (p->getter && p->getter != s) {
        look_later(s, LOOK_AGAIN_MS);
        return;
    }
    if (!p->shared) {
        get_it(s);
        return;
    }
    p->getter = s; /* the other slots of this worker need not ask */
    if (queue_shared_get(s->quota->queue, name_of(s), on_looked, s, &err))
        look_later(s, LOST_AGAIN_MS);
}

/* ---- what was got ---- */

static void settle_it(struct slot *s)
{
    slot_settle(s, ERR_OK, NULL);
}

static void on_shared(void *ctx, const struct queue_shared *shared, const struct err *err)
{
    struct slot *s = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    if (err) {
        look_later(s, LOST_AGAIN_MS);
        return;
    }
    s->locked = false;
    if (!shared->granted) /* the lock had ended: whoever has it now gets its own */
        slot_log(s, LOG_WARN, "not_shared", "the lock had ended");
    settle_it(s);
}

/* It is put before the batch is settled: a rotated token that only this worker knew would be lost
 * with it. */
static void share(struct slot *s)
{
    struct err err;
    struct queue_shared_put put = {
        .name = name_of(s),
        .value = s->gotten.value,
        .holder = s->leased.part.p,
        .version = UINT64_MAX,
        .expire_ms = s->gotten.keep_ms,
        .durable = s->gotten.durable,
    };
    s->state = SLOT_SHARING;
    if (queue_shared_put(s->quota->queue, &put, on_shared, s, &err))
        look_later(s, LOST_AGAIN_MS);
}

void slot_await_again(struct slot *s)
{
    if (s->state == SLOT_AWAITING) {
        slot_await_end(s);
        slot_request(s);
    } else if (clock_mono_ms() < s->lease_end_ms) {
        share(s);
    } else {
        settle_it(s);
    }
}

/* The batch's own next request, where this one left it. */
static void know_next(struct slot *s, struct outcome *o)
{
    struct err err;
    o->carried_none = true;
    o->unsure = false;
    o->message = redact_secrets(&s->rendered.arena, s->target->destination, o->message);
    bool goes_on =
        o->kind == OUTCOME_CONTINUE || o->kind == OUTCOME_RETRY || o->kind == OUTCOME_THROTTLE;
    if (goes_on && s->target->driver->next(s->target->state, &s->delivery, o, &err))
        slot_log(s, LOG_WARN, "next_unknown", err.text); /* it is charged to the main group */
}

void slot_gotten(struct slot *s, const struct http_answer *answer)
{
    struct err err;
    struct prelude *p = s->prelude;
    s->gotten = (struct prelude_answer){0};
    s->delivery.now_ms = clock_wall_ms();
    enum err_code rc = p->ops->classify(p, &s->delivery, &s->rendered, answer, &s->gotten, &err);
    if (rc)
        s->gotten = (struct prelude_answer){.outcome = {.kind = OUTCOME_RETRY,
                                                        .retry_after_ms = -1,
                                                        .message = slice_str(err.text),
                                                        .progress = s->leased.progress}};
    s->rendered.records = 0;
    know_next(s, &s->gotten.outcome);
    rc = slot_plan(s, &s->gotten.outcome, answer, &err);
    if (!rc && s->gotten.value.p && s->locked)
        share(s);
    else
        slot_settle(s, rc, &err);
}
