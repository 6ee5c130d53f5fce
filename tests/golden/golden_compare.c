#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>

void differ(struct differences *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s: %s: ", d->path, d->at);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    d->count++;
}

static void differ_values(struct differences *d, const char *place, const json_t *expected,
                          const json_t *actual)
{
    char *e = expected ? json_dumps(expected, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *a = actual ? json_dumps(actual, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    differ(d, "%s\n    expected %s\n    but got  %s", *place ? place : "/", e ? e : "nothing",
           a ? a : "nothing");
    free(e);
    free(a);
}

static void compare_objects(struct differences *d, const char *place, const json_t *expected,
                            const json_t *actual)
{
    enum { PLACE_BYTES = 1024 };
    char below[PLACE_BYTES];
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)expected, key, v)
    {
        snprintf(below, sizeof below, "%s/%s", place, key);
        compare_json(d, below, v, json_object_get(actual, key));
    }
    json_object_foreach((json_t *)(uintptr_t)actual, key, v)
    {
        snprintf(below, sizeof below, "%s/%s", place, key);
        if (!json_object_get(expected, key))
            differ_values(d, below, NULL, v);
    }
}

static void compare_arrays(struct differences *d, const char *place, const json_t *expected,
                           const json_t *actual)
{
    enum { PLACE_BYTES = 1024 };
    char below[PLACE_BYTES];
    size_t n = json_array_size(expected), m = json_array_size(actual);
    for (size_t i = 0; i < n || i < m; i++) {
        snprintf(below, sizeof below, "%s/%zu", place, i);
        const json_t *e = json_array_get(expected, i), *a = json_array_get(actual, i);
        if (e && a)
            compare_json(d, below, e, a);
        else
            differ_values(d, below, e, a);
    }
}

/* 1 and 1.0 are the same number. */
static bool same_number(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) == json_integer_value(b);
    return json_is_number(a) && json_is_number(b) && json_number_value(a) == json_number_value(b);
}

void compare_json(struct differences *d, const char *place, const json_t *expected,
                  const json_t *actual)
{
    if (json_is_object(expected) && json_is_object(actual))
        compare_objects(d, place, expected, actual);
    else if (json_is_array(expected) && json_is_array(actual))
        compare_arrays(d, place, expected, actual);
    else if (!actual || (!same_number(expected, actual) &&
                         !json_equal((json_t *)(uintptr_t)expected, (json_t *)(uintptr_t)actual)))
        differ_values(d, place, expected, actual);
}

void compare_text(struct differences *d, const char *place, const char *expected,
                  struct slice actual)
{
    if (slice_eq_str(actual, expected))
        return;
    differ(d, "%s\n    expected %s\n    but got  %.*s", place, expected, (int)actual.n, actual.p);
}
