/* Every type of PostgreSQL's, by each way of reading: exactly the value that will be sent. */
#include "tests/unit/source/read_helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct postgres_server server;
static const enum read_method by_copy = READ_COPY, by_rows = READ_ROWS;

static const char setup_sql[] =
    "create type mood as enum ('sad', 'it''s ok', 'happy');"
    "create type pair as (a int, b text);"
    "create domain email as text check (value like '%@%');"
    "create domain price as numeric(10,2);"
    "create domain pricelist as price[];"
    "create domain when_local as timestamp;"
    "create domain documents as jsonb;"
    "create extension hstore; create extension citext;"
    "create table t(id int); create schema \"Odd schema\";"
    "create table \"Odd schema\".\"my \"\"table\"\"\"(\"Größe\" int, \"a b\" text, \"q\"\"x\" "
    "bool);"
    "insert into \"Odd schema\".\"my \"\"table\"\"\" values (1, 'x', true);"
    "create database ascii encoding SQL_ASCII locale 'C' template template0;";

static const struct {
    const char *expression;
    const char *value;
    const char *column; /* type_name:type; the server describes a domain as what it is over */
} cases[] = {
    {"1::int2", "number:1", "smallint:int"},
    {"(-2147483648)::int4", "number:-2147483648", "integer:int"},
    {"9223372036854775807::int8", "number:9223372036854775807", "bigint:int"},
    {"0::int8", "number:0", "bigint:int"},
    {"12345678901234567890.123456789012345678901234567890::numeric",
     "number:12345678901234567890.123456789012345678901234567890", "numeric:numeric"},
    {"1.50::numeric(10,2)", "number:1.50", "numeric:numeric"},
    {"(-0.001)::numeric", "number:-0.001", "numeric:numeric"},
    {"1e30::numeric", "number:1000000000000000000000000000000", "numeric:numeric"},
    {"'NaN'::numeric",
     "bad:numeric NaN has no JSON number; cast it to text or filter it in the model",
     "numeric:numeric"},
    {"'Infinity'::numeric",
     "bad:numeric Infinity has no JSON number; cast it to text or filter it in the model",
     "numeric:numeric"},
    {"'NaN'::numeric::text", "text:NaN", "text:text"},
    {"0.1::float4", "number:0.1", "real:float"},
    {"0.1::float8", "number:0.1", "double precision:float"},
    {"(0.1::float8 + 0.2::float8)", "number:0.30000000000000004", "double precision:float"},
    {"1e300::float8", "number:1e+300", "double precision:float"},
    {"1.5e-7::float8", "number:1.5e-07", "double precision:float"},
    {"'-Infinity'::float8",
     "bad:numeric Infinity has no JSON number; cast it to text or filter it in the model",
     "double precision:float"},
    {"'NaN'::float4",
     "bad:numeric NaN has no JSON number; cast it to text or filter it in the model", "real:float"},
    {"true", "true", "boolean:bool"},
    {"false", "false", "boolean:bool"},
    {"''::text", "text:", "text:text"},
    {"E'a\\tb\\nc\\\\d\\re\\bf\\fg\\x0bh\"\\x01'::text", "text:a\tb\nc\\d\re\bf\fg\vh\"\x01",
     "text:text"},
    {"'\\N'::text", "text:\\N", "text:text"},
    {"'\\.'::text", "text:\\.", "text:text"},
    {"'Zoë 漢 😀'::varchar(20)", "text:Zoë 漢 😀", "character varying:text"},
    {"'ab'::char(4)", "text:ab  ", "character:text"},
    {"'x'::\"char\"", "text:x", "\"char\":other"},
    {"'n'::name", "text:n", "name:other"},
    {"'a@b.c'::email", "text:a@b.c", "text:text"},
    {"1.5::price", "number:1.50", "numeric:numeric"},
    {"'{\"b\": [1, 2.50, 12345678901234567890],  \"a\": {\"x\": null}}'::json",
     "json:{\"b\":[1,2.50,12345678901234567890],\"a\":{\"x\":null}}", "json:json"},
    {"'{\"b\": 1.50, \"a\": \"x  \\\" y\\n\"}'::jsonb", "json:{\"a\":\"x  \\\" y\\n\",\"b\":1.50}",
     "jsonb:json"},
    {"'\"é\"'::jsonb", "json:\"é\"", "jsonb:json"},
    {"'null'::jsonb", "json:null", "jsonb:json"},
    {"'[1,  2]'::documents", "json:[1,2]", "jsonb:json"},
    {"date '2026-01-02'", "text:2026-01-02", "date:date"},
    {"date '0001-01-01'", "text:0001-01-01", "date:date"},
    {"date '9999-12-31'", "text:9999-12-31", "date:date"},
    {"date 'infinity'",
     "bad:an infinite date has no RFC 3339 form; cast it to text or filter it in the model",
     "date:date"},
    {"date '0044-03-15 BC'",
     "bad:a date before Christ has no RFC 3339 form; cast it to text or filter it in the model",
     "date:date"},
    {"date '10000-01-01'",
     "bad:a year above 9999 has no RFC 3339 form; cast it to text or filter it in the model",
     "date:date"},
    {"timestamptz '2026-01-02 03:04:05.678901+02'", "text:2026-01-02T01:04:05.678901Z",
     "timestamp with time zone:timestamp"},
    {"timestamptz '2026-01-02 03:04:05.5Z'", "text:2026-01-02T03:04:05.5Z",
     "timestamp with time zone:timestamp"},
    {"timestamptz '2026-01-02 03:04:05Z'", "text:2026-01-02T03:04:05Z",
     "timestamp with time zone:timestamp"},
    {"timestamptz '-infinity'",
     "bad:an infinite date has no RFC 3339 form; cast it to text or filter it in the model",
     "timestamp with time zone:timestamp"},
    {"timestamptz '0044-03-15 00:00:00Z BC'",
     "bad:a date before Christ has no RFC 3339 form; cast it to text or filter it in the model",
     "timestamp with time zone:timestamp"},
    {"timestamp '2026-01-02 03:04:05.678'", "text:2026-01-02T03:04:05.678Z",
     "timestamp without time zone:timestamp"},
    {"timestamp '2026-01-02 03:04:05'", "text:2026-01-02T03:04:05Z",
     "timestamp without time zone:timestamp"},
    {"timestamp '12026-01-02 03:04:05'",
     "bad:a year above 9999 has no RFC 3339 form; cast it to text or filter it in the model",
     "timestamp without time zone:timestamp"},
    {"'2026-01-02 03:04:05'::when_local", "text:2026-01-02T03:04:05Z",
     "timestamp without time zone:timestamp"},
    {"time '03:04:05.5'", "text:03:04:05.5", "time without time zone:other"},
    {"timetz '03:04:05+02'", "text:03:04:05+02", "time with time zone:other"},
    {"interval '1 year 2 days 03:04:05.5'", "text:1 year 2 days 03:04:05.5", "interval:other"},
    {"''::bytea", "text:", "bytea:bytes"},
    {"'\\x00'::bytea", "text:AA==", "bytea:bytes"},
    {"'\\xfffe'::bytea", "text://4=", "bytea:bytes"},
    {"'\\x00ff10'::bytea", "text:AP8Q", "bytea:bytes"},
    {"'\\x68656c6c6f20776f726c64'::bytea", "text:aGVsbG8gd29ybGQ=", "bytea:bytes"},
    {"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "text:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
     "uuid:other"},
    {"'it''s ok'::mood", "text:it's ok", "mood:other"},
    {"row(1, 'a \"b\"')::pair", "text:(1,\"a \"\"b\"\"\")", "pair:other"},
    {"int4range(1, 5)", "text:[1,5)", "int4range:other"},
    {"'$1,234.50'::money", "text:$1,234.50", "money:other"},
    {"'<a>x</a>'::xml", "text:<a>x</a>", "xml:other"},
    {"16::oid", "text:16", "oid:other"},
    {"'pg_type'::regclass", "text:pg_type", "regclass:other"},
    {"'a=>1, b=>NULL'::hstore", "text:\"a\"=>\"1\", \"b\"=>NULL", "hstore:other"},
    {"'AbC'::citext", "text:AbC", "citext:other"},
    {"'10.0.0.0/8'::inet", "text:10.0.0.0/8", "inet:other"},
    {"point(1,2)", "text:(1,2)", "point:other"},
    {"'1 2 3'::int2vector", "text:1 2 3", "int2vector:other"},
    {"b'101'::bit(3)", "text:101", "bit:other"},
    {"array[1,NULL,-3]", "json:[1,null,-3]", "integer[]:array"},
    {"'{}'::int[]", "json:[]", "integer[]:array"},
    {"array[[1,2],[3,4]]", "json:[[1,2],[3,4]]", "integer[]:array"},
    {"array[[[1],[2]],[[3],[4]]]", "json:[[[1],[2]],[[3],[4]]]", "integer[]:array"},
    {"'[0:2]={1,2,3}'::int[]", "json:[1,2,3]", "integer[]:array"},
    {"'[-1:0][2:3]={{1,2},{3,4}}'::int[]", "json:[[1,2],[3,4]]", "integer[]:array"},
    {"array[1.50,2]::numeric[]", "json:[1.50,2]", "numeric[]:array"},
    {"array[1,'NaN']::numeric[]",
     "bad:numeric NaN has no JSON number; cast it to text or filter it in the model",
     "numeric[]:array"},
    {"array[0.5,1e300]::float8[]", "json:[0.5,1e+300]", "double precision[]:array"},
    {"array[true,false,null]", "json:[true,false,null]", "boolean[]:array"},
    {"array['a','','NULL',null,'nu\"ll','b,c','{d}','e\\f',' g ',E'h\\ti','é']",
     "json:[\"a\",\"\",\"NULL\",null,\"nu\\\"ll\",\"b,c\",\"{d}\",\"e\\\\f\",\" g "
     "\",\"h\\ti\",\"é\"]",
     "text[]:array"},
    {"array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']::uuid[]",
     "json:[\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"]", "uuid[]:array"},
    {"array['{\"a\": [1, \"x,}\"]}', '2', 'null', null]::jsonb[]",
     "json:[{\"a\":[1,\"x,}\"]},2,null,null]", "jsonb[]:array"},
    {"array['\\x00ff', '', null]::bytea[]", "json:[\"AP8=\",\"\",null]", "bytea[]:array"},
    {"array['2026-01-02 03:04:05.5+02', null]::timestamptz[]",
     "json:[\"2026-01-02T01:04:05.5Z\",null]", "timestamp with time zone[]:array"},
    {"array['2026-01-02 03:04:05', '2026-01-03 00:00:00.25']::timestamp[]",
     "json:[\"2026-01-02T03:04:05Z\",\"2026-01-03T00:00:00.25Z\"]",
     "timestamp without time zone[]:array"},
    {"array['2026-01-02', 'infinity']::date[]",
     "bad:an infinite date has no RFC 3339 form; cast it to text or filter it in the model",
     "date[]:array"},
    {"array['happy', 'it''s ok']::mood[]", "json:[\"happy\",\"it's ok\"]", "mood[]:array"},
    {"array[row(1,'x y')::pair]", "json:[\"(1,\\\"x y\\\")\"]", "pair[]:array"},
    {"array['(1,2),(0,0)'::box, '(3,4),(2,2)'::box]", "json:[\"(1,2),(0,0)\",\"(3,4),(2,2)\"]",
     "box[]:array"},
    {"array[1,2.5]::price[]", "json:[1.00,2.50]", "price[]:array"},
    {"'{1,2.5}'::pricelist", "json:[1.00,2.50]", "price[]:array"},
    {"array['{1,2}'::pricelist, '{3}'::pricelist]", "json:[[1.00,2.00],[3.00]]",
     "pricelist[]:array"},
    {"array['a', 'b']::char(3)[]", "json:[\"a  \",\"b  \"]", "character[]:array"},
    {"'NULL'::text", "text:NULL", "text:text"},
};

