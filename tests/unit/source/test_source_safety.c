/* What a model may not do, and what is said when a read cannot be: in the server's words, without
 * secrets. */
#include "tests/unit/source/read_helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static struct postgres_server server;
static const enum read_method by_copy = READ_COPY, by_rows = READ_ROWS;

#define METHOD(state) (**(const enum read_method **)(state))

static void read_model(struct read_run *run, void **state, const char *sql)
{
    read_run_init(run, &server, METHOD(state), sql);
    read_run_go(run);
}

static void expect_rows(void **state, const char *sql, const char *rows)
{
    struct read_run run;
    read_model(&run, state, sql);
    assert_string_equal(run.err.text, "");
    assert_true(run.ok);
    assert_string_equal(run.rows.p, rows);
    read_run_done(&run);
}

/* The sentence holds every one of the words. */
static void expect_error(void **state, const char *sql, enum err_code code,
                         const char *const *words)
{
    struct read_run run;
    read_model(&run, state, sql);
    assert_true(run.ended);
    assert_false(run.ok);
    for (; *words; words++) {
        if (!strstr(run.err.text, *words))
            print_error("%s: %s\nlacks: %s\n", sql, run.err.text, *words);
        assert_non_null(strstr(run.err.text, *words));
    }
    assert_int_equal(run.err.code, code);
    read_run_done(&run);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_mistake_in_the_model_is_told_in_the_server_s_words_with_its_place(void **state)
{
    expect_error(state, "-- é\nselect id,\n  nmae from victim", ERR_SQL,
                 WORDS("model m: ", "column \"nmae\" does not exist", "SQLSTATE 42703",
                       " at 3:3 of the model",
                       "hint: Perhaps you meant to reference the column \"victim.name\""));
    expect_error(state, "select 1 +", ERR_SQL,
                 WORDS("syntax error at end of input", " at 1:11 of the model"));
    expect_error(state, "select * from nowhere", ERR_SQL,
                 WORDS("relation \"nowhere\" does not exist"));
}

static void a_server_that_is_not_there_is_unreachable(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), "select 1");
    run.params[0].value = "/tmp/nobody-listens-here";
    run.params[3] = (struct param){"password", "s3cret-word"};
    run.source.param_count = 4;
    read_run_go(&run);
    assert_false(run.ok);
    assert_int_equal(run.err.code, ERR_UNREACHABLE);
    assert_non_null(strstr(run.err.text, "cannot connect to the warehouse"));
    assert_null(strstr(run.err.text, "s3cret-word"));
    read_run_done(&run);
}

static void a_password_never_shows(void **state)
{
    static const char *const urls[] = {
        "postgresql://u:s3cret-word@[::1/db",
        "postgresql://u:s3cret-word@host:port/db",
        "postgresql://u:s3cret-word%zz@host/db",
        "u:s3cret-word@host/db",
        "host=x password='s3cret-word",
        "postgresql://needs_password:s3cret-word@/postgres?host=%s",
        "postgresql://nobody:s3cret-word@/s3cret-word?host=%s",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct read_run run;
        char url[300];
        const char *host = strstr(urls[i], "host=%s");
        snprintf(url, sizeof url, "%.*s%s", host ? (int)(host - urls[i]) + 5 : 200, urls[i],
                 host ? server.dir : "");
        read_run_init(&run, &server, METHOD(state), "select 1");
        run.params[0] = (struct param){"url", url};
        run.source.param_count = 1;
        read_run_go(&run);
        assert_false(run.ok);
        assert_int_equal(run.err.code, host ? ERR_DENIED : ERR_CONFIG);
        assert_null(strstr(run.err.text, "s3cret-word"));
        read_run_done(&run);
    }
}

static void a_url_and_further_parameters_make_one_connection(void **state)
{
    struct read_run run;
    char url[200];
    snprintf(url, sizeof url, "postgresql://postgres@/postgres?host=%s&application_name=mine",
             server.dir);
    read_run_init(
        &run, &server, METHOD(state),
        "select current_setting('application_name') a, current_setting('client_encoding') b,"
        " current_setting('work_mem') c, current_setting('TimeZone') d, "
        "current_setting('DateStyle') e,"
        " current_setting('transaction_isolation') f, current_setting('transaction_read_only') g");
    run.params[0] = (struct param){"url", url};
    run.params[1] = (struct param){"options", "-c work_mem=5MB"};
    run.params[2] = (struct param){"client_encoding", "LATIN1"};
    read_run_go(&run);
    assert_string_equal(run.err.text, "");
    assert_string_equal(
        run.rows.p,
        "text:mine\ntext:UTF8\ntext:5MB\ntext:UTC\ntext:ISO, MDY\ntext:repeatable read\n"
        "text:on\n");
    read_run_done(&run);
}

