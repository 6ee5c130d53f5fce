#include "tests/unit/map/transform_case.h"

static void test_trim_knows_unicode_white_space(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("  a b \t\r\n"), TXT("a b"), ONE(TRIM)},
        {COLUMN_TEXT, TXT(""), TXT(""), ONE(TRIM)},
        {COLUMN_TEXT, TXT(" \v\f "), TXT(""), ONE(TRIM)},
        {COLUMN_TEXT, TXT("x"), TXT("x"), ONE(TRIM)},
        {COLUMN_TEXT,
         TXT("\u00a0\u2003\u3000ä\xc2\x85"
             "\u1680\u2028\u2029\u202f\u205f"),
         TXT("ä"), ONE(TRIM)},
        {COLUMN_TEXT, TXT("\u200bä\ufeff"), TXT("\u200bä\ufeff"), ONE(TRIM)}, /* no white space */
        {COLUMN_TEXT, TXT("à"), TXT("à"), ONE(TRIM)}, /* ends in the byte A0 */
        {COLUMN_TEXT, TXT("😀 "), TXT("😀"), ONE(TRIM)},
        {COLUMN_TEXT, NUL, NUL, ONE(TRIM)},
    };
    CHECK(cases);
}

static void test_case_changes_beyond_ascii(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("Mary@Example.COM"), TXT("mary@example.com"), ONE(LOWER)},
        {COLUMN_TEXT, TXT("[@`{azAZ09"), TXT("[@`{AZAZ09"), ONE(UPPER)},
        {COLUMN_TEXT, TXT("[@`{azAZ09"), TXT("[@`{azaz09"), ONE(LOWER)},
        {COLUMN_TEXT, TXT("already lower ö"), TXT("already lower ö"), ONE(LOWER)},
        {COLUMN_TEXT, TXT("VALÉRY ÄÖÜ ŁÓDŹ"), TXT("valéry äöü łódź"), ONE(LOWER)},
        {COLUMN_TEXT, TXT("valéry äöü łódź"), TXT("VALÉRY ÄÖÜ ŁÓDŹ"), ONE(UPPER)},
        {COLUMN_TEXT, TXT("ПРИВЕТ Ωμέγα"), TXT("привет ωμέγα"), ONE(LOWER)},
        {COLUMN_TEXT, TXT("\u212a"), TXT("k"), ONE(LOWER)}, /* Kelvin: 3 bytes to 1 */
        {COLUMN_TEXT, TXT("\u023a\u023a"), TXT("\u2c65\u2c65"), ONE(LOWER)}, /* 2 bytes to 3 */
        {COLUMN_TEXT, TXT("日本 😀"), TXT("日本 😀"), ONE(UPPER)},
        {COLUMN_TEXT, TXT(""), TXT(""), ONE(UPPER)},
    };
    CHECK(cases);
}