static void expect(enum read_method method, const char *sql, const char *rows, const char *columns)
{
    struct read_run run;
    read_run_init(&run, &server, method, sql);
    read_run_go(&run);
    if (!run.ok)
        print_error("%s: %s\n", sql, run.err.text);
    assert_true(run.ok);
    if (strcmp(run.rows.p, rows) != 0)
        print_error("%s\n", sql);
    assert_string_equal(run.rows.p, rows);
    if (columns)
        assert_string_equal(run.columns.p, columns);
    read_run_done(&run);
}

/* One model per case would be one connection each: they are read as one row. */
static void every_type_has_the_form_that_the_documentation_promises(void **state)
{
    enum read_method method = **(const enum read_method **)state;
    struct buf sql, values;
    buf_init(&sql, 1 << 20);
    buf_init(&values, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(
            buf_printf(&sql, "%s%s as c%zu", i ? ", " : "select ", cases[i].expression, i), ERR_OK);
        assert_int_equal(buf_printf(&values, "%s\n", cases[i].value), ERR_OK);
    }
    struct read_run run;
    read_run_init(&run, &server, method, buf_cstr(&sql));
    read_run_go(&run);
    assert_string_equal(run.err.text, "");
    assert_true(run.ok);
    char *value = run.rows.p, *column = run.columns.p;
    const char *wanted = buf_cstr(&values);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = strlen(cases[i].value);
        if (strncmp(value, wanted, n + 1) != 0)
            print_error("%s: wanted %s, have %.*s\n", cases[i].expression, cases[i].value,
                        (int)strcspn(value, "\n"), value);
        assert_memory_equal(value, wanted, n + 1);
        value += n + 1;
        wanted += n + 1;
        char name[200];
        snprintf(name, sizeof name, "c%zu:%s\n", i, cases[i].column);
        assert_memory_equal(column, name, strlen(name));
        column += strlen(name);
    }
    assert_string_equal(value, "");
    read_run_done(&run);
    buf_done(&sql);
    buf_done(&values);
}

