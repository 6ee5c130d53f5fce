/* Repeatable random numbers for property tests; the seed is printed by whoever fails. */
#ifndef SLUICE_TESTS_WIRE_PRNG_H
#define SLUICE_TESTS_WIRE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline uint64_t prng_next(struct prng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint32_t prng_below(struct prng *r, uint32_t below)
{
    return (uint32_t)(prng_next(r) % below);
}

#endif
