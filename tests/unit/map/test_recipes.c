/* The recipes of protocol/connector/recipes.yaml: that they can be read, and that they give what
 * the vendors' own documents say. */
#include "protocol/config/recipes.h"
#include "tests/unit/map/fixture.h"

#include "protocol/config/parts.h"

#include <stdio.h>
#include <stdlib.h>

#define SHA256(text) "sha256:" text
#define VALUE_BYTES 160

struct book {
    struct project project;
    struct problem_list problems;
    struct reader reader;
};

static void book_open(struct book *b)
{
    *b = (struct book){0};
    arena_init(&b->project.arena, 16 << 20);
    problem_list_init(&b->problems);
    b->reader = (struct reader){.project = &b->project, .problems = &b->problems};
}

static void book_close(struct book *b)
{
    arena_done(&b->project.arena);
    problem_list_done(&b->problems);
}

/* What transforms make of one value; false: the row is invalid. *ret is good until p is freed. */
static bool run(const struct transform *t, size_t count, enum column_type type, struct value in,
                struct map_program **p, struct value *ret)
{
    struct fixture f;
    struct err err = {0};
    const struct column columns[] = {{"id", "integer", COLUMN_INT}, {"x", "t", type}};
    fixture_init(&f);
    struct mapping *m = fixture_map(&f, MAPPING_COLUMN, "x", "field");
    m->transforms = t;
    m->transform_count = count;
    if (map_compile(&f.sync, columns, 2, p, &err))
        fail_msg("does not compile: %s", err.text);
    const struct value values[] = {NUM("1"), in};
    struct mapped mapped;
    if (map_run(*p, &(struct row){values, 2}, &mapped, &err))
        return false;
    *ret = mapped.fields[0];
    return true;
}

/* The recipe's result as text; "null" for NULL. */
static const char *apply(struct book *b, const char *recipe, enum column_type type, struct value in,
                         char *out)
{
    size_t count;
    struct map_program *p = NULL;
    struct value v = {0};
    const struct transform *t = recipe_transforms(&b->reader, recipe, &count);
    if (!t)
        fail_msg("there is no recipe %s", recipe);
    if (!run(t, count, type, in, &p, &v))
        snprintf(out, VALUE_BYTES, "invalid");
    else if (v.kind == VALUE_NULL)
        snprintf(out, VALUE_BYTES, "null");
    else
        snprintf(out, VALUE_BYTES, "%.*s", (int)v.n, v.p);
    map_free(p);
    return out;
}

static const char *sha256_of(struct book *b, const char *text, char *out)
{
    static const struct transform sha256 = {.kind = TRANSFORM_SHA256};
    struct map_program *p = NULL;
    struct value v = {0};
    (void)b;
    assert_true(run(&sha256, 1, COLUMN_TEXT, value_of(VALUE_TEXT, slice_str(text)), &p, &v));
    snprintf(out, VALUE_BYTES, "%.*s", (int)v.n, v.p);
    map_free(p);
    return out;
}

static void test_the_file_has_no_mistake_and_no_name_twice(void **state)
{
    (void)state;
    struct book b;
    size_t count;
    book_open(&b);
    const char *const *names = recipe_names(&b.reader, &count);
    for (size_t i = 0; i < b.problems.count; i++)
        print_error("%u: %s\n", b.problems.items[i].place.line, b.problems.items[i].text);
    assert_int_equal(b.problems.count, 0);
    assert_int_equal(b.reader.failed, ERR_OK);
    assert_true(count > 20);
    assert_null(names[count]);
    for (size_t i = 0; i < count; i++) {
        size_t n;
        assert_false(transform_is(names[i]));
        assert_non_null(recipe_transforms(&b.reader, names[i], &n));
        assert_true(n > 0);
    }
    assert_null(recipe_transforms(&b.reader, "meta_emial", &count));
    book_close(&b);
}

