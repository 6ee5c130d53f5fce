/*
 * Renders one step of a connector: a batch's records become one HTTP request.
 *
 * A render plan is compiled once per (destination, object, step, set of fields) into flat programs
 * of text between values; running it costs no name lookup, no parsing and no allocation per record.
 * What changes per request comes in a render_input. No I/O, no clock. Read-only after compiling.
 */
#ifndef SLUICE_DELIVER_RENDER_H
#define SLUICE_DELIVER_RENDER_H

#include "protocol/connector/connector.h"
#include "worker/deliver/driver.h"

struct render_plan;

/* For whom a plan is made; all borrowed for its life. */
struct render_context {
    const struct connector *connector;
    const struct destination *destination; /* with its option values */
    const char *const *options;            /* one per connector->options; NULL: not set */
    const struct auth *auth;               /* NULL: none */
    const struct object *object;
    struct slice star; /* what * in the object's name stands for */
    const struct step *step;
};

/** head: names of keys and fields, policies; NULL for requests without records. Errors: ERR_CONFIG
 * (a field that the template cannot place, in words for people), ERR_INVALID (a head without
 * sense), ERR_NOMEM. Owned: render_plan_free. */
enum err_code render_plan_new(const struct render_context *context, const struct batch_head *head,
                              struct render_plan **ret_plan, struct err *err) MUST_CHECK;
void render_plan_free(struct render_plan *plan);

/** Appends bytes that are equal for two heads exactly when one plan serves both. */
enum err_code render_plan_key(struct buf *out, const struct batch_head *head) MUST_CHECK;

/* What changes from request to request. */
struct render_input {
    const struct delivery *delivery; /* NULL: a request without records */
    const struct slice *vars;        /* one per connector->vars; p NULL: not known */
    const struct slice *auth_vars;   /* one per connector->auth_vars; p NULL: not known */
    const struct slice
        *found; /* one per record, by position; NULL: nothing was looked up; p NULL: not found */
    const uint64_t *left_out; /* one per record: bit b: the b-th field that has a policy is not
                                 sent; NULL: all are */
    int64_t now_ms;           /* wall clock */
};

/** Renders into out (which it resets; headers may point into the plan). Errors: ERR_FULL above
 * RENDERED_BODY_MAX or the request's bytes, ERR_INVALID (the batch cannot be read), ERR_NOMEM,
 * ERR_CONFIG (a header or URL that HTTP does not allow), ERR_REFUSED (a URL's path needs a value
 * that the request's one record does not have, or a join one that this record's is not: this record
 * never; ERR_FULL while there are others), ERR_BUG (a request for one
 * record is given several). */
enum err_code render_step(struct render_plan *plan, const struct render_input *in,
                          struct rendered *out, struct err *err) MUST_CHECK;

/** The text that {{trace}} gives for an ordinal, at most 11 bytes and NUL; and its reverse, false
 * where text is none. */
void render_trace(uint32_t ordinal, char *out);
bool render_trace_parse(struct slice text, uint32_t *ret_ordinal);

/** Renders a template that stands where no record is (auth headers, token requests) into out, raw
 * or percent-encoded. */
enum err_code render_template(const struct render_context *context, const struct template *t,
                              const struct render_input *in, bool encode, struct buf *out,
                              struct err *err) MUST_CHECK;

#endif
