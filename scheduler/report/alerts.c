/* Reads: the control's syncs, runs in state. Writes: `alert:SYNC` in state, once a message was
 * taken. A crash here: what was not committed as told is told again. */
#include "scheduler/report/alerts.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "scheduler/report/message.h"
#include "scheduler/report/standing.h"

enum {
    LOOK_EVERY_MS = 5000,
    BETWEEN_MS = 1000, /* two messages of one alert: what chats allow */
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 300000,
    BACKOFF_SHIFT_MAX = 9,
    MANY = 5, /* chats and mailboxes get one message for more syncs than these */
    ORIGIN_DIGITS = 8,
};

static const uint32_t NONE = UINT32_MAX;

/* The way to one receiver. */
struct channel {
    struct alerts *alerts;
    const struct alert *alert;
    bool busy;
    uint32_t *after; /* per standing: what is told once the message on its way is taken, or NONE */
    enum alert_on what;
    int64_t next_ms; /* monotonic: nothing is sent before */
    unsigned failures;
    size_t turn; /* which sync is looked at first */
};

struct alerts {
    struct control *control;
    const struct log *log;
    struct courier *courier;
    struct standing *standings; /* in the project's order of syncs */
    size_t standing_count;
    struct channel *channels; /* in the project's order of alerts */
    size_t channel_count;
    int64_t looked_ms;
    char origin[ORIGIN_DIGITS + 1];
};

/* ---- what there is to tell ---- */

static bool concerns(const struct alert *alert, const struct sync *sync)
{
    for (size_t i = 0; i < alert->sync_count; i++)
        if (alert->syncs[i] == sync)
            return true;
    return alert->sync_count == 0;
}

static unsigned wanted(const struct alert *alert, const struct standing *s)
{
    unsigned bits = standing_bits(s, &alert->warning_above);
    return concerns(alert, s->sync) ? bits & alert->on : 0;
}

static unsigned first_of(unsigned bits)
{
    static const unsigned order[] = {ALERT_ON_FAILED, ALERT_ON_HELD, ALERT_ON_LATE,
                                     ALERT_ON_WARNING};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (bits & order[i])
            return order[i];
    return 0;
}

/* The next message that takes `told` towards `want`; what = 0: none is needed for *ret_after. */
static unsigned next_step(const struct alert *alert, unsigned told, unsigned want,
                          unsigned *ret_after, unsigned *ret_of)
{
    unsigned new = want & ~told, gone = told & ~want;
    *ret_of = gone;
    if (new) {
        *ret_after = told | first_of(new);
        return first_of(new);
    }
    *ret_after = want;
    if (!(alert->on & ALERT_ON_RECOVERED))
        return 0;
    if (alert->type == ALERT_PAGERDUTY) { /* each kind is an incident of its own */
        *ret_of = first_of(gone);
        *ret_after = told & ~*ret_of;
        return ALERT_ON_RECOVERED;
    }
    return want ? 0 : ALERT_ON_RECOVERED;
}

/* ---- sending ---- */

static void remember(struct alerts *a, struct standing *s, const char *alert, unsigned bits)
{
    struct err err;
    enum err_code rc = told_set(&s->told, alert, bits, &err);
    if (!rc)
        rc = told_put(control_state(a->control), s->sync->name, &s->told, &err);
    if (rc)
        log_event(a->log, LOG_WARN, "alert_not_remembered", LOG_STR("alert", alert),
                  LOG_STR("sync", s->sync->name), LOG_STR("reason", err.text));
}

static int64_t backoff_ms(const struct channel *ch, int64_t retry_after_ms)
{
    unsigned shift = ch->failures < BACKOFF_SHIFT_MAX ? ch->failures : BACKOFF_SHIFT_MAX;
    int64_t most = (int64_t)BACKOFF_FIRST_MS << shift;
    most = most < BACKOFF_MAX_MS ? most : BACKOFF_MAX_MS;
    int64_t ms = most / 2 + (int64_t)random_below((uint64_t)most / 2 + 1);
    if (retry_after_ms > BACKOFF_MAX_MS)
        return BACKOFF_MAX_MS;
    return retry_after_ms > ms ? retry_after_ms : ms;
}

