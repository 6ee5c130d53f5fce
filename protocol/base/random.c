#include "protocol/base/random.h"

#include "protocol/base/err.h"

#include <sys/random.h>

void random_bytes(void *p, size_t n)
{
    char *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        ensure(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

uint64_t random_below(uint64_t below)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % below, r;
    do
        random_bytes(&r, sizeof r);
    while (r >= limit);
    return r % below;
}

void random_hex(char *out, size_t digits)
{
    for (size_t i = 0; i < digits; i++)
        out[i] = "0123456789abcdef"[random_below(16)];
    out[digits] = '\0';
}
