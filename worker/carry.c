/*
 * A batch between its claim and its settle. Reads the lease and the project; gives requests to http
 * and a plan to settle. Invariant: what was claimed is settled exactly once, or left to the end of
 * its lease.
 */
#include "worker/slot_parts.h"

#include "protocol/base/clock.h"
#include "worker/deliver/redact.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    LEASE_MARGIN_MS = 1000, /* a request ends at least this long before its lease */
    ATTEMPTS_TOLD = 5,      /* in */
    ATTEMPTS_TOLD_MS = 10000,
    ATTEMPT_WORDS_BYTES = 512,
};

void slot_log(const struct slot *s, enum log_level level, const char *event, const char *reason)
{
    const struct batch_head *head = batch_reader_head(s->reader);
    char run[QUEUE_NAME_MAX + 1], part[QUEUE_NAME_MAX + 1], sync[QUEUE_NAME_MAX + 1],
        destination[QUEUE_NAME_MAX + 1];
    struct slice run_id = head ? head->run : (struct slice){0};
    const struct {
        char *out;
        struct slice in;
    } texts[] = {{run, run_id},
                 {part, s->leased.part},
                 {sync, s->leased.sync},
                 {destination, s->leased.destination}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t n = texts[i].in.n < QUEUE_NAME_MAX ? texts[i].in.n : QUEUE_NAME_MAX;
        if (n)
            memcpy(texts[i].out, texts[i].in.p, n);
        texts[i].out[n] = '\0';
    }
    log_event(&s->engine->log, level, event, LOG_STR("sync", sync), LOG_STR("run", run),
              LOG_STR("batch", part), LOG_STR("destination", destination),
              LOG_STR("reason", reason), LOG_INT("status", s->facts.status),
              LOG_INT("attempts", s->leased.attempts + s->facts.requests),
              LOG_INT("delay_ms", s->plan.delay_ms));
}

/* A destination that is away fails every attempt: a few lines now and then say so, and how many. */
static void log_attempt(struct slot *s, const char *why)
{
    char words[ATTEMPT_WORDS_BYTES];
    struct target *t = s->target;
    int64_t now_ms = clock_mono_ms();
    if (now_ms - t->told_ms >= ATTEMPTS_TOLD_MS) {
        t->told_ms = now_ms;
        t->told = 0;
    }
    if (t->told == ATTEMPTS_TOLD) {
        t->untold++;
        return;
    }
    if (t->untold)
        snprintf(words, sizeof words, "%s (and %" PRIu64 " more since the last line)", why,
                 t->untold);
    else
        snprintf(words, sizeof words, "%s", why);
    t->told++;
    t->untold = 0;
    slot_log(s, LOG_WARN, "attempt_failed", words);
}

/* ---- sending ---- */

enum err_code slot_plan(struct slot *s, const struct outcome *o, const struct http_answer *answer,
                        struct err *err)
{
    s->facts.throttled = s->target->throttled;
    enum err_code rc = settle_plan_outcome(&s->plan, &s->facts, &s->rendered, o, s->reader, err);
    if (s->plan.throttled)
        s->target->throttled++;
    else if (answer->status)
        s->target->throttled = 0;
    /* Words of the remote may quote a record: they go into the result, never into the log. */
    if (s->plan.throttled)
        metrics_throttled(&s->engine->metrics, s->target->destination->name);
    if (s->plan.throttled)
        slot_log(s, LOG_WARN, "throttled", "the destination asked to be asked less");
    else if (s->plan.stop)
        slot_log(s, LOG_ERROR, "stopped", "the destination refused credentials or address");
    else if (o->kind == OUTCOME_RETRY)
        log_attempt(s, answer->error ? answer->error : "");
    return rc;
}

static void take_facts(struct slot *s, const struct http_answer *answer)
{
    s->facts.requests = 1;
    s->facts.bytes = answer->body_bytes_sent;
    s->facts.status = answer->status;
    s->facts.duration_ms = answer->duration_ms;
    s->charge_at_ms = answer->charge_at_ms;
    metrics_request(&s->engine->metrics, s->target->destination->name, answer);
}

static void on_answer(void *ctx, const struct http_answer *answer)
{
    struct slot *s = ctx;
    take_facts(s, answer);
    if (s->prelude) {
        slot_gotten(s, answer);
        return;
    }
    struct err err;
    struct outcome outcome;
    struct http_answer safe = *answer;
    s->delivery.now_ms = clock_wall_ms();
    safe.body = redact_secrets(&s->rendered.arena, s->target->destination, answer->body);
    enum err_code rc = answer->body.n && !safe.body.n
                           ? err_set(&err, ERR_NOMEM, "no memory to read an answer")
                           : s->target->driver->classify(s->target->state, &s->delivery,
                                                         &s->rendered, &safe, &outcome, &err);
    if (rc) /* no memory to understand the answer: it may have been anything */
        outcome = (struct outcome){.kind = OUTCOME_RETRY,
                                   .unsure = true,
                                   .retry_after_ms = -1,
                                   .message = slice_str(err.text),
                                   .progress = s->leased.progress};
    rc = slot_plan(s, &outcome, &safe, &err);
    slot_settle(s, rc, &err);
}

