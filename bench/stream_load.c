/*
 * Changes rows of a table at a steady rate: the load whose way to a destination is measured.
 *
 *   stream_load CONNECTION TABLE ROWS RATE SECONDS [ROWS-PER-TRANSACTION]
 *
 * Each transaction is one statement: `update TABLE set version = version + 1, at = $1 where id
 * between $2 and $3`, `at` being the microseconds of CLOCK_MONOTONIC right before the statement is
 * sent, so that what is measured from there holds the commit itself as well. Single rows go round
 * in steps of a prime, several in order. The times are those planned from the start: one late
 * statement does not make the others late. Prints changes, seconds and the medians of its own part
 * (statement sent to commit told).
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STEP = 7919, NS_PER_S = 1000000000 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void wait_for(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
        ;
}

static void fail(PGconn *conn, const char *what)
{
    fprintf(stderr, "stream_load: %s: %s", what, PQerrorMessage(conn));
    exit(1);
}

static void prepare(PGconn *conn, const char *table)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "update %s set version = version + 1, at = $1::bigint where id between $2::bigint and "
             "$3::bigint",
             table);
    PGresult *r = PQprepare(conn, "change", sql, 3, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail(conn, "prepare");
    PQclear(r);
}

/* Changes the rows from id on. */
static void change(PGconn *conn, uint64_t id, uint64_t rows)
{
    char at[24], first[24], last[24];
    snprintf(at, sizeof at, "%" PRId64, now_ns() / 1000);
    snprintf(first, sizeof first, "%" PRIu64, id);
    snprintf(last, sizeof last, "%" PRIu64, id + rows - 1);
    const char *const values[] = {at, first, last};
    PGresult *r = PQexecPrepared(conn, "change", 3, values, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_COMMAND_OK || strtoull(PQcmdTuples(r), NULL, 10) != rows)
        fail(conn, "change");
    PQclear(r);
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct load {
    uint64_t rows, rate, seconds, each; /* each: rows per transaction */
};

static uint64_t row_of(const struct load *l, uint64_t transaction)
{
    if (l->each == 1)
        return 1 + transaction * STEP % l->rows;
    return 1 + transaction % (l->rows / l->each) * l->each;
}

static void run(PGconn *conn, const struct load *l)
{
    const uint64_t count = l->rate * l->seconds / l->each;
    int64_t *taken_ns = calloc(count + 1, sizeof *taken_ns);
    if (!taken_ns || !count)
        fail(conn, "start");
    const int64_t begin = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        wait_for(begin + (int64_t)(i * l->each * NS_PER_S / l->rate));
        const int64_t sent = now_ns();
        change(conn, row_of(l, i), l->each);
        taken_ns[i] = now_ns() - sent;
    }
    const double seconds = (double)(now_ns() - begin) / NS_PER_S;
    qsort(taken_ns, count, sizeof *taken_ns, by_size);
    printf("{\"changes\":%" PRIu64
           ",\"seconds\":%.3f,\"commit_p50_ms\":%.3f,\"commit_p99_ms\":%.3f}\n",
           count * l->each, seconds, (double)taken_ns[count / 2] / 1e6,
           (double)taken_ns[count * 99 / 100] / 1e6);
    free(taken_ns);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: stream_load CONNECTION TABLE ROWS RATE SECONDS [EACH]\n");
        return 64;
    }
    struct load load = {strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                        strtoull(argv[5], NULL, 10), argc > 6 ? strtoull(argv[6], NULL, 10) : 1};
    PGconn *conn = PQconnectdb(argv[1]);
    if (!load.rate || !load.each || load.rows < load.each || PQstatus(conn) != CONNECTION_OK)
        fail(conn, "start");
    prepare(conn, argv[2]);
    run(conn, &load);
    PQfinish(conn);
    return 0;
}