static void null_is_null_in_every_type(void **state)
{
    enum read_method method = **(const enum read_method **)state;
    expect(method,
           "select null::int, null::text a, null::jsonb b, null::bytea c, null::int[] d, "
           "null::timestamptz e,"
           " null::bool f, null::mood g, null::pricelist h, null i",
           "null\nnull\nnull\nnull\nnull\nnull\nnull\nnull\nnull\nnull\n", NULL);
    expect(method, "select null::text union all select '' union all select null",
           "null\ntext:\nnull\n", "text:text:text\n");
}

static void timestamps_without_a_zone_are_read_in_the_model_s(void **state)
{
    enum read_method method = **(const enum read_method **)state;
    struct read_run run;
    read_run_init(
        &run, &server, method,
        "select 1 as \"a\"\"b\", timestamp '2026-07-01 12:00:00.5' as summer,"
        " '2026-01-01 12:00:00'::when_local as winter, timestamptz '2026-01-01 12:00:00Z' as zoned,"
        " array[['2026-07-01 12:00:00'],[null]]::timestamp[] as list, null::timestamp as nothing,"
        " timestamp 'infinity' as never; -- the end");
    run.model.timezone = "Europe/Berlin";
    read_run_go(&run);
    assert_string_equal(run.err.text, "");
    assert_string_equal(
        run.rows.p,
        "number:1\ntext:2026-07-01T10:00:00.5Z\ntext:2026-01-01T11:00:00Z\n"
        "text:2026-01-01T12:00:00Z\njson:[[\"2026-07-01T10:00:00Z\"],[null]]\nnull\n"
        "bad:an infinite date has no RFC 3339 form; cast it to text or filter it in the model\n");
    read_run_done(&run);
}

