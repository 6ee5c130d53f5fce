/* A compiled mapping program from the inside; private to this folder. */
#ifndef SLUICE_MAP_PROGRAM_H
#define SLUICE_MAP_PROGRAM_H

#include "scheduler/map/map.h"
#include "scheduler/map/step.h"
#include "scheduler/map/template.h"

enum field_kind {
    FIELD_COPY,     /* a column as it is */
    FIELD_COLUMN,   /* a column through steps */
    FIELD_TEMPLATE, /* a template through steps */
    FIELD_CONSTANT, /* computed when compiling; its value lies in the program's values for good */
};

/* One target field. */
struct field {
    struct field_path path;
    struct slice name; /* the path joined by dots */
    const char *to;    /* as written in the mapping */
    enum field_kind kind;
    uint16_t column;
    struct template template;
    struct step *steps;
    size_t step_count;
    struct value constant;
    struct value on_null;          /* what a NULL becomes: the default, NULL or ABSENT */
    const struct mapping *mapping; /* NULL with `mappings: all` */
};

struct map_program {
    struct arena arena;
    struct step_env env;
    const char **column_names;
    size_t column_count;
    uint8_t *used;        /* one per column */
    struct field *fields; /* in the order of their paths */
    struct field_path *paths;
    struct value *values;
    size_t field_count;
    struct slice *key_names;
    size_t key_count;
    uint16_t *primary_columns;
    struct value *primary;
    size_t primary_count;
    int identity; /* index of the identify_by field, -1: the primary key names the record */
    bool has_identity;
    int lane;
    int32_t lane_field;      /* index of a field, -1: none */
    int32_t newest;          /* index of the field with the record's timestamp, -1: none */
    const uint8_t *policies; /* one per field; NULL: all overwrite */
    uint16_t *any_of;        /* fields of which a record must have one */
    size_t any_of_count;
    const char *any_of_words; /* what is said of a row that has none; NULL: it need not */
    struct map_digest names_digest;
    struct map_digest fingerprint;
};

/** Computes names_digest and fingerprint of a program that is otherwise ready. */
enum err_code map_digest_program(struct map_program *p, const struct sync *sync,
                                 struct err *err) MUST_CHECK;

/** Steps of a field on a value that may be NULL, and what becomes of a NULL. Errors: as step_run.
 */
enum err_code map_run_steps(struct step_env *env, const struct field *field, struct value *v,
                            struct err *err) MUST_CHECK;

#endif
