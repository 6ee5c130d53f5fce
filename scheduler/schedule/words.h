/* Text for people in a buffer of fixed size, cut between characters where it is longer. */
#ifndef SLUICE_SCHEDULE_WORDS_H
#define SLUICE_SCHEDULE_WORDS_H

#include "protocol/base/attr.h"

#include <stddef.h>

struct words {
    char *text;
    size_t size;
    size_t used;
};

/** Starts empty; size is 1 at least. */
struct words words_into(char *out, size_t size);
void words_put(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
