#include "scheduler/cli/check_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <jansson.h>
#include <cmocka.h>

static struct problem items[] = {
    {PROBLEM_MISTAKE, {"a b,c:d.yaml", 3, 9}, "there is no model \"x\": 100%\nof them"},
    {PROBLEM_NOTE, {"n.yaml", 1, 1}, "worth saying"},
    {PROBLEM_MISTAKE, {"n.yaml", 2, 1}, "twice"},
    {PROBLEM_UNSUPPORTED, {"n.yaml", 5, 1}, "twice"},
    {PROBLEM_MISTAKE, {"shop", 0, 0}, "empty"},
};
static const struct problem_list list = {.items = items, .count = ARRAY_LEN(items), .mistakes = 4};

static const char *put(struct buf *b, enum check_form form, const char *folder)
{
    buf_init(b, 1 << 16);
    assert_int_equal(check_put_problems(b, form, &list, folder, "/home/ci/repo"), ERR_OK);
    return buf_cstr(b);
}

static void for_people_each_has_its_place(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b;
    assert_string_equal(put(&b, CHECK_TEXT, "shop"),
                        "a b,c:d.yaml:3:9: there is no model \"x\": 100%\nof them\n"
                        "n.yaml:1:1: note: worth saying\nn.yaml:2:1: twice\nn.yaml:5:1: twice\n"
                        "shop: empty\n");
}

static void a_workflow_command_is_one_line_and_ends_where_it_should(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b;
    assert_string_equal(put(&b, CHECK_GITHUB, "shop"),
                        "::error file=shop/a b%2Cc%3Ad.yaml,line=3,col=9,title=sluice check::"
                        "there is no model \"x\": 100%25%0Aof them\n"
                        "::notice file=shop/n.yaml,line=1,col=1,title=sluice check::worth saying\n"
                        "::error file=shop/n.yaml,line=2,col=1,title=sluice check::twice\n"
                        "::error file=shop/n.yaml,line=5,col=1,title=sluice check::twice\n"
                        "::error title=sluice check::empty\n");
}

static void paths_begin_where_the_job_runs(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *path;
    } cases[] = {
        {".", "file=n.yaml,"},
        {"./", "file=n.yaml,"},
        {"./shop/", "file=shop/n.yaml,"},
        {"shop/sluice", "file=shop/sluice/n.yaml,"},
        {"/home/ci/repo", "file=n.yaml,"},
        {"/home/ci/repo/shop", "file=shop/n.yaml,"},
        {"/home/ci/repository", "file=/home/ci/repository/n.yaml,"},
        {"../other", "file=../other/n.yaml,"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_done) struct buf b;
        assert_non_null(strstr(put(&b, CHECK_GITHUB, cases[i].folder), cases[i].path));
    }
}

static const char *text_at(const json_t *issue, const char *name)
{
    return json_string_value(json_object_get(issue, name));
}

static void a_report_for_gitlab_is_one_document_with_a_fingerprint_for_each(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b;
    const char *text = put(&b, CHECK_GITLAB, "shop");
    json_t *report = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(report), ARRAY_LEN(items));
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        const json_t *issue = json_array_get(report, i);
        const json_t *location = json_object_get(issue, "location");
        assert_string_equal(text_at(issue, "description"), items[i].text);
        assert_string_equal(text_at(issue, "severity"),
                            items[i].kind == PROBLEM_NOTE ? "info" : "major");
        assert_int_equal(
            json_integer_value(json_object_get(json_object_get(location, "lines"), "begin")),
            items[i].place.line ? items[i].place.line : 1);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(text_at(issue, "fingerprint"),
                                    text_at(json_array_get(report, j), "fingerprint"));
    }
    assert_string_equal(text_at(json_object_get(json_array_get(report, 0), "location"), "path"),
                        "shop/a b,c:d.yaml");
    json_decref(report);
}

/* What moved by a line is no new mistake. */
static void a_fingerprint_stays_when_lines_are_put_before_it(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf one;
    CLEANUP(buf_done) struct buf two;
    put(&one, CHECK_GITLAB, "shop");
    items[0].place.line += 7;
    put(&two, CHECK_GITLAB, "shop");
    items[0].place.line -= 7;
    const char *a = strstr(buf_cstr(&one), "fingerprint"),
               *b = strstr(buf_cstr(&two), "fingerprint");
    assert_memory_equal(a, b, 46);
}

static void no_problem_is_an_empty_report(void **state)
{
    (void)state;
    const struct problem_list none = {0};
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 100);
    assert_int_equal(check_put_problems(&b, CHECK_GITLAB, &none, ".", "/"), ERR_OK);
    assert_string_equal(buf_cstr(&b), "[]\n");
}

static void what_is_not_there_is_an_annotation_too(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(check_put_absence(&b, CHECK_GITHUB, "model", "m", "no\n::error::column"),
                     ERR_OK);
    assert_string_equal(buf_cstr(&b),
                        "::error title=sluice check --connect::model m: no%0A::error::column\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_people_each_has_its_place),
        cmocka_unit_test(a_workflow_command_is_one_line_and_ends_where_it_should),
        cmocka_unit_test(paths_begin_where_the_job_runs),
        cmocka_unit_test(a_report_for_gitlab_is_one_document_with_a_fingerprint_for_each),
        cmocka_unit_test(a_fingerprint_stays_when_lines_are_put_before_it),
        cmocka_unit_test(no_problem_is_an_empty_report),
        cmocka_unit_test(what_is_not_there_is_an_annotation_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
