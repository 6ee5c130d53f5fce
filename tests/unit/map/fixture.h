/* A sync with a model of given columns, written by hand, as the configuration would give it. */
#ifndef SLUICE_TESTS_MAP_FIXTURE_H
#define SLUICE_TESTS_MAP_FIXTURE_H

#include "scheduler/map/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define TXT(s)                                                                                     \
    {                                                                                              \
        VALUE_TEXT, sizeof(s) - 1, (s)                                                             \
    }
#define NUM(s)                                                                                     \
    {                                                                                              \
        VALUE_NUMBER, sizeof(s) - 1, (s)                                                           \
    }
#define JSN(s)                                                                                     \
    {                                                                                              \
        VALUE_JSON, sizeof(s) - 1, (s)                                                             \
    }
#define NUL                                                                                        \
    {                                                                                              \
        VALUE_NULL, 0, NULL                                                                        \
    }
#define YES                                                                                        \
    {                                                                                              \
        VALUE_TRUE, 0, NULL                                                                        \
    }
#define NO                                                                                         \
    {                                                                                              \
        VALUE_FALSE, 0, NULL                                                                       \
    }
#define BAD(s)                                                                                     \
    {                                                                                              \
        VALUE_BAD, sizeof(s) - 1, (s)                                                              \
    }

enum { MAPPINGS = 12 };

struct fixture {
    const char *primary[2];
    struct model model;
    struct mapping mappings[MAPPINGS];
    struct sync sync;
};

static inline void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.primary = {"id"}};
    f->model = (struct model){.name = "customers",
                              .primary_key = f->primary,
                              .primary_key_count = 1,
                              .place = {"models.yaml", 3, 5}};
    f->sync = (struct sync){.name = "customers_to_crm",
                            .model = &f->model,
                            .mappings = f->mappings,
                            .place = {"syncs.yaml", 2, 3}};
}

/* Adds a mapping with a path of one name; line 10 onwards. */
static inline struct mapping *fixture_map(struct fixture *f, enum mapping_kind kind,
                                          const char *from, const char *to)
{
    size_t i = f->sync.mapping_count++;
    struct mapping *m = &f->mappings[i];
    *m = (struct mapping){.kind = kind, .to = to, .place = {"syncs.yaml", (uint32_t)(10 + i), 9}};
    m->path = &m->to;
    m->path_count = 1;
    if (kind == MAPPING_CONSTANT)
        m->constant = from;
    else
        m->from = from;
    return m;
}

static inline bool same_value(struct value a, struct value b)
{
    return a.kind == b.kind && slice_eq(value_slice(a), value_slice(b));
}

static inline void assert_value(struct value want, struct value got)
{
    if (!same_value(want, got))
        fail_msg("wanted kind %d '%.*s', got kind %d '%.*s'", (int)want.kind, (int)want.n,
                 want.p ? want.p : "", (int)got.kind, (int)got.n, got.p ? got.p : "");
}

#endif
