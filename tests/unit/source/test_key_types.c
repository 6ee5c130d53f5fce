/* Keys of every type find the row that a read of the whole model gives, value by value. */
#include "tests/unit/source/ask_helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct postgres_server server;

static const char setup_sql[] = "create type mood as enum ('sad', 'it''s ok', 'happy');"
                                "create type pair as (a int, b text);"
                                "create domain email as text check (value like '%@%');"
                                "create domain price as numeric(10,2);"
                                "create domain small as int2;"
                                "create domain when_local as timestamp;"
                                "create extension hstore; create extension citext;";

static const char *const found[] = {
    "1::int2",
    "(-2147483648)::int4",
    "9223372036854775807::int8",
    "5::small",
    "12345678901234567890.123456789012345678901234567890::numeric",
    "1.50::numeric(10,2)",
    "1.5::price",
    "0.1::float4",
    "(0.1::float8 + 0.2::float8)",
    "1e300::float8",
    "true",
    "false",
    "''::text",
    "'null'::text",
    "'NULL'::text",
    "'{a,\"b\"}'::text",
    "E'a\\tb\\nc\\\\d\\re\\bf\\fg\\x0bh\"\\x01'::text",
    "'Zoë 漢 😀'::varchar(20)",
    "'ab'::char(4)",
    "'x'::\"char\"",
    "'n'::name",
    "'a@b.c'::email",
    "'ToM'::citext",
    "'{\"b\": 1.50, \"a\": \"x  \\\" y\\n\"}'::jsonb",
    "'null'::jsonb",
    "date '2026-01-02'",
    "timestamptz '2026-01-02 03:04:05.678901+02'",
    "timestamp '2026-01-02 03:04:05.678'",
    "'2026-01-02 03:04:05'::when_local",
    "time '03:04:05.5'",
    "timetz '03:04:05+02'",
    "interval '1 year 2 days 03:04:05.5'",
    "''::bytea",
    "'\\x00'::bytea",
    "'\\xfffe'::bytea",
    "'\\x00ff10'::bytea",
    "'\\x68656c6c6f20776f726c64'::bytea",
    "'6b29fc40-ca47-1067-b31d-00dd010662da'::uuid",
    "'it''s ok'::mood",
    "'192.168.0.1/24'::inet",
    "'[1,5)'::int4range",
    "'101'::bit(3)",
    "123::oid",
    "'a=>1'::hstore",
    "'08:00:2b:01:02:03'::macaddr",
    "'12.34'::money",
};

struct kept_key {
    struct value value;
    char bytes[512];
};

static void keep_key(struct read_run *run, const struct row *row)
{
    struct kept_key *key = run->ctx;
    key->value = row->values[0];
    assert_true(key->value.n <= sizeof key->bytes);
    if (key->value.n)
        memcpy(key->bytes, row->values[0].p, key->value.n);
    key->value.p = key->bytes;
}

static void read_whole(struct read_run *run, const struct model *model, struct kept_key *key)
{
    read_run_init(run, &server, READ_COPY, model->sql);
    run->model.timezone = model->timezone;
    run->on_row = keep_key;
    run->ctx = key;
    read_run_go(run);
    assert_string_equal(run->err.text, "");
}

static void expect_same(const char *sql, const char *timezone)
{
    struct read_run whole;
    struct ask_run run;
    struct kept_key key;
    ask_run_init(&run, &server, sql, "k");
    run.read.model.timezone = timezone;
    read_whole(&whole, &run.read.model, &key);
    if (!ask_run_start(&run) || !ask_run_ask(&run, &key.value, 1))
        fail_msg("%s: %s", sql, run.err.text);
    if (run.read.row_count != 1)
        fail_msg("%s: %zu rows", sql, run.read.row_count);
    assert_string_equal(run.read.columns.p, whole.columns.p);
    assert_string_equal(run.read.rows.p, whole.rows.p);
    ask_run_done(&run);
    read_run_done(&whole);
}

