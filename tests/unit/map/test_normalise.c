/* The transforms that bring contact data into one form. */
#include "tests/unit/map/transform_case.h"

#define TEXT_OF(k, s)                                                                              \
    {                                                                                              \
        {.kind = TRANSFORM_##k, .text = (s)}, STEP_END                                             \
    }
#define PHONE(code) TEXT_OF(PHONE, code)
#define HMAC(s, a)                                                                                 \
    {                                                                                              \
        {.kind = TRANSFORM_HMAC, .text = (s), .with = (a)}, STEP_END                               \
    }
#define PAD(n, c)                                                                                  \
    {                                                                                              \
        {.kind = TRANSFORM_PAD, .length = (n), .with = (c)}, STEP_END                              \
    }
#define FIRST(n)                                                                                   \
    {                                                                                              \
        {.kind = TRANSFORM_FIRST, .length = (n)}, STEP_END                                         \
    }
#define SHA256_OF_MARY "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"

static void test_filters_know_all_scripts(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT(" a\u00a0b\t\u3000c\u2003\n"), TXT("abc"), ONE(REMOVE_SPACES)},
        {COLUMN_TEXT, TXT("abc"), TXT("abc"), ONE(REMOVE_SPACES)},
        {COLUMN_TEXT, TXT("  "), TXT(""), ONE(REMOVE_SPACES)},
        {COLUMN_TEXT, TXT("\u200bà"), TXT("\u200bà"), ONE(REMOVE_SPACES)},
        {COLUMN_TEXT, TXT("+1 (800) 555-01٣½"), TXT("180055501"), ONE(DIGITS)},
        {COLUMN_TEXT, TXT("none"), TXT(""), ONE(DIGITS)},
        {COLUMN_TEXT, TXT("O'Brien-Łódź 3!"), TXT("OBrienŁódź"), ONE(LETTERS)},
        {COLUMN_TEXT, TXT("Vale\u0301ry"), TXT("Vale\u0301ry"), ONE(LETTERS)}, /* a mark */
        {COLUMN_TEXT, TXT("山田 太郎・ขวัญ١"), TXT("山田太郎ขวัญ"), ONE(LETTERS)},
        {COLUMN_TEXT, TXT("😀"), TXT(""), ONE(LETTERS)},
        {COLUMN_TEXT, TXT("São Paulo 1-Z"), TXT("SoPauloZ"), ONE(ASCII_LETTERS)},
        {COLUMN_TEXT, TXT("St. John’s,\u00a0№5 «x»\u200b €½_"), TXT("St Johns\u00a05 x ½"),
         ONE(NO_PUNCTUATION)},
        {COLUMN_TEXT, TXT("naïve 12"), TXT("naïve 12"), ONE(NO_PUNCTUATION)},
        {COLUMN_TEXT, TXT("00120"), TXT("120"), ONE(STRIP_ZEROS)},
        {COLUMN_TEXT, TXT("000"), TXT(""), ONE(STRIP_ZEROS)},
        {COLUMN_TEXT, TXT(""), TXT(""), ONE(STRIP_ZEROS)},
        {COLUMN_TEXT, TXT(""), TXT(""), ONE(LETTERS)},
        {COLUMN_TEXT, TXT("a\xff"), BAD("letters: the text is not UTF-8"), ONE(LETTERS)},
        {COLUMN_TEXT, NUL, NUL, ONE(NO_PUNCTUATION)},
    };
    CHECK(cases);
}

