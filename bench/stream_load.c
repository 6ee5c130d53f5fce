/*
 * Changes rows of a table at a steady rate: the load whose way to a destination is measured.
 *
 *   stream_load CONNECTION TABLE ROWS RATE SECONDS
 *
 * Each change is a transaction of its own: `update TABLE set version = version + 1, at = $1 where
 * id = $2`, `at` being the microseconds of CLOCK_MONOTONIC right before the statement is sent, so
 * that what is measured from there holds the commit itself as well. Ids go round in steps of a
 * prime. The times are those planned from the start: one late statement does not make the others
 * late. Prints changes, seconds and the medians of its own part (statement sent to commit told).
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
             "update %s set version = version + 1, at = $1::bigint where id = $2::bigint", table);
    PGresult *r = PQprepare(conn, "change", sql, 2, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail(conn, "prepare");
    PQclear(r);
}

static void change(PGconn *conn, uint64_t id)
{
    char at[24], key[24];
    snprintf(at, sizeof at, "%" PRId64, now_ns() / 1000);
    snprintf(key, sizeof key, "%" PRIu64, id);
    const char *const values[] = {at, key};
    PGresult *r = PQexecPrepared(conn, "change", 2, values, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_COMMAND_OK || PQcmdTuples(r)[0] != '1')
        fail(conn, "change");
    PQclear(r);
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: stream_load CONNECTION TABLE ROWS RATE SECONDS\n");
        return 64;
    }
    const uint64_t rows = strtoull(argv[3], NULL, 10), rate = strtoull(argv[4], NULL, 10);
    const uint64_t changes = rate * strtoull(argv[5], NULL, 10);
    int64_t *taken_ns = calloc(changes + 1, sizeof *taken_ns);
    PGconn *conn = PQconnectdb(argv[1]);
    if (!rows || !rate || !taken_ns || PQstatus(conn) != CONNECTION_OK)
        fail(conn, "start");
    prepare(conn, argv[2]);
    const int64_t begin = now_ns();
    for (uint64_t i = 0; i < changes; i++) {
        wait_for(begin + (int64_t)(i * NS_PER_S / rate));
        const int64_t sent = now_ns();
        change(conn, 1 + i * STEP % rows);
        taken_ns[i] = now_ns() - sent;
    }
    const double seconds = (double)(now_ns() - begin) / NS_PER_S;
    qsort(taken_ns, changes, sizeof *taken_ns, by_size);
    printf("{\"changes\":%" PRIu64
           ",\"seconds\":%.3f,\"commit_p50_ms\":%.3f,\"commit_p99_ms\":%.3f}\n",
           changes, seconds, (double)taken_ns[changes / 2] / 1e6,
           (double)taken_ns[changes * 99 / 100] / 1e6);
    PQfinish(conn);
    free(taken_ns);
    return 0;
}
