/* The primary is found through sentinels, and found again after a failover: real servers. */
#include "protocol/base/clock.h"
#include "tests/harness/redis_sentinels.h"
#include "tests/unit/redis/fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char url[1000];

static const char *url_of(const struct redis_sentinels *s, const char *user, const char *query)
{
    return redis_sentinels_url(s, "redis+sentinel", user, query, url, sizeof url);
}

static struct err must_not_reach(const char *text, enum err_code code)
{
    struct fixture f;
    fixture_open(&f, text, NULL);
    fixture_until(&f, &f.losses, 1);
    struct err why = f.last;
    if (why.code != code)
        fail_msg("%s (code %d)", why.text, why.code);
    assert_int_equal(f.connects, 0);
    assert_null(strstr(why.text, "hunter2"));
    fixture_close(&f);
    return why;
}

static bool says(const struct redis_server *s, const char *role)
{
    struct redisReply *r = redis_server_ask(s, "ROLE", NULL);
    bool yes = r->type == REDIS_REPLY_ARRAY && strcmp(r->element[0]->str, role) == 0;
    freeReplyObject(r);
    return yes;
}

/* The loop turns until the connection leads to the second server, and commands are carried out. */
static void must_follow(struct fixture *f, struct redis_sentinels *s, const char *key)
{
    struct answer a;
    char words[64];
    snprintf(words, sizeof words, "SET %s 1", key);
    int64_t end = clock_mono_ms() + 30000;
    do {
        if (clock_mono_ms() > end)
            fail_msg("it does not follow; last: %s", f->last.text);
        fixture_send(f, &a, 400, words);
        int64_t patience = clock_mono_ms() + 8000;
        while (!a.calls && clock_mono_ms() < patience)
            fixture_run(f, 20);
        assert_int_equal(a.calls, 1);
    } while (a.err.code || redis_server_ask_int(&s->servers[1], "EXISTS", key, NULL) != 1);
}

static void the_primary_is_found_and_a_killed_one_is_replaced(void **state)
{
    (void)state;
    struct redis_sentinels s;
    struct fixture f;
    struct answer a;
    redis_sentinels_start(&s, &(struct redis_sentinels_options){0});
    fixture_open(&f, url_of(&s, "", "?db=3"), NULL);
    fixture_ask(&f, &a, "ROLE");
    assert_int_equal(a.err.code, 0);
    fixture_ask(&f, &a, "SET k v");
    assert_int_equal(redis_server_ask_int(&s.servers[0], "EXISTS", "k", NULL), 0); /* database 0 */
    fixture_close(&f);

    fixture_open(&f, url_of(&s, "", ""), NULL);
    fixture_ask(&f, &a, "SET before 1");
    assert_int_equal(redis_server_ask_int(&s.servers[0], "EXISTS", "before", NULL), 1);
    redis_server_signal(&s.servers[0], SIGKILL);
    must_follow(&f, &s, "after");
    assert_true(says(&s.servers[1], "master"));
    fixture_close(&f);
    redis_sentinels_stop(&s);
}

/* Nothing closes the connection to a server that is frozen, and nothing is awaited of it. */
static void a_frozen_primary_is_left_soon_after_the_failover(void **state)
{
    (void)state;
    struct redis_sentinels s;
    struct fixture f, blocked;
    struct answer a, wait;
    redis_sentinels_start(&s, &(struct redis_sentinels_options){0});
    fixture_open(&f, url_of(&s, "", ""), NULL);
    fixture_ready(&f);
    fixture_open(&blocked, url_of(&s, "", ""), NULL);
    fixture_send(&blocked, &wait, 60000, "BLPOP nothing 0");
    fixture_ready(&blocked);
    fixture_run(&blocked, 100);

    redis_server_signal(&s.servers[0], SIGSTOP);
    redis_sentinels_signal(&s, 0, SIGSTOP); /* it stood on the same machine */
    while (!says(&s.servers[1], "master"))
        fixture_run(&f, 20);
    int64_t since = clock_mono_ms();
    fixture_until(&f, &f.losses, 1);
    fixture_ask(&f, &a, "SET after 1");
    assert_int_equal(redis_server_ask_int(&s.servers[1], "EXISTS", "after", NULL), 1);
    if (clock_mono_ms() - since > 6000)
        fail_msg("%lld ms after the failover", (long long)(clock_mono_ms() - since));
    fixture_until(&blocked, &wait.calls, 1);
    assert_int_equal(wait.err.code, ERR_UNREACHABLE);
    fixture_ask(&blocked, &a, "SET after2 1");
    assert_int_equal(redis_server_ask_int(&s.servers[1], "EXISTS", "after2", NULL), 1);

    redis_server_signal(&s.servers[0], SIGCONT);
    redis_sentinels_signal(&s, 0, SIGCONT);
    while (!says(&s.servers[0], "slave"))
        fixture_run(&f, 20);
    fixture_ask(&f, &a, "SET last 1");
    assert_int_equal(redis_server_ask_int(&s.servers[1], "EXISTS", "last", NULL), 1);
    fixture_close(&f);
    fixture_close(&blocked);
    redis_sentinels_stop(&s);
}

