#include "scheduler/cli/markdown.h"
#include "scheduler/cli/plan_markdown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MANY = 5000, NAME_BYTES = 128 };

static void foreign_text_cannot_do_anything(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
    } cases[] = {
        {"", "<code></code>"},
        {NULL, "<code></code>"},
        {"plain words, (1/2) = 50%", "<code>plain words, (1/2) = 50%</code>"},
        {"a|b", "<code>a&#124;b</code>"},
        {"a\\|b", "<code>a&#92;&#124;b</code>"},
        {"</code><img src=x>", "<code>&#60;/code&#62;&#60;img src=x&#62;</code>"},
        {"&lt;", "<code>&#38;lt&#59;</code>"},
        {"`a`", "<code>&#96;a&#96;</code>"},
        {"@team #1 :+1:", "<code>&#64;team &#35;1 &#58;&#43;1&#58;</code>"},
        {"[a](http://b.c)", "<code>&#91;a&#93;(http&#58;//b&#46;c)</code>"},
        {"_a_ *b* ~c~", "<code>&#95;a&#95; &#42;b&#42; &#126;c&#126;</code>"},
        {"one\r\n\n- two\ttabs", "<code>one   - two tabs</code>"},
        {"Grüße 漢字 \xF0\x9F\x98\x80", "<code>Grüße 漢字 \xF0\x9F\x98\x80</code>"},
        {"a\xE2\x80\xAE"
         "b",
         "<code>a\xEF\xBF\xBD"
         "b</code>"},
        {"zero\xE2\x80\x8Bwidth", "<code>zero\xEF\xBF\xBDwidth</code>"},
        {"bad\xFF\xC3", "<code>bad\xEF\xBF\xBD\xEF\xBF\xBD</code>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_done) struct buf b;
        buf_init(&b, 4096);
        assert_int_equal(markdown_code(&b, cases[i].text, 400), ERR_OK);
        assert_string_equal(buf_cstr(&b), cases[i].code);
    }
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t most;
        const char *want;
    } cases[] = {{"abcdef", 6, "abcdef"},
                 {"abcdef", 5, "abcde…"},
                 {"aü", 2, "a…"},
                 {"a\xF0\x9F\x98\x80", 4, "a…"},
                 {"a\xF0\x9F\x98\x80", 5, "a\xF0\x9F\x98\x80"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_done) struct buf b;
        buf_init(&b, 4096);
        assert_int_equal(markdown_text(&b, cases[i].text, cases[i].most), ERR_OK);
        assert_string_equal(buf_cstr(&b), cases[i].want);
    }
}

static const char *put(const struct plan_markdown *m, struct buf *b)
{
    buf_init(b, PLAN_MARKDOWN_BYTES);
    assert_int_equal(plan_markdown_put(b, m, NULL), ERR_OK);
    return buf_cstr(b);
}

static struct run_record planned(const char *sync, uint64_t added)
{
    struct run_record r = {.status = RUN_HELD,
                           .counts = {.rows = added, .added = added, .planned = added}};
    snprintf(r.sync, sizeof r.sync, "%s", sync);
    return r;
}

static void totals_and_one_row_for_each_sync_that_sends(void **state)
{
    (void)state;
    struct plan_markdown m;
    struct plan none = {0}, slow = {.least_ms = 200000};
    struct destination crm = {.name = "crm"};
    struct sync sync = {.name = "a", .destination = &crm, .object = "contacts"};
    struct run_record a = planned("a", 1200), b = planned("b", 1), quiet = planned("c", 0);
    CLEANUP(buf_done) struct buf text;
    plan_markdown_init(&m, false);
    assert_int_equal(plan_markdown_add(&m, &a, &sync, &slow, false), ERR_OK);
    snprintf(b.reason, sizeof b.reason, "guard max_removed: 5 of 10");
    assert_int_equal(plan_markdown_add(&m, &b, NULL, &none, true), ERR_OK);
    assert_int_equal(plan_markdown_add(&m, &quiet, NULL, &none, false), ERR_OK);
    assert_int_equal(plan_markdown_add_stream(&m, "d"), ERR_OK);
    const char *md = put(&m, &text);
    assert_non_null(strstr(md,
                           "**1,201 records** would be sent by 2 syncs: 1,201 added, 0 changed, "
                           "0 removed. **1 run would be held.**\n"));
    assert_non_null(strstr(md,
                           "\n| <code>a</code> | <code>crm</code> <code>contacts</code> | 1,200 "
                           "| | | | | | 3 min 20 s |\n"));
    assert_non_null(
        strstr(md, "\n- <code>b</code>: <code>guard max&#95;removed&#58; 5 of 10</code>"));
    assert_non_null(strstr(md, "\nNothing to send: <code>c</code>\n"));
    assert_non_null(strstr(md, "only stream: <code>d</code>\n"));
    plan_markdown_done(&m);
}

