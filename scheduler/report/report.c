/* Reads: events and views of the control. Writes: the ledger and throttled time, in state. A crash
 * here: report_start catches up from the runs in state; throttled time of the period under way is
 * lost. */
#include "scheduler/report/report.h"

#include <stdlib.h>

#include <event2/event.h>

#include "protocol/base/log.h"
#include "scheduler/report/alerts.h"
#include "scheduler/report/ledger.h"
#include "scheduler/report/samples.h"
#include "scheduler/report/warehouse.h"

enum { TICK_MS = 500 }; /* as often as Redis says how things stand */

/* For how long a quota had been throttled when it was last looked at; of the project's
 * destinations, in their order. */
struct throttled {
    char *quota; /* NULL: another destination stands for the quota */
    int64_t for_ms;
};

struct report {
    struct report_options opts;
    struct event *tick;
    struct alerts *alerts;
    struct warehouse *warehouse; /* NULL: nothing is to be logged there */
    struct throttled *throttled;
    size_t throttled_count;
};

static void complain(const struct report *r, const char *event, const struct err *err)
{
    log_event(r->opts.log, LOG_WARN, event, LOG_STR("reason", err->text));
}

/* ---- throttled time ---- */

static void throttled_drop(struct report *r)
{
    for (size_t i = 0; i < r->throttled_count; i++)
        free(r->throttled[i].quota);
    free(r->throttled);
    r->throttled = NULL;
    r->throttled_count = 0;
}

static bool is_watched(const struct report *r, const char *quota)
{
    for (size_t i = 0; i < r->throttled_count; i++)
        if (r->throttled[i].quota && strcmp(r->throttled[i].quota, quota) == 0)
            return true;
    return false;
}

static int64_t throttled_for(const struct report *r, const struct destination *d)
{
    struct control_quota_view view;
    if (control_quota_look(r->opts.control, d, &view) || !view.open)
        return 0;
    return view.now.throttled_for_ms;
}

static enum err_code throttled_follow(struct report *r, struct err *err)
{
    const struct project *p = control_project(r->opts.control);
    throttled_drop(r);
    r->throttled = calloc(p->destination_count + 1, sizeof *r->throttled);
    if (!r->throttled)
        return err_set(err, ERR_NOMEM, "no memory for reports");
    for (size_t i = 0; i < p->destination_count; i++) {
        bool known = is_watched(r, p->destinations[i].quota);
        r->throttled[i] = (struct throttled){
            .quota = known ? NULL : strdup(p->destinations[i].quota),
            .for_ms = throttled_for(r, &p->destinations[i]), /* that much is in state */
        };
        r->throttled_count++;
    }
    return ERR_OK;
}

/* Adds what has passed since the last look; a period that is shorter than it was is another one. */
static void throttled_take(struct report *r, struct throttled *t, int64_t for_ms)
{
    struct err err;
    int64_t passed_ms = for_ms >= t->for_ms ? for_ms - t->for_ms : for_ms;
    t->for_ms = for_ms;
    if (passed_ms > 0 &&
        throttle_add(control_state(r->opts.control), t->quota, (uint64_t)passed_ms, &err))
        complain(r, "throttled_time_not_kept", &err);
}

static void throttled_look(struct report *r)
{
    const struct project *p = control_project(r->opts.control);
    for (size_t i = 0; i < r->throttled_count && i < p->destination_count; i++)
        if (r->throttled[i].quota)
            throttled_take(r, &r->throttled[i], throttled_for(r, &p->destinations[i]));
}

/* ---- events ---- */

static void on_event(void *ctx, const struct control_event *event)
{
    struct report *r = ctx;
    struct err err;
    if (event->kind != CONTROL_EVENT_RUN || !event->record)
        return;
    if (ledger_add(control_state(r->opts.control), event->record, &err))
        complain(r, "run_not_counted", &err);
    if (event->ended || event->record->status == RUN_HELD)
        alerts_run(r->alerts, event->record);
    if (run_status_ended(event->record->status))
        warehouse_run(r->warehouse, event->record->sync);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct report *r = ctx;
    if (control_stood_still(r->opts.control))
        return;
    throttled_look(r);
    alerts_turn(r->alerts);
    warehouse_turn(r->warehouse);
}

/* ---- life ---- */

static enum err_code catch_up(struct report *r, struct err *err)
{
    const struct project *p = control_project(r->opts.control);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->sync_count && !rc; i++)
        rc = ledger_catch_up(control_state(r->opts.control), p->syncs[i].name, err);
    return rc;
}

static enum err_code start(struct report *r, struct err *err)
{
    struct timeval every = {TICK_MS / 1000, TICK_MS % 1000 * 1000};
    enum err_code rc = catch_up(r, err);
    if (!rc)
        rc = throttled_follow(r, err);
    if (!rc)
        rc = alerts_new(r->opts.base, r->opts.control, r->opts.log, &r->alerts, err);
    if (!rc)
        rc = warehouse_new(r->opts.base, r->opts.control, r->opts.log, &r->warehouse, err);
    r->tick = event_new(r->opts.base, -1, EV_PERSIST, on_tick, r);
    if (!rc && (!r->tick || event_add(r->tick, &every)))
        rc = err_set(err, ERR_NOMEM, "no memory for reports");
    return rc ? rc : control_listen(r->opts.control, on_event, r, err);
}

enum err_code report_start(const struct report_options *options, struct report **ret_report,
                           struct err *err)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ERR_NOMEM, "no memory for reports");
    r->opts = *options;
    enum err_code rc = start(r, err);
    if (rc)
        report_free(r);
    else
        *ret_report = r;
    return rc;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    control_unlisten(r->opts.control, on_event, r);
    warehouse_free(r->warehouse);
    alerts_free(r->alerts);
    throttled_drop(r);
    if (r->tick)
        event_free(r->tick);
    free(r);
}

void report_reload(struct report *r)
{
    struct err err;
    struct alerts *alerts;
    if (throttled_follow(r, &err) || catch_up(r, &err))
        complain(r, "report_not_reloaded", &err);
    alerts_free(r->alerts); /* it reads the old project */
    r->alerts = NULL;
    if (alerts_new(r->opts.base, r->opts.control, r->opts.log, &alerts, &err))
        complain(r, "alerts_not_reloaded", &err);
    else
        r->alerts = alerts;
    warehouse_free(r->warehouse);
    r->warehouse = NULL;
    if (warehouse_new(r->opts.base, r->opts.control, r->opts.log, &r->warehouse, &err))
        complain(r, "warehouse_log_not_reloaded", &err);
}
