/*
 * A golden case: a folder with case.yaml that says which records go where, which requests must come
 * of it, what is answered, and what becomes of the records (README.md here).
 *
 * The case is kept as JSON. What it needs of a project is written as one and read by the real
 * loader; records go through the real mappings into a real batch. Ends the program with words on
 * everything that a case's author can get wrong.
 */
#ifndef SLUICE_GOLDEN_GOLDEN_H
#define SLUICE_GOLDEN_GOLDEN_H

#include <jansson.h>

#include "protocol/base/buf.h"
#include "protocol/config/config.h"
#include "protocol/wire/batch.h"

enum { GOLDEN_TEXT_MAX = 64 << 20 };

struct golden {
    const char *path; /* of case.yaml */
    json_t *root;
    struct project *project;
    const struct sync *sync;
    struct buf batch; /* sealed */
    uint32_t records;
    int64_t now_ms;
};

/** Says what is wrong with the case, and ends with status 2. */
void golden_fail(const char *path, const char *fmt, ...) PRINTF_LIKE(2, 3) NORETURN;

/* ---- golden_case.c ---- */

/** Reads the case; the rest of g stays empty. */
void golden_read(struct golden *g, const char *path);
void golden_done(struct golden *g);
/** A member that must be there. */
json_t *golden_get(const struct golden *g, const json_t *map, const char *name);
/** Writes the case again, as block YAML behind the comments that it began with. */
void golden_write(const struct golden *g);

/* ---- golden_project.c ---- */

/** Makes the project and the batch. */
void golden_make(struct golden *g);

/* ---- golden_compare.c ---- */

/* Differences found; each is printed with the place where it is. */
struct differences {
    const char *path; /* of the case */
    const char *at;   /* "request 2" */
    unsigned count;
};
void differ(struct differences *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void compare_json(struct differences *d, const char *place, const json_t *expected,
                  const json_t *actual);
void compare_text(struct differences *d, const char *place, const char *expected,
                  struct slice actual);

#endif