/* Of the vendors' documents and SDKs, word for word. */
static void test_published_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *recipe, *in, *want;
    } cases[] = {
        {"meta_email", "mary@example.com",
         "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"},
        {"meta_email", " Mary@Example.com ",
         "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"},
        {"meta_phone", "15559876543",
         "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"},
        {"meta_phone", "+1 (555) 987-6543",
         "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"},
        {"meta_country", "us", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"},
        {"meta_country", "United States",
         "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"},
        {"google_email", "test@abc.com",
         "d3142c8f9c9129484daf28df80cc5c955791efed5e69afabb603bc8cb9ffd419"},
        {"google_email", " Jane.Doe@gmail.com",
         "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"},
        {"google_phone", "+1 800 5550101",
         "61d6c2976b5d92b1ad63073a12fddd26040cd980067d03a93dd1cc50f1a3ac68"},
        {"tiktok_phone", "0018005550101",
         "61d6c2976b5d92b1ad63073a12fddd26040cd980067d03a93dd1cc50f1a3ac68"},
        {"mailchimp_email_id", "Urist.McVankab@freddiesjokes.com",
         "62eeb292278cc15f5817cb78f7790b08"},
    };
    struct book b;
    char got[VALUE_BYTES];
    book_open(&b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct value in = value_of(VALUE_TEXT, slice_str(cases[i].in));
        assert_string_equal(apply(&b, cases[i].recipe, COLUMN_TEXT, in, got), cases[i].want);
    }
    book_close(&b);
}

/* want: what is sent, or what is hashed (SHA256), or null. */
static void test_rules_of_each_field(void **state)
{
    (void)state;
    static const struct {
        const char *recipe, *in, *want;
    } cases[] = {
        {"meta_email", "", "null"},
        {"meta_phone", "0049 (0)171 1234567", SHA256("491711234567")},
        {"meta_phone", "0171 1234567", "null"},
        {"meta_phone", "none", "null"},
        {"meta_name", "Valéry", SHA256("valéry")},
        {"meta_name", "VALÉRY", SHA256("valéry")},
        {"meta_name", "O'Brien", SHA256("obrien")},
        {"meta_name", "Mary-Jane", SHA256("maryjane")},
        {"meta_name", " 정 ", SHA256("정")},
        {"meta_name", "-", "null"},
        {"meta_initial", "'Émile", SHA256("é")},
        {"meta_gender", "Female", SHA256("f")},
        {"meta_gender", "unknown", "null"},
        {"meta_doby", "1980-03-05", SHA256("1980")},
        {"meta_doby", "1980", SHA256("1980")},
        {"meta_dobm", "1980-03-05T00:00:00Z", SHA256("03")},
        {"meta_dobm", "3", SHA256("03")},
        {"meta_dobd", "1980-03-05", SHA256("05")},
        {"meta_dobd", "31", SHA256("31")},
        {"meta_dobd", "", "null"},
        {"meta_city", "St. John's", SHA256("stjohns")},
        {"meta_city", "New York", SHA256("newyork")},
        {"meta_state", "CA", SHA256("ca")},
        {"meta_state", "New York", SHA256("ny")},
        {"meta_state", "Nordrhein-Westfalen", SHA256("nordrheinwestfalen")},
        {"meta_zip", "94035-1234", SHA256("94035")},
        {"meta_zip", "94035", SHA256("94035")},
        {"meta_zip", " SW1A 1AA", SHA256("sw1a1")},
        {"meta_zip", "M1 1AE", SHA256("m11")},
        {"meta_zip", "K1A 0B1", SHA256("k1a0b1")},
        {"meta_zip", "1000-205", SHA256("1000205")},
        {"meta_country", "DEU", SHA256("de")},
        {"meta_country", "Atlantis", "null"},
        {"meta_madid", " AECE52E7-03EE-455A-B3C4-E57283966239",
         "aece52e7-03ee-455a-b3c4-e57283966239"},
        {"meta_extern_id", " 17 ", "17"},
        {"google_email", "Jane.Doe@example.com", SHA256("jane.doe@example.com")},
        {"google_email", "j.d@googlemail.com", SHA256("jd@googlemail.com")},
        {"google_email", "jane doe@gmail.com", "null"},
        {"google_email", "jane@doe@gmail.com", "null"},
        {"google_name", " Mary Jane ", SHA256("mary jane")},
        {"google_region", "Germany", "DE"},
        {"google_postal", " 94045 ", "94045"},
        {"google_postal", " ", "null"},
        {"tiktok_email", " Mary @Example.com", SHA256("mary@example.com")},
        {"tiktok_madid", " AECE52E7 ", SHA256("aece52e7")},
        {"tiktok_madid_md5", "", "null"},
        {"linkedin_email", "Jane.Doe+x@gmail.com", SHA256("jane.doe+x@gmail.com")},
        {"first_35", " Ümit ", "Ümit"},
        {"first_35", "äbcdefghijklmnopqrstuvwxyzäbcdefghijklm",
         "äbcdefghijklmnopqrstuvwxyzäbcdefghi"},
        {"plain_email", " Mary@Example.com", "mary@example.com"},
        {"plain_email", " ", "null"},
        {"hashed", " A17 ", SHA256("A17")},
        {"meta_birthday", "1980-03-05T00:00:00Z", SHA256("19800305")},
        {"meta_birthday", "19800305", SHA256("19800305")},
        {"klaviyo_phone", "+49 171 1234567", "+491711234567"},
    };
    struct book b;
    char got[VALUE_BYTES], want[VALUE_BYTES];
    book_open(&b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct value in = value_of(VALUE_TEXT, slice_str(cases[i].in));
        bool hashed = strncmp(cases[i].want, "sha256:", 7) == 0;
        const char *expected = hashed ? sha256_of(&b, cases[i].want + 7, want) : cases[i].want;
        if (strcmp(apply(&b, cases[i].recipe, COLUMN_TEXT, in, got), expected) != 0)
            fail_msg("%s of '%s' gives %s", cases[i].recipe, cases[i].in, got);
    }
    book_close(&b);
}

