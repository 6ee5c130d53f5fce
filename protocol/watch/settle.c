#include "protocol/watch/settle.h"

static bool same(struct input_digest a, struct input_digest b)
{
    return a.low == b.low && a.high == b.high;
}

void settle_init(struct settle *s, struct input_digest loaded)
{
    *s = (struct settle){.loaded = loaded, .seen = loaded};
}

void settle_loaded(struct settle *s, struct input_digest loaded)
{
    s->loaded = loaded;
    if (same(s->seen, loaded))
        s->restless_ms = 0;
}

bool settle_look(struct settle *s, struct input_digest now, bool gone, int64_t now_ms)
{
    if (!same(now, s->seen)) {
        s->seen = now;
        s->seen_ms = now_ms;
        s->told = false;
    }
    if (same(now, s->loaded)) {
        s->restless_ms = 0;
        return false;
    }
    if (!s->restless_ms)
        s->restless_ms = now_ms;
    int64_t quiet_ms = gone ? SETTLE_GONE_MS : SETTLE_QUIET_MS;
    bool tired = !gone && now_ms - s->restless_ms >= SETTLE_RESTLESS_MS;
    if (s->told || (now_ms - s->seen_ms < quiet_ms && !tired))
        return false;
    s->told = true;
    s->restless_ms = now_ms;
    return true;
}

bool settle_is_restless(const struct settle *s)
{
    return s->restless_ms && !s->told;
}