static void a_zone_that_is_none_is_an_error(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, **(const enum read_method **)state,
                  "select timestamp '2026-07-01 12:00:00' as t");
    run.model.timezone = "Mars/O'Lympus";
    read_run_go(&run);
    assert_false(run.ok);
    assert_non_null(strstr(run.err.text, "Mars/O'Lympus"));
    read_run_done(&run);
}

static void a_table_may_have_odd_names(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, **(const enum read_method **)state, NULL);
    run.model.table = "Odd schema.\"my \"\"table\"\"\"";
    read_run_go(&run);
    assert_string_equal(run.err.text, "");
    assert_string_equal(run.columns.p, "Größe:integer:int\na b:text:text\nq\"x:boolean:bool\n");
    assert_string_equal(run.rows.p, "number:1\ntext:x\ntrue\n");
    read_run_done(&run);

    static const char *const wrong[] = {"", "a.", ".a", "a..b", "\"a", "a.b.c.d", "\"a\"b"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        read_run_init(&run, &server, **(const enum read_method **)state, NULL);
        run.model.table = wrong[i];
        run.model.sql = "";
        read_run_go(&run);
        assert_false(run.ok);
        assert_int_equal(run.err.code, ERR_CONFIG);
        read_run_done(&run);
    }
}

static void a_table_may_be_read_in_part(void **state)
{
    static const char *const columns[] = {"q\"x", "Größe"};
    static const char *const conditions[] = {"\"a b\" = 'x' or false; -- all",
                                             "\"Größe\" > 1 or \"a b\" <> 'x'"};
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        struct read_run run;
        read_run_init(&run, &server, **(const enum read_method **)state, NULL);
        run.model.table = "Odd schema.\"my \"\"table\"\"\"";
        run.model.columns = columns;
        run.model.column_count = ARRAY_LEN(columns);
        run.model.where = conditions[i];
        read_run_go(&run);
        assert_string_equal(run.err.text, "");
        assert_string_equal(run.columns.p, "q\"x:boolean:bool\nGröße:integer:int\n");
        assert_string_equal(run.rows.p ? run.rows.p : "", i == 0 ? "true\nnumber:1\n" : "");
        read_run_done(&run);
    }
}