static void test_numbers_and_dates_of_the_warehouse(void **state)
{
    (void)state;
    static const struct value phone = NUM("15559876543"), year = NUM("1980"),
                              born = TXT("1980-12-05");
    struct book b;
    char got[VALUE_BYTES], want[VALUE_BYTES];
    book_open(&b);
    assert_string_equal(apply(&b, "meta_phone", COLUMN_INT, phone, got),
                        "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e");
    assert_string_equal(apply(&b, "meta_doby", COLUMN_INT, year, got), sha256_of(&b, "1980", want));
    assert_string_equal(apply(&b, "meta_dobm", COLUMN_DATE, born, got), sha256_of(&b, "12", want));
    book_close(&b);
}

/* Every recipe but those of times takes every kind of column, passes NULL, and a hash passes those
 * that hash. */
static void test_hashing_twice_is_hashing_once(void **state)
{
    (void)state;
    static const char *const values[] = {"mary@example.com",
                                         "+1 555 987 6543",
                                         "Valéry",
                                         "US",
                                         "1980-03-05",
                                         "F",
                                         "94035-1234",
                                         "",
                                         " \t\n",
                                         "日本 😀"};
    static const enum column_type types[] = {COLUMN_INT,  COLUMN_TEXT,  COLUMN_BOOL, COLUMN_JSON,
                                             COLUMN_DATE, COLUMN_BYTES, COLUMN_OTHER};
    struct book b;
    size_t count, n, hashing = 0;
    char once[VALUE_BYTES], twice[VALUE_BYTES];
    book_open(&b);
    const char *const *names = recipe_names(&b.reader, &count);
    for (size_t i = 0; i < count; i++) {
        const struct transform *t = recipe_transforms(&b.reader, names[i], &n);
        for (size_t j = 0; t[0].kind != TRANSFORM_DATE && j < ARRAY_LEN(types); j++)
            assert_string_equal(apply(&b, names[i], types[j], (struct value)NUL, once), "null");
        if (t[n - 1].kind != TRANSFORM_HASH)
            continue;
        hashing++;
        for (size_t j = 0; j < ARRAY_LEN(values); j++) {
            struct value in = value_of(VALUE_TEXT, slice_str(values[j]));
            apply(&b, names[i], COLUMN_TEXT, in, once);
            if (strcmp(once, "null") == 0)
                continue;
            assert_int_equal(strlen(once), 64);
            in = value_of(VALUE_TEXT, slice_str(once));
            assert_string_equal(apply(&b, names[i], COLUMN_TEXT, in, twice), once);
            for (char *p = once; *p; p++)
                *p = (char)(*p >= 'a' ? *p ^ 0x20 : *p);
            assert_string_equal(apply(&b, names[i], COLUMN_TEXT, in, once), twice);
        }
    }
    assert_true(hashing > 10);
    book_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_file_has_no_mistake_and_no_name_twice),
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_rules_of_each_field),
        cmocka_unit_test(test_numbers_and_dates_of_the_warehouse),
        cmocka_unit_test(test_hashing_twice_is_hashing_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
