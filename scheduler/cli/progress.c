#include "scheduler/cli/progress.h"

#include "protocol/base/clock.h"
#include "scheduler/cli/print.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { DRAW_EVERY_MS = 100, RATE_EVERY_MS = 1000, LINE_BYTES = 512 };

void progress_init(struct progress *p)
{
    *p = (struct progress){.started_ms = clock_mono_ms()};
    p->rate_ms = p->started_ms;
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

struct sums {
    uint64_t rows, planned, verdicts, bad;
    uint64_t parked; /* batches that wait for a retry, in the quota that has most */
    int64_t throttled_ms;
    double limit_used;
    bool reading;
    bool over; /* every run has ended: the table says the rest */
};

static struct sums add_up(const struct engine_view *views, size_t count)
{
    struct sums s = {.over = true};
    for (size_t i = 0; i < count; i++) {
        const struct run_counts *c = &views[i].record->counts;
        s.rows += c->rows;
        s.planned += c->added + c->changed + c->removed;
        s.verdicts += c->succeeded + c->rejected + c->failed + c->cancelled;
        s.bad += c->rejected + c->failed + c->invalid;
        s.reading |= views[i].reading;
        s.over &= views[i].ended;
        if (views[i].ended || !views[i].quota)
            continue;
        if (views[i].quota->throttled_left_ms > s.throttled_ms)
            s.throttled_ms = views[i].quota->throttled_left_ms;
        if (views[i].quota->limit_used > s.limit_used)
            s.limit_used = views[i].quota->limit_used;
        if (views[i].quota->parked > s.parked)
            s.parked = views[i].quota->parked;
    }
    return s;
}

static void measure(struct progress *p, uint64_t verdicts, int64_t now)
{
    if (now - p->rate_ms < RATE_EVERY_MS)
        return;
    double rate = (double)(verdicts - p->rate_records) * 1000.0 / (double)(now - p->rate_ms);
    p->rate = p->rate > 0 ? (p->rate + rate) / 2 : rate;
    p->rate_records = verdicts;
    p->rate_ms = now;
}

static size_t put_line(const struct progress *p, const struct sums *s, char *line)
{
    char a[PRINT_NUMBER_BYTES], b[PRINT_NUMBER_BYTES], r[PRINT_NUMBER_BYTES], t[PRINT_NUMBER_BYTES];
    size_t n = (size_t)snprintf(line, LINE_BYTES, "%s rows %s  sent %s of %s",
                                s->reading ? "reading" : "sending", print_number(s->rows, a),
                                print_number(s->verdicts, b), print_number(s->planned, r));
    n += (size_t)snprintf(line + n, LINE_BYTES - n, "  %s/s", print_number((uint64_t)p->rate, a));
    if (s->throttled_ms > 0)
        n += (size_t)snprintf(line + n, LINE_BYTES - n, "  throttled for %s",
                              print_duration((uint64_t)s->throttled_ms, t));
    else if (s->limit_used >= 0.9)
        n += (size_t)snprintf(line + n, LINE_BYTES - n, "  waiting for limits");
    if (s->parked)
        n += (size_t)snprintf(line + n, LINE_BYTES - n, "  %s batch%s to retry",
                              print_number(s->parked, b), s->parked == 1 ? "" : "es");
    if (s->bad)
        n += (size_t)snprintf(line + n, LINE_BYTES - n, "  errors %s", print_number(s->bad, b));
    if (!s->reading && p->rate > 0 && s->planned > s->verdicts)
        n += (size_t)snprintf(
            line + n, LINE_BYTES - n, "  left %s",
            print_duration((uint64_t)((double)(s->planned - s->verdicts) * 1000.0 / p->rate), t));
    return n;
}

void progress_draw(struct progress *p, const struct engine_view *views, size_t count)
{
    int64_t now = clock_mono_ms();
    char line[LINE_BYTES];
    struct winsize size = {.ws_col = 80};
    if (now - p->drawn_ms < DRAW_EVERY_MS)
        return;
    p->drawn_ms = now;
    struct sums s = add_up(views, count);
    if (s.over)
        return;
    measure(p, s.verdicts, now);
    size_t n = put_line(p, &s, line);
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    if (size.ws_col > 1 && n >= size.ws_col)
        n = size.ws_col - 1u;
    fprintf(stderr, "\r\033[K%.*s", (int)n, line);
    fflush(stderr);
    p->shown = true;
}
