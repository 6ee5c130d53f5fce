/* Random bytes, names and numbers from the kernel's generator. */
#ifndef SLUICE_BASE_RANDOM_H
#define SLUICE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/** Fills n bytes; aborts when the kernel has none to give. */
void random_bytes(void *p, size_t n);
/** Uniform in [0, below); below > 0. */
uint64_t random_below(uint64_t below);
/** Writes digits lower-case hexadecimal digits and a NUL into out (digits + 1 bytes). */
void random_hex(char *out, size_t digits);

#endif