/* A server that was made a replica without the sentinels' doing refuses to write. */
static void a_server_that_became_a_replica_is_given_up(void **state)
{
    (void)state;
    struct redis_server s, other;
    struct fixture f;
    struct answer a;
    char port[8];
    redis_server_start(&other, NULL);
    redis_server_start(&s, NULL);
    snprintf(port, sizeof port, "%u", redis_server_free_port());
    fixture_open(&f, s.url, NULL);
    fixture_ask(&f, &a, "SET k 1");
    freeReplyObject(redis_server_ask(&s, "REPLICAOF", "127.0.0.1", port, NULL));
    fixture_ask(&f, &a, "SET k 2");
    assert_int_equal(a.err.code, ERR_UNREACHABLE);
    fixture_until(&f, &f.losses, 1);
    assert_non_null(strstr(f.last.text, "READONLY"));
    freeReplyObject(redis_server_ask(&s, "REPLICAOF", "NO", "ONE", NULL));
    fixture_ask(&f, &a, "SET k 3");
    assert_int_equal(a.err.code, 0);
    fixture_close(&f);
    redis_server_stop(&s);
    redis_server_stop(&other);
}

static void passwords_are_told_to_whom_they_belong(void **state)
{
    (void)state;
    struct redis_sentinels s;
    struct fixture f;
    struct answer a;
    redis_sentinels_start(&s, &(struct redis_sentinels_options){.password = "hunter2",
                                                                .sentinel_password = "hunter22"});
    fixture_open(&f, url_of(&s, ":hunter2@", "?sentinel_password=hunter22"), NULL);
    fixture_ask(&f, &a, "SET k 1");
    assert_int_equal(a.err.code, 0);
    fixture_close(&f);
    struct err why = must_not_reach(url_of(&s, ":hunter2@", ""), ERR_DENIED);
    assert_non_null(strstr(why.text, "NOAUTH"));
    why = must_not_reach(url_of(&s, ":hunter2@", "?sentinel_password=hunter23"), ERR_DENIED);
    assert_non_null(strstr(why.text, "WRONGPASS"));
    why = must_not_reach(url_of(&s, ":hunter23@", "?sentinel_password=hunter22"), ERR_DENIED);
    assert_non_null(strstr(why.text, "WRONGPASS"));
    assert_non_null(strstr(why.text, "127.0.0.1"));
    redis_sentinels_stop(&s);
}

static void sentinels_that_do_not_help_are_named(void **state)
{
    (void)state;
    struct redis_sentinels s;
    struct redis_server plain;
    char text[300], port[8];
    redis_sentinels_start(&s, &(struct redis_sentinels_options){0});
    snprintf(text, sizeof text, "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u/nobody",
             s.sentinel_ports[0], s.sentinel_ports[1]);
    struct err why = must_not_reach(text, ERR_CONFIG);
    assert_non_null(strstr(why.text, "none of its sentinels knows"));

    uint16_t n = redis_server_free_port();
    snprintf(text, sizeof text, "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u/prime", n,
             s.sentinel_ports[1]);
    struct fixture f;
    struct answer a;
    fixture_open(&f, text, NULL); /* one of two is enough */
    fixture_ask(&f, &a, "SET k 1");
    assert_int_equal(a.err.code, 0);
    fixture_close(&f);
    snprintf(text, sizeof text, "redis+sentinel://127.0.0.1:%u/prime", n);
    why = must_not_reach(text, ERR_UNREACHABLE);
    assert_non_null(strstr(why.text, "no sentinel names the primary"));

    snprintf(port, sizeof port, "%u", n);
    redis_server_start(&plain, (const char *const[]){"--port", port, NULL});
    why = must_not_reach(text, ERR_REMOTE);
    assert_non_null(strstr(why.text, "no sentinel names the primary"));
    redis_server_stop(&plain);
    redis_sentinels_stop(&s);
}

/* ---- TLS ---- */

static void tls_is_spoken_with_sentinels_and_servers(void **state)
{
    (void)state;
    struct redis_sentinels s;
    struct fixture f;
    struct answer a;
    char dir[REDIS_SERVER_DIR_BYTES], ca[100], other[100];
    redis_server_folder(dir);
    fixture_certificates(dir);
    snprintf(ca, sizeof ca, "%s/ca.crt", dir);
    snprintf(other, sizeof other, "%s/other.crt", dir);
    redis_sentinels_start(&s, &(struct redis_sentinels_options){.tls = dir, .certificate = "good"});
    redis_sentinels_url(&s, "rediss+sentinel", "", "", url, sizeof url);
    fixture_open(&f, url, &(struct redis_options){.ca_file = ca});
    fixture_ask(&f, &a, "SET k 1");
    assert_int_equal(a.err.code, 0);
    redis_server_signal(&s.servers[0], SIGKILL);
    must_follow(&f, &s, "after");
    fixture_close(&f);
    fixture_open(&f, url, &(struct redis_options){.ca_file = other});
    fixture_until(&f, &f.losses, 1);
    assert_int_equal(f.last.code, ERR_DENIED);
    assert_non_null(strstr(f.last.text, "certificate"));
    fixture_close(&f);
    redis_sentinels_stop(&s);

    redis_sentinels_start(&s, &(struct redis_sentinels_options){.tls = dir, .certificate = "away"});
    redis_sentinels_url(&s, "rediss+sentinel", "", "", url, sizeof url);
    fixture_open(&f, url, &(struct redis_options){.ca_file = ca});
    fixture_until(&f, &f.losses, 1);
    assert_int_equal(f.last.code, ERR_DENIED);
    fixture_close(&f);
    redis_sentinels_stop(&s);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_primary_is_found_and_a_killed_one_is_replaced),
        cmocka_unit_test(a_frozen_primary_is_left_soon_after_the_failover),
        cmocka_unit_test(a_server_that_became_a_replica_is_given_up),
        cmocka_unit_test(passwords_are_told_to_whom_they_belong),
        cmocka_unit_test(sentinels_that_do_not_help_are_named),
        cmocka_unit_test(tls_is_spoken_with_sentinels_and_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
