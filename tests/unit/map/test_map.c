#include "tests/unit/map/customers.h"

static struct mapped run(struct map_program *p, const struct value *values)
{
    struct mapped m;
    struct err err;
    if (map_run(p, &(struct row){values, COLUMNS}, &m, &err))
        fail_msg("does not run: %s", err.text);
    return m;
}

static void assert_run_fails(struct map_program *p, const struct value *values, const char *text)
{
    struct mapped m;
    struct err err;
    assert_int_equal(ERR_INVALID, map_run(p, &(struct row){values, COLUMNS}, &m, &err));
    assert_string_equal(text, err.text);
    assert_non_null(m.primary);
}

/* The field of a sync with this one mapping, and of an id. */
static void assert_mapped(const struct mapping *m, const struct value *values, struct value want)
{
    struct fixture f;
    fixture_init(&f);
    struct mapping *added = fixture_map(&f, m->kind, "id", "field");
    *added = *m;
    added->to = "field";
    added->path = &added->to;
    added->path_count = 1;
    struct map_program *p = compiled(&f);
    assert_value(want, run(p, values).fields[0]);
    map_free(p);
}

static void test_all_maps_every_column_to_its_name(void **state)
{
    (void)state;
    static const size_t sorted[] = {4, 1, 2, 0, 3, 5};
    struct fixture f;
    size_t n;
    fixture_init(&f);
    f.sync.map_all = true;
    struct map_program *p = compiled(&f);
    const struct field_path *paths = map_fields(p, &n);
    struct mapped m = run(p, plain);
    assert_int_equal(COLUMNS, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(1, paths[i].count);
        assert_true(slice_eq_str(paths[i].names[0], columns[sorted[i]].name));
        assert_value(plain[sorted[i]], m.fields[i]);
    }
    assert_value(plain[0], m.primary[0]);
    assert_value(plain[0], m.keys[0]);
    assert_true(slice_eq_str(*map_key_names(p, &n), "id"));
    assert_int_equal(1, n);
    assert_false(map_has_identity(p));
    assert_int_equal(-1, map_lane_column(p));
    map_free(p);
}

static void test_a_dot_in_a_column_is_part_of_its_name_with_all(void **state)
{
    (void)state;
    static const struct column dotted[] = {{"id", "integer", COLUMN_INT},
                                           {"a.b", "text", COLUMN_TEXT}};
    struct fixture f;
    struct map_program *p;
    struct err err;
    size_t n;
    fixture_init(&f);
    f.sync.map_all = true;
    assert_int_equal(ERR_OK, map_compile(&f.sync, dotted, 2, &p, &err));
    assert_int_equal(1, map_fields(p, &n)[0].count);
    assert_true(slice_eq_str(map_fields(p, &n)[0].names[0], "a.b"));
    map_free(p);
}

