/*
 * Rejected, failed and invalid records of syncs, grouped by what was said about them.
 *
 * Fed with records, newest first; gives groups, the largest first. At most ERROR_GROUPS_MAX of
 * them: records of further messages are counted, not named.
 */
#ifndef SLUICE_API_ERROR_GROUPS_H
#define SLUICE_API_ERROR_GROUPS_H

#include "scheduler/state/rejected.h"

enum { ERROR_GROUPS_MAX = 1000, ERROR_SAMPLES_MAX = 5 };

struct error_group {
    const char *sync; /* borrowed */
    const char *kind;
    char *message;
    char *samples[ERROR_SAMPLES_MAX]; /* keys */
    size_t sample_count;
    uint64_t count;
    int64_t first_ms, last_ms;
};

struct error_groups;

/** NULL: no memory. */
struct error_groups *error_groups_new(void);
/** Accepts NULL. */
void error_groups_free(struct error_groups *g);
/** Borrows sync for as long as the groups are. Errors: ERR_NOMEM. */
enum err_code error_groups_add(struct error_groups *g, const char *sync,
                               const struct rejected *r) MUST_CHECK;
/** Sorted; borrowed until the next add. */
const struct error_group *error_groups_list(struct error_groups *g, size_t *ret_count,
                                            uint64_t *ret_other);

#endif
