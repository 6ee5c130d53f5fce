#include "scheduler/source/sql_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define LEN(a) (sizeof(a) / sizeof *(a))

static void a_statement_ends_at_its_last_word(void **state)
{
    (void)state;
    static const struct {
        const char *text, *statement;
    } cases[] = {
        {"", ""},
        {" ; -- x\n /* y */", ""},
        {"select 1", "select 1"},
        {"select 1 ; ;\n\t;", "select 1"},
        {"  select 1 -- a;b", "  select 1"},
        {"select 1 /* a /* b */ c; */;", "select 1"},
        {"select 1 /* open", "select 1 /* open"},
        {"select 1; select 2;", "select 1; select 2"},
        {"select ';' ;", "select ';'"},
        {"select 'it''s; --' ;", "select 'it''s; --'"},
        {"select 'a\\';--';'", "select 'a\\'"},
        {"select 'a\\'; -- b", "select 'a\\'"},
        {"select E'a\\'; -- b' ;", "select E'a\\'; -- b'"},
        {"select e'a'\n'b\\'; --' ;", "select e'a'\n'b\\'; --'"},
        {"select e'a' -- c\n '\\'; --' ;", "select e'a' -- c\n '\\'; --'"},
        {"select e'a' 'b\\' ; --", "select e'a' 'b\\'"},
        {"select somee'b\\' ; -- '", "select somee'b\\'"},
        {"select \"a;\"\"--\" ;", "select \"a;\"\"--\""},
        {"select $$ ; -- ' $$ ;", "select $$ ; -- ' $$"},
        {"select $a$ $b$ ; $$ $a$ ;", "select $a$ $b$ ; $$ $a$"},
        {"select a$b$ ; $b$", "select a$b$ ; $b$"},
        {"select $1 ;", "select $1"},
        {"select $ü$;$ü$ ;", "select $ü$;$ü$"},
        {"select $a$ open ;", "select $a$ open ;"},
        {"select 'open ;", "select 'open ;"},
        {"select 1 - -1; --", "select 1 - -1"},
        {"select 4/2 ; /*/ still */", "select 4/2"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct slice s = sql_text_statement(slice_str(cases[i].text));
        if (!slice_eq_str(s, cases[i].statement))
            print_error("%s -> %.*s\n", cases[i].text, (int)s.n, s.p);
        assert_true(slice_eq_str(s, cases[i].statement));
    }
}

static void a_query_begins_with_one_of_five_words(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "select 1",   "SELECT 1", " -- a\n/* b */ With x as (select 1) select 2",
        "values (1)", "table t",  "(select 1)",
        "select'a'"};
    static const char *const others[] = {"",
                                         "--",
                                         "commit",
                                         "selects",
                                         "insert into t values (1)",
                                         "/* select",
                                         "explain select 1",
                                         "copy t to stdout",
                                         "sel",
                                         ";select 1"};
    for (size_t i = 0; i < LEN(queries); i++)
        assert_true(sql_text_is_query(slice_str(queries[i])));
    for (size_t i = 0; i < LEN(others); i++)
        assert_false(sql_text_is_query(slice_str(others[i])));
}

static void a_place_counts_characters_not_bytes(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("é漢a\n\nb😀c");
    static const struct sql_place places[] = {{1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 1},
                                              {3, 1}, {3, 2}, {3, 3}, {3, 4}};
    for (size_t i = 0; i < LEN(places); i++) {
        struct sql_place p = sql_text_place(text, i);
        assert_int_equal(p.line, places[i].line);
        assert_int_equal(p.col, places[i].col);
    }
    assert_int_equal(sql_text_chars(text), 8);
}

static void a_name_comes_apart_at_its_dots(void **state)
{
    (void)state;
    struct slice rest = SLICE_LIT("db.\"a.b\"\"c\".Odd name");
    static const char *const parts[] = {"db", "a.b\"c", "Odd name"};
    char out[32];
    for (size_t i = 0; i < LEN(parts); i++) {
        size_t n = 0;
        assert_true(sql_text_name_part(&rest, out, &n));
        assert_true(slice_eq_str(slice_of(out, n), parts[i]));
    }
    assert_int_equal(rest.n, 0);
    static const char *const wrong[] = {"", ".a", "a.", "\"a", "\"\"", "\"a\"b", "a\"b\"", "\""};
    for (size_t i = 0; i < LEN(wrong); i++) {
        size_t n = 0;
        rest = slice_str(wrong[i]);
        assert_false(sql_text_name_part(&rest, out, &n));
    }
}

static void what_stands_in_parentheses_stays_there(void **state)
{
    (void)state;
    static const char *const enclosed[] = {
        "",
        "a > 1",
        "(a) and (b)",
        "a = ')'",
        "a = ''')('",
        "\")\" > 1",
        "a = E'\\')' ",
        "a = $x$)$x$ or (b)",
        "a /* ) */ > 1",
        "a > 1 -- )",
        "a in (select ')' from (select 1) b)",
    };
    static const char *const open[] = {
        ")",         "(",           "a) or (b",     "a) union select 1 from b where (true",
        "a; delete", "a = '(' ) (", "a = E'\\'' )", "a /* ( */ )",
        "(a))((b)",
    };
    for (size_t i = 0; i < LEN(enclosed); i++)
        if (!sql_text_is_enclosed(slice_str(enclosed[i])))
            fail_msg("%s", enclosed[i]);
    for (size_t i = 0; i < LEN(open); i++)
        if (sql_text_is_enclosed(slice_str(open[i])))
            fail_msg("%s", open[i]);
}

/* Whatever the text: the statement is a prefix, nothing behind the text is read (a sanitizer
 * tells). */
static void any_text_has_an_end(void **state)
{
    (void)state;
    static const char alphabet[] = "aE'\"$;-/*\\ \n(1.";
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)(round % 24);
        char *text = malloc(n + 1);
        assert_non_null(text);
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1103515245 + 12345;
            text[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        char *exact = realloc(text, n ? n : 1);
        assert_non_null(exact);
        struct slice s = sql_text_statement(slice_of(exact, n));
        assert_true(s.p == exact && s.n <= n);
        struct slice again = sql_text_statement(s);
        assert_int_equal(again.n, s.n);
        (void)sql_text_is_query(slice_of(exact, n));
        (void)sql_text_is_enclosed(slice_of(exact, n));
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_ends_at_its_last_word),
        cmocka_unit_test(a_query_begins_with_one_of_five_words),
        cmocka_unit_test(a_place_counts_characters_not_bytes),
        cmocka_unit_test(a_name_comes_apart_at_its_dots),
        cmocka_unit_test(what_stands_in_parentheses_stays_there),
        cmocka_unit_test(any_text_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
