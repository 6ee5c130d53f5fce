#include "tests/unit/redis/fixture.h"

#include <string.h>

static void a_url_says_where_and_as_whom(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool tls;
        const char *host, *path;
        unsigned port;
        int db;
        const char *user, *password, *safe;
    } cases[] = {
        {"redis://h", 0, "h", "", 6379, 0, "", "", "redis://h:6379/0"},
        {"redis://h:7/3", 0, "h", "", 7, 3, "", "", "redis://h:7/3"},
        {"redis://h/", 0, "h", "", 6379, 0, "", "", "redis://h:6379/0"},
        {"redis://h?db=2", 0, "h", "", 6379, 2, "", "", "redis://h:6379/2"},
        {"rediss://u:p@h.example:1/2", 1, "h.example", "", 1, 2, "u", "p",
         "rediss://u@h.example:1/2"},
        {"redis://:p%40%2F%3a@h", 0, "h", "", 6379, 0, "", "p@/:", "redis://h:6379/0"},
        {"redis://:a@b@h", 0, "h", "", 6379, 0, "", "a@b", "redis://h:6379/0"},
        {"redis://u@h", 0, "h", "", 6379, 0, "u", "", "redis://u@h:6379/0"},
        {"redis://[::1]:9/1", 0, "::1", "", 9, 1, "", "", "redis://[::1]:9/1"},
        {"redis://[fe80::1]", 0, "fe80::1", "", 6379, 0, "", "", "redis://[fe80::1]:6379/0"},
        {"unix:///r/s", 0, "", "/r/s", 6379, 0, "", "", "unix:///r/s"},
        {"unix:///r/a%20b?db=4", 0, "", "/r/a b", 6379, 4, "", "", "unix:///r/a b?db=4"},
        {"unix://u:p@/r/s", 0, "", "/r/s", 6379, 0, "u", "p", "unix://u@/r/s"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_url u;
        struct err err;
        char safe[200];
        if (redis_url_parse(cases[i].text, &u, &err))
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(u.tls, cases[i].tls);
        assert_string_equal(u.host, cases[i].host);
        assert_string_equal(u.path, cases[i].path);
        assert_int_equal(u.port, cases[i].port);
        assert_int_equal(u.db, cases[i].db);
        assert_string_equal(u.user, cases[i].user);
        assert_string_equal(u.password, cases[i].password);
        assert_string_equal(redis_url_safe(&u, safe, sizeof safe), cases[i].safe);
    }
}

static void a_url_names_sentinels_or_nodes_of_a_cluster(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum redis_shape shape;
        bool tls;
        size_t count;
        const char *last;
        unsigned last_port;
        int db;
        const char *primary, *user, *password, *sentinel_user, *sentinel_password, *safe;
    } cases[] = {
        {"redis+sentinel://a/prime", REDIS_SHAPE_SENTINEL, 0, 1, "a", 26379, 0, "prime", "", "", "",
         "", "redis+sentinel://a:26379/prime?db=0"},
        {"redis+sentinel://u:p%2c@a:1,b,[::1]:3/"
         "my%20m?db=2&sentinel_user=su&sentinel_password=s%26p",
         REDIS_SHAPE_SENTINEL, 0, 3, "::1", 3, 2, "my m", "u", "p,", "su", "s&p",
         "redis+sentinel://u@a:1,b:26379,[::1]:3/my m?db=2"},
        {"rediss+sentinel://:p@a,b/m", REDIS_SHAPE_SENTINEL, 1, 2, "b", 26379, 0, "m", "", "p", "",
         "", "rediss+sentinel://a:26379,b:26379/m?db=0"},
        {"redis+cluster://a", REDIS_SHAPE_CLUSTER, 0, 1, "a", 6379, 0, "", "", "", "", "",
         "redis+cluster://a:6379"},
        {"rediss+cluster://u:p@a:1,b:2/0", REDIS_SHAPE_CLUSTER, 1, 2, "b", 2, 0, "", "u", "p", "",
         "", "rediss+cluster://u@a:1,b:2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_url u;
        struct err err;
        char safe[200];
        if (redis_url_parse(cases[i].text, &u, &err))
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(u.shape, cases[i].shape);
        assert_int_equal(u.tls, cases[i].tls);
        assert_int_equal(u.node_count, cases[i].count);
        assert_string_equal(u.nodes[u.node_count - 1].host, cases[i].last);
        assert_int_equal(u.nodes[u.node_count - 1].port, cases[i].last_port);
        assert_int_equal(u.db, cases[i].db);
        assert_string_equal(u.primary, cases[i].primary);
        assert_string_equal(u.user, cases[i].user);
        assert_string_equal(u.password, cases[i].password);
        assert_string_equal(u.sentinel_user, cases[i].sentinel_user);
        assert_string_equal(u.sentinel_password, cases[i].sentinel_password);
        assert_string_equal(redis_url_safe(&u, safe, sizeof safe), cases[i].safe);
        assert_int_equal(strlen(redis_url_safe(&u, safe, 12)), 11);
    }
}

