/* The watch with a real PostgreSQL and real files: what it sees, what it refuses, what it leaves.
 */
#include "world.h"

#include "protocol/base/clock.h"
#include "scheduler/schedule/watch.h"
#include "tests/harness/postgres_server.h"

#include <event2/event.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, TURN_MS = 5, LOOK_MS = 20 };

static struct postgres_server server;

struct lab {
    struct world w;
    struct param params[3];
    struct event_base *base;
    struct schedule_watch *watch;
    size_t failed_calls, looked_calls;
    char failed_sync[32];
    struct err failed;
    char dir[32];
    char file[64];
    int runs;
};

static void on_failed(void *ctx, const char *sync, const struct err *err)
{
    struct lab *lab = ctx;
    lab->failed_calls++;
    lab->failed = *err;
    snprintf(lab->failed_sync, sizeof lab->failed_sync, "%s", sync);
}

static void on_looked(void *ctx)
{
    ((struct lab *)ctx)->looked_calls++;
}

static void lab_init(struct lab *lab)
{
    *lab = (struct lab){.dir = "/tmp/sluice-watch-XXXXXX"};
    world_init(&lab->w);
    lab->params[0] = (struct param){"host", server.dir};
    lab->params[1] = (struct param){"user", "postgres"};
    lab->params[2] = (struct param){"dbname", "postgres"};
    lab->w.source.params = lab->params;
    lab->w.source.param_count = 3;
    assert_non_null(mkdtemp(lab->dir));
    snprintf(lab->file, sizeof lab->file, "%s/run_results.json", lab->dir);
    lab->base = event_base_new();
    assert_non_null(lab->base);
}

static struct sync *add_query(struct lab *lab, const char *name, const char *query)
{
    struct sync *s = world_on_change(&lab->w, name);
    s->schedule.query = query;
    s->schedule.every_ms = LOOK_MS;
    return s;
}

static struct sync *add_dbt(struct lab *lab, const char *name, const char *model)
{
    struct sync *s = world_add(&lab->w, name, SCHEDULE_DBT);
    s->schedule.run_results = lab->file;
    s->schedule.dbt_model = model;
    s->schedule.every_ms = LOOK_MS;
    return s;
}