static void test_hashes_match_the_published_vectors(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT,
         TXT(" Mary@Example.com"),
         TXT("f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"),
         {T(TRIM), T(LOWER), T(SHA256), STEP_END}},
        {COLUMN_TEXT, TXT("15559876543"),
         TXT("1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"), ONE(SHA256)},
        {COLUMN_TEXT, TXT("test@abc.com"),
         TXT("d3142c8f9c9129484daf28df80cc5c955791efed5e69afabb603bc8cb9ffd419"), ONE(SHA256)},
        {COLUMN_TEXT,
         TXT("+1 800 5550101"),
         TXT("61d6c2976b5d92b1ad63073a12fddd26040cd980067d03a93dd1cc50f1a3ac68"),
         {{.kind = TRANSFORM_REPLACE, .text = " ", .with = ""}, T(SHA256), STEP_END}},
        {COLUMN_TEXT,
         TXT("US"),
         TXT("79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
         {T(LOWER), T(SHA256), STEP_END}},
        {COLUMN_INT,
         NUM("15559876543"),
         TXT("1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"),
         {T(TO_STRING), T(SHA256), STEP_END}},
        {COLUMN_TEXT, TXT(""),
         TXT("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), ONE(SHA256)},
        {COLUMN_TEXT, TXT("urist.mcvankab@freddiesjokes.com"),
         TXT("62eeb292278cc15f5817cb78f7790b08"), ONE(MD5)},
        {COLUMN_BYTES, TXT("YWJj"), /* the bytes "abc" */
         TXT("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), ONE(SHA256)},
        {COLUMN_TEXT, NUL, NUL, ONE(SHA256)},
    };
    CHECK(cases);
}

static void test_hex_and_base64_take_the_bytes(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("ö1"), TXT("c3b631"), ONE(HEX)},
        {COLUMN_TEXT, TXT(""), TXT(""), ONE(HEX)},
        {COLUMN_BYTES, TXT("AP8Q"), TXT("00ff10"), ONE(HEX)},
        {COLUMN_BYTES, TXT("AP8="), TXT("00ff"), ONE(HEX)},
        {COLUMN_BYTES, TXT("AA=="), TXT("00"), ONE(HEX)},
        {COLUMN_BYTES, TXT("A!"), BAD("field field: hex: the bytes are not in base64"), ONE(HEX)},
        {COLUMN_TEXT, TXT(""), TXT(""), ONE(BASE64)},
        {COLUMN_TEXT, TXT("f"), TXT("Zg=="), ONE(BASE64)},
        {COLUMN_TEXT, TXT("fo"), TXT("Zm8="), ONE(BASE64)},
        {COLUMN_TEXT, TXT("foobar"), TXT("Zm9vYmFy"), ONE(BASE64)},
        {COLUMN_BYTES, TXT("AP8="), TXT("AP8="), ONE(BASE64)},
        {COLUMN_BYTES,
         TXT("AP8="),
         TXT("4150383d"),
         {T(TRIM), T(HEX), STEP_END}}, /* now it is text */
    };
    CHECK(cases);
}

static void test_conversions_between_kinds(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_NUMERIC, NUM("12345678901234567890.10"), TXT("12345678901234567890.10"),
         ONE(TO_STRING)},
        {COLUMN_BOOL, YES, TXT("true"), ONE(TO_STRING)},
        {COLUMN_BOOL, NO, TXT("false"), ONE(TO_STRING)},
        {COLUMN_JSON, JSN("{\"a\":1}"), TXT("{\"a\":1}"), ONE(TO_STRING)},
        {COLUMN_TEXT, TXT("x"), TXT("x"), ONE(TO_STRING)},
        {COLUMN_INT, NUL, NUL, ONE(TO_STRING)},
        {COLUMN_TEXT, TXT(" +007.50\n"), NUM("7.50"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("-007"), NUM("-7"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("0"), NUM("0"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("000"), NUM("0"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("00.5"), NUM("0.5"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("1e400"), NUM("1e400"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("123456789012345678901234567890"), NUM("123456789012345678901234567890"),
         ONE(TO_NUMBER)},
        {COLUMN_INT, NUM("5"), NUM("5"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT(""), BAD("field field: to_number: the text is not a number"),
         ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("1,000"), BAD("not a number"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("--1"), BAD("not a number"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("+-1"), BAD("not a number"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT(".5"), BAD("not a number"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("NaN"), BAD("not a number"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT("0x10"), BAD("not a number"), ONE(TO_NUMBER)},
        {COLUMN_TEXT, TXT(" Yes"), YES, ONE(TO_BOOLEAN)},
        {COLUMN_TEXT, TXT("OFF"), NO, ONE(TO_BOOLEAN)},
        {COLUMN_TEXT, TXT("t"), YES, ONE(TO_BOOLEAN)},
        {COLUMN_INT, NUM("0"), NO, ONE(TO_BOOLEAN)},
        {COLUMN_INT, NUM("1"), YES, ONE(TO_BOOLEAN)},
        {COLUMN_INT, NUM("2"), BAD("to_boolean: the value is none of"), ONE(TO_BOOLEAN)},
        {COLUMN_BOOL, NO, NO, ONE(TO_BOOLEAN)},
        {COLUMN_TEXT, TXT("maybe"), BAD("none of"), ONE(TO_BOOLEAN)},
        {COLUMN_TEXT, TXT(""), BAD("none of"), ONE(TO_BOOLEAN)},
    };
    CHECK(cases);
}

static void test_dates_are_exact(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TIMESTAMP, TXT("2026-01-02T01:04:05.678901Z"), TXT("2026-01-02T01:04:05.678901Z"),
         DATE("rfc3339")},
        {COLUMN_TIMESTAMP, TXT("2026-01-02T01:04:05.678901Z"), TXT("2026-01-02"), DATE("date")},
        {COLUMN_TIMESTAMP, TXT("2026-01-02T01:04:05.678901Z"), NUM("1767315845"), DATE("unix")},
        {COLUMN_TIMESTAMP, TXT("2026-01-02T01:04:05.678901Z"), NUM("1767315845678"),
         DATE("unix_ms")},
        {COLUMN_TIMESTAMP, TXT("1969-12-31T23:59:58.25Z"), NUM("-2"), DATE("unix")},
        {COLUMN_TIMESTAMP, TXT("1969-12-31T23:59:58.25Z"), NUM("-1750"), DATE("unix_ms")},
        {COLUMN_TIMESTAMP, TXT("1969-12-31T23:59:59Z"), TXT("1969-12-31"), DATE("date")},
        {COLUMN_DATE, TXT("1970-01-01"), NUM("0"), DATE("unix")},
        {COLUMN_DATE, TXT("2024-02-29"), TXT("2024-02-29T00:00:00Z"), DATE("rfc3339")},
        {COLUMN_DATE, TXT("0001-01-01"), NUM("-62135596800"), DATE("unix")},
        {COLUMN_DATE, TXT("9999-12-31"), NUM("253402214400"), DATE("unix")},
        {COLUMN_DATE, TXT("1900-02-28"), NUM("-2203977600"), DATE("unix")},
        {COLUMN_TEXT, TXT(" 2026-01-02 03:04:05+02:00 "), TXT("2026-01-02T01:04:05Z"),
         DATE("rfc3339")},
        {COLUMN_TEXT, TXT("2026-01-01t23:00:00.5-0330"), TXT("2026-01-02T02:30:00.5Z"),
         DATE("rfc3339")},
        {COLUMN_TEXT, TXT("2026-01-02T03:04"), TXT("2026-01-02T03:04:00Z"), DATE("rfc3339")},
        {COLUMN_TEXT, TXT("2026-01-02 03:04:05+02"), NUM("1767315845"), DATE("unix")},
        {COLUMN_TEXT, TXT("2016-12-31T23:59:60Z"), TXT("2017-01-01T00:00:00Z"), DATE("rfc3339")},
        {COLUMN_TEXT, TXT("1767315845"), TXT("2026-01-02T01:04:05Z"), DATE("rfc3339")},
        {COLUMN_INT, NUM("1767315845"), TXT("2026-01-02"), DATE("date")},
        {COLUMN_INT, NUM("1767315845678"), TXT("2026-01-02T01:04:05.678Z"), DATE("rfc3339")},
        {COLUMN_INT, NUM("1767315845678"), NUM("1767315845"), DATE("unix")},
        {COLUMN_INT, NUM("99999999999"), NUM("99999999999"), DATE("unix")},
        {COLUMN_INT, NUM("100000000000"), NUM("100000000"), DATE("unix")},
        {COLUMN_INT, NUM("-100000000000"), NUM("-100000000"), DATE("unix")},
        {COLUMN_NUMERIC, NUM("1767315845.5"), NUM("1767315845500"), DATE("unix_ms")},
        {COLUMN_NUMERIC, NUM("-0.5"), NUM("-1"), DATE("unix")},
        {COLUMN_NUMERIC, NUM("-0.5"), TXT("1969-12-31T23:59:59.5Z"), DATE("rfc3339")},
        {COLUMN_FLOAT, NUM("1.767315845e9"), NUM("1767315845"), DATE("unix")},
        {COLUMN_FLOAT, NUM("5e-1"), TXT("1970-01-01T00:00:00.5Z"), DATE("rfc3339")},
        {COLUMN_FLOAT, NUM("0.0625"), TXT("1970-01-01T00:00:00.0625Z"), DATE("rfc3339")},
        {COLUMN_INT, NUM("0"), TXT("1970-01-01T00:00:00Z"), DATE("rfc3339")},
        {COLUMN_TEXT, NUL, NUL, DATE("unix")},
        {COLUMN_TEXT, TXT(""), BAD("date: the value is neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("2025-02-29"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("2026-13-01"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("2026-01-00"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("2026-01-02T24:00:00Z"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("2026-01-02T01:00:00Zjunk"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("2026-01-02T01:00:00.Z"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("02.01.2026"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("0000-01-01"), BAD("neither"), DATE("unix")},
        {COLUMN_TEXT, TXT("0001-01-01T00:00:00+01:00"), BAD("outside the years 1 to 9999"),
         DATE("unix")},
        {COLUMN_FLOAT, NUM("1e99"), BAD("neither"), DATE("unix")},
        {COLUMN_FLOAT, NUM("1e-99999999999999999999"), NUM("0"), DATE("unix")},
        {COLUMN_INT, NUM("99999999999999999"), BAD("outside the years"), DATE("unix")},
    };
    CHECK(cases);
}

static void test_substring_counts_characters(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("größer"), TXT("grö"), SUBSTRING(0, 3)},
        {COLUMN_TEXT, TXT("größer"), TXT("ßer"), SUBSTRING(3, -1)},
        {COLUMN_TEXT, TXT("größer"), TXT("ßer"), SUBSTRING(-3, -1)},
        {COLUMN_TEXT, TXT("größer"), TXT("ß"), SUBSTRING(-3, 1)},
        {COLUMN_TEXT, TXT("größer"), TXT("größer"), SUBSTRING(-9, 99)},
        {COLUMN_TEXT, TXT("größer"), TXT(""), SUBSTRING(6, 2)},
        {COLUMN_TEXT, TXT("größer"), TXT(""), SUBSTRING(7, -1)},
        {COLUMN_TEXT, TXT("größer"), TXT(""), SUBSTRING(0, 0)},
        {COLUMN_TEXT, TXT("größer"), TXT("größer"), SUBSTRING(INT64_MIN, INT64_MAX)},
        {COLUMN_TEXT, TXT("😀x"), TXT("x"), SUBSTRING(1, 1)},
        {COLUMN_TEXT, TXT(""), TXT(""), SUBSTRING(-1, 1)},
    };
    CHECK(cases);
}

static void test_replace_by_pattern(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("+1 (800) 555-01"), TXT("180055501"), REPLACE("[^0-9]", "")},
        {COLUMN_TEXT, TXT("Doe, Jane"), TXT("Jane Doe"), REPLACE("^(\\w+), (\\w+)$", "$2 ${1}")},
        {COLUMN_TEXT, TXT("a1"), TXT("1:a"), REPLACE("(?<l>[a-z])(?<d>\\d)", "${d}:$l")},
        {COLUMN_TEXT, TXT("O'Brien-Łódź!"), TXT("OBrienŁódź"), REPLACE("[^\\w\\s]", "")},
        {COLUMN_TEXT, TXT("x"), TXT("x"), REPLACE("y", "z")},
        {COLUMN_TEXT, TXT(""), TXT(""), REPLACE("y", "z")},
        {COLUMN_TEXT, TXT(""), TXT("empty"), REPLACE("^$", "empty")},
        {COLUMN_TEXT, TXT("aaaa"), TXT("bbbbbbbbbbbbbbbbbbbbbbbb"), REPLACE("a", "bbbbbb")},
        {COLUMN_TEXT, TXT("5"), TXT("$5"), REPLACE("(5)", "$$$1")},
        {COLUMN_TEXT, TXT("b"), TXT("[]"), REPLACE("(a)?b", "[$1]")},
        {COLUMN_TEXT, TXT("ÄÖ"), TXT("_Ö"), REPLACE("(?i)ä", "_")},
        {COLUMN_TEXT, NUL, NUL, REPLACE("x", "y")},
    };
    CHECK(cases);
}

static void test_a_pattern_that_never_ends_makes_the_row_invalid(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"),
         BAD("replace: match limit"), REPLACE("^(a|aa)+$|^(a+)+$", "")},
    };
    CHECK(cases);
}

static void test_split_and_join(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("a,b,,c"), JSN("[\"a\",\"b\",\"\",\"c\"]"), SPLIT(",")},
        {COLUMN_TEXT, TXT(","), JSN("[\"\",\"\"]"), SPLIT(",")},
        {COLUMN_TEXT, TXT("a"), JSN("[\"a\"]"), SPLIT(", ")},
        {COLUMN_TEXT, TXT(""), JSN("[]"), SPLIT(",")},
        {COLUMN_TEXT, TXT("\"\n;\\"), JSN("[\"\\\"\\n\",\"\\\\\"]"), SPLIT(";")},
        {COLUMN_TEXT, TXT("ä→ö"), JSN("[\"ä\",\"ö\"]"), SPLIT("→")},
        {COLUMN_TEXT, TXT("\x01\x02\x03;\x04"), JSN("[\"\\u0001\\u0002\\u0003\",\"\\u0004\"]"),
         SPLIT(";")},
        {COLUMN_TEXT, NUL, NUL, SPLIT(",")},
        {COLUMN_ARRAY, JSN("[\"a\",\"b\"]"), TXT("a; b"), JOIN("; ")},
        {COLUMN_ARRAY, JSN("[]"), TXT(""), JOIN(",")},
        {COLUMN_ARRAY, JSN("[null,1,null,2.50,true,[1,\"x\"],{\"a\":null}]"),
         TXT("1,2.50,true,[1,\"x\"],{\"a\":null}"), JOIN(",")},
        {COLUMN_ARRAY, JSN("[\"\\u00e4\\ud83d\\ude00\\n\\/\\\"\"]"), TXT("ä😀\n/\""), JOIN(",")},
        {COLUMN_ARRAY, JSN("[1,2]"), TXT("12"), JOIN("")},
        {COLUMN_ARRAY, JSN("[\"\\u0000\"]"), BAD("join: a string holds \\u0000"), JOIN(",")},
        {COLUMN_ARRAY, JSN("[\"\\ud800\"]"), BAD("half a surrogate pair"), JOIN(",")},
        {COLUMN_JSON, JSN("{\"a\":1}"), BAD("join: the JSON is not an array"), JOIN(",")},
        {COLUMN_JSON, JSN("[1"), BAD("join: the array does not end"), JOIN(",")},
        {COLUMN_TEXT,
         TXT("b a"),
         TXT("b-a"),
         {{.kind = TRANSFORM_SPLIT, .text = " "}, {.kind = TRANSFORM_JOIN, .text = "-"}, STEP_END}},
    };
    CHECK(cases);
}

static void test_json_is_checked_and_keeps_every_digit(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT(" { \"id\" : 12345678901234567890.10 , \"a b\" : [ ] } "),
         JSN("{\"id\":12345678901234567890.10,\"a b\":[]}"), ONE(JSON)},
        {COLUMN_TEXT, TXT("null"), JSN("null"), ONE(JSON)},
        {COLUMN_TEXT, TXT("\" x \\\" \""), JSN("\" x \\\" \""), ONE(JSON)},
        {COLUMN_JSON, JSN("[1]"), JSN("[1]"), ONE(JSON)},
        {COLUMN_TEXT, TXT("[true,false,null,-0.5e+10]"), JSN("[true,false,null,-0.5e+10]"),
         ONE(JSON)},
        {COLUMN_TEXT, TXT(""), BAD("json: the text is not JSON: a value is missing"), ONE(JSON)},
        {COLUMN_TEXT, TXT("{\"a\":1,}"), BAD("a name in an object is not a string"), ONE(JSON)},
        {COLUMN_TEXT, TXT("[1,]"), BAD("neither a value nor a number"), ONE(JSON)},
        {COLUMN_TEXT, TXT("[01]"), BAD("neither a value nor a number"), ONE(JSON)},
        {COLUMN_TEXT, TXT("[1 2]"), BAD("an array does not end"), ONE(JSON)},
        {COLUMN_TEXT, TXT("{\"a\" 1}"), BAD("without a colon"), ONE(JSON)},
        {COLUMN_TEXT, TXT("{\"a\":1"), BAD("an object does not end"), ONE(JSON)},
        {COLUMN_TEXT, TXT("\"a"), BAD("a string does not end"), ONE(JSON)},
        {COLUMN_TEXT, TXT("\"\\"), BAD("a string does not end"), ONE(JSON)},
        {COLUMN_TEXT, TXT("\"\\x\""), BAD("unknown escape"), ONE(JSON)},
        {COLUMN_TEXT, TXT("\"\\u12g4\""), BAD("without four digits"), ONE(JSON)},
        {COLUMN_TEXT, TXT("\"\t\""), BAD("control character"), ONE(JSON)},
        {COLUMN_TEXT, TXT("1 2"), BAD("something follows"), ONE(JSON)},
        {COLUMN_TEXT, TXT("NaN"), BAD("neither a value"), ONE(JSON)},
        {COLUMN_TEXT, TXT("nulll"), BAD("neither a value"), ONE(JSON)},
    };
    CHECK(cases);
    char deep[300];
    memset(deep, '[', 150);
    memset(deep + 150, ']', 150);
    struct transform_case c = {
        COLUMN_TEXT, {VALUE_TEXT, 300, deep}, BAD("nested too deeply"), ONE(JSON)};
    check_cases(&c, 1);
    c.in = (struct value){VALUE_TEXT, 256, deep + 150 - 128};
    c.want = (struct value){VALUE_JSON, 256, deep + 150 - 128};
    check_cases(&c, 1);
}

static void test_tables_map_the_text_form(void **state)
{
    (void)state;
    static const struct map_entry table[] = {{"de", "Germany", false}, {"at", "Austria", false},
                                             {"1", "one", false},      {"true", "yes", false},
                                             {"", "none", false},      {"xx", NULL, true}};
#define TABLE(...)                                                                                 \
    {                                                                                              \
        {.kind = TRANSFORM_MAP, .table = table, .table_count = 6, __VA_ARGS__}, STEP_END           \
    }
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("at"), TXT("Austria"), TABLE(0)},
        {COLUMN_TEXT, TXT("de"), TXT("Germany"), TABLE(0)},
        {COLUMN_TEXT, TXT(""), TXT("none"), TABLE(0)},
        {COLUMN_TEXT, TXT("xx"), NUL, TABLE(0)},
        {COLUMN_TEXT, TXT("d"), TXT("d"), TABLE(0)},
        {COLUMN_TEXT, TXT("fr"), TXT("other"), TABLE(.has_fallback = true, .fallback = "other")},
        {COLUMN_TEXT, TXT("fr"), NUL, TABLE(.has_fallback = true)},
        {COLUMN_INT, NUM("1"), TXT("one"), TABLE(0)},
        {COLUMN_INT, NUM("2"), NUM("2"), TABLE(0)},
        {COLUMN_BOOL, YES, TXT("yes"), TABLE(0)},
        {COLUMN_BOOL, NO, NO, TABLE(0)},
        {COLUMN_TEXT, NUL, NUL, TABLE(.has_fallback = true, .fallback = "other")},
    };
    CHECK(cases);
}

