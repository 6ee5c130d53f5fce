/*
 * How far a poll has come: a value of the cursor column, as text. Pure; any thread.
 */
#ifndef SLUICE_STREAM_POLL_PLACE_H
#define SLUICE_STREAM_POLL_PLACE_H

#include "scheduler/stream/feed.h"

enum { POLL_PLACE_BYTES = 200 };

struct poll_place {
    bool set; /* false: before everything */
    char text[POLL_PLACE_BYTES];
};

/** False where v is not a value that a cursor can go on from: NULL, not sendable, too long. */
bool poll_place_take(struct poll_place *p, struct value v);
/** Of RFC 3339 times in UTC, or dates: the earlier and the later of two. */
bool poll_place_time_is_before(const struct poll_place *a, const struct poll_place *b);

/** early: what is below was not all given, so that nobody can go on from it. */
void poll_place_write(const struct poll_place *p, const char *cursor, bool early,
                      struct feed_position *ret);
/** False where the position is none, early, of another version, or of another cursor. */
bool poll_place_read(const struct feed_position *at, const char *cursor, struct poll_place *ret);

#endif
