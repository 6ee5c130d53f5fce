#include "worker/judge/delay.h"

#include <strings.h>

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    /* Clocks differ: who asks just after midnight by his own must not wait for the next one, and
     * none should ask just before it by the destination's. */
    EDGE_LATE_MS = 2 * SECOND_MS,
    EDGE_PASSED_MS = 10 * SECOND_MS,
    PACIFIC_BEHIND_S = 2 * 3600, /* Los Angeles behind Chicago */
};
#define EPOCH_MS_MIN 1e11 /* a count since 1970 above this is in milliseconds */

/* ---- units ---- */

static int64_t bounded(double ms)
{
    if (!(ms > 0))
        return 0;
    return ms < (double)DELAY_MAX_MS ? (int64_t)ms : DELAY_MAX_MS;
}

static int64_t in_unit(double number, enum reader_unit unit, int64_t now_ms)
{
    switch (unit) {
    case UNIT_RETRY_AFTER:
    case UNIT_SECONDS:
        return bounded(number * SECOND_MS);
    case UNIT_MS:
        return bounded(number);
    case UNIT_MINUTES:
        return bounded(number * MINUTE_MS);
    case UNIT_EPOCH:
        return bounded((number < EPOCH_MS_MIN ? number * SECOND_MS : number) - (double)now_ms);
    }
    return -1;
}

/* ---- where it stands ---- */

static int64_t of_header(const struct delay_reader *r, const struct delay_source *s)
{
    size_t at = 0;
    struct slice text = header_next(s->answer, r->header, &at);
    double number;
    if (r->unit == UNIT_RETRY_AFTER) {
        /* The engine measured it by the answer's own date already. */
        if (strcasecmp(r->header, "Retry-After") == 0 && s->answer->retry_after_ms >= 0)
            return s->answer->retry_after_ms;
        return text.p ? http_retry_after_ms(text.p, s->now_ms) : -1;
    }
    return text.p && check_number(text, &number) ? in_unit(number, r->unit, s->now_ms) : -1;
}

struct widest {
    const struct doc *doc;
    const struct delay_reader *reader;
    int64_t now_ms;
    int64_t ms;
};

static bool take_widest(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct widest *w = ctx;
    double number;
    if (doc_number(w->doc, node, &number)) {
        int64_t ms = in_unit(number, w->reader->unit, w->now_ms);
        w->ms = ms > w->ms ? ms : w->ms;
    }
    return true;
}

static int64_t of_json(const struct delay_reader *r, const struct delay_source *s)
{
    if (!s->json)
        return -1;
    struct widest w = {s->json->doc, r, s->now_ms, -1};
    doc_walk(s->json, &r->at, take_widest, &w);
    return w.ms;
}

static int64_t until_edge(int64_t edge_ms, int64_t period_ms, int64_t now_ms)
{
    int64_t left = edge_ms - now_ms;
    if (period_ms - left < EDGE_PASSED_MS)
        return EDGE_PASSED_MS;
    return left + EDGE_LATE_MS;
}

static int64_t of_clock(enum clock_edge edge, const struct delay_source *s)
{
    int64_t now = s->now_ms > 0 ? s->now_ms : 0;
    switch (edge) {
    case EDGE_UTC_MIDNIGHT:
        return until_edge((now / DAY_MS + 1) * DAY_MS, DAY_MS, now);
    case EDGE_CENTRAL_MIDNIGHT:
        return until_edge(zone_next_midnight_s(s->central, now / SECOND_MS) * SECOND_MS, DAY_MS,
                          now);
    case EDGE_PACIFIC_MIDNIGHT: /* two hours behind, on the days when the clocks change as well */
        return until_edge((zone_next_midnight_s(s->central, now / SECOND_MS - PACIFIC_BEHIND_S) +
                           PACIFIC_BEHIND_S) *
                              SECOND_MS,
                          DAY_MS, now);
    case EDGE_NEXT_HOUR:
        return until_edge((now / HOUR_MS + 1) * HOUR_MS, HOUR_MS, now);
    case EDGE_NEXT_SECOND:
        return SECOND_MS - now % SECOND_MS;
    }
    return -1;
}

static int64_t read_one(const struct delay_reader *r, const struct delay_source *s)
{
    switch (r->kind) {
    case READ_FIXED:
        return r->fixed_ms < (uint64_t)DELAY_MAX_MS ? (int64_t)r->fixed_ms : DELAY_MAX_MS;
    case READ_HEADER:
        return of_header(r, s);
    case READ_JSON:
        return of_json(r, s);
    case READ_CLOCK:
        return of_clock(r->edge, s);
    }
    return -1;
}

bool delay_reads_json(const struct delay_readers *readers)
{
    for (size_t i = 0; i < readers->count; i++)
        if (readers->items[i].kind == READ_JSON)
            return true;
    return false;
}

int64_t delay_read(const struct delay_readers *readers, const struct delay_source *source)
{
    for (size_t i = 0; i < readers->count; i++) {
        int64_t ms = read_one(&readers->items[i], source);
        if (ms >= 0)
            return ms;
    }
    return -1;
}

/* ---- signals ---- */

/* The greatest "used/total" in a text such as "api-usage=18/5000, per-app=3/10(app=x)". */
static bool widest_ratio(struct slice text, double *ret)
{
    bool any = false;
    for (size_t i = 1; i < text.n; i++) {
        if (text.p[i] != '/')
            continue;
        size_t from = i;
        while (from &&
               ((text.p[from - 1] >= '0' && text.p[from - 1] <= '9') || text.p[from - 1] == '.'))
            from--;
        double used, total;
        if (!check_number(slice_of(text.p + from, i - from), &used) ||
            !check_number(slice_of(text.p + i + 1, text.n - i - 1), &total) || !(total > 0))
            continue;
        if (!any || used / total > *ret)
            *ret = used / total;
        any = true;
    }
    return any;
}

static bool ratio_passes(const struct test *t, double ratio)
{
    return t->kind == TEST_AT_LEAST ? ratio >= t->number
                                    : t->kind == TEST_AT_MOST && ratio <= t->number;
}

static int64_t of_text(const struct signal *signal, const struct check *check,
                       const struct delay_source *source, struct slice text)
{
    double ratio;
    bool holds = signal->as == SIGNAL_RATIO
                     ? widest_ratio(text, &ratio) && ratio_passes(check->test, ratio)
                     : check_text(check, text);
    return holds ? delay_read(&signal->pause, source) : 0;
}

enum err_code signal_read(const struct signal *signal, const struct check *check,
                          const struct delay_source *source, struct arena *arena,
                          uint64_t *ret_pause_ms)
{
    size_t at = 0;
    int64_t longest = 0;
    for (struct slice text = header_next(source->answer, signal->header, &at); text.p;
         text = header_next(source->answer, signal->header, &at)) {
        int64_t ms = 0;
        struct doc doc;
        bool is = false;
        if (!signal->json.given) {
            ms = of_text(signal, check, source, text);
        } else if (doc_parse(arena, text, &doc, &is) == ERR_NOMEM) {
            return ERR_NOMEM;
        } else if (is) {
            struct doc_place place = {&doc, 0, NULL};
            struct delay_source within = *source;
            within.json = &place;
            ms = check_json(check, &place, arena) ? delay_read(&signal->pause, &within) : 0;
        }
        longest = ms > longest ? ms : longest;
    }
    *ret_pause_ms = (uint64_t)longest;
    return ERR_OK;
}
