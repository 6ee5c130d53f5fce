/*
 * One transform of a mapping, compiled: a value in, a value out.
 *
 * Reads its value and its own constants, writes new text into the row's scratch memory. NULL never
 * reaches a step: it passes all of them. Errors say what is wrong with the value, never its
 * content.
 */
#ifndef SLUICE_MAP_STEP_H
#define SLUICE_MAP_STEP_H

#include "protocol/base/arena.h"
#include "protocol/base/value.h"
#include "protocol/config/config.h"
#include "scheduler/map/digester.h"
#include "scheduler/map/moment.h"
#include "scheduler/map/scratch.h"

struct step_replace; /* a compiled pattern */
struct step_hmac;    /* a prepared key */

struct step_table_entry {
    struct slice from;
    struct value to;
};

struct step {
    const struct step_kind *kind;
    bool of_bytes;     /* the value is the base64 text of bytes, and the bytes are meant */
    struct slice text; /* NUL-terminated, as in the configuration */
    const char *with;
    int64_t from;
    int64_t length;
    enum date_format format;
    struct step_table_entry *table; /* sorted by from */
    size_t table_count;
    bool has_fallback;
    struct value fallback;
    struct step_replace *replace; /* owned */
    const struct step_hmac *hmac; /* in the program's arena */
    struct step *inner;           /* applied only to some values; in the arena, too */
    size_t inner_count;
};

/* What all steps of a program share. */
struct step_env {
    struct scratch scratch;
    struct digester *digester; /* owned; made when a step needs it */
};

typedef enum err_code step_fn(struct step_env *env, const struct step *step, struct value *v,
                              struct err *err);

struct step_kind {
    const char *name;
    const char *needs; /* in words, for messages */
    unsigned takes;    /* bits of enum value_kind */
    unsigned gives;
    step_fn *run;
};

/* What is known of a value before any row was read. */
struct step_input {
    unsigned kinds; /* bits of enum value_kind, VALUE_NULL aside */
    bool is_bytes;
    const char *what; /* column "x" (integer), for messages */
};

void step_env_done(struct step_env *env);

/** Compiles t; *input becomes what is known of its output. Errors: ERR_CONFIG without a place,
 * ERR_NOMEM. */
enum err_code step_compile(struct step *step, const struct transform *t, struct step_env *env,
                           struct arena *arena, struct step_input *input,
                           struct err *err) MUST_CHECK;
void step_done(struct step *step);
/** Applies step to *v, which is not NULL. Errors: ERR_INVALID with a sentence that names the
 * transform. */
enum err_code step_run(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err) MUST_CHECK;

/** The word of a transform in YAML; never changes, since fingerprints are taken over it. */
const char *step_name(enum transform_kind kind);

#endif
