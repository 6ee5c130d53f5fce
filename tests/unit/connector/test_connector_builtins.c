/* Every connector that is built in is read without a mistake. */
#include "tests/unit/connector/connector_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_builtin_is_read_without_a_mistake(void **state)
{
    (void)state;
    size_t count;
    const char *const *names = connector_builtin_names(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct connector_text t;
        connector_text_builtin(&t, names[i]);
        const char *said = connector_text_said(&t);
        if (*said)
            print_error("%s:\n%s", names[i], said);
        assert_int_equal(t.problems.count, 0);
        assert_non_null(t.connector);
        assert_true(t.connector->builtin);
        assert_string_equal(t.connector->name, names[i]);
        assert_non_null(t.connector->title);
        connector_text_done(&t);
    }
}

static void builtins_are_in_alphabetical_order_and_read_once(void **state)
{
    (void)state;
    size_t count;
    const char *const *names = connector_builtin_names(&count);
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(names[i - 1], names[i]) < 0);
    struct connector_text t;
    connector_text_builtin(&t, "webhook");
    assert_ptr_equal(connector_builtin(&t.reader, "webhook"), t.connector);
    assert_null(connector_builtin(&t.reader, "nothing"));
    assert_non_null(strstr(connector_builtin_text("webhook").p, "connectors:"));
    assert_int_equal(connector_builtin_text("nothing").n, 0);
    connector_text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_builtin_is_read_without_a_mistake),
        cmocka_unit_test(builtins_are_in_alphabetical_order_and_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
