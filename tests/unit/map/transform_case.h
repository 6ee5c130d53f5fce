/* A value, transforms, and what must come out of them. */
#ifndef SLUICE_TESTS_MAP_TRANSFORM_CASE_H
#define SLUICE_TESTS_MAP_TRANSFORM_CASE_H

#include "tests/unit/map/fixture.h"

#include <stdlib.h>

enum { STEPS = 4 };

struct transform_case {
    enum column_type type;
    struct value in;
    struct value want; /* VALUE_BAD: an error that holds these words */
    struct transform steps[STEPS];
};

#define T(k)                                                                                       \
    {                                                                                              \
        .kind = TRANSFORM_##k                                                                      \
    }
#define STEP_END                                                                                   \
    {                                                                                              \
        .kind = (enum transform_kind)99                                                            \
    }
#define DATE(s)                                                                                    \
    {                                                                                              \
        {.kind = TRANSFORM_DATE, .text = (s)}, STEP_END                                            \
    }
#define SUBSTRING(f, l)                                                                            \
    {                                                                                              \
        {.kind = TRANSFORM_SUBSTRING, .from = (f), .length = (l)}, STEP_END                        \
    }
#define REPLACE(p, w)                                                                              \
    {                                                                                              \
        {.kind = TRANSFORM_REPLACE, .text = (p), .with = (w)}, STEP_END                            \
    }
#define SPLIT(s)                                                                                   \
    {                                                                                              \
        {.kind = TRANSFORM_SPLIT, .text = (s)}, STEP_END                                           \
    }
#define JOIN(s)                                                                                    \
    {                                                                                              \
        {.kind = TRANSFORM_JOIN, .text = (s)}, STEP_END                                            \
    }
#define ONE(k)                                                                                     \
    {                                                                                              \
        T(k), STEP_END                                                                             \
    }

static inline size_t step_count(const struct transform_case *c)
{
    size_t n = 0;
    while (n < STEPS && c->steps[n].kind != (enum transform_kind)99)
        n++;
    return n;
}

static inline enum err_code run_case(const struct transform_case *c,
                                     struct map_program **ret_program, struct value *ret,
                                     struct err *err)
{
    struct fixture f;
    const struct column columns[] = {{"id", "integer", COLUMN_INT}, {"x", "t", c->type}};
    fixture_init(&f);
    struct mapping *m = fixture_map(&f, MAPPING_COLUMN, "x", "field");
    m->transforms = c->steps;
    m->transform_count = step_count(c);
    enum err_code rc = map_compile(&f.sync, columns, 2, ret_program, err);
    if (rc)
        fail_msg("does not compile: %s", err->text);
    const struct value values[] = {NUM("1"), c->in};
    struct mapped mapped;
    rc = map_run(*ret_program, &(struct row){values, 2}, &mapped, err);
    *ret = mapped.fields[0];
    return rc;
}

static inline void check_cases(const struct transform_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct map_program *p = NULL;
        struct value got;
        struct err err = {0};
        enum err_code rc = run_case(&cases[i], &p, &got, &err);
        struct value want = cases[i].want;
        if (want.kind == VALUE_BAD && (rc != ERR_INVALID || !strstr(err.text, want.p)))
            fail_msg("case %zu: wanted error '%s', got %d '%s'", i, want.p, rc, err.text);
        if (want.kind != VALUE_BAD && rc)
            fail_msg("case %zu: %s", i, err.text);
        if (want.kind != VALUE_BAD && !same_value(want, got))
            fail_msg("case %zu: wanted kind %d '%.*s', got kind %d '%.*s'", i, (int)want.kind,
                     (int)want.n, want.p ? want.p : "", (int)got.kind, (int)got.n,
                     got.p ? got.p : "");
        map_free(p);
    }
}

#define CHECK(cases) check_cases(cases, ARRAY_LEN(cases))

#endif
