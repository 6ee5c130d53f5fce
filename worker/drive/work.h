/*
 * What a batch needs done next: which object and request its records go by, at which step it is,
 * and what is known by now.
 *
 * A function of the connector, the batch and its progress: no I/O, no clock but the delivery's.
 * Everything found lives in the given arena, or as long as the delivery. One thread.
 */
#ifndef SLUICE_DRIVE_WORK_H
#define SLUICE_DRIVE_WORK_H

#include "protocol/connector/connector.h"
#include "worker/deliver/driver.h"
#include "worker/deliver/progress.h"

/* A list of steps, which are carried out one after another. */
struct course {
    const struct step *steps;
    uint32_t count;
    uint32_t conflicts; /* of the batch, as batch_conflicts */
};

/* For what a destination is used; borrowed by everything below. */
struct work_context {
    const struct connector *connector;
    const char *const *options; /* one per connector->options; NULL: not set */
    const struct auth *auth;    /* NULL: none */
};

struct work {
    const struct work_context *context;
    const struct object *object;
    struct slice star; /* what * in the object's name stands for */
    struct course request;
    struct progress progress;
    uint32_t step;             /* of request: the one to be carried out now */
    uint64_t token_generation; /* of the token it was rendered with */
    bool token_new;            /* which this worker got, and which nobody here used before */
};

/**
 * Finds the object, the request of the batch's first record, and the first step from the progress
 * on that is to be carried out. ensured: one per connector->vars, known by ensure steps; p NULL:
 * not known; NULL: none. They count where the batch has no progress yet. Errors: ERR_CONFIG (no
 * such object, it cannot do that, nothing is to be carried out), ERR_FULL (more records than one
 * request may hold), ERR_INVALID, ERR_NOMEM.
 */
enum err_code work_find(const struct work_context *context, const struct delivery *d,
                        const struct slice *ensured, struct arena *a, struct work *ret_work,
                        struct err *err) MUST_CHECK;

/** The object of a batch alone. Errors: ERR_CONFIG, ERR_NOMEM. */
enum err_code work_object(const struct work_context *context, const struct batch_head *head,
                          struct arena *a, const struct object **ret_object, struct slice *ret_star,
                          struct err *err) MUST_CHECK;

static inline const struct step *work_step(const struct work *w)
{
    return &w->request.steps[w->step];
}

/** The first step at or after from that is to be carried out with these vars; count: none is. */
uint32_t course_next(const struct work_context *context, const struct course *c, uint32_t from,
                     const struct slice *vars);

/** How long after the step before it this one is carried out. */
uint64_t course_first_ms(const struct work_context *context, const struct step *step);
/** How long after the `polls`-th pending answer it is repeated. */
uint64_t course_again_ms(const struct work_context *context, const struct step *step,
                         uint32_t polls);
/** How long it may stay pending. */
uint64_t course_deadline_ms(const struct step *step);

/** Whether an option holds a text that means yes: neither empty nor false. */
bool work_option_set(const struct work_context *context, int32_t option);

#endif
