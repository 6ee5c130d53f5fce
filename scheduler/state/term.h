/*
 * The term of a state: which of all the schedulers that ever worked on it, or on a copy of it, is
 * the newest.
 *
 * A scheduler raises it once, before it opens anything in Redis; Redis remembers the highest that
 * it has seen of this state. So of two schedulers on copies of one state only the later one goes
 * on, and a state that fell behind knows it. One thread.
 */
#ifndef SLUICE_STATE_TERM_H
#define SLUICE_STATE_TERM_H

#include "scheduler/state/state.h"

enum { TERM_HOLDER_BYTES = 33, TERM_BOOT_BYTES = 40 };

struct state_term {
    uint64_t number;                /* 0: no scheduler has worked on it so far */
    char holder[TERM_HOLDER_BYTES]; /* hex, of the scheduler's start: two copies can raise theirs to
                                       one number */
    char boot[TERM_BOOT_BYTES];     /* the machine's start that it ran in */
};

/** What the last scheduler left. *ret_copy: its file is another one now: the state was copied or
 * restored. */
enum err_code state_term_get(struct state *s, struct state_term *ret, bool *ret_copy,
                             struct err *err) MUST_CHECK;
/** Raises it above both its own number and above; a new holder. Durable with the next commit. */
enum err_code state_term_raise(struct state *s, uint64_t above, struct state_term *ret,
                               struct err *err) MUST_CHECK;
/** Redis saw this number and holder: is our own term older than that, or another one of that
 * number? */
bool state_term_is_behind(const struct state_term *own, uint64_t number, const char *holder);
/** The machine's start, as the kernel names it; empty where it does not. */
void state_term_boot(char out[TERM_BOOT_BYTES]);

#endif