static uint64_t timeout_ms(const struct slot *s)
{
    return s->rendered.timeout_ms ? s->rendered.timeout_ms : s->target->destination->timeout_ms;
}

static void send_request(struct slot *s)
{
    const struct destination *d = s->target->destination;
    struct http_request request = {
        .method = s->rendered.method,
        .url = s->rendered.url,
        .headers = s->rendered.headers,
        .header_count = s->rendered.header_count,
        .body = s->rendered.body,
        .timeout_ms = timeout_ms(s),
        .ca_file = d->ca_file,
        .answer_max = s->rendered.answer_max,
        .sigv4 = &s->rendered.sigv4,
    };
    struct err err;
    s->state = SLOT_SENDING;
    const struct driver *driver = s->target->driver;
    enum err_code sent = driver->send
                             ? driver->send(s->target->state, s->engine->base, &s->rendered,
                                            request.timeout_ms, on_answer, s, &err)
                             : http_send(s->engine->http, &request, on_answer, s, &err);
    if (!sent)
        return;
    struct outcome outcome = {.kind = OUTCOME_RETRY,
                              .retry_after_ms = -1,
                              .message = slice_str(err.text),
                              .progress = s->leased.progress};
    enum err_code rc =
        settle_plan_outcome(&s->plan, &s->facts, &s->rendered, &outcome, s->reader, &err);
    slot_settle(s, rc, &err);
}

static void on_renewed(void *ctx, int64_t valid, const struct err *err)
{
    struct slot *s = ctx;
    if (err && err->code == ERR_STOPPED)
        return;
    if (!err && valid != 1) {
        s->engine->metrics.leases_lost++;
        slot_log(s, LOG_WARN, "lease_lost", "the queue ended it");
        slot_drop(s);
        return;
    }
    if (!err)
        s->lease_end_ms = s->asked_ms + (int64_t)s->quota->lease_ms;
    if (err || s->engine->draining) {
        slot_give_back(s, NULL);
        return;
    }
    send_request(s);
}

/* A request is started only where it must end before the lease does; a shorter lease is renewed
 * first. */
void slot_send(struct slot *s)
{
    int64_t now_ms = clock_mono_ms();
    int64_t needed_ms = (int64_t)timeout_ms(s) + LEASE_MARGIN_MS;
    if (s->lease_end_ms - now_ms >= needed_ms) {
        send_request(s);
        return;
    }
    struct err err;
    s->state = SLOT_RENEWING;
    s->asked_ms = now_ms;
    if (queue_beat(s->quota->queue, s->engine->name, &s->token, 1, s->quota->lease_ms, on_renewed,
                   s, &err)) {
        slot_log(s, LOG_WARN, "lease_lost", err.text);
        slot_drop(s);
    }
}

/* ---- preparing what was claimed ---- */

static enum err_code copy_text(struct arena *a, struct slice from, struct slice *ret_copy)
{
    char *p = arena_str(a, from);
    if (!p)
        return ERR_NOMEM;
    *ret_copy = slice_of(p, from.n);
    return ERR_OK;
}

static enum err_code copy_lease(struct slot *s, const struct queue_claimed *c)
{
    struct leased *l = &s->leased;
    arena_reset(&s->words);
    *l = (struct leased){.attempts = c->attempts, .kills = c->kills, .unsure = c->unsure};
    if (copy_text(&s->words, c->epoch, &l->epoch) || copy_text(&s->words, c->batch, &l->batch) ||
        copy_text(&s->words, c->part, &l->part) || copy_text(&s->words, c->ordset, &l->ordset) ||
        copy_text(&s->words, c->sync, &l->sync) ||
        copy_text(&s->words, c->destination, &l->destination) ||
        copy_text(&s->words, c->progress, &l->progress))
        return ERR_NOMEM;
    return ERR_OK;
}

static void find_target(struct slot *s)
{
    const struct batch_head *head = batch_reader_head(s->reader);
    s->target = setup_target(s->setup, head->destination, head->fingerprint);
    if (s->target)
        return;
    /* Reloaded between the question and the answer. */
    setup_release(s->setup);
    s->setup = setup_hold(s->engine->setup);
    s->target = setup_target(s->setup, head->destination, head->fingerprint);
}

/* What the halves of this batch begin with. */
static void know_first(struct slot *s)
{
    struct outcome first = {0};
    struct delivery d = s->delivery;
    struct err err;
    d.reader = s->reader;
    d.progress = (struct slice){0};
    if (s->target->driver->next && s->target->driver->next(s->target->state, &d, &first, &err))
        return; /* it says so itself when it is rendered */
    s->facts.first_group = first.next_group;
    s->facts.first_carries_none = first.next_carries_none;
    s->facts.whole = first.whole;
}

