/*
 * Connectors for the worker's tests, from short texts: templates as "{{key}}/x", trees as JSON with
 * the grammar's words ({"$records": …}). A mistake in such a text aborts the test.
 */
#ifndef SLUICE_TESTS_WORKER_KIT_H
#define SLUICE_TESTS_WORKER_KIT_H

#include "protocol/base/arena.h"
#include "worker/deliver/render.h"

enum { KIT_OPTIONS_MAX = 8, KIT_VARS_MAX = 4, KIT_QUERY_MAX = 8 };

/* One connector with one object, one request and one step, all of which a test may alter before
 * kit_plan. */
struct kit {
    struct arena arena;
    struct connector connector;
    struct option options[KIT_OPTIONS_MAX];
    const char *option_values[KIT_OPTIONS_MAX];
    const char *vars[KIT_VARS_MAX];
    struct object object;
    struct request request;
    struct step step;
    struct auth auth;
    struct destination destination;
    struct render_context context;
    /* of the last kit_render */
    struct buf payload;
    struct batch_reader *reader;
    struct render_plan *plan;
    struct rendered rendered;
};

/* What a batch has beside its records: sync "s", run "r", id "b", part "p"; attempt 3. */
struct kit_batch {
    const char *const *keys;   /* NULL at the end */
    const char *const *fields; /* likewise; dots between levels */
    const uint8_t *policies;   /* one per field; NULL: none */
    uint32_t sequence;
    bool last;
    uint32_t planned; /* 0: as many as there are */
};

/** A POST without a body to http://x/in that has no auth. */
void kit_init(struct kit *k);
void kit_done(struct kit *k);

/** Options and variables must be declared before a template names them. */
void kit_option(struct kit *k, const char *name, enum option_kind kind, const char *value);
void kit_var(struct kit *k, const char *name);
struct template kit_template(struct kit *k, const char *text);
const struct tree *kit_tree(struct kit *k, const char *json);
/** "name: template" lines, NULL at the end; *ret_count of them. */
const struct named_template *kit_named(struct kit *k, size_t *ret_count, const char *const *pairs);
/** The step's body becomes this tree. */
void kit_json(struct kit *k, const char *json);

/** Renders these records into k->rendered. in->delivery is set here. */
enum err_code kit_render(struct kit *k, const struct kit_batch *b, const struct record *records,
                         uint32_t count, struct render_input *in, struct err *err) MUST_CHECK;

#endif