static void test_ends_of_a_text(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("49"), TXT("+49"), TEXT_OF(PREFIX, "+")},
        {COLUMN_TEXT, TXT("+49"), TXT("+49"), TEXT_OF(PREFIX, "+")},
        {COLUMN_TEXT, TXT("h"), TXT("https://h"), TEXT_OF(PREFIX, "https://")},
        {COLUMN_TEXT, TXT(""), TXT(""), TEXT_OF(PREFIX, "+")},
        {COLUMN_TEXT, NUL, NUL, TEXT_OF(PREFIX, "+")},
        {COLUMN_TEXT, TXT("94035-1234"), TXT("94035"), TEXT_OF(BEFORE, "-")},
        {COLUMN_TEXT, TXT("a--b-c"), TXT("a"), TEXT_OF(BEFORE, "-")},
        {COLUMN_TEXT, TXT("ab"), TXT("ab"), TEXT_OF(BEFORE, "-")},
        {COLUMN_TEXT, TXT("-b"), TXT(""), TEXT_OF(BEFORE, "-")},
        {COLUMN_TEXT, TXT("ä→ö"), TXT("ä"), TEXT_OF(BEFORE, "→")},
        {COLUMN_TEXT, TXT("3"), TXT("03"), PAD(2, "0")},
        {COLUMN_TEXT, TXT("12"), TXT("12"), PAD(2, "0")},
        {COLUMN_TEXT, TXT("123"), TXT("123"), PAD(2, "0")},
        {COLUMN_TEXT, TXT("é"), TXT("··é"), PAD(3, "·")},
        {COLUMN_TEXT, TXT(""), TXT(""), PAD(2, "0")},
        {COLUMN_TEXT, TXT("Émile"), TXT("É"), FIRST(1)},
        {COLUMN_TEXT, TXT("é"), TXT("é"), FIRST(9)},
        {COLUMN_TEXT, TXT(""), TXT(""), FIRST(1)},
        {COLUMN_TEXT, TXT(""), NUL, ONE(EMPTY_TO_NULL)},
        {COLUMN_TEXT, TXT(" "), TXT(" "), ONE(EMPTY_TO_NULL)},
    };
    CHECK(cases);
}

static void test_what_cannot_be_an_address_is_null(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT(" Mary@Example.COM\n"), TXT("mary@example.com"), ONE(EMAIL)},
        {COLUMN_TEXT, TXT("ÄRGER@müller.de"), TXT("ärger@müller.de"), ONE(EMAIL)},
        {COLUMN_TEXT, TXT("mary example.com"), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT("ma ry@example.com"), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT("mary@exam\u00a0ple.com"), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT("a@b@c"), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT("@b"), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT("b@"), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT("@"), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT(""), NUL, ONE(EMAIL)},
        {COLUMN_TEXT, TXT("j.a.ne@gmail.com"), TXT("jane@gmail.com"), ONE(GMAIL_DOTS)},
        {COLUMN_TEXT, TXT("J.D@GoogleMail.com"), TXT("JD@GoogleMail.com"), ONE(GMAIL_DOTS)},
        {COLUMN_TEXT, TXT("j.d@mail.gmail.com"), TXT("j.d@mail.gmail.com"), ONE(GMAIL_DOTS)},
        {COLUMN_TEXT, TXT("jd@gmail.com"), TXT("jd@gmail.com"), ONE(GMAIL_DOTS)},
        {COLUMN_TEXT, TXT("gmail.com"), TXT("gmail.com"), ONE(GMAIL_DOTS)},
        {COLUMN_TEXT, TXT(""), TXT(""), ONE(GMAIL_DOTS)},
    };
    CHECK(cases);
}

