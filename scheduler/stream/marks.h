/*
 * Marks: which position of a feed has everything before it settled.
 *
 * Each change belongs to the mark that is open when it comes; on_mark of the feed closes it. A
 * change that waits or is in flight holds its mark. Pure; grows with the marks that are held, up to
 * MARKS_MAX, beyond which changes of several marks share one. One thread.
 */
#ifndef SLUICE_STREAM_MARKS_H
#define SLUICE_STREAM_MARKS_H

#include "scheduler/stream/feed.h"

enum { MARKS_MAX = 1 << 16 };

struct marks;

/** ERR_NOMEM as NULL. */
struct marks *marks_new(void);
/** Accepts NULL. */
void marks_free(struct marks *m);
/** Forgets everything; the position is `at`. */
void marks_reset(struct marks *m, const struct feed_position *at);
/** The number of the open mark. */
uint64_t marks_open(const struct marks *m);
/** One change more of this mark waits. */
void marks_hold(struct marks *m, uint64_t mark);
/** One of them is settled. */
void marks_release(struct marks *m, uint64_t mark);
/** Closes the open mark: everything before `at` was given. */
void marks_close(struct marks *m, const struct feed_position *at);
/** The latest position before which everything is settled. */
const struct feed_position *marks_settled(const struct marks *m);
/** The first mark that is held, or the open one. */
uint64_t marks_first(const struct marks *m);
/** Changes that are held. */
uint64_t marks_held(const struct marks *m);

#endif
