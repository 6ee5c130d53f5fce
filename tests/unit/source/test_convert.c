/* Foreign bytes to rows, cells and values: what no server of today sends must not become a value
 * either. */
#include "protocol/base/utf8.h"
#include "scheduler/source/convert.h"
#include "scheduler/source/copy_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { COLUMNS_MAX = 8 };

/* The line in memory of exactly its size and the pad. */
static enum err_code split(const char *line, size_t count, struct cells *cells, char **ret_line,
                           struct err *err)
{
    size_t n = strlen(line);
    char *copy = malloc(n + COPY_ROW_PAD_BYTES);
    assert_non_null(copy);
    memcpy(copy, line, n);
    memset(copy + n, '\t', COPY_ROW_PAD_BYTES); /* the pad counts for nothing */
    cells->count = count;
    *ret_line = copy;
    return copy_row_split(copy, n, cells, err);
}

static void a_line_comes_apart_into_its_cells(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t count;
        const char *cells[COLUMNS_MAX]; /* NULL: SQL NULL */
        bool ascii;
    } cases[] = {
        {"", 1, {""}, true},
        {"\\N", 1, {NULL}, true},
        {"\\\\N", 1, {"\\N"}, true},
        {"a", 1, {"a"}, true},
        {"a\tb", 2, {"a", "b"}, true},
        {"\t\t", 3, {"", "", ""}, true},
        {"1234567\t12345678\t123456789", 3, {"1234567", "12345678", "123456789"}, true},
        {"\\N\tx\\\\\\ty\t\\N\t\\b\\f\\n\\r\\t\\v\\\\",
         4,
         {NULL, "x\\\ty", NULL, "\b\f\n\r\t\v\\"},
         true},
        {"é\tabcdefghijklmnop", 2, {"é", "abcdefghijklmnop"}, false},
        {"abcdefghijklmnop\té", 2, {"abcdefghijklmnop", "é"}, false},
        {"long text with an escape at its very end\\\\",
         1,
         {"long text with an escape at its very end\\"},
         true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cell items[COLUMNS_MAX];
        struct cells cells = {.items = items};
        struct err err;
        char *line;
        assert_int_equal(split(cases[i].line, cases[i].count, &cells, &line, &err), ERR_OK);
        assert_int_equal(cells.ascii, cases[i].ascii);
        for (size_t c = 0; c < cases[i].count; c++) {
            assert_int_equal(items[c].p == NULL, cases[i].cells[c] == NULL);
            if (items[c].p)
                assert_true(slice_eq_str(slice_of(items[c].p, items[c].n), cases[i].cells[c]));
        }
        free(line);
    }
}

static void a_line_that_is_not_copy_text_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t count;
    } cases[] = {{"", 2},      {"a\tb", 1},
                 {"a\tb", 3},  {"a\\", 1},
                 {"a\\q", 1},  {"\\x41", 1},
                 {"\\101", 1}, {"\\N\\N", 1},
                 {"a\\N", 1},  {"a\tb\tc\td\te\tf\tg\th\ti\tj\tk", 8}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cell items[COLUMNS_MAX];
        struct cells cells = {.items = items};
        struct err err;
        char *line;
        assert_int_equal(split(cases[i].line, cases[i].count, &cells, &line, &err), ERR_INVALID);
        free(line);
    }
}

/* The cell with the one byte behind it that a converter may use, and no more. */
static struct cell cell_of(const char *text)
{
    size_t n = strlen(text);
    char *p = malloc(n + 1);
    assert_non_null(p);
    memcpy(p, text, n);
    return (struct cell){p, n};
}