static void a_condition_cannot_leave_its_parentheses(void **state)
{
    static const char *const conditions[] = {"false) or (true",
                                             "false) union select true, 7 where (true",
                                             "true; drop table t", "(true"};
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        struct read_run run;
        read_run_init(&run, &server, **(const enum read_method **)state, NULL);
        run.model.table = "t";
        run.model.where = conditions[i];
        read_run_go(&run);
        assert_false(run.ok);
        assert_int_equal(run.err.code, ERR_CONFIG);
        assert_non_null(strstr(run.err.text, "`where` must be one condition"));
        read_run_done(&run);
    }
}

static void text_that_is_not_utf8_is_bad_and_the_rest_of_the_row_is_not(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, **(const enum read_method **)state,
                  "select E'a\\xff'::text a, E'\\xc3\\xa9'::text b, array[E'\\xff'] c, 1 d");
    run.params[2].value = "ascii";
    read_run_go(&run);
    assert_string_equal(run.err.text, "");
    assert_string_equal(run.rows.p,
                        "bad:text that is not valid UTF-8; convert it in the model\ntext:é\n"
                        "bad:text that is not valid UTF-8; convert it in the model\nnumber:1\n");
    read_run_done(&run);
}

static void a_model_that_changes_the_session_s_formats_is_found_out(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, **(const enum read_method **)state,
                  "select set_config('TimeZone', 'Asia/Tokyo', true) a, '2026-01-02 "
                  "03:04:05Z'::timestamptz b");
    read_run_go(&run);
    assert_string_equal(run.err.text, "");
    assert_string_equal(
        run.rows.p,
        "text:Asia/Tokyo\nbad:a date that is not in ISO form and UTC; the model must not "
        "change DateStyle or TimeZone\n");
    read_run_done(&run);
}

static int start(void **state)
{
    (void)state;
    postgres_server_start(&server);
    const char *p = setup_sql;
    while (*p) { /* create database does not run inside a list of statements */
        char one[300];
        size_t n = strcspn(p, ";");
        snprintf(one, sizeof one, "%.*s", (int)n, p);
        postgres_server_run(&server, NULL, one);
        p += n + 1;
    }
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
        BOTH(every_type_has_the_form_that_the_documentation_promises),
        BOTH(null_is_null_in_every_type),
        BOTH(timestamps_without_a_zone_are_read_in_the_model_s),
        BOTH(a_zone_that_is_none_is_an_error),
        BOTH(a_table_may_have_odd_names),
        BOTH(a_table_may_be_read_in_part),
        BOTH(a_condition_cannot_leave_its_parentheses),
        BOTH(text_that_is_not_utf8_is_bad_and_the_rest_of_the_row_is_not),
        BOTH(a_model_that_changes_the_session_s_formats_is_found_out),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