static void test_constants_are_json_literals(void **state)
{
    (void)state;
    static const struct {
        const char *literal;
        struct value want;
    } cases[] = {
        {"\"warehouse\"", TXT("warehouse")},
        {"\"\\u00e4\\n\"", TXT("ä\n")},
        {"12345678901234567890", NUM("12345678901234567890")},
        {"true", YES},
        {"false", NO},
        {"null", NUL},
        {"[1,{\"a\":2}]", JSN("[1,{\"a\":2}]")},
        {"\"\"", TXT("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_mapped(&(struct mapping){.kind = MAPPING_CONSTANT, .constant = cases[i].literal},
                      plain, cases[i].want);
}

static void test_a_transformed_constant_outlives_the_rows(void **state)
{
    (void)state;
    static const struct transform upper = {.kind = TRANSFORM_UPPER};
    struct fixture f;
    fixture_init(&f);
    struct mapping *m = fixture_map(&f, MAPPING_CONSTANT, "\"warehouse\"", "a");
    m->transforms = &upper;
    m->transform_count = 1;
    m = fixture_map(&f, MAPPING_COLUMN, "email", "b");
    m->transforms = &upper;
    m->transform_count = 1;
    struct map_program *p = compiled(&f);
    for (int i = 0; i < 3; i++) {
        struct mapped got = run(p, plain);
        assert_value((struct value)TXT("WAREHOUSE"), got.fields[0]);
        assert_value((struct value)TXT("MARY@EXAMPLE.COM"), got.fields[1]);
    }
    map_free(p);
}

static void test_templates_join_columns_and_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct value want;
    } cases[] = {
        {"{{first_name}} {{ last_name }}", TXT("Mary Jones")},
        {"{{id}}/{{active}}/{{tags}}", TXT("42/true/[1,2]")},
        {"no column", TXT("no column")},
        {"", TXT("")},
        {"\\{{x}} {{id}}}", TXT("{{x}} 42}")},
        {"{ {{id}} }", TXT("{ 42 }")},
        {"{{id}}{{id}}", TXT("4242")},
        {"a\\{{", TXT("a{{")},
        {"äö{{first_name}}ü", TXT("äöMaryü")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_mapped(&(struct mapping){.kind = MAPPING_TEMPLATE, .from = cases[i].text}, plain,
                      cases[i].want);
}

static void test_a_template_of_nothing_but_nulls_is_null(void **state)
{
    (void)state;
    static const struct value nulls[COLUMNS] = {NUM("42"), NUL, NUL, TXT("Jones"), NUL, NUL};
    struct mapping m = {.kind = MAPPING_TEMPLATE, .from = "{{email}} and {{first_name}}"};
    assert_mapped(&m, nulls, (struct value)NUL);
    m.from = "{{first_name}} {{last_name}}";
    assert_mapped(&m, nulls, (struct value)TXT(" Jones"));
    m.from = "{{email}}";
    m.fallback = "\"nobody\"";
    assert_mapped(&m, nulls, (struct value)TXT("nobody"));
}

static void test_null_is_sent_skipped_or_replaced(void **state)
{
    (void)state;
    static const struct value nulls[COLUMNS] = {NUM("42"), NUL, NUL, TXT("xx"), NUL, NUL};
    static const struct map_entry table[] = {{"xx", NULL, true}};
    static const struct transform map = {.kind = TRANSFORM_MAP, .table = table, .table_count = 1};
    static const struct transform trim = {.kind = TRANSFORM_TRIM};
    struct mapping m = {.kind = MAPPING_COLUMN, .from = "email"};
    assert_mapped(&m, nulls, (struct value)NUL);
    m.if_null = IF_NULL_SKIP;
    assert_mapped(&m, nulls, (struct value){.kind = VALUE_ABSENT});
    assert_mapped(&m, plain, plain[1]);
    m.fallback = "0";
    assert_mapped(&m, nulls, (struct value)NUM("0"));
    m.fallback = "null";
    assert_mapped(&m, nulls, (struct value){.kind = VALUE_ABSENT});
    m = (struct mapping){.kind = MAPPING_COLUMN,
                         .from = "email",
                         .fallback = "\" x \"",
                         .transforms = &trim,
                         .transform_count = 1};
    assert_mapped(&m, nulls,
                  (struct value)TXT(" x ")); /* the default does not pass the transforms */
    m = (struct mapping){.kind = MAPPING_COLUMN,
                         .from = "last_name",
                         .fallback = "\"d\"",
                         .transforms = &map,
                         .transform_count = 1};
    assert_mapped(&m, nulls,
                  (struct value)TXT("d")); /* nor does it matter where the NULL came from */
}

static void test_fields_nest_and_stand_in_the_order_of_their_paths(void **state)
{
    (void)state;
    static const char *const city[] = {"address", "city"}, *const zip[] = {"address", "a-zip"},
                             *const deep[] = {"a", "b", "c"};
    struct fixture f;
    size_t n;
    fixture_init(&f);
    struct mapping *m = fixture_map(&f, MAPPING_COLUMN, "email", "address.city");
    m->path = city;
    m->path_count = 2;
    m = fixture_map(&f, MAPPING_COLUMN, "first_name", "address.a-zip");
    m->path = zip;
    m->path_count = 2;
    m = fixture_map(&f, MAPPING_COLUMN, "last_name", "a.b.c");
    m->path = deep;
    m->path_count = 3;
    fixture_map(&f, MAPPING_COLUMN, "id", "address2");
    fixture_map(&f, MAPPING_COLUMN, "active", "addr");
    struct map_program *p = compiled(&f);
    struct mapped got = run(p, plain);
    static const size_t order[] = {3, 4, 2, 1, 0};
    const struct field_path *paths = map_fields(p, &n);
    assert_int_equal(5, n);
    assert_int_equal(3, paths[0].count);
    assert_true(slice_eq_str(paths[2].names[1], "city") ||
                slice_eq_str(paths[2].names[1], "a-zip"));
    assert_value(plain[order[0]], got.fields[0]);
    assert_value(plain[4], got.fields[1]);
    assert_value(plain[2], got.fields[2]);
    assert_value(plain[1], got.fields[3]);
    assert_value(plain[0], got.fields[4]);
    map_free(p);
}

static void test_bad_values_name_their_column(void **state)
{
    (void)state;
    struct value values[COLUMNS];
    struct fixture f;
    fixture_init(&f);
    fixture_map(&f, MAPPING_COLUMN, "email", "mail");
    fixture_map(&f, MAPPING_TEMPLATE, "{{first_name}}", "name");
    struct map_program *p = compiled(&f);
    memcpy(values, plain, sizeof values);
    values[3] = values[5] = (struct value)BAD("not used");
    run(p, values);
    values[1] = (struct value)BAD("is infinite; cast it in SQL");
    assert_run_fails(p, values, "column email: is infinite; cast it in SQL");
    values[1] = plain[1];
    values[2] = (struct value)BAD("is not UTF-8");
    assert_run_fails(p, values, "column first_name: is not UTF-8");
    values[2] = plain[2];
    values[0] = (struct value)BAD("is not UTF-8");
    assert_run_fails(p, values, "column id: is not UTF-8");
    values[0] = (struct value)NUL;
    assert_value((struct value)NUL, run(p, values).primary[0]);
    map_free(p);
}

static void test_an_identity_is_a_mapped_value(void **state)
{
    (void)state;
    static const struct transform lower = {.kind = TRANSFORM_LOWER};
    struct value values[COLUMNS];
    struct fixture f;
    size_t n;
    fixture_init(&f);
    f.sync.identify_by = "mail";
    f.sync.lane_by = "last_name";
    struct mapping *m = fixture_map(&f, MAPPING_COLUMN, "email", "mail");
    m->transforms = &lower;
    m->transform_count = 1;
    m->if_null = IF_NULL_SKIP;
    fixture_map(&f, MAPPING_COLUMN, "id", "customer");
    fixture_map(&f, MAPPING_COLUMN, "tags", "labels");
    struct map_program *p = compiled(&f);
    assert_true(map_has_identity(p));
    assert_int_equal(3, map_lane_column(p));
    assert_true(slice_eq_str(*map_key_names(p, &n), "mail"));
    struct mapped got = run(p, plain);
    assert_value((struct value)TXT("mary@example.com"), got.keys[0]);
    assert_value(plain[0], got.primary[0]);
    memcpy(values, plain, sizeof values);
    values[1] = (struct value)NUL;
    assert_run_fails(p, values, "identify_by field mail is null");
    map_free(p);

    f.sync.identify_by = "labels";
    p = compiled(&f);
    assert_run_fails(p, plain, "identify_by field labels is JSON, not a single value");
    map_free(p);

    f.sync.identify_by = "customer"; /* the primary key itself, under another name */
    p = compiled(&f);
    assert_false(map_has_identity(p));
    assert_true(slice_eq_str(*map_key_names(p, &n), "customer"));
    assert_value(plain[0], run(p, plain).keys[0]);
    map_free(p);

    f.primary[1] = "email"; /* only a part of the primary key: not the same */
    f.model.primary_key_count = 2;
    p = compiled(&f);
    assert_true(map_has_identity(p));
    assert_value(plain[1], run(p, plain).primary[1]);
    map_free(p);
}

static void test_mistakes_name_the_place_and_the_nearest_name(void **state)
{
    (void)state;
    static const struct {
        enum mapping_kind kind;
        const char *from, *to, *identify_by, *lane_by, *primary;
        const char *error;
    } cases[] = {
        {MAPPING_COLUMN, "emial", "x", NULL, NULL, "id",
         "syncs.yaml:10:9: from: model customers has no column emial; did you mean email? Its "
         "columns: id, email, first_name, last_name, active, tags"},
        {MAPPING_COLUMN, "zzzzzzzz", "x", NULL, NULL, "id",
         "syncs.yaml:10:9: from: model customers has no column zzzzzzzz; Its columns: id, "},
        {MAPPING_TEMPLATE, "{{id}} {{lastname}}", "x", NULL, NULL, "id",
         "syncs.yaml:10:9: template: model customers has no column lastname; did you mean "
         "last_name?"},
        {MAPPING_TEMPLATE, "{{id", "x", NULL, NULL, "id",
         "syncs.yaml:10:9: the template has {{ without }}"},
        {MAPPING_TEMPLATE, "{{ }}", "x", NULL, NULL, "id",
         "syncs.yaml:10:9: the template has {{}} without a column's name"},
        {MAPPING_COLUMN, "id", "x", "y", NULL, "id",
         "syncs.yaml:2:3: identify_by: y is no field of the mappings"},
        {MAPPING_COLUMN, "id", "x", NULL, "accout", "id",
         "syncs.yaml:2:3: lane_by: model customers has no column accout"},
        {MAPPING_COLUMN, "id", "x", NULL, NULL, "ID",
         "models.yaml:3:5: primary_key: model customers has no column ID; did you mean id?"},
        {MAPPING_CONSTANT, "{", "x", NULL, NULL, "id", "syncs.yaml:10:9: '{' is not JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct map_program *p = NULL;
        struct err err = {0};
        fixture_init(&f);
        f.primary[0] = cases[i].primary;
        f.sync.identify_by = cases[i].identify_by;
        f.sync.lane_by = cases[i].lane_by;
        fixture_map(&f, cases[i].kind, cases[i].from, cases[i].to);
        assert_int_equal(ERR_CONFIG, map_compile(&f.sync, columns, COLUMNS, &p, &err));
        assert_int_equal(ERR_CONFIG, err.code);
        if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
            fail_msg("case %zu says: %s", i, err.text);
        assert_null(p);
    }
}

static void test_a_long_list_of_columns_is_cut(void **state)
{
    (void)state;
    struct column many[1000] = {{"id", "integer", COLUMN_INT}};
    char names[1000][16];
    for (size_t i = 1; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "column_%zu", i);
        many[i] = (struct column){names[i], "text", COLUMN_TEXT};
    }
    struct fixture f;
    struct map_program *p = NULL;
    struct err err;
    fixture_init(&f);
    fixture_map(&f, MAPPING_COLUMN, "nothing like it", "x");
    assert_int_equal(ERR_CONFIG, map_compile(&f.sync, many, 1000, &p, &err));
    assert_non_null(strstr(err.text, "column_1, column_2, "));
    assert_non_null(strstr(err.text, ", … (1000 in all)"));
}

static void test_a_field_cannot_be_reached_twice(void **state)
{
    (void)state;
    static const struct column twice[] = {
        {"id", "integer", COLUMN_INT}, {"a", "text", COLUMN_TEXT}, {"a", "text", COLUMN_TEXT}};
    static const char *const inside[] = {"a", "b"};
    struct fixture f;
    struct map_program *p = NULL;
    struct err err;
    fixture_init(&f);
    f.sync.map_all = true;
    assert_int_equal(ERR_CONFIG, map_compile(&f.sync, twice, 3, &p, &err));
    assert_string_equal("syncs.yaml:2:3: mappings: all: model customers has 2 columns called a; "
                        "give them different names in SQL",
                        err.text);

    fixture_init(&f);
    fixture_map(&f, MAPPING_COLUMN, "email", "a");
    fixture_map(&f, MAPPING_COLUMN, "id", "a");
    assert_int_equal(ERR_CONFIG, map_compile(&f.sync, columns, COLUMNS, &p, &err));
    assert_non_null(strstr(err.text, "destination field a is given twice"));

    f.mappings[1].to = "a.b";
    f.mappings[1].path = inside;
    f.mappings[1].path_count = 2;
    assert_int_equal(ERR_CONFIG, map_compile(&f.sync, columns, COLUMNS, &p, &err));
    assert_string_equal("syncs.yaml:11:9: destination field a.b is also inside a; keep one of them",
                        err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_maps_every_column_to_its_name),
        cmocka_unit_test(test_a_dot_in_a_column_is_part_of_its_name_with_all),
        cmocka_unit_test(test_constants_are_json_literals),
        cmocka_unit_test(test_a_transformed_constant_outlives_the_rows),
        cmocka_unit_test(test_templates_join_columns_and_text),
        cmocka_unit_test(test_a_template_of_nothing_but_nulls_is_null),
        cmocka_unit_test(test_null_is_sent_skipped_or_replaced),
        cmocka_unit_test(test_fields_nest_and_stand_in_the_order_of_their_paths),
        cmocka_unit_test(test_bad_values_name_their_column),
        cmocka_unit_test(test_an_identity_is_a_mapped_value),
        cmocka_unit_test(test_mistakes_name_the_place_and_the_nearest_name),
        cmocka_unit_test(test_a_long_list_of_columns_is_cut),
        cmocka_unit_test(test_a_field_cannot_be_reached_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
