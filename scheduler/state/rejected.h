/*
 * Rejected: per sync the records that were refused, failed or never sent, with the reason in the
 * destination's own words. What `sluice errors` shows and `sluice retry` chooses from.
 *
 * One per key and kind; the newest replaces. At most a cap per sync, the oldest go. A record leaves
 * when its key is accepted, or when a whole read no longer finds it invalid. Lists for people:
 * forgetting one never changes what is sent.
 */
#ifndef SLUICE_STATE_REJECTED_H
#define SLUICE_STATE_REJECTED_H

#include "scheduler/state/entries.h"

enum rejected_kind {
    REJECTED_REFUSED,   /* quarantined */
    REJECTED_NOT_FOUND, /* refused, due again after a day */
    REJECTED_FAILED,    /* attempts used up; the next run sends it */
    REJECTED_INVALID,   /* never sent */
    REJECTED_DUPLICATE, /* never sent: a second row of a key; beside what is known of the key itself
                         */
    REJECTED_REMOVAL,   /* the removal was refused */
};
/** "rejected", "failed" or "invalid". */
const char *rejected_kind_name(enum rejected_kind kind);

enum { REJECTED_TEXT_MAX = 1024, REJECTED_CAP = 100000 };

struct rejected {
    enum rejected_kind kind;
    struct slice key;     /* key bytes (key.h); empty where the row's key cannot be read */
    struct slice text;    /* the primary key as JSON: {"id":1}; cut at REJECTED_TEXT_MAX */
    struct slice message; /* cut at REJECTED_TEXT_MAX */
    struct slice run;
    int64_t time_ms; /* wall clock */
    uint32_t kills;  /* workers that were lost with it */
    uint64_t number; /* in its sync's list, growing; given by lists */
};

/** Adds it, in the place of what the store held about the key (kinds but REJECTED_DUPLICATE). */
enum err_code state_rejected_put(struct state_sync *ss, const struct rejected *r,
                                 struct err *err) MUST_CHECK;
/** Forgets what is stored about the key, duplicates aside; fine where there is nothing. */
enum err_code state_rejected_clear(struct state_sync *ss, struct slice key,
                                   struct err *err) MUST_CHECK;
/** After a whole read: forgets invalid rows and duplicates that other runs than run have listed. */
enum err_code state_rejected_expire(struct state_sync *ss, struct slice run, uint64_t *position,
                                    size_t max, bool *ret_more, struct err *err) MUST_CHECK;

uint64_t state_rejected_count(const struct state_sync *ss);
/** For tests and small disks; 0: REJECTED_CAP. */
void state_rejected_set_cap(struct state_sync *ss, uint64_t cap);

/** Returns false to stop; r is borrowed for the call. */
typedef bool (*state_rejected_cb)(void *ctx, const struct rejected *r);
/** Newest first, at most limit (0: all). Also in a read-only state; no entries: nothing. No writes
 * inside. */
enum err_code state_rejected_list(struct state *s, const char *sync, size_t limit,
                                  state_rejected_cb cb, void *ctx, struct err *err) MUST_CHECK;

/** Forgets those for which `which` is true, duplicates among them; looks at most at max per call.
 * *position starts at 0 and is moved; *ret_count is added to. */
enum err_code state_rejected_drop(struct state_sync *ss, state_rejected_cb which, void *ctx,
                                  uint64_t *position, size_t max, uint64_t *ret_count,
                                  bool *ret_more, struct err *err) MUST_CHECK;
/** The same of those with a number below before (0: all). */
enum err_code state_rejected_list_from(struct state *s, const char *sync, uint64_t before,
                                       size_t limit, state_rejected_cb cb, void *ctx,
                                       struct err *err) MUST_CHECK;
/** What is listed about one key, its duplicate too; nothing where nothing is. */
enum err_code state_rejected_of_key(struct state *s, const char *sync, struct slice key,
                                    state_rejected_cb cb, void *ctx, struct err *err) MUST_CHECK;

/* Which refusals `sluice retry` forgets: the conditions that are set must all hold. */
struct retry_filter {
    const char *message; /* the reason contains this, upper and lower case alike; NULL: any */
    const char *key;     /* the key's JSON text, as `errors` shows it, contains this; NULL: any */
};
/**
 * Forgets refusals of rows and of removals, so that the next run sends them; looks at most at max
 * of them per call. *position starts at 0 and is moved; *ret_more: call again. *ret_count is added
 * to.
 */
enum err_code state_retry(struct state_sync *ss, const struct retry_filter *filter,
                          uint64_t *position, size_t max, uint64_t *ret_count, bool *ret_more,
                          struct err *err) MUST_CHECK;

#endif
