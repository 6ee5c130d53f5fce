/*
 * When a change of the project folder is taken: once it has been quiet.
 *
 * Fed with what each look at the folder came to. A checkout that writes file after file must not be
 * read half-written, a folder that is away for a moment is no change, and one that never comes to
 * rest is taken as it is. Pure: time and digests come from outside.
 */
#ifndef SLUICE_WATCH_SETTLE_H
#define SLUICE_WATCH_SETTLE_H

#include "protocol/config/inputs.h"

enum {
    SETTLE_QUIET_MS = 500,
    SETTLE_GONE_MS = 5000,      /* of a folder that cannot be opened */
    SETTLE_RESTLESS_MS = 30000, /* after so much change it is taken all the same */
};

struct settle {
    struct input_digest loaded; /* what is in force, or was refused last */
    struct input_digest seen;   /* by the last look */
    int64_t seen_ms;            /* since when it is so */
    int64_t restless_ms;        /* since when it has not been as it was loaded; 0: it is */
    bool told;                  /* that it is to be loaded as it was seen */
};

void settle_init(struct settle *s, struct input_digest loaded);
/** Somebody has read the folder, whether it was taken or not. */
void settle_loaded(struct settle *s, struct input_digest loaded);
/** A look came to this; gone: the folder cannot be opened. True, once for each digest: it is to be
 * loaded now. */
bool settle_look(struct settle *s, struct input_digest now, bool gone, int64_t now_ms);
/** A change has been seen and is not taken yet: looks should follow soon. */
bool settle_is_restless(const struct settle *s);

#endif
