/* Recipes in a mapping's transforms. */
#include "tests/unit/config/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define BASE                                                                                       \
    "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"                                  \
    "models: {m: {source: w, primary_key: id, sql: select 1}}\n"                                   \
    "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"

static void recipes_stand_where_their_name_does(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_text(&f, BASE
                     "syncs:\n"
                     "  s:\n"
                     "    model: m\n"
                     "    destination: d\n"
                     "    mappings:\n"
                     "      - {from: a, to: a, transform: meta_email}\n"
                     "      - {from: b, to: b, transform: [{phone: {country: 49}}, google_phone,\n"
                     "         {unless_hashed: [first_35, {pad: {length: 3, with: 0}}]}]}\n"
                     "      - {from: c, to: c, transform: [{hmac: {secret: k, algorithm: sha1}},\n"
                     "         {first: 3}, {prefix: 7}, {before: -}, phone]}\n");
    if (!f.project)
        folder_print(&f);
    assert_non_null(f.project);
    const struct mapping *m = project_sync(f.project, "s")->mappings;
    assert_int_equal(m[0].transform_count, 2);
    assert_int_equal(m[0].transforms[0].kind, TRANSFORM_UNLESS_HASHED);
    assert_int_equal(m[0].transforms[0].inner_count, 3);
    assert_int_equal(m[0].transforms[0].place.col, 37);
    assert_string_equal(m[0].transforms[0].place.file, "sluice.yaml");
    assert_int_equal(m[0].transforms[1].kind, TRANSFORM_HASH);
    const struct transform *t = m[1].transforms;
    assert_int_equal(m[1].transform_count, 4);
    assert_string_equal(t[0].text, "49");
    assert_int_equal(t[1].inner[1].kind, TRANSFORM_PHONE);
    assert_null(t[1].inner[1].text);
    assert_int_equal(t[3].inner_count, 5);
    assert_int_equal(t[3].inner[2].length, 35);
    assert_int_equal(t[3].inner[4].length, 3);
    assert_string_equal(t[3].inner[4].with, "0");
    t = m[2].transforms;
    assert_string_equal(t[0].text, "k");
    assert_string_equal(t[0].with, "sha1");
    assert_int_equal(t[1].length, 3);
    assert_string_equal(t[2].text, "7");
    assert_string_equal(t[3].text, "-");
    assert_null(t[4].text);
    folder_done(&f);
}

static void no_more_transforms_than_32_with_those_of_recipes(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_text(&f, BASE
                     "syncs: {s: {model: m, destination: d, mappings: [\n"
                     "  {from: a, to: a, transform: [meta_madid, meta_madid, meta_madid,\n"
                     "    meta_madid, meta_madid, meta_madid, meta_madid, meta_madid]},\n"
                     "  {from: a, to: b, transform: [meta_madid, meta_madid, meta_madid, trim,\n"
                     "    meta_madid, meta_madid, meta_madid, meta_madid, meta_madid]}]}}\n");
    assert_int_equal(f.problems.mistakes, 1);
    assert_true(folder_says(&f, "sluice.yaml:7:31", "more than 32 transforms with those of the"));
    folder_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recipes_stand_where_their_name_does),
        cmocka_unit_test(no_more_transforms_than_32_with_those_of_recipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
