/*
 * The rate-limit windows of a quota as state keeps them, so that no restart forgets a used token.
 *
 * Before Redis may charge tokens, state holds a ceiling on how many (the grant). After a clean end
 * the saved windows are exact; after an unclean one every granted token counts as used. Limits are
 * matched by kind, group and length, so a changed number keeps its window.
 */
#ifndef SLUICE_RUN_WINDOWS_H
#define SLUICE_RUN_WINDOWS_H

#include "protocol/queue/queue.h"

struct state;

enum { WINDOWS_LIMITS_MAX = 16 };

struct windows {
    size_t limit_count;
    uint64_t grant[WINDOWS_LIMITS_MAX]; /* of the next renewal: tokens that may be charged until the
                                           one after */
    uint64_t unknown[WINDOWS_LIMITS_MAX]; /* granted since Redis told the items: they may be charged
                                             by now */
    struct queue_window *items;           /* in use when Redis told last */
    size_t count, cap;
};

void windows_done(struct windows *w);

/** What to restore into a Redis without windows of its own; owned by w until the next call. */
enum err_code windows_load(struct windows *w, struct state *state, const struct destination *d,
                           const struct queue_window **ret_windows, size_t *ret_count,
                           struct err *err) MUST_CHECK;
/** Takes over what a permit renewal told. */
enum err_code windows_note(struct windows *w, const struct queue_stats *stats,
                           struct err *err) MUST_CHECK;
/** Raises the grants and writes everything to state (the caller commits); clean: nothing more will
 * be charged. */
enum err_code windows_save(struct windows *w, struct state *state, const struct destination *d,
                           bool clean, struct err *err) MUST_CHECK;

#endif
