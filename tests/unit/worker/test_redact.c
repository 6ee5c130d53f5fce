#include "worker/deliver/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *const secrets[] = {"tok-6f1c9e",  "sign-8d2b4a", "pass-word",
                                      "key-value-1", "acme",        "dXNlcjpwYXNzLXdvcmQ="};
static const struct destination hook = {.secrets = secrets, .secret_count = ARRAY_LEN(secrets)};

static void expect(const char *in, const char *out)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct slice got = redact_secrets(&a, &hook, slice_str(in));
    assert_true(slice_eq_str(got, out));
    arena_done(&a);
}

static void every_secret_of_the_destination_is_starred_out(void **state)
{
    (void)state;
    expect("bad token Bearer tok-6f1c9e!", "bad token Bearer **********!");
    expect("tok-6f1c9etok-6f1c9e", "********************");
    expect("sign-8d2b4a and pass-word", "*********** and *********");
    expect("X-Key was key-value-1", "X-Key was ***********");
    expect("Authorization: Basic dXNlcjpwYXNzLXdvcmQ=",
           "Authorization: Basic ********************");
}

static void words_without_a_secret_are_left_alone(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct slice body = SLICE_LIT("acme says: no such contact");
    assert_ptr_equal(redact_secrets(&a, &hook, body).p, body.p);
    assert_int_equal(redact_secrets(&a, &hook, (struct slice){0}).n, 0);
    arena_done(&a);
}

static void without_memory_nothing_is_shown(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    assert_int_equal(redact_secrets(&a, &hook, SLICE_LIT("tok-6f1c9e")).n, 0);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_secret_of_the_destination_is_starred_out),
        cmocka_unit_test(words_without_a_secret_are_left_alone),
        cmocka_unit_test(without_memory_nothing_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