static void test_phone_numbers_as_people_write_them(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("+1 800 5550101"), TXT("+18005550101"), PHONE(NULL)},
        {COLUMN_TEXT, TXT("+1 (800) 555-01.01"), TXT("+18005550101"), PHONE("49")},
        {COLUMN_TEXT, TXT("001 800 555 0101"), TXT("+18005550101"), PHONE("49")},
        {COLUMN_TEXT, TXT("15559876543"), TXT("+15559876543"), PHONE(NULL)},
        {COLUMN_TEXT, TXT("0171/123 45 67"), TXT("+491711234567"), PHONE("49")},
        {COLUMN_TEXT, TXT("(030) 123456"), TXT("+4930123456"), PHONE("49")},
        {COLUMN_TEXT, TXT("(0)30 123456"), TXT("+4930123456"), PHONE("49")},
        {COLUMN_TEXT, TXT("+49 (0)30 123456"), TXT("+4930123456"), PHONE(NULL)},
        {COLUMN_TEXT, TXT("0049 (0) 30 123456"), TXT("+4930123456"), PHONE(NULL)},
        {COLUMN_TEXT, TXT("0049 (0)30 123456"), TXT("+4930123456"), PHONE("1")},
        {COLUMN_TEXT, TXT("1711234567"), TXT("+491711234567"), PHONE("49")},
        {COLUMN_TEXT, TXT("491711234567"), TXT("+491711234567"), PHONE("49")},
        {COLUMN_TEXT, TXT("06 6982 0000"), TXT("+390669820000"), PHONE("39")},
        {COLUMN_TEXT, TXT("+39 (0)6 6982 0000"), TXT("+390669820000"), PHONE(NULL)},
        {COLUMN_TEXT, TXT("391 234 5678"), TXT("+393912345678"), PHONE("39")},
        {COLUMN_TEXT, TXT("612 345 678"), TXT("+34612345678"), PHONE("34")},
        {COLUMN_TEXT, TXT("34612345678"), TXT("+34612345678"), PHONE("34")},
        {COLUMN_TEXT, TXT("45 12 34 56"), TXT("+4545123456"), PHONE("45")},
        {COLUMN_TEXT, TXT("800 555 0101"), TXT("+18005550101"), PHONE("1")},
        {COLUMN_TEXT, TXT("1 800 555 0101"), TXT("+18005550101"), PHONE("1")},
        {COLUMN_TEXT, TXT("8 912 345-67-89"), TXT("+79123456789"), PHONE("7")},
        {COLUMN_TEXT, TXT("\u202a+49\u00a0171\u20111234567\u202c"), TXT("+491711234567"),
         PHONE(NULL)},
        {COLUMN_TEXT, TXT("0171 1234567"), NUL, PHONE(NULL)}, /* of which country? */
        {COLUMN_TEXT, TXT("+0171 1234567"), NUL, PHONE("49")},
        {COLUMN_TEXT, TXT("+49 171 +1234567"), NUL, PHONE("49")},
        {COLUMN_TEXT, TXT("0800 FLOWERS"), NUL, PHONE("1")},
        {COLUMN_TEXT, TXT("110"), NUL, PHONE("49")},
        {COLUMN_TEXT, TXT("+1234567890123456"), NUL, PHONE(NULL)},
        {COLUMN_TEXT, TXT("1234567890123456789012345678"), NUL, PHONE(NULL)},
        {COLUMN_TEXT, TXT("+"), NUL, PHONE("49")},
        {COLUMN_TEXT, TXT("00"), NUL, PHONE(NULL)},
        {COLUMN_TEXT, TXT("0"), NUL, PHONE("49")},
        {COLUMN_TEXT, TXT("n/a"), NUL, PHONE("49")},
        {COLUMN_TEXT, TXT(""), NUL, PHONE("49")},
        {COLUMN_TEXT, NUL, NUL, PHONE("49")},
    };
    CHECK(cases);
}