/* What cannot be rendered is settled without a request. */
void slot_render_failed(struct slot *s, enum err_code rc, struct err *err)
{
    struct slice words = slice_str(err->text);
    struct outcome later = {.kind = OUTCOME_RETRY,
                            .retry_after_ms = -1,
                            .message = words,
                            .progress = s->leased.progress};
    if (rc == ERR_FULL) {
        know_first(s);
        rc = settle_plan_unsent(&s->plan, &s->facts, SLICE_LIT("too large for one request"), false,
                                s->reader, err);
    } else if (rc == ERR_NOMEM) {
        rc = settle_plan_outcome(&s->plan, &s->facts, &s->rendered, &later, s->reader, err);
    } else if (rc == ERR_CONFIG) {
        slot_log(s, LOG_ERROR, "stopped", err->text);
        rc = settle_plan_all(&s->plan, &s->facts, VERDICT_CANCELLED, RESULT_STOP, words, err);
    } else if (rc == ERR_REFUSED) { /* the request's only record cannot be put into one */
        rc = settle_plan_all(&s->plan, &s->facts, VERDICT_REJECTED, 0, words, err);
    } else {
        slot_log(s, LOG_ERROR, "batch_unreadable", err->text);
        rc = settle_plan_all(&s->plan, &s->facts, VERDICT_FAILED, RESULT_BUG, words, err);
    }
    slot_settle(s, rc, err);
}

void slot_request(struct slot *s)
{
    const struct driver *driver = s->target->driver;
    enum err_code rc = ERR_OK;
    struct err err;
    s->prelude = NULL;
    s->delivery = (struct delivery){
        .reader = s->reader,
        .part = s->leased.part,
        .attempt = s->leased.attempts + 1,
        .progress = s->leased.progress,
        .now_ms = clock_wall_ms(),
    };
    if (driver->prelude)
        rc = driver->prelude(s->target->state, &s->delivery, &s->prelude, &err);
    if (!rc && s->prelude) {
        slot_await(s);
        return;
    }
    if (!rc)
        rc = driver->render(s->target->state, &s->delivery, &s->rendered, &err);
    if (rc)
        slot_render_failed(s, rc, &err);
    else
        slot_send(s);
}

/* The batch is open and its destination known: send it, unless it must not go as it is. */
static void deliver(struct slot *s)
{
    const struct batch_head *head = batch_reader_head(s->reader);
    s->facts = (struct settle_facts){
        .policy = &s->target->destination->retry,
        .batch = s->leased.batch,
        .ordset = s->leased.ordset,
        .planned = head->planned,
        .attempts = s->leased.attempts,
        .kills = s->leased.kills,
        .was_unsure = s->leased.unsure || s->leased.kills,
    };
    if (s->leased.kills < SETTLE_KILLS_MAX) {
        slot_request(s);
        return;
    }
    struct err err;
    know_first(s);
    slot_log(s, LOG_WARN, "batch_lost_workers", "halved instead of sent again");
    enum err_code rc =
        settle_plan_unsent(&s->plan, &s->facts, SLICE_LIT("the workers that sent it were lost"),
                           true, s->reader, &err);
    slot_settle(s, rc, &err);
}

void slot_give_back(struct slot *s, const char *reason)
{
    if (reason) {
        slot_log(s, LOG_WARN, "batch_given_back", reason);
        s->quota->ask_at_ms = clock_mono_ms() + ENGINE_PAUSE_MS;
    }
    settle_plan_release(&s->plan);
    slot_settle(s, ERR_OK, NULL);
}

void slot_carry(struct slot *s, const struct queue_claimed *c)
{
    struct err err;
    s->charge_at_ms = 0;
    s->facts = (struct settle_facts){0};
    s->lease_end_ms = s->claim_sent_ms + (int64_t)s->quota->lease_ms;
    if (copy_lease(s, c)) {
        /* Without the epoch it cannot even be given back: the lease ends by itself. */
        log_event(&s->engine->log, LOG_ERROR, "out_of_memory", LOG_STR("quota", s->quota->name));
        slot_drop(s);
        return;
    }
    enum err_code rc = batch_reader_open(s->reader, c->payload, &err);
    if (rc == ERR_INVALID) {
        log_event(&s->engine->log, LOG_ERROR, "batch_unreadable", LOG_STR("quota", s->quota->name),
                  LOG_STR("error", err.text));
        s->facts.ordset = s->leased.ordset;
        rc = settle_plan_all(&s->plan, &s->facts, VERDICT_FAILED, RESULT_BUG, slice_str(err.text),
                             &err);
        slot_settle(s, rc, &err);
        return;
    }
    if (!rc)
        find_target(s);
    if (rc || !s->target)
        slot_give_back(s, rc ? "no memory for it"
                             : "its destination is not configured like this here");
    else if (s->engine->draining)
        slot_give_back(s, NULL);
    else
        deliver(s);
}