static void test_values_far_beyond_the_scratch_memory(void **state)
{
    (void)state;
    enum { LARGE = 3 << 20 };
    char *text = malloc(LARGE), *want = malloc(LARGE * 2);
    for (size_t i = 0; i < LARGE; i++) {
        text[i] = i % 2 ? 'Q' : 'z';
        memcpy(want + 2 * i, i % 2 ? "71" : "7a", 2);
    }
    struct transform_case c = {COLUMN_TEXT,
                               {VALUE_TEXT, LARGE, text},
                               {VALUE_TEXT, LARGE * 2, want},
                               {T(UPPER), T(LOWER), T(HEX), STEP_END}};
    check_cases(&c, 1);
    for (size_t i = 0; i < LARGE; i++) {
        text[i] = 'a';
        memcpy(want + 2 * i, "bc", 2);
    }
    c = (struct transform_case){
        COLUMN_TEXT, {VALUE_TEXT, LARGE, text}, {VALUE_TEXT, LARGE * 2, want}, REPLACE("a", "bc")};
    check_cases(&c, 1);
    c = (struct transform_case){COLUMN_TEXT,
                                {VALUE_TEXT, LARGE, text},
                                BAD("field field: replace: the mapped values of one row"),
                                REPLACE("a", "0123456789012345678901234567890123456789")};
    check_cases(&c, 1);
    free(text);
    free(want);
}