/* The first sync of the message on its way, for the log. */
static const char *sync_of(const struct channel *ch)
{
    const struct alerts *a = ch->alerts;
    for (size_t i = 0; i < a->standing_count; i++)
        if (ch->after[i] != NONE)
            return a->standings[i].sync->name;
    return "";
}

static void forget_message(struct channel *ch)
{
    ch->busy = false;
    for (size_t i = 0; i < ch->alerts->standing_count; i++)
        ch->after[i] = NONE;
}

static void on_taken(struct channel *ch)
{
    struct alerts *a = ch->alerts;
    size_t count = 0;
    for (size_t i = 0; i < a->standing_count; i++)
        count += ch->after[i] != NONE;
    log_event(a->log, LOG_INFO, "alert_sent", LOG_STR("alert", ch->alert->name),
              LOG_STR("sync", sync_of(ch)), LOG_STR("what", news_name(ch->what)),
              LOG_INT("syncs", count));
    for (size_t i = 0; i < a->standing_count; i++)
        if (ch->after[i] != NONE)
            remember(a, &a->standings[i], ch->alert->name, ch->after[i]);
}

static void on_answer(void *ctx, const struct courier_answer *answer)
{
    struct channel *ch = ctx;
    int64_t pause_ms = BETWEEN_MS;
    if (!answer->error) {
        ch->failures = 0;
        on_taken(ch);
    } else {
        pause_ms = backoff_ms(ch, answer->retry_after_ms);
        ch->failures++;
        log_event(ch->alerts->log, LOG_WARN, "alert_not_sent", LOG_STR("alert", ch->alert->name),
                  LOG_STR("sync", sync_of(ch)), LOG_STR("what", news_name(ch->what)),
                  LOG_STR("reason", answer->error), LOG_INT("again_ms", pause_ms));
    }
    ch->next_ms = clock_mono_ms() + pause_ms;
    forget_message(ch);
}

static void send_news(struct channel *ch, struct news *news, const struct standing *s)
{
    struct alerts *a = ch->alerts;
    struct run_record run;
    struct message m;
    struct err err;
    if (s->run[0] && !state_run_get(control_state(a->control), s->run, &run, &err))
        news->run = &run;
    news->what = ch->what;
    news->sync = s->sync->name;
    news->at_ms = clock_wall_ms();
    news->fresh_ms = s->fresh_ms;
    news->objective_ms = s->late || ch->what != ALERT_ON_LATE ? s->sync->freshness_ms : 0;
    news->why = standing_why(s, ch->what);
    news->origin = a->origin;
    enum err_code rc = message_make(ch->alert, news, &m, &err);
    if (!rc)
        rc = courier_send(a->courier, &m.parcel, on_answer, ch, &err);
    message_done(&m);
    ch->busy = true;
    if (!rc)
        return;
    log_event(a->log, LOG_WARN, "alert_not_sent", LOG_STR("alert", ch->alert->name),
              LOG_STR("reason", err.text));
    ch->next_ms = clock_mono_ms() + BACKOFF_MAX_MS;
    forget_message(ch);
}

/* What is to be told of this sync next; NONE: nothing is. */
static uint32_t step_of(struct channel *ch, struct standing *s, unsigned *ret_after,
                        unsigned *ret_of)
{
    unsigned told = told_get(&s->told, ch->alert->name), want = wanted(ch->alert, s);
    if (told == want)
        return NONE;
    unsigned what = next_step(ch->alert, told, want, ret_after, ret_of);
    if (what)
        return what;
    remember(ch->alerts, s, ch->alert->name, *ret_after);
    return NONE;
}

/* The names of all syncs of which the same is to be told, where they are many; they go together. */
static size_t gather(struct channel *ch, const char **names)
{
    struct alerts *a = ch->alerts;
    unsigned after, of;
    size_t count = 0;
    for (size_t i = 0; i < a->standing_count; i++)
        if (step_of(ch, &a->standings[i], &after, &of) == ch->what)
            names[count++] = a->standings[i].sync->name;
    if (count <= MANY)
        return 0;
    for (size_t i = 0; i < a->standing_count; i++)
        if (step_of(ch, &a->standings[i], &after, &of) == ch->what)
            ch->after[i] = after;
    return count;
}

