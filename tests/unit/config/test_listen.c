/* What `settings.listen` may say, and which addresses only this machine can reach. */
#include "protocol/config/listen.h"

#include "protocol/base/attr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        unsigned port;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:8470", "127.0.0.1", 8470, true},
        {"127.8.9.1:0", "127.8.9.1", 0, true},
        {"localhost:1", "localhost", 1, true},
        {"[::1]:80", "::1", 80, true},
        {"[::]:80", "::", 80, false},
        {"0.0.0.0:80", "0.0.0.0", 80, false},
        {"128.0.0.1:80", "128.0.0.1", 80, false},
        {"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, false},
        {"127.0.0.1.example.org:80", "127.0.0.1.example.org", 80, false},
        {"localhost.example.org:80", "localhost.example.org", 80, false},
        {"scheduler:65535", "scheduler", 65535, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listen_address at;
        assert_true(listen_parse(cases[i].text, &at));
        assert_string_equal(at.host, cases[i].host);
        assert_int_equal(at.port, cases[i].port);
        assert_int_equal(at.loopback, cases[i].loopback);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",        "8470",       ":8470",
                                        "a",       "a:",         "a:65536",
                                        "a:-1",    "a:1x",       "::1:80",
                                        "[::1]80", "http://a:1", "[]:1",
                                        "u@h:1",   "a b:1",      "a:99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listen_address at;
        if (listen_parse(cases[i], &at))
            fail_msg("%s was taken", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