static void test_steps_meet_kinds_they_do_not_know(void **state)
{
    (void)state;
    static const struct map_entry table[] = {{"1", "one", false}};
    static const struct transform_case cases[] = {
        {COLUMN_INT,
         NUM("1"),
         TXT("ONE"),
         {{.kind = TRANSFORM_MAP, .table = table, .table_count = 1}, T(UPPER), STEP_END}},
        {COLUMN_INT,
         NUM("2"),
         BAD("field field: upper needs text, but the value is a number"),
         {{.kind = TRANSFORM_MAP, .table = table, .table_count = 1}, T(UPPER), STEP_END}},
    };
    CHECK(cases);
}

static void test_what_never_fits_is_found_before_the_first_row(void **state)
{
    (void)state;
    static const struct {
        enum column_type type;
        struct transform steps[STEPS];
        const char *error;
    } cases[] = {
        {COLUMN_INT, ONE(TRIM),
         "c.yaml:7:21: transform trim needs text, which column x (t) never is; put to_string "
         "before it"},
        {COLUMN_JSON, ONE(SHA256), "transform sha256 needs text, which column x (t) never is"},
        {COLUMN_BOOL, DATE("unix"), "transform date needs a date, a time, text or a number"},
        {COLUMN_TEXT, JOIN(","), "transform join needs a JSON array"},
        {COLUMN_TEXT,
         {T(TO_NUMBER), T(LOWER), STEP_END},
         "transform lower needs text, which the result of to_number never is"},
        {COLUMN_TEXT, DATE("iso"),
         "transform date needs one of rfc3339, date, unix, unix_ms, not 'iso'"},
        {COLUMN_TEXT, REPLACE("(", ""),
         "transform replace: pattern '(' is wrong at character 2: missing closing parenthesis"},
        {COLUMN_TEXT, REPLACE("a", "$1"),
         "the replacement names a group that the pattern does not have"},
        {COLUMN_TEXT, REPLACE("(a)", "${nope}"), "the replacement names a group"},
        {COLUMN_TEXT, REPLACE("(a)", "$"), "the replacement names a group"},
        {COLUMN_TEXT, SPLIT(""), "transform split needs a separator"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        struct transform steps[STEPS];
        struct map_program *p = NULL;
        struct err err = {0};
        const struct column columns[] = {{"id", "integer", COLUMN_INT}, {"x", "t", cases[i].type}};
        const struct transform_case as_case = {
            .steps = {cases[i].steps[0], cases[i].steps[1], cases[i].steps[2]}};
        memcpy(steps, cases[i].steps, sizeof steps);
        steps[0].place = (struct config_place){"c.yaml", 7, 21};
        fixture_init(&f);
        struct mapping *m = fixture_map(&f, MAPPING_COLUMN, "x", "field");
        m->transforms = steps;
        m->transform_count = step_count(&as_case);
        assert_int_equal(ERR_CONFIG, map_compile(&f.sync, columns, 2, &p, &err));
        if (!strstr(err.text, cases[i].error))
            fail_msg("case %zu says: %s", i, err.text);
        assert_null(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim_knows_unicode_white_space),
        cmocka_unit_test(test_case_changes_beyond_ascii),
        cmocka_unit_test(test_hashes_match_the_published_vectors),
        cmocka_unit_test(test_hex_and_base64_take_the_bytes),
        cmocka_unit_test(test_conversions_between_kinds),
        cmocka_unit_test(test_dates_are_exact),
        cmocka_unit_test(test_substring_counts_characters),
        cmocka_unit_test(test_replace_by_pattern),
        cmocka_unit_test(test_a_pattern_that_never_ends_makes_the_row_invalid),
        cmocka_unit_test(test_split_and_join),
        cmocka_unit_test(test_json_is_checked_and_keeps_every_digit),
        cmocka_unit_test(test_tables_map_the_text_form),
        cmocka_unit_test(test_values_far_beyond_the_scratch_memory),
        cmocka_unit_test(test_steps_meet_kinds_they_do_not_know),
        cmocka_unit_test(test_what_never_fits_is_found_before_the_first_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
