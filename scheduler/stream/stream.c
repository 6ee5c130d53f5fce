/* What a view of a stream means: its phase in a word, whether something is wrong, how fresh its
 * destination is. */
#include "scheduler/stream/stream.h"

const char *stream_phase_name(enum stream_phase phase)
{
    static const char *const names[] = {
        [STREAM_OPENING] = "opening", [STREAM_READING] = "reading", [STREAM_HELD] = "held",
        [STREAM_FLOWING] = "flowing", [STREAM_ROLLING] = "rolling", [STREAM_PAUSED] = "paused",
        [STREAM_RESTING] = "resting",
    };
    return (size_t)phase < ARRAY_LEN(names) ? names[phase] : "unknown";
}

static bool follows(const struct stream_view *v)
{
    return v->phase == STREAM_FLOWING || v->phase == STREAM_ROLLING || v->phase == STREAM_PAUSED;
}

bool stream_ails(const struct stream_view *v)
{
    if (v->phase == STREAM_PAUSED)
        return false;
    return v->phase == STREAM_OPENING || v->phase == STREAM_RESTING || (follows(v) && *v->why);
}

int64_t stream_fresh_ms(const struct stream_view *v, int64_t now_ms)
{
    int64_t behind_ms = v->lag.behind_ms > v->waits_ms ? v->lag.behind_ms : v->waits_ms;
    bool unknown = v->lag.behind_ms < 0 && *v->why;
    return follows(v) && !unknown ? now_ms - behind_ms : 0;
}
