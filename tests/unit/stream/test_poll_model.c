/*
 * Random transactions, begun, written and committed in any order while a poll looks: in the end the
 * last that was given of each row is the row.
 */
#include "tests/unit/stream/poll_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum { WRITERS = 5, KEYS = 40, STEPS = 1200, RESTART_EVERY = 250 };

static struct postgres_server server;

struct random_run {
    unsigned seed;
    PGconn *writers[WRITERS];
    bool open[WRITERS];
    int owner[KEYS + 1]; /* the writer whose transaction has locked the row, +1 */
    int value;
};

static unsigned roll(struct random_run *r, unsigned sides)
{
    r->seed = r->seed * 1103515245 + 12345;
    return (r->seed >> 16) % sides;
}

static void run_on(PGconn *conn, const char *text)
{
    PGresult *result = PQexec(conn, text);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(conn));
    PQclear(result);
}

static void end(struct random_run *r, size_t w)
{
    run_on(r->writers[w], roll(r, 5) ? "commit" : "rollback");
    r->open[w] = false;
    for (int key = 0; key <= KEYS; key++)
        if (r->owner[key] == (int)w + 1)
            r->owner[key] = 0;
}

static void begin(struct random_run *r, size_t w)
{
    run_on(r->writers[w], "begin");
    run_on(r->writers[w], "select now(), nextval('rows_n')"); /* it holds them back from here on */
    r->open[w] = true;
}

static void write_row(struct random_run *r, size_t w)
{
    char sql[200];
    int key = 1 + (int)roll(r, KEYS);
    if (r->owner[key] && r->owner[key] != (int)w + 1)
        return; /* it would wait */
    /* The number that it took before, as an application may. */
    const char *n = roll(r, 2) ? "nextval('rows_n')" : "currval('rows_n')";
    run_on(r->writers[w],
           "select nextval('rows_n') where pg_sequence_last_value('rows_n') is null");
    snprintf(sql, sizeof sql,
             "insert into rows values (%d, %d, %s, now()) on conflict (id) do update"
             " set v = excluded.v, n = excluded.n, at = excluded.at",
             key, ++r->value, r->open[w] ? n : "nextval('rows_n')");
    run_on(r->writers[w], sql);
    if (r->open[w])
        r->owner[key] = (int)w + 1;
}

static void step(struct random_run *r)
{
    size_t w = roll(r, WRITERS);
    unsigned what = roll(r, 10);
    if (!r->open[w] && what < 6)
        begin(r, w);
    else if (r->open[w] && what < 2)
        end(r, w);
    else
        write_row(r, w);
}

static bool is_standing(struct poll_world *w)
{
    return w->standing;
}

static void start_again(struct poll_world *w)
{
    struct feed_position at = w->position;
    poll_feed_ops.free(w->feed);
    w->options.from = at;
    w->standing = false;
    poll_world_start(w);
    if (at.n == 0) {
        poll_world_until(w, is_standing);
        poll_world_resynced(w);
    }
}

static void expect_all_given(struct poll_world *w)
{
    time_t deadline = time(NULL) + 60;
    PGconn *conn = postgres_server_connect(&server, NULL);
    PGresult *rows = PQexec(conn, "select id, v from rows order by id");
    for (int i = 0; i < PQntuples(rows); i++) {
        size_t key = strtoul(PQgetvalue(rows, i, 0), NULL, 10);
        int64_t v = strtoll(PQgetvalue(rows, i, 1), NULL, 10);
        while (w->values[key] != v) {
            if (time(NULL) > deadline)
                fail_msg("row %zu was given as %lld, it is %lld", key, (long long)w->values[key],
                         (long long)v);
            poll_world_turns(w, 1);
        }
    }
    PQclear(rows);
    PQfinish(conn);
}

static void random_transactions_are_all_given(const char *model, const char *cursor, unsigned seed)
{
    struct random_run r = {.seed = seed};
    struct poll_world w;
    print_message("seed %u\n", seed);
    postgres_server_run(&server, NULL,
                        "drop table if exists rows; drop sequence if exists rows_n;"
                        "create sequence rows_n;"
                        "create table rows (id int primary key, v int, n bigint, at timestamptz);"
                        "create index on rows (n); create index on rows (at)");
    poll_world_init(&w, &server, model, cursor);
    w.sync.schedule.stream.poll_ms = 3;
    poll_world_flow(&w);
    for (size_t i = 0; i < WRITERS; i++) {
        r.writers[i] = postgres_server_connect(&server, NULL);
        run_on(r.writers[i], "select nextval('rows_n')");
    }
    for (int i = 1; i <= STEPS; i++) {
        step(&r);
        poll_world_turns(&w, (int)roll(&r, 4));
        if (i % RESTART_EVERY == 0)
            start_again(&w);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        if (r.open[i])
            end(&r, i);
        PQfinish(r.writers[i]);
    }
    expect_all_given(&w);
    assert_true(w.marks > 0);
    poll_world_done(&w);
}

static void by_numbers(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2; seed++)
        random_transactions_are_all_given("select id, v, n from rows", "n", seed);
}

static void by_times(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2; seed++)
        random_transactions_are_all_given("select id, v, at from rows", "at", seed);
}

static int set_up(void **state)
{
    (void)state;
    postgres_server_start(&server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_numbers),
        cmocka_unit_test(by_times),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
