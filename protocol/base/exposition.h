/*
 * Writes metrics in Prometheus' text format (exposition formats, version 0.0.4).
 *
 * A metric is begun once, with its help and type, and all its samples follow. The first error is
 * kept and nothing is written after it, so that a caller checks once, at the end. Label values may
 * hold anything: they are escaped. One thread.
 */
#ifndef SLUICE_BASE_EXPOSITION_H
#define SLUICE_BASE_EXPOSITION_H

#include "protocol/base/buf.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct histogram;

struct label {
    const char *name; /* NULL ends the list */
    const char *value;
};

struct exposition {
    struct buf *out;
    enum err_code failed;
    const char *metric;
};

/** Borrows out. */
void exposition_init(struct exposition *x, struct buf *out);
/** type: counter, gauge or histogram. Name and help are borrowed until the next metric. */
void exposition_begin(struct exposition *x, const char *metric, const char *type, const char *help);
/** labels NULL: none. */
void exposition_count(struct exposition *x, const struct label *labels, uint64_t value);
/** NaN and the infinities are written as the format has them. */
void exposition_number(struct exposition *x, const struct label *labels, double value);
void exposition_histogram(struct exposition *x, const struct label *labels,
                          const struct histogram *h);

#define LABELS(...)                                                                                \
    (const struct label[])                                                                         \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }

#endif
