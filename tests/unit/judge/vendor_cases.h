/* Answers of a vendor to one request of its built-in connector, and what is made of each. */
#ifndef SLUICE_TESTS_VENDOR_CASES_H
#define SLUICE_TESTS_VENDOR_CASES_H

#include "tests/unit/judge/judging.h"

enum { NONE = -1 };

struct vendor_case {
    const char *step; /* by its name; NULL: the last one of the request */
    uint32_t status;
    const char *body;
    const char *headers; /* NULL: none */
    enum rule_do act;
    const char *entries; /* NULL: none */
    const char *words;   /* NULL: any */
    int64_t wait_ms;
    bool bug;
};

struct vendor {
    const char *connector;
    const char *object;
    enum record_op op;
    const char *identify_by;
    const char *keys; /* one record each */
    const struct vendor_case *cases;
    size_t count;
};

/** Judges every answer; one that is judged otherwise fails the test. */
void check_vendor(const struct vendor *vendor);

#define VENDOR(connector, object, op, by, keys, list)                                              \
    check_vendor(&(struct vendor){connector, object, op, by, keys, list, ARRAY_LEN(list)})

#endif