static void a_project_of_any_size_stays_below_the_limit_and_says_what_is_left_out(void **state)
{
    (void)state;
    struct plan_markdown m;
    struct plan plan = {0};
    char key[600];
    struct plan_sample sample = {.key = key, .fields = key};
    CLEANUP(buf_done) struct buf text;
    memset(key, '|', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    plan.samples[RECORD_ADDED] = &sample;
    plan.sample_count[RECORD_ADDED] = 1;
    plan_markdown_init(&m, true);
    for (int i = 0; i < MANY; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%d_________________________________________________", i);
        struct run_record r = planned(name, 1);
        memset(r.reason, '*', sizeof r.reason - 1);
        memset(r.error, '<', sizeof r.error - 1);
        assert_int_equal(plan_markdown_add(&m, &r, NULL, &plan, true), ERR_OK);
        assert_int_equal(plan_markdown_add_failed(&m, &r), ERR_OK);
        assert_int_equal(plan_markdown_add_stream(&m, name), ERR_OK);
        r.counts = (struct run_counts){0};
        assert_int_equal(plan_markdown_add(&m, &r, NULL, &plan, false), ERR_OK);
    }
    const char *md = put(&m, &text), *more = md;
    int parts = 0;
    for (; (more = strstr(more, "\n… and ")); more++)
        parts++;
    assert_int_equal(parts, 6);
    assert_true(strlen(md) < PLAN_MARKDOWN_BYTES);
    assert_non_null(strstr(md, "**5,000 records** would be sent by 5,000 syncs"));
    plan_markdown_done(&m);
}

/* What a warehouse says of a value it does not like has the value in it. */
static void errors_that_name_values_are_not_shown(void **state)
{
    (void)state;
    static const struct {
        const char *error;
        bool shown;
    } cases[] = {
        {"column \"nothing\" does not exist (SQLSTATE 42703) at 1:12 of the model", true},
        {"cannot connect to the warehouse: no reason given", true},
        {"canceling statement due to statement timeout (SQLSTATE 57014)", true},
        {"invalid input syntax for type integer: \"nothing\" (SQLSTATE 22P02)", false},
        {"nothing is not unique (SQLSTATE 23505); detail: Key (a)=(nothing)", false},
        {"nothing (SQLSTATE P0001)", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan_markdown m;
        struct run_record r = planned("s", 0);
        CLEANUP(buf_done) struct buf text;
        snprintf(r.error, sizeof r.error, "%s", cases[i].error);
        plan_markdown_init(&m, false);
        assert_int_equal(plan_markdown_add_failed(&m, &r), ERR_OK);
        const char *md = put(&m, &text);
        assert_non_null(strstr(md, "**1 sync cannot be planned.**"));
        assert_int_equal(strstr(md, "nothing") || strstr(md, "no reason") || strstr(md, "timeout"),
                         cases[i].shown);
        plan_markdown_done(&m);
    }
}

static void mistakes_have_their_places(void **state)
{
    (void)state;
    struct problem items[] = {
        {PROBLEM_MISTAKE, {"a|b.yaml", 3, 9}, "there is no model <x>"},
        {PROBLEM_NOTE, {"n.yaml", 1, 1}, "worth saying"},
        {PROBLEM_MISTAKE, {"whole", 0, 0}, "empty"},
    };
    struct problem_list list = {.items = items, .count = ARRAY_LEN(items), .mistakes = 2};
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, PLAN_MARKDOWN_BYTES);
    assert_int_equal(plan_markdown_put_mistakes(&text, &list), ERR_OK);
    const char *md = buf_cstr(&text);
    assert_non_null(strstr(md, "**The project has 2 mistakes**"));
    assert_non_null(strstr(md, "\n- <code>a&#124;b&#46;yaml&#58;3&#58;9</code> <code>there is no "
                               "model &#60;x&#62;</code>\n"));
    assert_non_null(strstr(md, "\n- <code>whole</code> <code>empty</code>\n"));
    assert_null(strstr(md, "worth"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_text_cannot_do_anything),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(totals_and_one_row_for_each_sync_that_sends),
        cmocka_unit_test(a_project_of_any_size_stays_below_the_limit_and_says_what_is_left_out),
        cmocka_unit_test(errors_that_name_values_are_not_shown),
        cmocka_unit_test(mistakes_have_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
