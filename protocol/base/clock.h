/* Time in milliseconds: monotonic for intervals, wall clock for people and for what outlives the
 * process. */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ms(void);
/** In microseconds: for what is over in less than a few milliseconds. */
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void);

enum { CLOCK_TEXT_BYTES = 32 };
/** Writes wall_ms as RFC 3339 in UTC with milliseconds into out (CLOCK_TEXT_BYTES) and returns out.
 */
const char *clock_text(int64_t wall_ms, char *out);

#endif
