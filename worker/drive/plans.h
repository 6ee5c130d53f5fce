/*
 * The render plans and answer rules of one destination, compiled once for each step and each set of
 * names, and kept: up to PLANS_KEPT of them, the one that was not used for longest goes first.
 *
 * A plan is borrowed until the next plans_get. One thread.
 */
#ifndef SLUICE_DRIVE_PLANS_H
#define SLUICE_DRIVE_PLANS_H

#include "worker/judge/answer.h"
#include "worker/deliver/render.h"
#include "worker/drive/work.h"

enum { PLANS_KEPT = 64 };

struct plans;

/* Both are made for the same step. */
struct plan {
    struct render_plan *render;
    struct answer_rules *rules;
};

/** Returns NULL when memory is out. context and destination are borrowed. */
struct plans *plans_new(const struct work_context *context, const struct destination *destination);
/** Accepts NULL. */
void plans_free(struct plans *plans);

/* Which one. */
struct plan_wanted {
    const struct object *object;
    struct slice star;
    const struct step *step;
    uint32_t step_index; /* in its course */
    const struct batch_head *head;
};
/** Errors: ERR_CONFIG, ERR_NOMEM. */
enum err_code plans_get(struct plans *plans, const struct plan_wanted *wanted,
                        struct plan *ret_plan, struct err *err) MUST_CHECK;

#endif
