/* Until scheduler/schedule is linked. */
#include "scheduler/schedule/schedule.h"

#include <stdio.h>

const char *schedule_words(const struct sync *sync, char *out)
{
    snprintf(out, SCHEDULE_WORDS_BYTES, "%s",
             sync->schedule == SCHEDULE_MANUAL ? "manual" : "other");
    return out;
}