static void a_key_of_this_type_finds_its_row(void **state)
{
    (void)state;
    char sql[512];
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        snprintf(sql, sizeof sql, "select %s as k, 'x' as v -- that was it", found[i]);
        expect_same(sql, NULL);
    }
}

static void a_key_of_two_columns_may_be_of_this_type_too(void **state)
{
    (void)state;
    char sql[512];
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        struct read_run whole;
        struct ask_run run;
        struct kept_key key;
        snprintf(sql, sizeof sql, "select %s as k, 'x' as v", found[i]);
        ask_run_init(&run, &server, sql, "v,k");
        read_whole(&whole, &run.read.model, &key);
        const struct value both[] = {value_of(VALUE_TEXT, SLICE_LIT("x")), key.value};
        if (!ask_run_start(&run) || !ask_run_ask(&run, both, 1))
            fail_msg("%s: %s", sql, run.err.text);
        assert_string_equal(run.read.rows.p, whole.rows.p);
        ask_run_done(&run);
        read_run_done(&whole);
    }
}

static void a_key_in_the_model_s_zone_finds_its_row(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "timestamp '2026-07-01 02:30:00'", "timestamp '2026-10-25 02:30:00.25'",
        "'2026-01-02 03:04:05'::when_local", "timestamptz '2026-01-02 03:04:05Z'"};
    char sql[256];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        snprintf(sql, sizeof sql,
                 "select %s as k, array[timestamp '2026-01-02 03:04:05'] as a; -- and that",
                 keys[i]);
        expect_same(sql, "Europe/Berlin");
    }
}

static const struct {
    const char *expression;
    const char *why;
} refused[] = {
    {"'{}'::json", "must be of types that can be compared"},
    {"'<a/>'::xml", "must be of types that can be compared"},
    {"array[1]", "is an array (integer[])"},
    {"'(1,a)'::pair", "is composite"},
};

static void a_key_that_cannot_be_compared_is_refused(void **state)
{
    (void)state;
    char sql[256];
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct ask_run run;
        snprintf(sql, sizeof sql, "select %s as k", refused[i].expression);
        ask_run_init(&run, &server, sql, "k");
        assert_false(ask_run_start(&run));
        if (!strstr(run.err.text, refused[i].why) || !strstr(run.err.text, "model m: "))
            fail_msg("%s: %s", sql, run.err.text);
        ask_run_done(&run);
    }
}

#define TEXT(s)                                                                                    \
    {                                                                                              \
        VALUE_TEXT, sizeof(s) - 1, s                                                               \
    }
#define NUMBER(s)                                                                                  \
    {                                                                                              \
        VALUE_NUMBER, sizeof(s) - 1, s                                                             \
    }

static const struct {
    const char *expression;
    struct value keys[8]; /* of no row; the server would refuse most of them */
} foreign[] = {
    {"5::int2",
     {NUMBER("9999999999"), NUMBER("99999999999999999999"), NUMBER("5.01"), NUMBER("5."),
      TEXT("five"), TEXT(""), TEXT("-"), TEXT(" 5")}},
    {"5::numeric", {TEXT("five"), TEXT("0x5"), TEXT(""), TEXT("NaN"), TEXT(" 5")}},
    {"5::float8", {TEXT("five"), TEXT("Infinity"), TEXT("")}},
    {"true", {NUMBER("1"), TEXT("true"), TEXT("yes"), TEXT("")}},
    {"date '2024-02-29'",
     {TEXT("2024-02-30"), TEXT("2023-02-29"), TEXT("2024-13-01"), TEXT("2024-00-01"),
      TEXT("2024-2-29"), TEXT("infinity"), TEXT("today"), TEXT("")}},
    {"timestamptz '2024-02-29 01:02:03Z'",
     {TEXT("2024-02-30T01:02:03Z"), TEXT("2024-02-29T24:02:03Z"), TEXT("2024-02-29T01:60:03Z"),
      TEXT("2024-02-29T01:02:03.Z"), TEXT("2024-02-29T01:02:03"), TEXT("2024-02-29T01:02:03 Z"),
      TEXT("2024-02-29"), TEXT("")}},
    {"'6b29fc40-ca47-1067-b31d-00dd010662da'::uuid",
     {TEXT("6b29fc40-ca47-1067-b31d-00dd010662dg"), TEXT("6b29fc40-ca47-1067-b31d-00dd010662daa"),
      TEXT("6b29fc40ca471067b31d00dd010662d"), TEXT("none"), TEXT("")}},
    {"'\\x00ff10'::bytea", {TEXT("AP8"), TEXT("AP8!"), TEXT("="), TEXT("\\x00")}},
    {"'{}'::jsonb", {TEXT("{}"), TEXT("{"), TEXT("")}},
};

