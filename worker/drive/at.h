/*
 * One HTTP destination as this worker delivers to it; inside of the generic driver only.
 */
#ifndef SLUICE_DRIVE_AT_H
#define SLUICE_DRIVE_AT_H

#include "worker/deliver/prelude.h"
#include "worker/drive/plans.h"
#include "worker/drive/work.h"

struct ensured;

struct at {
    const struct destination *destination;
    struct work_context context;
    struct plans *plans;
    struct prelude *token;   /* NULL: none is needed */
    struct ensured *ensured; /* by object and star */
    bool ensures;            /* some object has ensure steps */
    struct arena scratch;    /* of the call under way */
};

/** Renders the step that w is at, into out, and keeps a copy of what w says with it. found and
 * left_out: as in render_input. */
enum err_code at_render(struct at *at, const struct work *w, const struct delivery *d,
                        struct rendered *out, struct err *err) MUST_CHECK;

/** What the answer to r means, r->work being its work. */
enum err_code at_judge(struct at *at, const struct delivery *d, struct rendered *r,
                       const struct http_answer *answer, struct judged *ret_judged,
                       struct err *err) MUST_CHECK;

/** w is rendered: notes with which token. */
void at_note_token(struct at *at, struct work *w);

/** Another token is needed than the one that r was made with. */
void at_refuse_token(struct at *at, const struct rendered *r);

#endif