static void a_model_cannot_leave_its_read_only_transaction(void **state)
{
    char program[200];
    snprintf(program, sizeof program, "select 1) to program 'touch %s/pwned' --", server.dir);
    const char *const models[] = {
        "select set_config('transaction_read_only', 'off', false), nextval('counter')",
        "select set_config('transaction_read_only', 'off', true) from pg_class",
        "with w as (insert into victim values (2, 'b') returning *) select * from w",
        "with w as (delete from victim returning *) select * from w",
        "insert into victim values (2, 'b') returning *",
        "select nextval('counter')",
        "select write_it()",
        "select * from victim for update",
        "select 1 into stolen",
        "commit",
        "rollback",
        "commit; insert into victim values (2, 'b')",
        "select 1; insert into victim values (2, 'b')",
        "select 1; commit; select 2",
        "select 1) to stdout; insert into victim values (2, 'b') --",
        "select 1) to stdout; commit; copy (select 1",
        program,
        "set transaction read write",
        "copy victim to stdout",
        "do $$ begin insert into victim values (2, 'b'); end $$",
        "call write_and_commit()",
        "explain analyze insert into victim values (2, 'b')",
        "",
        " -- nothing",
    };
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        struct read_run run;
        read_model(&run, state, models[i]);
        if (run.ok)
            print_error("it ran: %s\n", models[i]);
        assert_false(run.ok);
        read_run_done(&run);
    }
    assert_int_equal(postgres_server_number(&server, NULL, "select count(*) from victim"), 1);
    assert_int_equal(
        postgres_server_number(&server, NULL, "select last_value - is_called::int from counter"),
        1);
    assert_int_equal(postgres_server_number(&server, NULL,
                                            "select count(*) from pg_class where relname='stolen'"),
                     0);
    char path[200];
    snprintf(path, sizeof path, "%s/pwned", server.dir);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/data/pwned", server.dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_model_that_is_not_one_select_is_told_so(void **state)
{
    expect_error(state, "commit", ERR_CONFIG, WORDS("the model must be one SELECT"));
    expect_error(state, "select 1 into stolen", ERR_CONFIG, WORDS("it must be one SELECT"));
    expect_error(state, "select 1; select 2", ERR_SQL, WORDS("multiple commands"));
    expect_error(state, "select id, name, id from victim", ERR_CONFIG,
                 WORDS("two columns are named id", "1 and 3"));
    expect_error(state, "select $1::int", ERR_CONFIG, WORDS("parameter"));
}

static void comments_and_semicolons_around_the_model_do_no_harm(void **state)
{
    static const char *const models[] = {
        "select 1 as a;",
        "select 1 as a ; ;\n",
        "select 1 as a -- the end",
        "select 1 as a; -- the end;\n/* ; */ ;",
        "/* a; /* b */ */ select 1 as a /* c",
        "-- a;\n(select 1 as a)",
        "select 1 as a--",
        "values (1);",
        "with x as (select 1 as a) select a from x;",
        "table one;",
    };
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        if (!strstr(models[i], "/* c"))
            expect_rows(state, models[i], "number:1\n");
    expect_error(state, "select 1 as a /* c", ERR_SQL, WORDS("unterminated /* comment"));
    expect_rows(state, "select ';--' || $t$ ; /* $t$ || E'\\';' as a -- ;", "text:;-- ; /* ';\n");
}

static void a_type_of_source_that_is_none_is_an_error(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), "select 1");
    run.source.type = "oracle";
    read_run_go(&run);
    assert_int_equal(run.err.code, ERR_CONFIG);
    read_run_done(&run);
}

static void a_server_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    struct read_run run;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    read_run_init(&run, &server, READ_AUTO, "select 1");
    snprintf(at.sun_path, sizeof at.sun_path, "%s/.s.PGSQL.5434", server.dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1), 0);
    run.params[2] = (struct param){"connect_timeout", "1"};
    run.params[3] = (struct param){"port", "5434"};
    run.source.param_count = 4;
    read_run_go(&run);
    assert_false(run.ok);
    assert_int_equal(run.err.code, ERR_TIMEOUT);
    read_run_done(&run);
    close(fd);
    unlink(at.sun_path);
}

static int start(void **state)
{
    (void)state;
    postgres_server_start(&server);
    postgres_server_run(
        &server, NULL,
        "create table victim(id int, name text); insert into victim values (1, 'a');"
        "create table one as select 1 as a;"
        "create sequence counter;"
        "create role needs_password login password 'other';"

        "create function write_it() returns int language plpgsql as"
        " 'begin insert into victim values (3, ''c''); return 1; end';"
        "create procedure write_and_commit(inout a int default 1) language plpgsql as"
        " 'begin insert into victim values (3, ''c''); commit; end'");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

#define BOTH(f)                                                                                    \
    {"copy: " #f, f, NULL, NULL, (void *)&by_copy},                                                \
    {                                                                                              \
        "rows: " #f, f, NULL, NULL, (void *)&by_rows                                               \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_mistake_in_the_model_is_told_in_the_server_s_words_with_its_place),
        BOTH(a_server_that_is_not_there_is_unreachable),
        BOTH(a_password_never_shows),
        BOTH(a_url_and_further_parameters_make_one_connection),
        BOTH(a_model_cannot_leave_its_read_only_transaction),
        BOTH(a_model_that_is_not_one_select_is_told_so),
        BOTH(comments_and_semicolons_around_the_model_do_no_harm),
        BOTH(a_type_of_source_that_is_none_is_an_error),
        cmocka_unit_test(a_server_that_says_nothing_is_given_up),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
