/*
 * How fast changes come from PostgreSQL: pgoutput_bench [changes] [rows per transaction] [rounds]
 *
 * Starts a throwaway server. In each round the same updates are read twice from slots of their own:
 * by the change data capture feed, decoded to rows that are counted, and by pg_recvlogical, which
 * throws the bytes away. Prints changes per second of both, and the processor time of the reader.
 */
#include "protocol/base/clock.h"
#include "scheduler/stream/feed.h"
#include "tests/harness/postgres_server.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench {
    struct postgres_server server;
    struct event_base *base;
    struct feed *feed;
    size_t rows, keys, wanted;
    bool flows;
};

static void die(const char *what)
{
    fprintf(stderr, "pgoutput_bench: %s\n", what);
    exit(1);
}

static enum err_code on_change(void *ctx, const struct change *change, struct err *err)
{
    (void)err;
    struct bench *b = ctx;
    if (change->kind == CHANGE_ROW)
        b->rows++;
    else
        b->keys++;
    return ERR_OK;
}

static void on_mark(void *ctx, const struct feed_position *at)
{
    struct bench *b = ctx;
    b->feed->ops->confirm(b->feed, at);
    if (b->wanted && b->rows + b->keys >= b->wanted)
        event_base_loopbreak(b->base);
}

static void on_turn(void *ctx)
{
    (void)ctx;
}

static void on_trouble(void *ctx, enum feed_trouble what, const struct err *err)
{
    struct bench *b = ctx;
    if (what == FEED_FAILED)
        die(err->text);
    if (what == FEED_RESYNC)
        b->feed->ops->resynced(b->feed);
    if (what != FEED_BACK)
        return;
    b->flows = true;
    event_base_loopbreak(b->base);
}

static const struct column columns[] = {
    {"id", "integer", COLUMN_INT},
    {"email", "text", COLUMN_TEXT},
    {"name", "text", COLUMN_TEXT},
    {"score", "numeric", COLUMN_NUMERIC},
    {"active", "boolean", COLUMN_BOOL},
    {"n", "bigint", COLUMN_INT},
    {"updated_at", "timestamp with time zone", COLUMN_TIMESTAMP},
};

static void prepare(struct bench *b, long changes)
{
    char sql[1024];
    postgres_server_start(&b->server);
    snprintf(
        sql, sizeof sql,
        "create table t as select g::int as id, 'person' || g || '@example.com' as email, "
        "'Ana Person ' || g as name, (g %% 1000)::numeric / 10 as score, g %% 3 = 0 as active, "
        "g::bigint as n, now() as updated_at from generate_series(1, %ld) g; "
        "alter table t add primary key (id)",
        changes);
    postgres_server_run(&b->server, NULL, sql);
    postgres_server_run(&b->server, NULL, "vacuum analyze t");
}

static void start(struct bench *b)
{
    static const char *const key[] = {"id"};
    static struct param params[3];
    static struct source source;
    static struct model model;
    static struct sync sync;
    struct err err;
    params[0] = (struct param){"host", b->server.dir};
    params[1] = (struct param){"user", "postgres"};
    params[2] = (struct param){"dbname", "postgres"};
    source = (struct source){.name = "s", .type = "postgres", .params = params, .param_count = 3};
    model = (struct model){.name = "m",
                           .source = &source,
                           .table = "public.t",
                           .primary_key = key,
                           .primary_key_count = 1};
    sync = (struct sync){.name = "bench", .model = &model};
    sync.schedule.stream.create = true;
    struct feed_options options = {.base = b->base,
                                   .sync = &sync,
                                   .state_id = "bench",
                                   .columns = columns,
                                   .column_count = ARRAY_LEN(columns)};
    const struct feed_events events = {on_change, on_mark, on_turn, on_trouble, b};
    if (cdc_feed_ops.start(&options, &events, &b->feed, &err))
        die(err.text);
    while (!b->flows)
        event_base_dispatch(b->base);
}

static double cpu_seconds(int who)
{
    struct rusage use;
    getrusage(who, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void update(struct bench *b, long changes, long each)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "do $$ begin for i in 0..%ld loop update t set n = n + 1, updated_at = now() where id "
             "between i * %ld + 1 and (i + 1) * %ld; commit; end loop; end $$",
             changes / each - 1, each, each);
    postgres_server_run(&b->server, NULL, sql);
}

static void receive_logical(struct bench *b, const char *end)
{
    char path[128] = "pg_recvlogical", endpos[64];
    for (int version = 20; version >= 13 && access(path, X_OK); version--)
        snprintf(path, sizeof path, "/usr/lib/postgresql/%d/bin/pg_recvlogical", version);
    snprintf(endpos, sizeof endpos, "--endpos=%s", end);
    pid_t pid = fork();
    if (pid == 0) {
        execlp(path, "pg_recvlogical", "-h", b->server.dir, "-U", "postgres", "-d", "postgres",
               "--slot=plain", "--start", "-f", "/dev/null", "-o", "proto_version=1", "-o",
               "publication_names=sluice_bench_bench", endpos, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) < 0 || status)
        die("pg_recvlogical failed");
}

static void line(const char *name, long changes, int64_t us, double cpu)
{
    printf("%-15s %9.0f changes/s %7.2f s %9.2f CPU-s of the reader\n", name,
           (double)changes * 1e6 / (double)us, (double)us / 1e6, cpu);
}

static void round_of(struct bench *b, long changes, long each)
{
    char end[64];
    postgres_server_run(&b->server, NULL,
                        "select pg_create_logical_replication_slot('plain', 'pgoutput')");
    b->feed->ops->pause(b->feed);
    b->rows = b->keys = 0;
    b->wanted = (size_t)changes;
    update(b, changes, each);
    PGconn *conn = postgres_server_connect(&b->server, NULL);
    PGresult *result = PQexec(conn, "select pg_current_wal_insert_lsn()");
    snprintf(end, sizeof end, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    PQfinish(conn);

    double cpu = cpu_seconds(RUSAGE_SELF);
    int64_t at = clock_mono_us();
    b->feed->ops->resume(b->feed);
    event_base_dispatch(b->base);
    line("feed", changes, clock_mono_us() - at, cpu_seconds(RUSAGE_SELF) - cpu);
    if (b->keys || b->rows != (size_t)changes)
        die("other changes came than were made");

    cpu = cpu_seconds(RUSAGE_CHILDREN);
    at = clock_mono_us();
    receive_logical(b, end);
    line("pg_recvlogical", changes, clock_mono_us() - at, cpu_seconds(RUSAGE_CHILDREN) - cpu);
    postgres_server_run(&b->server, NULL, "select pg_drop_replication_slot('plain')");
}

int main(int argc, char **argv)
{
    long changes = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    long each = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
    long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 3;
    struct bench b = {.base = event_base_new()};
    if (changes < 1 || each < 1 || changes % each || !b.base)
        die("usage: pgoutput_bench [changes] [rows per transaction] [rounds]");
    prepare(&b, changes);
    start(&b);
    for (long i = 0; i < rounds; i++)
        round_of(&b, changes, each);
    b.feed->ops->free(b.feed);
    event_base_free(b.base);
    postgres_server_stop(&b.server);
    return 0;
}