static void lab_go(struct lab *lab)
{
    struct err err;
    const struct schedule_watch_events events = {on_failed, on_looked, lab};
    world_go(&lab->w, clock_wall_ms());
    assert_int_equal(schedule_watch_new(lab->base, lab->w.table, &events, &lab->watch, &err),
                     ERR_OK);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void lab_done(struct lab *lab)
{
    schedule_watch_free(lab->watch);
    world_done(&lab->w);
    event_base_free(lab->base);
    nftw(lab->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* One turn of a service's loop. */
static void turn(struct lab *lab)
{
    struct timeval most = {0, TURN_MS * 1000};
    schedule_watch_turn(lab->watch, clock_wall_ms());
    event_base_loopexit(lab->base, &most);
    event_base_dispatch(lab->base);
}

#define UNTIL(lab, condition)                                                                      \
    do {                                                                                           \
        int64_t until_ms = clock_mono_ms() + DEADLINE_MS;                                          \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > until_ms)                                                        \
                fail_msg("not in time: %s; last failure: %s", #condition, (lab)->failed.text);     \
            turn(lab);                                                                             \
        }                                                                                          \
    } while (0)

static bool is_due(struct lab *lab, const char *sync)
{
    return world_due(&lab->w, sync, clock_wall_ms()) != 0;
}

static void run(struct lab *lab, const char *sync)
{
    char name[16];
    snprintf(name, sizeof name, "r%d", ++lab->runs);
    world_run(&lab->w, sync, name, SCHEDULE_RAN_SUCCESS, clock_wall_ms(), clock_wall_ms());
    assert_false(is_due(lab, sync));
}

/* So many further looks have ended: what they saw is known. */
static void look_on(struct lab *lab, size_t looks)
{
    size_t until = lab->looked_calls + looks;
    UNTIL(lab, lab->looked_calls >= until);
}

static long server_number(const char *sql)
{
    return postgres_server_number(&server, NULL, sql);
}

static void a_change_in_the_warehouse_makes_its_sync_due(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab);
    postgres_server_run(&server, NULL, "create table t (at timestamptz)");
    add_query(&lab, "s", "select max(at) from t; -- newest");
    lab_go(&lab);
    UNTIL(&lab, is_due(&lab, "s")); /* the first answer, a NULL */
    run(&lab, "s");
    look_on(&lab, 3);
    assert_false(is_due(&lab, "s"));
    postgres_server_run(&server, NULL, "insert into t values ('2026-01-01')");
    UNTIL(&lab, is_due(&lab, "s"));
    run(&lab, "s");
    look_on(&lab, 3);
    assert_false(is_due(&lab, "s"));
    postgres_server_run(&server, NULL, "update t set at = at + interval '1 microsecond'");
    UNTIL(&lab, is_due(&lab, "s"));
    assert_int_equal(lab.failed_calls, 0);
    /* Between looks no connection is held. */
    schedule_block(lab.w.table, "s", SCHEDULE_BLOCK_PAUSED, true);
    UNTIL(&lab, server_number("select count(*) from pg_stat_activity where application_name = "
                              "'sluice'") == 0);
    lab_done(&lab);
    postgres_server_run(&server, NULL, "drop table t");
}

static void queries_that_are_no_question_are_refused_and_write_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *query, *words;
    } cases[] = {
        {"select 1 a, 2 b", "on_change: the query gives 2 columns; it must give one"},
        {"select 1 union all select 2", "on_change: the query gives several rows"},
        {"select 1 where false", "on_change: the query gives no row"},
        {"select nothing", "does not exist (SQLSTATE 42703) at 1:8 of the query"},
        {"insert into w values (1) returning a", "on_change: the query must be one SELECT"},
        {"with x as (insert into w values (1) returning a) select a from x", "read-only"},
        {"select 1; insert into w values (1)", "SQLSTATE 42601"},
        {"select 1; commit; insert into w values (1)", "SQLSTATE 42601"},
        {"select nextval('w_a_seq')", "read-only"},
        {"select pg_sleep(60)::text", "SQLSTATE 57014"},
        {"select 'infinity'::timestamptz", "cast it to text"},
        {"select $1", "on_change:"},
    };
    postgres_server_run(&server, NULL, "create table w (a serial)");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lab lab;
        char why[SCHEDULE_WHY_BYTES];
        lab_init(&lab);
        lab.w.source.statement_timeout_ms = 500;
        add_query(&lab, "s", cases[i].query);
        lab_go(&lab);
        UNTIL(&lab, lab.looked_calls + lab.failed_calls > 0);
        if (!strstr(lab.failed.text, cases[i].words))
            fail_msg("%s: %s", cases[i].query, lab.failed.text);
        assert_string_equal(lab.failed_sync, "s");
        assert_false(is_due(&lab, "s"));
        schedule_why(lab.w.table, "s", why);
        assert_int_equal(strncmp(why, lab.failed.text, strlen(why)), 0);
        lab_done(&lab);
    }
    assert_int_equal(server_number("select count(*) from w"), 0);
    assert_int_equal(server_number("select last_value::int + is_called::int from w_a_seq"), 1);
    postgres_server_run(&server, NULL, "drop table w");
}