static void test_countries_and_genders(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("US"), TXT("us"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT(" de "), TXT("de"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("ad"), TXT("ad"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("ZW"), TXT("zw"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("ZWE"), TXT("zw"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("AND"), TXT("ad"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("U.S.A."), TXT("us"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("UK"), TXT("gb"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("united kingdom"), TXT("gb"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("The Netherlands"), TXT("nl"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("Türkiye"), TXT("tr"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("Czech Republic"), TXT("cz"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("Hong Kong"), TXT("hk"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("America"), TXT("us"), ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("XX"), NUL, ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("Atlantis"), NUL, ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("276"), NUL, ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("日本"), NUL, ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT("a name that is longer than that of any country"), NUL, ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT(""), NUL, ONE(COUNTRY2)},
        {COLUMN_TEXT, TXT(" Female"), TXT("f"), ONE(GENDER)},
        {COLUMN_TEXT, TXT("M"), TXT("m"), ONE(GENDER)},
        {COLUMN_TEXT, TXT("woman"), TXT("f"), ONE(GENDER)},
        {COLUMN_TEXT, TXT("diverse"), NUL, ONE(GENDER)},
        {COLUMN_TEXT, TXT(""), NUL, ONE(GENDER)},
    };
    CHECK(cases);
}

static void test_hash_leaves_hashes_and_never_hashes_nothing(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("mary@example.com"), TXT(SHA256_OF_MARY), ONE(HASH)},
        {COLUMN_TEXT, TXT(SHA256_OF_MARY), TXT(SHA256_OF_MARY), ONE(HASH)},
        {COLUMN_TEXT, TXT(" F1904CF1A9D73A55FA5DE0AC823C4403DED71AFD4C3248D00BDCD0866552BB79 "),
         TXT(SHA256_OF_MARY), ONE(HASH)},
        /* One digit less, and one that is none: ordinary text. */
        {COLUMN_TEXT, TXT("1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"),
         TXT("9c132a258d1416a35b020b052c2bc68aac0ede4feedb5ed2b26824b3a14f2865"), ONE(HASH)},
        {COLUMN_TEXT, TXT(""), NUL, ONE(HASH)},
        {COLUMN_TEXT, TXT(" \u00a0"), NUL, ONE(HASH)},
        {COLUMN_TEXT, NUL, NUL, ONE(HASH)},
        {COLUMN_BYTES, TXT(""), NUL, ONE(HASH)},
        {COLUMN_BYTES, TXT("YWJj"),
         TXT("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), ONE(HASH)},
        {COLUMN_TEXT, TXT("abc"), TXT("a9993e364706816aba3e25717850c26c9cd0d89d"), ONE(SHA1)},
        {COLUMN_TEXT, TXT("abc"),
         TXT("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
             "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
         ONE(SHA512)},
    };
    CHECK(cases);
}

/* RFC 4231, RFC 2202. */
static void test_hmac_matches_the_published_vectors(void **state)
{
    (void)state;
    static const struct transform_case cases[] = {
        {COLUMN_TEXT, TXT("what do ya want for nothing?"),
         TXT("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
         HMAC("Jefe", "sha256")},
        {COLUMN_TEXT, TXT("what do ya want for nothing?"),
         TXT("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"), HMAC("Jefe", "sha1")},
        {COLUMN_TEXT, TXT("what do ya want for nothing?"),
         TXT("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
             "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
         HMAC("Jefe", "sha512")},
        {COLUMN_TEXT, NUL, NUL, HMAC("Jefe", "sha256")},
    };
    CHECK(cases);
    /* A key longer than a block is hashed first. */
    char key[132];
    memset(key, 'k', 131);
    key[131] = '\0';
    struct transform_case c = {
        COLUMN_TEXT, TXT("data"),
        TXT("f0b9c89b357ed50212ac94741e816fc213961c0d584ac2bfe87b55ce1f8d5592"),
        HMAC(key, "sha256")};
    check_cases(&c, 1);
}

static void test_the_guard_keeps_transforms_off_hashes(void **state)
{
    (void)state;
    static const struct transform inner[] = {T(TO_STRING), T(DIGITS)}, upper[] = {T(UPPER)};
    static const struct transform_case cases[] = {
        {COLUMN_TEXT,
         TXT("+1 2"),
         TXT("12"),
         {{.kind = TRANSFORM_UNLESS_HASHED, .inner = inner, .inner_count = 2}, STEP_END}},
        {COLUMN_INT,
         NUM("-12"),
         TXT("12"),
         {{.kind = TRANSFORM_UNLESS_HASHED, .inner = inner, .inner_count = 2}, STEP_END}},
        {COLUMN_TEXT,
         TXT(SHA256_OF_MARY),
         TXT(SHA256_OF_MARY),
         {{.kind = TRANSFORM_UNLESS_HASHED, .inner = inner, .inner_count = 2}, T(HASH), STEP_END}},
        {COLUMN_JSON,
         JSN("[\"+1\"]"),
         TXT("1"),
         {{.kind = TRANSFORM_UNLESS_HASHED, .inner = inner, .inner_count = 2}, STEP_END}},
        {COLUMN_TEXT,
         TXT("a"),
         TXT("A"),
         {{.kind = TRANSFORM_UNLESS_HASHED, .inner = upper, .inner_count = 1}, STEP_END}},
        {COLUMN_TEXT,
         NUL,
         NUL,
         {{.kind = TRANSFORM_UNLESS_HASHED, .inner = upper, .inner_count = 1}, STEP_END}},
    };
    CHECK(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_know_all_scripts),
        cmocka_unit_test(test_ends_of_a_text),
        cmocka_unit_test(test_what_cannot_be_an_address_is_null),
        cmocka_unit_test(test_phone_numbers_as_people_write_them),
        cmocka_unit_test(test_countries_and_genders),
        cmocka_unit_test(test_hash_leaves_hashes_and_never_hashes_nothing),
        cmocka_unit_test(test_hmac_matches_the_published_vectors),
        cmocka_unit_test(test_the_guard_keeps_transforms_off_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
