/* A project folder of a test's own, and what loading it says. */
#ifndef SLUICE_TESTS_CONFIG_FOLDER_H
#define SLUICE_TESTS_CONFIG_FOLDER_H

#include "protocol/config/config.h"

struct folder {
    char path[64];
    struct project *project; /* NULL where there are mistakes */
    struct problem_list problems;
    enum err_code rc;
};

void folder_init(struct folder *f);
/** Removes it and what was loaded from it. */
void folder_done(struct folder *f);
/** Writes a file, making the folders above it. */
void folder_write(const struct folder *f, const char *name, const char *text);
void folder_write_bytes(const struct folder *f, const char *name, const void *bytes, size_t n);
void folder_load(struct folder *f);
/** Writes text as sluice.yaml and loads. */
void folder_load_text(struct folder *f, const char *text);
/** The same; a mistake fails the test. */
void folder_load_good(struct folder *f, const char *text);
/** True when some problem stands at "file:line:col" and its text has words in it. */
bool folder_says(const struct folder *f, const char *place, const char *words);
void folder_print(const struct folder *f);

struct folder_case {
    const char *text;  /* of sluice.yaml */
    const char *place; /* line:col there; NULL ends a table */
    const char *words;
};
/** Each text has one mistake alone, at its place, with these words; no message has the secret. */
void folder_check_cases(const struct folder_case *cases, const char *secret);

#endif
