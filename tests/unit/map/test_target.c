/* What a sync's object at the destination asks of its records: fields, recipes, policies, lanes. */
#include "tests/unit/map/customers.h"

#include "protocol/connector/connector.h"

static const struct object_field any_field[] = {{.name = "*"}};
static const struct object_field two_fields[] = {{.name = "email", .required = true},
                                                 {.name = "first_name"}};
static const char *const either[] = {"email", "address"};
static const struct connector crm = {.name = "crm"};
static const struct destination destination = {.name = "d", .connector = &crm};
static const struct transform upper[] = {{.kind = TRANSFORM_UPPER}};

static void fixture_target(struct fixture *f, const struct object *o)
{
    fixture_init(f);
    f->sync.destination = &destination;
    f->sync.target = o;
}

static enum err_code run(struct map_program *p, const struct value *values, struct mapped *ret,
                         struct err *err)
{
    return map_run(p, &(struct row){values, COLUMNS}, ret, err);
}

static void a_record_without_any_of_its_identities_is_invalid(void **state)
{
    (void)state;
    const struct object o = {.name = "people",
                             .fields = any_field,
                             .field_count = 1,
                             .any_of = either,
                             .any_of_count = 2};
    struct fixture f;
    struct mapped mapped;
    struct err err;
    fixture_target(&f, &o);
    fixture_map(&f, MAPPING_COLUMN, "email", "email");
    fixture_map(&f, MAPPING_COLUMN, "last_name", "name");
    struct mapping *nested = fixture_map(&f, MAPPING_COLUMN, "first_name", "address.street");
    static const char *const path[] = {"address", "street"};
    nested->path = path;
    nested->path_count = 2;
    struct map_program *p = compiled(&f);
    assert_int_equal(run(p, plain, &mapped, &err), ERR_OK);
    struct value values[COLUMNS];
    memcpy(values, plain, sizeof values);
    values[1] = (struct value)NUL;
    assert_int_equal(run(p, values, &mapped, &err), ERR_OK); /* by its address */
    values[2] = (struct value)NUL;
    assert_int_equal(run(p, values, &mapped, &err), ERR_INVALID);
    assert_string_equal(err.text, "none of the fields email, address has a value");
    map_free(p);
}

static void a_default_goes_through_the_recipe(void **state)
{
    (void)state;
    struct fixture f;
    struct mapped mapped;
    struct err err;
    fixture_init(&f);
    struct mapping *m = fixture_map(&f, MAPPING_COLUMN, "email", "email");
    m->transforms = upper;
    m->transform_count = m->recipe_count = 1;
    m->fallback = "\"none\"";
    struct map_program *p = compiled(&f);
    struct value values[COLUMNS];
    memcpy(values, plain, sizeof values);
    values[1] = (struct value)NUL;
    assert_int_equal(run(p, values, &mapped, &err), ERR_OK);
    assert_value((struct value)TXT("NONE"), mapped.fields[0]);
    m->recipe_count = 0;
    map_free(p);
    p = compiled(&f);
    assert_int_equal(run(p, values, &mapped, &err), ERR_OK);
    assert_value((struct value)TXT("none"), mapped.fields[0]);
    map_free(p);
}

static void recipes_apply_to_mappings_all(void **state)
{
    (void)state;
    const struct object o = {.name = "people", .fields = any_field, .field_count = 1};
    const struct field_recipe recipes[] = {{"last_name", upper, 1}};
    struct fixture f;
    struct mapped mapped;
    struct err err;
    fixture_target(&f, &o);
    f.sync.map_all = true;
    struct map_program *plainly = compiled(&f);
    f.sync.recipes = recipes;
    f.sync.recipe_count = 1;
    struct map_program *p = compiled(&f);
    assert_int_equal(run(p, plain, &mapped, &err), ERR_OK);
    assert_value((struct value)TXT("Mary"), mapped.fields[2]);
    assert_value((struct value)NUM("42"), mapped.fields[3]);
    assert_value((struct value)TXT("JONES"), mapped.fields[4]);
    struct map_digest a = map_fingerprint(plainly), b = map_fingerprint(p);
    assert_memory_not_equal(a.bytes, b.bytes, sizeof a.bytes);
    map_free(plainly);
    map_free(p);
}

static void assert_refused(const struct fixture *f, const char *words)
{
    struct map_program *p = NULL;
    struct err err;
    assert_int_equal(map_compile(&f->sync, columns, COLUMNS, &p, &err), ERR_CONFIG);
    if (!strstr(err.text, words))
        fail_msg("%s: %s", words, err.text);
}

static void fields_of_mappings_all_are_judged_when_they_are_known(void **state)
{
    (void)state;
    struct object o = {.name = "people", .fields = two_fields, .field_count = 2};
    const struct object_field other[] = {{.name = "*"}, {.name = "phone", .required = true}};
    static const char *const phones[] = {"phone", "mobile"};
    struct fixture f;
    fixture_target(&f, &o);
    f.sync.map_all = true;
    assert_refused(&f,
                   "syncs.yaml:2:3: mappings: all gives the field id, which crm people does not "
                   "have");
    o.fields = other;
    assert_refused(&f, "crm people needs the field phone");
    f.sync.mode = MODE_UPDATE;
    o.any_of = phones;
    o.any_of_count = 2;
    assert_refused(&f, "no column for any of the fields");
}

static void policies_stand_beside_their_fields(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_map(&f, MAPPING_COLUMN, "tags", "tags")->merge_arrays = true;
    fixture_map(&f, MAPPING_COLUMN, "email", "email")->on_conflict = ON_CONFLICT_SET_IF_EMPTY;
    fixture_map(&f, MAPPING_COLUMN, "active", "active");
    fixture_map(&f, MAPPING_COLUMN, "id", "made")->on_conflict = ON_CONFLICT_CREATE_ONLY;
    f.sync.newest_wins = "made";
    f.sync.lane_field = "email";
    struct map_program *p = compiled(&f); /* active, email, made, tags */
    const uint8_t *policies = map_policies(p);
    assert_int_equal(policies[0], POLICY_OVERWRITE);
    assert_int_equal(policies[1], POLICY_SET_IF_EMPTY);
    assert_int_equal(policies[2], POLICY_CREATE_ONLY);
    assert_int_equal(policies[3], POLICY_MERGE);
    assert_int_equal(map_newest_field(p), 2);
    assert_int_equal(map_lane_field(p), 1);
    map_free(p);
    f.sync.newest_wins = "nothing";
    assert_refused(&f, "newest_wins: nothing is no field of the mappings");
    f.sync.newest_wins = NULL;
    for (size_t i = 0; i < f.sync.mapping_count; i++) {
        f.mappings[i].merge_arrays = false;
        f.mappings[i].on_conflict = ON_CONFLICT_OVERWRITE;
    }
    p = compiled(&f);
    assert_null(map_policies(p));
    assert_int_equal(map_newest_field(p), -1);
    map_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_without_any_of_its_identities_is_invalid),
        cmocka_unit_test(a_default_goes_through_the_recipe),
        cmocka_unit_test(recipes_apply_to_mappings_all),
        cmocka_unit_test(fields_of_mappings_all_are_judged_when_they_are_known),
        cmocka_unit_test(policies_stand_beside_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
