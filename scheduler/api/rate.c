#include "scheduler/api/rate.h"

static struct rate_bucket *find(struct rate *rate, uint64_t key)
{
    struct rate_bucket *set = rate->buckets[key % RATE_SETS], *oldest = set;
    for (int i = 0; i < RATE_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].seen_ms < oldest->seen_ms)
            oldest = &set[i];
    }
    *oldest = (struct rate_bucket){.key = key, .left = RATE_PER_SECOND};
    return oldest;
}

bool rate_take(struct rate *rate, uint64_t key, int64_t now_ms)
{
    struct rate_bucket *b = find(rate, key);
    if (b->seen_ms && now_ms > b->seen_ms)
        b->left += (double)(now_ms - b->seen_ms) * RATE_PER_SECOND / 1000;
    if (b->left > RATE_PER_SECOND)
        b->left = RATE_PER_SECOND;
    b->seen_ms = now_ms;
    if (b->left < 1)
        return false;
    b->left -= 1;
    return true;
}
