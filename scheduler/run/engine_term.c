/* Whether this engine is still the one that goes on with its state. Reads: terms in state and
 * Redis. Writes: the term, before anything is opened. Invariant: once Redis has seen a later term
 * of this state, nothing more is committed, published or opened here. A crash here: the next start
 * raises the term again, which takes nothing from anybody. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    STILL_MS = 5000,          /* so long the loop never stands still by itself */
    TAKE_OVER_WAIT_MS = 12000 /* a permit, and some */
};

/* Goes on while the machine is suspended, too. */
static int64_t boot_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum err_code engine_term_open(struct engine *e, struct err *err)
{
    char boot[TERM_BOOT_BYTES];
    enum err_code rc = state_term_get(e->state, &e->term.own, &e->term.is_copy, err);
    state_term_boot(boot);
    /* The workers of the scheduler before may be alive on another machine, or know another folder.
     */
    e->term.elsewhere =
        e->term.is_copy || (e->term.own.number && strcmp(e->term.own.boot, boot) != 0);
    e->term.turned_ms = boot_ms();
    return rc;
}

static void tell_queue(struct engine *e)
{
    struct queue_term *t = &e->term.told;
    snprintf(t->state_id, sizeof t->state_id, "%s", state_id(e->state));
    snprintf(t->holder, sizeof t->holder, "%s", e->term.own.holder);
    t->number = e->term.own.number;
}

static enum err_code raise_term(struct engine *e, uint64_t above, struct err *err)
{
    enum err_code rc = state_term_raise(e->state, above, &e->term.own, err);
    if (!rc)
        rc = engine_commit(e, err);
    if (rc)
        return rc;
    e->term.raised = true;
    tell_queue(e);
    return ERR_OK;
}

static enum err_code give_up(struct engine *e, const struct quota *q, const struct queue_opened *o,
                             bool alive, struct err *err)
{
    err_set(err, ERR_BUSY,
            "another scheduler went on with state %s, or a copy of it: Redis has seen its term "
            "%llu for %s, and this one has %llu%s",
            state_id(e->state), (unsigned long long)o->term, quota_name(q),
            (unsigned long long)e->term.own.number,
            alive ? ""
                  : "; where that one is gone for good, start this one with --take-over: what it "
                    "did since is done again");
    engine_fail(e, err);
    return err->code;
}

/* A state that was restored, or that somebody vouches for, goes on where the later one is gone. */
static enum err_code take_over(struct engine *e, const struct quota *q,
                               const struct queue_opened *o, struct err *err)
{
    int64_t now = boot_ms();
    if (o->permit_left_ms > 0) {
        if (!e->term.waits_since_ms)
            e->term.waits_since_ms = now;
        return now - e->term.waits_since_ms < TAKE_OVER_WAIT_MS
                   ? err_set(err, ERR_TIMEOUT, "another scheduler of this state may be alive")
                   : give_up(e, q, o, true, err);
    }
    log_event(e->opts.log, LOG_WARN, "state_goes_on", LOG_STR("quota", quota_name(q)),
              LOG_STR("reason", "Redis knows a later scheduler of this state, which is gone: the "
                                "state was restored or copied"));
    return raise_term(e, o->term, err);
}

enum err_code engine_term_check(void *ctx, struct quota *q, const struct queue_opened *o,
                                struct err *err)
{
    struct engine *e = ctx;
    bool may_take = (e->term.is_copy || e->opts.take_over) && !quota_was_ready(q);
    enum err_code rc = ERR_OK;
    if (state_term_is_behind(&e->term.own, o->term, o->holder))
        rc = may_take ? take_over(e, q, o, err) : give_up(e, q, o, !o->same_state, err);
    else if (!e->term.raised)
        rc = raise_term(e, 0, err);
    if (!rc)
        queue_set_term(quota_queue(q), &e->term.told);
    return rc;
}

/* ---- standing still ---- */

static bool has_open(const struct engine *e)
{
    for (size_t i = 0; i < e->quota_count; i++)
        if (quota_is_ready(e->quotas[i].quota))
            return true;
    return false;
}

/* A process that stood still cannot know who worked meanwhile: it asks before it does anything. One
 * that has nothing open looks before it opens something. */
bool engine_stood_still(struct engine *e)
{
    if (!e->term.asks && boot_ms() - e->term.turned_ms > STILL_MS && has_open(e)) {
        e->term.asks = true;
        e->term.asked_ms = boot_ms();
        log_event(e->opts.log, LOG_WARN, "stood_still",
                  LOG_INT("ms", e->term.asked_ms - e->term.turned_ms));
    }
    return e->term.asks;
}

bool engine_may_turn(struct engine *e)
{
    bool all = true;
    if (engine_stood_still(e)) {
        for (size_t i = 0; i < e->quota_count; i++)
            all &= quota_owns_since(e->quotas[i].quota, e->term.asked_ms);
        if (!all)
            return false;
        e->term.asks = false;
    }
    e->term.turned_ms = boot_ms();
    return true;
}
