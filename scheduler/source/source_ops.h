/*
 * What stands behind source.h: one table of functions per kind of warehouse.
 *
 * An implementation embeds struct source_read first and keeps the contract of source.h; the
 * conformance tests of tests/unit/source run against each of them.
 */
#ifndef SLUICE_SOURCE_SOURCE_OPS_H
#define SLUICE_SOURCE_SOURCE_OPS_H

#include "scheduler/source/source.h"

struct source_ops {
    const char *type; /* the word in the configuration */
    enum err_code (*start)(struct event_base *base, const struct model *model, const char *snapshot,
                           const struct source_events *events, struct source_read **ret_read,
                           struct err *err);
    void (*pause)(struct source_read *read);
    void (*resume)(struct source_read *read);
    void (*free)(struct source_read *read);
    uint64_t (*bytes)(const struct source_read *read);
    bool (*lost_snapshot)(const struct source_read *read);
};

struct source_read {
    const struct source_ops *ops;
};

extern const struct source_ops postgres_source_ops;

#endif