static void a_wrong_url_is_a_configuration_error_that_repeats_no_secret(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "h:6379",
        "http://h",
        "redis://",
        "redis://:hunter2@",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:port",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/99999999999",
        "redis://h?timeout=3",
        "redis://h?db=",
        "redis://h o",
        "redis://[::1",
        "redis://[::1]x",
        "redis://:hunter2%@h",
        "redis://:hunter2%2@h",
        "redis://:hunter2%00@h",
        "redis://u:hunter2/x@h",
        "redis://:hunter2/@h",
        "unix://",
        "unix://r/s",
        "unix://:hunter2/r/s",
        "redis+sentinel://h",
        "redis+sentinel://h/",
        "redis+sentinel://:hunter2@h/a/b",
        "redis+sentinel:///m",
        "redis+sentinel://h,/m",
        "redis+sentinel://h/m?db=x",
        "redis+sentinel://h/m?sentinel_password=%hunter2",
        "redis+sentinel://h/m?hunter2=1",
        "redis+sentinel://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/m",
        "redis://a,b",
        "redis://h?sentinel_user=u",
        "redis+cluster://h/1",
        "redis+cluster://h?db=1",
        "redis+cluster://:hunter2@",
        "redis+clusters://h",
        "unix+cluster:///r/s",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_url u = {.port = 1};
        struct err err;
        if (redis_url_parse(cases[i], &u, &err) != ERR_CONFIG)
            fail_msg("accepted: %s", cases[i]);
        assert_null(strstr(err.text, "hunter"));
        assert_int_equal(u.port, 1);
    }
}

static void a_part_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[6000] = "unix:///";
    struct redis_url u;
    struct err err;
    memset(text + 8, 'a', 4095);
    assert_int_equal(redis_url_parse(text, &u, &err), ERR_CONFIG);
    text[8 + 4094] = '\0';
    assert_int_equal(redis_url_parse(text, &u, &err), ERR_OK);
    assert_int_equal(strlen(u.path), 4095);
    memset(text, 0, sizeof text);
    memcpy(text, "redis://", 8);
    memset(text + 8, 'a', 256);
    assert_int_equal(redis_url_parse(text, &u, &err), ERR_CONFIG);
}

static void a_script_has_the_digest_that_redis_computes(void **state)
{
    (void)state;
    struct redis_script s;
    redis_script_init(&s, "one", SLICE_LIT("return 1"));
    assert_string_equal(s.sha, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_says_where_and_as_whom),
        cmocka_unit_test(a_url_names_sentinels_or_nodes_of_a_cluster),
        cmocka_unit_test(a_wrong_url_is_a_configuration_error_that_repeats_no_secret),
        cmocka_unit_test(a_part_that_is_too_long_is_refused),
        cmocka_unit_test(a_script_has_the_digest_that_redis_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