/* People are told of many at once; programs, of each. */
static void send_step(struct channel *ch, size_t at, unsigned after, unsigned of)
{
    struct alerts *a = ch->alerts;
    struct news news = {.of = of};
    const char **names = NULL;
    ch->after[at] = after;
    if (ch->alert->type == ALERT_SLACK || ch->alert->type == ALERT_EMAIL)
        names = calloc(a->standing_count, sizeof *names);
    if (names) {
        news.sync_count = gather(ch, names);
        news.syncs = names;
    }
    send_news(ch, &news, &a->standings[at]);
    free(names);
}

/* Sends the next message, if there is one and it may go now. */
static void pump(struct channel *ch)
{
    struct alerts *a = ch->alerts;
    if (ch->busy || clock_mono_ms() < ch->next_ms)
        return;
    for (size_t i = 0; i < a->standing_count; i++) {
        size_t at = (ch->turn + i) % a->standing_count;
        unsigned after, of;
        uint32_t what = step_of(ch, &a->standings[at], &after, &of);
        if (what == NONE)
            continue;
        ch->what = (enum alert_on)what;
        ch->turn = at + 1;
        send_step(ch, at, after, of);
        return;
    }
}

static void pump_all(struct alerts *a)
{
    for (size_t i = 0; i < a->channel_count; i++)
        pump(&a->channels[i]);
}

/* ---- what others call ---- */

void alerts_run(struct alerts *a, const struct run_record *r)
{
    for (size_t i = 0; a && i < a->standing_count; i++) {
        struct standing *s = &a->standings[i];
        if (strcmp(s->sync->name, r->sync) != 0)
            continue;
        standing_run(s, r);
        a->looked_ms = 0; /* held and fresh may have changed with it */
    }
}

void alerts_turn(struct alerts *a)
{
    int64_t now_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
    if (!a)
        return;
    if (!a->looked_ms || now_ms - a->looked_ms >= LOOK_EVERY_MS) {
        for (size_t i = 0; i < a->standing_count; i++)
            standing_look(&a->standings[i], a->control, wall_ms);
        a->looked_ms = now_ms;
    }
    pump_all(a);
}

/* ---- life ---- */

static enum err_code open_channel(struct alerts *a, const struct alert *alert, struct err *err)
{
    struct channel *ch = &a->channels[a->channel_count++];
    *ch = (struct channel){.alerts = a, .alert = alert};
    ch->after = calloc(a->standing_count + 1, sizeof *ch->after);
    if (!ch->after)
        return err_set(err, ERR_NOMEM, "no memory for alerts");
    forget_message(ch);
    return ERR_OK;
}

static enum err_code start(struct alerts *a, struct event_base *base, struct err *err)
{
    const struct project *p = control_project(a->control);
    snprintf(a->origin, sizeof a->origin, "%s", state_id(control_state(a->control)));
    a->courier = courier_new(base);
    a->standings = calloc(p->sync_count + 1, sizeof *a->standings);
    a->channels = calloc(p->alert_count + 1, sizeof *a->channels);
    if (!a->courier || !a->standings || !a->channels)
        return err_set(err, ERR_NOMEM, "no memory for alerts");
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->sync_count && p->alert_count && !rc; i++)
        rc = standing_init(&a->standings[a->standing_count++], a->control, &p->syncs[i], err);
    for (size_t i = 0; i < p->alert_count && !rc; i++)
        rc = open_channel(a, &p->alerts[i], err);
    return rc;
}

enum err_code alerts_new(struct event_base *base, struct control *c, const struct log *log,
                         struct alerts **ret_alerts, struct err *err)
{
    struct alerts *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(err, ERR_NOMEM, "no memory for alerts");
    a->control = c;
    a->log = log;
    enum err_code rc = start(a, base, err);
    if (rc)
        alerts_free(a);
    else
        *ret_alerts = a;
    return rc;
}

void alerts_free(struct alerts *a)
{
    if (!a)
        return;
    courier_free(a->courier);
    for (size_t i = 0; i < a->standing_count; i++)
        standing_done(&a->standings[i]);
    for (size_t i = 0; i < a->channel_count; i++)
        free(a->channels[i].after);
    free(a->standings);
    free(a->channels);
    free(a);
}