/* Each answer waits for a lock that the test holds. */
static void at_most_four_looks_are_under_way(void **state)
{
    (void)state;
    static const char waiting[] = "select count(*) from pg_stat_activity where "
                                  "application_name = 'sluice' and wait_event = 'advisory'";
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    static const char *const queries[] = {"select pg_advisory_xact_lock_shared(7)::text || 'a'",
                                          "select pg_advisory_xact_lock_shared(7)::text || 'b'",
                                          "select pg_advisory_xact_lock_shared(7)::text || 'c'",
                                          "select pg_advisory_xact_lock_shared(7)::text || 'd'",
                                          "select pg_advisory_xact_lock_shared(7)::text || 'e'",
                                          "select pg_advisory_xact_lock_shared(7)::text || 'f'"};
    struct lab lab;
    lab_init(&lab);
    PGconn *holder = postgres_server_connect(&server, NULL);
    PQclear(PQexec(holder, "select pg_advisory_lock(7)"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add_query(&lab, names[i], queries[i])->schedule.every_ms = HOUR;
    lab_go(&lab);
    UNTIL(&lab, server_number(waiting) == WATCH_LOOKS_MAX);
    for (int i = 0; i < 20; i++) {
        turn(&lab);
        assert_int_equal(server_number(waiting), WATCH_LOOKS_MAX);
    }
    assert_int_equal(lab.looked_calls, 0);
    PQfinish(holder);
    UNTIL(&lab, lab.looked_calls == ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(is_due(&lab, names[i]));
    assert_int_equal(lab.failed_calls, 0);
    lab_done(&lab);
}

static void syncs_with_the_same_question_share_its_answer(void **state)
{
    (void)state;
    static const char waiting[] = "select count(*) from pg_stat_activity where "
                                  "application_name = 'sluice' and wait_event = 'advisory'";
    static const char query[] = "select pg_advisory_xact_lock_shared(8)::text";
    struct lab lab;
    lab_init(&lab);
    PGconn *holder = postgres_server_connect(&server, NULL);
    PQclear(PQexec(holder, "select pg_advisory_lock(8)"));
    add_query(&lab, "a", query)->schedule.every_ms = HOUR;
    add_query(&lab, "b", query)->schedule.every_ms = HOUR;
    add_query(&lab, "c", query)->schedule.every_ms = HOUR;
    lab_go(&lab);
    UNTIL(&lab, server_number(waiting) == 1);
    for (int i = 0; i < 20; i++) {
        turn(&lab);
        assert_int_equal(server_number(waiting), 1);
    }
    PQfinish(holder);
    UNTIL(&lab, is_due(&lab, "a") && is_due(&lab, "b") && is_due(&lab, "c"));
    assert_int_equal(lab.looked_calls, 1);
    lab_done(&lab);
}

static void a_failure_is_told_once_and_tried_again(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab);
    add_query(&lab, "s", "select count(*) from later");
    lab_go(&lab);
    UNTIL(&lab, lab.failed_calls == 1);
    look_on(&lab, 4);
    assert_int_equal(lab.failed_calls, 1);
    assert_int_equal(lab.failed.code, ERR_SQL);
    postgres_server_run(&server, NULL, "create table later ()");
    UNTIL(&lab, is_due(&lab, "s"));
    postgres_server_run(&server, NULL, "drop table later");
    UNTIL(&lab, lab.failed_calls == 2); /* told anew after it was well */
    assert_true(is_due(&lab, "s"));     /* what was seen is still owed */
    lab_done(&lab);
}

static void a_warehouse_that_is_not_there_is_told_without_secrets(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab);
    struct param params[] = {{"host", lab.dir}, {"user", "u"}, {"password", "hunter2"}};
    lab.w.source.params = params;
    add_query(&lab, "s", "select 1");
    lab_go(&lab);
    UNTIL(&lab, lab.failed_calls == 1);
    assert_int_equal(lab.failed.code, ERR_UNREACHABLE);
    assert_null(strstr(lab.failed.text, "hunter2"));
    lab_done(&lab);
}

static void looks_under_way_end_with_a_reset(void **state)
{
    (void)state;
    static const char running[] = "select count(*) from pg_stat_activity where "
                                  "application_name = 'sluice' and state = 'active'";
    struct lab lab;
    struct err err;
    lab_init(&lab);
    add_query(&lab, "s", "select pg_sleep(3600)::text");
    add_query(&lab, "t", "select 1");
    lab_go(&lab);
    UNTIL(&lab, server_number(running) == 1 && is_due(&lab, "t"));
    size_t looked = lab.looked_calls;
    lab.w.syncs[0].schedule.query = "select 2";
    assert_int_equal(schedule_table_reload(lab.w.table, &lab.w.project, clock_wall_ms(), &err),
                     ERR_OK);
    schedule_watch_reset(lab.watch);
    assert_int_equal(lab.looked_calls, looked);
    UNTIL(&lab, is_due(&lab, "s"));
    UNTIL(&lab, server_number(running) == 0);
    assert_int_equal(lab.failed_calls, 0);
    lab.w.syncs[0].schedule.query = "select pg_sleep(3600)::text || 'again'";
    assert_int_equal(schedule_table_reload(lab.w.table, &lab.w.project, clock_wall_ms(), &err),
                     ERR_OK);
    schedule_watch_reset(lab.watch);
    UNTIL(&lab, server_number(running) == 1);
    lab_done(&lab); /* with a look under way */
}

/* ---- dbt ---- */

static void write_file(const struct lab *lab, const char *text)
{
    char other[80];
    snprintf(other, sizeof other, "%s.new", lab->file);
    FILE *f = fopen(other, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(other, lab->file), 0);
}

static void write_results(const struct lab *lab, const char *invocation, const char *command,
                          const char *results)
{
    char text[4096];
    snprintf(text, sizeof text,
             "{\"metadata\": {\"dbt_schema_version\": "
             "\"https://schemas.getdbt.com/dbt/run-results/v6.json\", \"generated_at\": "
             "\"2026-01-05T00:00:00Z\", \"invocation_id\": \"%s\"}, \"results\": [%s], "
             "\"elapsed_time\": 1.5, \"args\": {\"which\": \"%s\"}}",
             invocation, results, command);
    write_file(lab, text);
}

#define RESULT(id, status)                                                                         \
    "{\"unique_id\": \"" id "\", \"status\": \"" status "\", \"message\": null}"

static void a_model_that_dbt_builds_makes_its_sync_due(void **state)
{
    (void)state;
    static const struct {
        const char *invocation, *command, *results;
        bool due;
        const char *why;
    } steps[] = {
        {"a", "build", RESULT("model.shop.customers", "success"), true, ""},
        {"b", "build", RESULT("model.shop.orders", "success"), false, "did not build customers"},
        {"c", "run", RESULT("model.shop.customers", "error"), false, "customers: error"},
        {"d", "build", RESULT("model.shop.customers", "skipped"), false, "customers: skipped"},
        {"e", "compile", RESULT("model.shop.customers", "success"), false, "compile"},
        {"f", "test", RESULT("test.shop.customers", "pass"), false, "test"},
        {"g", "run",
         RESULT("model.shop.orders", "success") ", " RESULT("model.shop.customers", "success"),
         true, ""},
        {"h", "retry", RESULT("model.shop.customers.v2", "success"), true, ""},
        {"i", "build",
         RESULT("model.a.customers", "success") "," RESULT("seed.b.customers", "success"), false,
         "model.a.customers, seed.b.customers"},
    };
    struct lab lab;
    lab_init(&lab);
    add_dbt(&lab, "s", "customers");
    lab_go(&lab);
    UNTIL(&lab, lab.failed_calls == 1);
    assert_non_null(strstr(lab.failed.text, "there is no /tmp/sluice-watch-"));
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        write_results(&lab, steps[i].invocation, steps[i].command, steps[i].results);
        look_on(&lab, 2);
        if (is_due(&lab, "s") != steps[i].due || !world_why(&lab.w, "s", steps[i].why))
            fail_msg("%s: due %d", steps[i].invocation, is_due(&lab, "s"));
        if (!steps[i].due)
            continue;
        run(&lab, "s");
        look_on(&lab, 3);
        assert_false(is_due(&lab, "s"));
        /* Touched, the same invocation is nothing new. */
        write_results(&lab, steps[i].invocation, steps[i].command, steps[i].results);
        look_on(&lab, 2);
        assert_false(is_due(&lab, "s"));
    }
    assert_int_equal(lab.failed_calls, 2); /* no file; ambiguous */
    lab_done(&lab);
}

