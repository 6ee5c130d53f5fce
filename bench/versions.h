/*
 * What a receiver holds of records that carry a version: per id the newest one, and what was wrong.
 *
 * Reads bodies of the webhook's compact JSON, in the order in which they came: `"op":…`, the number
 * that is the key, and among the fields `"version":N`, which grows with every change of a row, and
 * `"at":N`, when the row was changed (µs of CLOCK_MONOTONIC). A version that is below the one
 * before it, or not above that of a row which was deleted, has gone back. Grows with the greatest
 * id, up to VERSIONS_IDS_MAX. One thread.
 */
#ifndef BENCH_VERSIONS_H
#define BENCH_VERSIONS_H

#include <stddef.h>
#include <stdint.h>

enum { VERSIONS_IDS_MAX = 1 << 26 };

struct versions;

struct versions_count {
    uint64_t upserts, deletes;
    uint64_t rows;    /* that are there */
    uint64_t back;    /* records whose version went back */
    uint64_t strange; /* records without a key or a version that can be read */
};

/** NULL: no memory. */
struct versions *versions_new(void);
void versions_reset(struct versions *v);
void versions_forget_latencies(struct versions *v);
/** Takes a body in; gives how many records it had. */
uint64_t versions_take(struct versions *v, const char *body, size_t bytes, int64_t now_us);
struct versions_count versions_count(const struct versions *v);

/* Texts, owned by the caller; NULL: no memory. */
typedef char *(*versions_print)(const struct versions *v, size_t *ret_bytes);
/** `id version` of every row that is there, a line each. */
char *versions_rows(const struct versions *v, size_t *ret_bytes);
/** `id version-before version` of the first that went back. */
char *versions_back(const struct versions *v, size_t *ret_bytes);
/** Of every upsert with an `at`, how long after it it came, in µs. */
char *versions_latencies(const struct versions *v, size_t *ret_bytes);

#endif
