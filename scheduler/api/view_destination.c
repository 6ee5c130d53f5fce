#include "scheduler/api/views.h"

#include <inttypes.h>
#include <stdio.h>

/* 10s, 1m, 1h, 1d: as rate_limits are written. */
static void put_period(struct output *o, uint64_t ms)
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    char text[32];
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (ms % units[i].ms == 0) {
            snprintf(text, sizeof text, "%" PRIu64 "%s", ms / units[i].ms, units[i].unit);
            break;
        }
    output_text(o, "per", text);
}

static void put_limits(struct output *o, const struct destination *d,
                       const struct control_quota_view *v)
{
    output_open(o, "limits", '[');
    for (size_t i = 0; i < d->limit_count; i++) {
        const struct rate_limit *l = &d->limits[i];
        output_open(o, NULL, '{');
        output_text(o, "kind", l->kind == RATE_REQUESTS ? "requests" : "records");
        put_period(o, l->per_ms);
        output_count(o, "count", l->count);
        output_count(o, "used", i < v->limit_count ? v->limit_used[i] : 0);
        output_close(o, '}');
    }
    output_close(o, ']');
}

enum err_code view_destination(struct output *o, const char *name, struct control *c,
                               const struct destination *d, struct err *err)
{
    struct control_quota_view v = {.factor = 1};
    enum err_code rc = control_quota_look(c, d, &v);
    if (rc)
        return err_set(err, rc, "the quota of %s cannot be looked at: %s", d->name, err_name(rc));
    output_open(o, name, '{');
    output_text(o, "name", d->name);
    output_text(o, "type", d->type);
    output_text(o, "quota", d->quota);
    output_flag(o, "paused", control_destination_paused(c, d->name));
    output_flag(o, "open", v.open);
    output_count(o, "queued", v.now.queued);
    output_count(o, "leased", v.now.leased);
    output_count(o, "parked", v.now.parked);
    output_count(o, "throttled_left_ms",
                 v.now.throttled_left_ms > 0 ? (uint64_t)v.now.throttled_left_ms : 0);
    output_decimal(o, "factor", v.factor);
    put_limits(o, d, &v);
    output_text(o, "server", v.server);
    output_text_or_null(o, "waits_for", v.waits_for);
    output_text(o, "error", v.error);
    output_close(o, '}');
    return ERR_OK;
}