static void syncs_of_one_file_are_told_of_their_own_models(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab);
    add_dbt(&lab, "a", "customers");
    add_dbt(&lab, "b", "model.shop.orders");
    add_dbt(&lab, "c", "model.shop.customers");
    add_dbt(&lab, "d", "model.other.customers");
    lab_go(&lab);
    write_results(
        &lab, "a", "build",
        RESULT("model.shop.customers", "success") ", " RESULT("model.shop.orders", "error"));
    look_on(&lab, 1);
    assert_true(is_due(&lab, "a") && !is_due(&lab, "b") && is_due(&lab, "c") && !is_due(&lab, "d"));
    assert_int_equal(lab.failed_calls, 0);
    lab_done(&lab);
}

static void a_file_that_is_no_result_is_told_and_read_again(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "line"},
        {"{\"metadata\": {\"invocation_id\": \"x\"}, \"results\": [", "line"},
        {"[]", "run_results.json?"},
        {"{\"metadata\": {}, \"results\": []}", "run_results.json?"},
        {"{\"metadata\": {\"invocation_id\": \"x\"}, \"results\": {}}", "run_results.json?"},
    };
    struct lab lab;
    lab_init(&lab);
    add_dbt(&lab, "s", "customers");
    lab_go(&lab);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_file(&lab, cases[i].text);
        look_on(&lab, 2);
        assert_true(world_why(&lab.w, "s", cases[i].words));
        assert_non_null(strstr(lab.failed.text, lab.file));
        assert_int_equal(lab.failed.code, ERR_INVALID);
    }
    write_file(&lab, "{\"metadata\": {\"invocation_id\": \"x\"}, \"results\": [7, {}, "
                     "{\"unique_id\": 5}, {\"unique_id\": \"model.a.customers\"}]}");
    look_on(&lab, 2);
    assert_true(world_why(&lab.w, "s", "customers: no status"));
    assert_int_equal(unlink(lab.file), 0);
    assert_int_equal(mkfifo(lab.file, 0600), 0); /* must not hold us up */
    look_on(&lab, 2);
    assert_false(is_due(&lab, "s"));
    assert_int_equal(unlink(lab.file), 0);
    FILE *f = fopen(lab.file, "w");
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), 33 << 20), 0);
    fclose(f);
    look_on(&lab, 2);
    assert_true(world_why(&lab.w, "s", "longer than"));
    write_results(&lab, "a", "build", RESULT("model.shop.customers", "success"));
    UNTIL(&lab, is_due(&lab, "s"));
    lab_done(&lab);
}

static int start_server(void **state)
{
    (void)state;
    postgres_server_start(&server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_in_the_warehouse_makes_its_sync_due),
        cmocka_unit_test(queries_that_are_no_question_are_refused_and_write_nothing),
        cmocka_unit_test(at_most_four_looks_are_under_way),
        cmocka_unit_test(syncs_with_the_same_question_share_its_answer),
        cmocka_unit_test(a_failure_is_told_once_and_tried_again),
        cmocka_unit_test(a_warehouse_that_is_not_there_is_told_without_secrets),
        cmocka_unit_test(looks_under_way_end_with_a_reset),
        cmocka_unit_test(a_model_that_dbt_builds_makes_its_sync_due),
        cmocka_unit_test(syncs_of_one_file_are_told_of_their_own_models),
        cmocka_unit_test(a_file_that_is_no_result_is_told_and_read_again),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
