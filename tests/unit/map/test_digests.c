/* Digests: which mappings count as the same. */
#include "tests/unit/map/customers.h"

struct digests {
    char names[MAP_DIGEST_TEXT_BYTES];
    char fingerprint[MAP_DIGEST_TEXT_BYTES];
};

static struct digests digests_of(const struct fixture *f)
{
    struct digests d;
    struct map_program *p = compiled(f);
    struct map_digest names = map_names_digest(p), all = map_fingerprint(p);
    map_digest_text(&names, d.names);
    map_digest_text(&all, d.fingerprint);
    map_free(p);
    return d;
}

static void test_digests_depend_on_what_is_said_not_on_its_order(void **state)
{
    (void)state;
    struct fixture f, g;
    struct transform trim = {.kind = TRANSFORM_TRIM},
                     part = {.kind = TRANSFORM_SUBSTRING, .from = 1, .length = 2};
    fixture_init(&f);
    fixture_map(&f, MAPPING_COLUMN, "id", "id");
    fixture_map(&f, MAPPING_COLUMN, "email", "mail");
    struct digests a = digests_of(&f), b;
    /* Golden: state directories hold these. */
    assert_string_equal("642b46b214a199c3b9f6e95044e750ff", a.names);
    assert_string_equal("8abb61b32b3e6b2735ef5c5e8e73d2f7", a.fingerprint);

    fixture_init(&g);
    fixture_map(&g, MAPPING_COLUMN, "email", "mail");
    fixture_map(&g, MAPPING_COLUMN, "id", "id");
    b = digests_of(&g);
    assert_string_equal(a.names, b.names);
    assert_string_equal(a.fingerprint, b.fingerprint);

    g.mappings[0].transforms = &trim;
    g.mappings[0].transform_count = 1;
    struct digests c = digests_of(&g);
    assert_string_equal(a.names, c.names);
    assert_string_not_equal(a.fingerprint, c.fingerprint);

    g.mappings[0].transforms = &part;
    c = digests_of(&g);
    part.length = 3;
    b = digests_of(&g);
    assert_string_not_equal(b.fingerprint, c.fingerprint);

    f.sync.mode = MODE_MIRROR;
    b = digests_of(&f);
    assert_string_not_equal(a.fingerprint, b.fingerprint);
    f.sync.mode = MODE_UPSERT;
    f.mappings[1].to = "mai";
    b = digests_of(&f);
    assert_string_not_equal(a.names, b.names);
    assert_string_not_equal(a.fingerprint, b.fingerprint);
}

static void test_all_is_the_same_as_every_column_by_hand(void **state)
{
    (void)state;
    struct fixture f, g;
    fixture_init(&f);
    f.sync.map_all = true;
    fixture_init(&g);
    for (size_t i = COLUMNS; i-- > 0;)
        fixture_map(&g, MAPPING_COLUMN, columns[i].name, columns[i].name);
    struct digests a = digests_of(&f), b = digests_of(&g);
    assert_string_equal(a.names, b.names);
    assert_string_equal(a.fingerprint, b.fingerprint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_depend_on_what_is_said_not_on_its_order),
        cmocka_unit_test(test_all_is_the_same_as_every_column_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