static const struct {
    const char *expression;
    struct value key;
} other_forms[] = {
    {"7::int4", TEXT("7")},
    {"7::int2", NUMBER("007")},
    {"-7::int8", NUMBER("-7.00")},
    {"7.50::numeric", NUMBER("7.5")},
    {"7.5::float8", TEXT("7.50")},
    {"'ab'::char(4)", TEXT("ab")},
    {"'6b29fc40-ca47-1067-b31d-00dd010662da'::uuid", TEXT("6B29FC40-CA47-1067-B31D-00DD010662DA")},
    {"'6b29fc40-ca47-1067-b31d-00dd010662da'::uuid", TEXT("6b29fc40ca471067b31d00dd010662da")},
    {"'ToM'::citext", TEXT("tom")},
};

static void a_key_in_another_form_finds_its_row_as_it_is(void **state)
{
    (void)state;
    char sql[200];
    for (size_t i = 0; i < ARRAY_LEN(other_forms); i++) {
        struct read_run whole;
        struct ask_run run;
        struct kept_key key;
        snprintf(sql, sizeof sql, "select %s as k", other_forms[i].expression);
        ask_run_init(&run, &server, sql, "k");
        read_whole(&whole, &run.read.model, &key);
        if (!ask_run_start(&run) || !ask_run_ask(&run, &other_forms[i].key, 1))
            fail_msg("%s: %s", sql, run.err.text);
        assert_string_equal(run.read.rows.p, whole.rows.p);
        ask_run_done(&run);
        read_run_done(&whole);
    }
}

/* A key of another table may be anything. */
static void a_key_that_its_column_cannot_hold_has_no_row(void **state)
{
    (void)state;
    char sql[200];
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        struct read_run whole;
        struct ask_run run;
        struct kept_key key;
        struct value keys[9];
        size_t n = 0;
        snprintf(sql, sizeof sql, "select %s as k", foreign[i].expression);
        ask_run_init(&run, &server, sql, "k");
        read_whole(&whole, &run.read.model, &key);
        for (; n < 8 && foreign[i].keys[n].p; n++)
            keys[n] = foreign[i].keys[n];
        keys[n] = key.value;
        if (!ask_run_start(&run) || !ask_run_ask(&run, keys, n))
            fail_msg("%s: %s", sql, run.err.text);
        assert_int_equal(run.read.row_count, 0);
        if (!ask_run_ask(&run, keys, n + 1))
            fail_msg("%s: %s", sql, run.err.text);
        assert_string_equal(run.read.rows.p, whole.rows.p);
        ask_run_done(&run);
        read_run_done(&whole);
    }
}

static int set_up(void **state)
{
    (void)state;
    postgres_server_start(&server);
    postgres_server_run(&server, NULL, setup_sql);
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
        cmocka_unit_test(a_key_of_this_type_finds_its_row),
        cmocka_unit_test(a_key_of_two_columns_may_be_of_this_type_too),
        cmocka_unit_test(a_key_in_the_model_s_zone_finds_its_row),
        cmocka_unit_test(a_key_that_cannot_be_compared_is_refused),
        cmocka_unit_test(a_key_in_another_form_finds_its_row_as_it_is),
        cmocka_unit_test(a_key_that_its_column_cannot_hold_has_no_row),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