static void what_is_not_in_the_server_s_form_is_bad(void **state)
{
    (void)state;
    static const struct {
        enum convert_kind kind;
        const char *texts[8];
    } cases[] = {
        {CONVERT_NUMBER, {"", "-", "1.", ".5", "01", "1e", "0x10", "1 "}},
        {CONVERT_BOOL, {"", "true", "T", "1", "tt"}},
        {CONVERT_JSON, {""}},
        {CONVERT_DATE, {"", "2026-1-02", "02.01.2026", "2026-01-02 ", "2026/01/02", "01-02-2026"}},
        {CONVERT_TIMESTAMP,
         {"", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05.",
          "2026-01-02 03:04:05 CET", "2026-01-02 03:04:05+01"}},
        {CONVERT_TIMESTAMPTZ,
         {"2026-01-02 03:04:05", "2026-01-02 03:04:05+02", "2026-01-02 03:04:05+00:30",
          "2026-01-02 03:04:05.+00", "2026-01-02 03:04:05-00"}},
        {CONVERT_BYTES, {"", "\\", "\\x1", "\\xgg", "abc", "\\xAB", "\\x0", "\\\\x00"}},
        {CONVERT_TEXT, {"\xff", "\xc3", "\xed\xa0\x80", "a\xc0\x80"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t t = 0; t < 8 && cases[i].texts[t]; t++) {
            struct converter c = {.kind = cases[i].kind};
            struct cell cell = cell_of(cases[i].texts[t]);
            struct value v = convert_cell(&c, cell, false);
            if (v.kind != VALUE_BAD)
                print_error("kind %d: %s\n", (int)cases[i].kind, cases[i].texts[t]);
            assert_int_equal(v.kind, VALUE_BAD);
            assert_true(v.n > 0);
            free(cell.p);
        }
}

static const struct converter text_element = {.kind = CONVERT_TEXT};
static const struct converter number_element = {.kind = CONVERT_NUMBER};
static const struct converter texts = {CONVERT_ARRAY, ',', &text_element};
static const struct converter numbers = {CONVERT_ARRAY, ',', &number_element};
static const struct converter boxes = {CONVERT_ARRAY, ';', &text_element};
static const struct converter lists = {CONVERT_ARRAY, ',', &numbers};

static void an_array_s_text_becomes_json(void **state)
{
    (void)state;
    static const struct {
        const struct converter *c;
        const char *text, *json;
    } cases[] = {
        {&numbers, "{}", "[]"},
        {&numbers, "{1}", "[1]"},
        {&numbers, "{1,NULL,-2.50}", "[1,null,-2.50]"},
        {&numbers, "{{1,2},{3,4}}", "[[1,2],[3,4]]"},
        {&numbers, "{{{{{{1}}}}}}", "[[[[[[1]]]]]]"},
        {&numbers, "[0:1]={1,2}", "[1,2]"},
        {&numbers, "[1:1][-2:-1]={{3,4}}", "[[3,4]]"},
        {&texts, "{a,\"\",\"NULL\",null,\"a\\\"b\",\"c\\\\d\",\"{e,f}\",g h}",
         "[\"a\",\"\",\"NULL\",null,\"a\\\"b\",\"c\\\\d\",\"{e,f}\",\"g h\"]"},
        {&texts, "{é,\"a\nb\"}", "[\"é\",\"a\\nb\"]"},
        {&boxes, "{(1,2),(3,4);(5,6),(7,8)}", "[\"(1,2),(3,4)\",\"(5,6),(7,8)\"]"},
        {&lists, "{\"{1,2}\",NULL,\"{}\"}", "[[1,2],null,[]]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, 1000);
        struct cell cell = cell_of(cases[i].text);
        assert_null(convert_array(cases[i].c, cell, false, &out));
        assert_string_equal(buf_cstr(&out), cases[i].json);
        free(cell.p);
        buf_done(&out);
    }
}

static void an_array_that_is_malformed_or_too_large_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",         "{",
        "}",        "1",
        "{1",       "{1,",
        "{1,}",     "{,1}",
        "{1}}",     "{1}x",
        "{{1}",     "{{1},{2}",
        "{\"1",     "{\"1\\",
        "{1\"2\"}", "{1{2}}",
        "{{1}2}",   "[0:1]",
        "[0:1]=",   "[0:1={1}",
        "{1;2}",    "{{{{{{{1}}}}}}}",
        "{abc}",    "{NaN}",
        "{\"\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct buf out;
        buf_init(&out, 1000);
        assert_int_equal(buf_puts(&out, "before"), ERR_OK);
        struct cell cell = cell_of(wrong[i]);
        if (!convert_array(&numbers, cell, true, &out))
            fail_msg("%s became %s", wrong[i], buf_cstr(&out));
        assert_int_equal(out.len, 6);
        free(cell.p);
        buf_done(&out);
    }
    for (size_t max = 0; max < 22; max++) {
        struct buf out;
        buf_init(&out, max);
        struct cell cell = cell_of("{\"a\n\",bcd,NULL,{e,f}}");
        const char *why = convert_array(&texts, cell, true, &out);
        assert_non_null(why);
        assert_int_equal(out.len, 0);
        free(cell.p);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_comes_apart_into_its_cells),
        cmocka_unit_test(a_line_that_is_not_copy_text_is_an_error),
        cmocka_unit_test(what_is_not_in_the_server_s_form_is_bad),
        cmocka_unit_test(an_array_s_text_becomes_json),
        cmocka_unit_test(an_array_that_is_malformed_or_too_large_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
