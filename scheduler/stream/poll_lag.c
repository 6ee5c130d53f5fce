/* How far a poll is, for people. */
#include "protocol/base/clock.h"
#include "scheduler/stream/poll_private.h"

#include <stdio.h>

enum { OPEN_FOR_LONG_MS = 60 * 1000 };

void poll_lag(const struct feed *feed, struct feed_lag *ret)
{
    const struct poll_feed *f = (const struct poll_feed *)feed;
    int64_t now = clock_mono_ms(), open_ms = now - f->waits_since_ms;
    bool waits = f->waits_for.xmax[0] != '\0';
    *ret = (struct feed_lag){.behind_ms = -1, .bytes = -1, .records = -1};
    if (f->caught_up_ms >= 0)
        ret->behind_ms = f->read || f->lost[0] || f->paused ? now - f->caught_up_ms : 0;
    snprintf(ret->place, sizeof ret->place, "%.*s", (int)sizeof ret->place - 1,
             f->low.set ? f->low.text : "");
    if (f->step == POLL_WAIT)
        snprintf(ret->note, sizeof ret->note,
                 "waits, a minute at most, for transactions that were open at its beginning");
    else if (f->caught_up_ms >= 0 && !f->look.known)
        snprintf(ret->note, sizeof ret->note,
                 "the warehouse does not tell which transactions are open: what is committed later "
                 "than the overlap after its cursor's value is not seen before the next read of "
                 "the whole model");
    else if (waits && open_ms > OPEN_FOR_LONG_MS + (int64_t)f->stream->poll_ms)
        snprintf(ret->note, sizeof ret->note,
                 "a transaction has been open for %lld s: each look reads again what changed since",
                 (long long)(open_ms / 1000));
    else if (f->listen && poll_listen_trouble(f->listen)[0])
        snprintf(ret->note, sizeof ret->note, "not woken by notifications: %s",
                 poll_listen_trouble(f->listen));
}
