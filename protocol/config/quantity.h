/* Amounts as people write them: 500ms, 1h30m, 64MB, 1MiB, 10%. Pure functions; false where the text
 * is none. */
#ifndef SLUICE_CONFIG_QUANTITY_H
#define SLUICE_CONFIG_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

/** ms, s, m, h, d, w; several may follow each other from the largest: 1h30m. */
bool duration_parse(const char *text, uint64_t *ret_ms);
/** B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024); no unit: bytes. */
bool size_parse(const char *text, uint64_t *ret_bytes);
/** 0% to 100%. */
bool percent_parse(const char *text, double *ret);
/** Like duration_parse, and a bare unit or its word: "s", "minute". */
bool period_parse(const char *text, uint64_t *ret_ms);

#endif
