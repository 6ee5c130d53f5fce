/*
 * The parts of loading, in the order load.c calls them: each reads one section's entries into the
 * project and reports what is wrong there. References go backwards only, so they are pointers at
 * once.
 */
#ifndef SLUICE_CONFIG_PARTS_H
#define SLUICE_CONFIG_PARTS_H

#include "protocol/config/reader.h"

enum {
    WEBHOOK_BATCH_SIZE = 500,
    WEBHOOK_BATCH_MAX = 10000,
    WEBHOOK_BATCH_BYTES = 4 << 20,
    WEBHOOK_BATCH_BYTES_MAX = 64 << 20,
};

/** node: the map under `settings`, NULL for the defaults. */
void settings_read(struct reader *rd, const struct entry *settings);
void sources_read(struct reader *rd);
void models_read(struct reader *rd);
void destinations_read(struct reader *rd);
/** Destinations of one quota must state the same limits. */
void quotas_check(struct reader *rd);
void syncs_read(struct reader *rd);
/** `alerts` and `connectors`, which later versions carry out. */
void extras_read(struct reader *rd);

/** A webhook's own keys. url, bearer … are read already; d->headers and what depends on them are
 * not. */
struct webhook_nodes {
    const struct node *headers;
    const struct node *basic;
    const struct node *sign;
};
void webhook_read(struct reader *rd, const struct entry *of, const struct webhook_nodes *nodes,
                  struct destination *d);
/** Fills d->fingerprint. */
void fingerprint_make(struct reader *rd, struct destination *d);

/** Mappings into sync, `all` included. */
void mappings_read(struct reader *rd, const struct node *node, struct sync *sync);
/** One mapping's `transform`. */
void transforms_read(struct reader *rd, const struct node *node, struct mapping *mapping);
struct transform_list {
    struct transform *items;
    size_t count;
};
/** node: one transform or a list of them; names of recipes become their transforms. */
void transform_list_read(struct reader *rd, const struct node *node, struct transform_list *ret);
/** True where name is a transform's. */
bool transform_is(const char *name);
/** Two mappings must not fill the same field, nor one field inside another's. */
void mappings_check(struct reader *rd, const struct sync *sync);
bool mapping_is_to(const struct mapping *mapping, const char *field);

/** guard may be NULL; sync->mode is set. */
void guard_read(struct reader *rd, const struct node *node, struct sync *sync);
/** `after` is resolved by schedules_link, when all syncs are known. */
void schedule_read(struct reader *rd, const struct node *node, struct sync *sync);
void schedules_link(struct reader *rd);

/** NULL where text is a cron line of five fields or a word such as @daily; else what is wrong with
 * it. */
const char *cron_problem(const char *text);
/** A mistake where the time zone database is installed and does not have this zone. */
void timezone_check(struct reader *rd, const struct node *node);

#endif
