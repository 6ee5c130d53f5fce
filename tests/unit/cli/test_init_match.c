/* Which column `sluice init` maps to which field. */
#include "scheduler/cli/init.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { PAIRS_MAX = 8 };

struct match_case {
    const char *connector;
    const char *object;
    const char *columns[PAIRS_MAX][2]; /* and the field that is to be found; NULL: none */
    const char *key;                   /* NULL: none */
};

static const struct match_case cases[] = {
    {"hubspot",
     "contacts",
     {{"id", NULL}, {"E_Mail", "email"}, {"FirstName", "firstname"}, {"surname", "lastname"}},
     "email"},
    /* The same letters win over a synonym that comes first, and a field takes one column. */
    {"hubspot",
     "contacts",
     {{"mail", NULL}, {"email", "email"}, {"email_address", NULL}, {"zip_code", "zip"}},
     "email"},
    {"hubspot", "companies", {{"homepage", "domain"}, {"employees", "numberofemployees"}}, NULL},
    {"klaviyo",
     "profiles",
     {{"id", "external_id"}, {"email", "email"}, {"city", "location.city"}, {"plan", "plan"}},
     "email"},
    {"meta", "audience/x", {{"email", "EMAIL"}, {"last_name", "LN"}, {"plan", NULL}}, "EMAIL"},
    {"webhook", NULL, {{"id", "id"}, {"anything at all", "anything at all"}}, NULL},
    {"mailchimp",
     "list/x",
     {{"email", "email_address"}, {"fname", "merge_fields.FNAME"}, {"phone", "merge_fields.PHONE"}},
     "email_address"},
};

static const struct connector *connector_of(const struct project *p, const char *name)
{
    for (size_t i = 0; i < p->connector_count; i++)
        if (strcmp(p->connectors[i]->name, name) == 0)
            return p->connectors[i];
    fail_msg("there is no %s", name);
    return NULL;
}

static void check(const struct project *p, const struct match_case *c)
{
    struct init_match matches[PAIRS_MAX] = {0};
    struct arena arena;
    struct slice star;
    struct init_plan plan = {.connector = connector_of(p, c->connector), .object_name = c->object};
    plan.object = connector_object(plan.connector, c->object, &star);
    assert_non_null(plan.object);
    size_t n = 0;
    for (; n < PAIRS_MAX && c->columns[n][0]; n++)
        matches[n].column = c->columns[n][0];
    arena_init(&arena, 1 << 20);
    assert_int_equal(init_match(&arena, &plan, matches, n), ERR_OK);
    for (size_t i = 0; i < n; i++) {
        const char *want = c->columns[i][1], *got = matches[i].field;
        if ((want == NULL) != (got == NULL) || (want && strcmp(want, got) != 0))
            fail_msg("%s: %s goes to %s, not to %s", c->connector, matches[i].column,
                     got ? got : "nothing", want ? want : "nothing");
    }
    const char *key = init_key(plan.object, matches, n);
    if (c->key)
        assert_string_equal(key, c->key);
    else
        assert_null(key);
    arena_done(&arena);
}

static void columns_find_the_fields_that_mean_the_same(void **state)
{
    struct project *p = NULL;
    struct problem_list problems;
    struct err err;
    (void)state;
    problem_list_init(&problems);
    assert_int_equal(project_load_connectors(NULL, &p, &problems, &err), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(p, &cases[i]);
    problem_list_done(&problems);
    project_free(p);
}

static void a_field_that_was_given_is_taken_by_no_other_column(void **state)
{
    struct project *p = NULL;
    struct problem_list problems;
    struct arena arena;
    struct slice star;
    struct err err;
    struct init_match matches[] = {{"login", "email"}, {"email", NULL}};
    (void)state;
    problem_list_init(&problems);
    assert_int_equal(project_load_connectors(NULL, &p, &problems, &err), ERR_OK);
    struct init_plan plan = {.connector = connector_of(p, "hubspot"), .object_name = "contacts"};
    plan.object = connector_object(plan.connector, "contacts", &star);
    arena_init(&arena, 1 << 20);
    assert_int_equal(init_match(&arena, &plan, matches, 2), ERR_OK);
    assert_string_equal(matches[0].field, "email");
    assert_null(matches[1].field);
    arena_done(&arena);
    problem_list_done(&problems);
    project_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_find_the_fields_that_mean_the_same),
        cmocka_unit_test(a_field_that_was_given_is_taken_by_no_other_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
