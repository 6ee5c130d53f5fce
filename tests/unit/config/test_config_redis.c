/* `settings.redis`: one server or several, and what is wrong with a list. */
#include "tests/unit/config/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SECRET "hush-hush"

static void a_list_has_urls_and_maps_each_with_a_name(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(&f, "settings:\n"
                         "  redis:\n"
                         "    - redis://u:" SECRET "@one:7000\n"
                         "    - {url: unix:///run/two.sock, name: two, leaving: true}\n"
                         "    - {url: redis://three}\n");
    const struct settings *s = &f.project->settings;
    assert_int_equal(s->redis_count, 3);
    assert_string_equal(s->redis[0].name, "redis://one:7000/0");
    assert_string_equal(s->redis[0].url, "redis://u:" SECRET "@one:7000");
    assert_string_equal(s->redis[1].name, "two");
    assert_true(s->redis[1].leaving);
    assert_false(s->redis[2].leaving);
    assert_string_equal(s->redis[2].name, "redis://three:6379/0");
    folder_done(&f);
}

static void an_empty_text_is_a_private_server(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(&f, "settings: {redis: \"${NO_SUCH_REDIS:-}\"}\n");
    assert_int_equal(f.project->settings.redis_count, 0);
    folder_done(&f);
}

static void what_is_wrong_with_a_list_is_said_where_it_stands(void **state)
{
    (void)state;
    static const struct folder_case cases[] = {
        {"settings:\n  redis: []\n", "2:10", "empty list"},
        {"settings:\n  redis: [redis://a:" SECRET "@h, redis://b:" SECRET "@h:6379/0]\n", "2:34",
         "of one address"},
        {"settings:\n  redis:\n    - {url: redis://h, name: x}\n    - {url: redis://i, name: x}\n",
         "4:30", "two Redis servers have the name"},
        {"settings:\n  redis: [{url: redis://h, leaving: true}]\n", "2:10", "one must stay"},
        {"settings:\n  redis: [redis://h, redis+cluster://i]\n", "2:22", "cluster"},
        {"settings:\n  redis: [http://" SECRET "]\n", "2:11", "must be redis://"},
        {"settings:\n  redis: [{name: x}]\n", "2:11", "url"},
        {"settings:\n  redis: [{url: redis://h, nam: x}]\n", "2:28", "nam"},
        {"settings:\n  redis: {url: redis://h}\n", "2:10", "list"},
        {0},
    };
    folder_check_cases(cases, SECRET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_urls_and_maps_each_with_a_name),
        cmocka_unit_test(an_empty_text_is_a_private_server),
        cmocka_unit_test(what_is_wrong_with_a_list_is_said_where_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
