/* The model of the mapping tests: columns, one plain row, and a program compiled for them. */
#ifndef SLUICE_TESTS_MAP_CUSTOMERS_H
#define SLUICE_TESTS_MAP_CUSTOMERS_H

#include "tests/unit/map/fixture.h"

#include <stdlib.h>

static const struct column columns[] = {
    {"id", "integer", COLUMN_INT},       {"email", "text", COLUMN_TEXT},
    {"first_name", "text", COLUMN_TEXT}, {"last_name", "text", COLUMN_TEXT},
    {"active", "boolean", COLUMN_BOOL},  {"tags", "jsonb", COLUMN_JSON},
};
enum { COLUMNS = ARRAY_LEN(columns) };
static const struct value plain[COLUMNS] = {
    NUM("42"), TXT("Mary@Example.com"), TXT("Mary"), TXT("Jones"), YES, JSN("[1,2]")};

static inline struct map_program *compiled(const struct fixture *f)
{
    struct map_program *p = NULL;
    struct err err;
    if (map_compile(&f->sync, columns, COLUMNS, &p, &err))
        fail_msg("does not compile: %s", err.text);
    return p;
}

#endif
