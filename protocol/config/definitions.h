/*
 * What was written under each name of a project, key by key, so that two versions of it can be told
 * apart in the words that people wrote.
 *
 * Values count as they are once the environment is put in; the order of keys does not. Digests are
 * compared within one process and never leave it, since secrets are among what they are of. Plain
 * data in the project's arena, read-only.
 */
#ifndef SLUICE_CONFIG_DEFINITIONS_H
#define SLUICE_CONFIG_DEFINITIONS_H

#include "protocol/config/config.h"

struct definition_key {
    const char *key;
    uint64_t digest;
};

struct definition {
    const char *noun; /* "sync", "model", …; "settings" */
    const char *name; /* "" of settings */
    const struct definition_key *keys;
    size_t key_count;
};

/** NULL: the project has none of that name. */
const struct definition *definition_of(const struct project *project, const char *noun,
                                       const char *name);
/** Calls each key that only one of them has or whose values differ, in a's order and then b's. A
 * definition that is NULL has no keys. Returns how many there were. */
size_t definition_differs(const struct definition *a, const struct definition *b,
                          void (*each)(void *ctx, const char *key), void *ctx);

#endif
