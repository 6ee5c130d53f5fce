/* Reaching a real redis-server and being let in: TCP, names, long paths, TLS, users, policy. */
#include "tests/harness/redis_server.h"
#include "tests/unit/redis/fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One connection to url must come to stand and answer a PING; returns what on_state noted. */
static struct err must_reach(const char *url, const struct redis_options *opts)
{
    struct fixture f;
    struct answer a;
    fixture_open(&f, url, opts);
    fixture_ask(&f, &a, "PING");
    assert_string_equal(a.text, "PONG");
    struct err note = f.last;
    fixture_close(&f);
    return note;
}

/* One connection to url must be refused with this code; no command may get through. */
static struct err must_refuse(const char *url, const struct redis_options *opts, enum err_code code)
{
    struct fixture f;
    struct answer early, late;
    fixture_open(&f, url, opts);
    fixture_send(&f, &early, 0, "SET intruder 1");
    fixture_until(&f, &f.losses, 1);
    struct err why = f.last;
    assert_int_equal(why.code, code);
    fixture_send(&f, &late, 60, "SET intruder 1");
    fixture_until(&f, &late.calls, 1);
    assert_int_equal(late.err.code, code);
    assert_int_equal(f.connects, 0);
    fixture_close(&f);
    assert_int_equal(early.err.code, ERR_STOPPED);
    return why;
}

static char url_text[1000];

static const char *url_of(const char *fmt, ...) PRINTF_LIKE(1, 2);
static const char *url_of(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(url_text, sizeof url_text, fmt, ap);
    va_end(ap);
    return url_text;
}

static void tcp_is_reached_by_address_and_by_name(void **state)
{
    (void)state;
    struct redis_server s;
    char port[8];
    uint16_t n = redis_server_free_port();
    snprintf(port, sizeof port, "%u", n);
    redis_server_start(&s, (const char *const[]){"--port", port, "--bind", "127.0.0.1", NULL});
    must_reach(url_of("redis://127.0.0.1:%u", n), NULL);
    must_reach(url_of("redis://localhost:%u/3", n), NULL); /* ::1 may be its first address */
    redis_server_stop(&s);
    must_refuse(url_of("redis://127.0.0.1:%u", n), NULL, ERR_UNREACHABLE);
    must_refuse("redis://no-such-host.invalid", NULL, ERR_UNREACHABLE);
}

static void a_connection_may_be_freed_while_its_host_name_is_looked_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "redis://no-such-host.invalid", NULL);
    event_base_loop(f.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    event_base_loop(f.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    fixture_close(&f);
}

static void a_socket_is_reached_though_its_path_is_longer_than_an_address(void **state)
{
    (void)state;
    char dir[REDIS_SERVER_DIR_BYTES], path[600];
    redis_server_folder(dir);
    size_t n = (size_t)snprintf(path, sizeof path, "%s", dir);
    for (int i = 0; i < 4; i++) {
        memset(path + n, 'd', 101);
        path[n] = '/';
        path[n += 101] = '\0';
        assert_int_equal(mkdir(path, 0700), 0);
    }
    struct redis_server s;
    redis_server_start_in(&s, dir, NULL);
    char socket[700];
    snprintf(socket, sizeof socket, "%s/redis.sock", path);
    assert_int_equal(rename(s.socket, socket), 0);
    must_reach(url_of("unix://%s", socket), NULL);
    redis_server_stop(&s);
    must_refuse(url_of("unix://%s", socket), NULL, ERR_UNREACHABLE);
}

static void a_user_is_let_in_with_the_right_password_only(void **state)
{
    (void)state;
    struct redis_server s;
    redis_server_start(
        &s, (const char *const[]){"--user", "ann", "on", ">top%se:cret", "~*", "+@all", NULL});
    const char *rest = s.url + strlen("unix://");
    must_reach(url_of("unix://ann:top%%25se%%3Acret@%s", rest), NULL);
    struct err err = must_refuse(url_of("unix://ann:hunter2@%s", rest), NULL, ERR_DENIED);
    assert_null(strstr(err.text, "hunter2"));
    assert_non_null(strstr(err.text, "WRONGPASS"));
    must_refuse(url_of("unix://bob:top%%25se%%3Acret@%s", rest), NULL, ERR_DENIED);
    redis_server_stop(&s);
}

static void a_server_that_wants_a_password_denies_those_without_one(void **state)
{
    (void)state;
    struct redis_server s;
    redis_server_start(&s, (const char *const[]){"--requirepass", "pw", NULL});
    must_refuse(s.url, NULL, ERR_DENIED);
    must_reach(url_of("unix://:pw@%s", s.socket), NULL);
    redis_server_stop(&s);
}

static void a_password_is_not_repeated_from_the_words_of_a_server_without_auth(void **state)
{
    (void)state;
    struct redis_server s;
    redis_server_start(&s, (const char *const[]){"--rename-command", "AUTH", "", NULL});
    struct err err = must_refuse(url_of("unix://:hunter2@%s", s.socket), NULL, ERR_DENIED);
    assert_null(strstr(err.text, "hunter"));
    redis_server_stop(&s);
}

static void the_database_of_the_url_is_the_one_in_use(void **state)
{
    (void)state;
    struct redis_server s;
    struct fixture f;
    struct answer a;
    redis_server_start(&s, NULL);
    fixture_open(&f, url_of("%s?db=5", s.url), NULL);
    fixture_ask(&f, &a, "SET k v");
    fixture_close(&f);
    assert_int_equal(redis_server_ask_int(&s, "EXISTS", "k", NULL), 0);
    must_refuse(url_of("%s?db=99", s.url), NULL, ERR_CONFIG);
    redis_server_stop(&s);
}

static void a_server_that_may_evict_is_refused_until_it_is_changed(void **state)
{
    (void)state;
    struct redis_server s;
    struct fixture f;
    struct answer a;
    redis_server_start(&s, (const char *const[]){"--maxmemory-policy", "allkeys-lru", NULL});
    struct err err = must_refuse(s.url, NULL, ERR_CONFIG);
    assert_non_null(strstr(err.text, "allkeys-lru"));
    assert_int_equal(redis_server_ask_int(&s, "EXISTS", "intruder", NULL), 0);
    fixture_open(&f, s.url, NULL);
    fixture_until(&f, &f.losses, 1);
    freeReplyObject(redis_server_ask(&s, "CONFIG", "SET", "maxmemory-policy", "noeviction", NULL));
    fixture_ask(&f, &a, "PING");
    assert_string_equal(a.text, "PONG");
    fixture_close(&f);
    redis_server_stop(&s);
}

static void where_config_is_forbidden_info_tells_the_policy(void **state)
{
    (void)state;
    struct redis_server s;
    redis_server_start(&s, (const char *const[]){"--user", "app", "on", ">pw", "~*", "+@all",
                                                 "-config", "--user", "deaf", "on", ">pw", "~*",
                                                 "+@all", "-config", "-info", NULL});
    struct err note = must_reach(url_of("unix://app:pw@%s", s.socket), NULL);
    assert_int_equal(note.code, ERR_OK);
    note = must_reach(url_of("unix://deaf:pw@%s", s.socket), NULL);
    assert_int_equal(note.code, ERR_DENIED);
    assert_non_null(strstr(note.text, "maxmemory-policy"));
    freeReplyObject(
        redis_server_ask(&s, "CONFIG", "SET", "maxmemory-policy", "volatile-ttl", NULL));
    must_refuse(url_of("unix://app:pw@%s", s.socket), NULL, ERR_CONFIG);
    redis_server_stop(&s);
}

static void a_server_without_a_free_place_is_tried_again(void **state)
{
    (void)state;
    struct redis_server s;
    struct fixture first, second;
    struct answer a;
    redis_server_start(&s, NULL);
    fixture_open(&first, s.url, NULL);
    fixture_ask(&first, &a, "CONFIG SET maxclients 1");
    fixture_open(&second, s.url, NULL);
    fixture_until(&second, &second.losses, 1);
    assert_non_null(strstr(second.last.text, "max number of clients"));
    fixture_close(&first);
    fixture_ask(&second, &a, "PING");
    assert_string_equal(a.text, "PONG");
    fixture_close(&second);
    redis_server_stop(&s);
}

/* ---- TLS ---- */

struct tls_server {
    struct redis_server server;
    uint16_t port;
    char ca[100], other_ca[100];
};

static void start_tls(struct tls_server *t, const char *certificate)
{
    static char port[8], crt[100], key[100]; /* borrowed by the server until it stops */
    char dir[REDIS_SERVER_DIR_BYTES];
    redis_server_folder(dir);
    fixture_certificates(dir);
    t->port = redis_server_free_port();
    snprintf(port, sizeof port, "%u", t->port);
    snprintf(crt, sizeof crt, "%s/%s.crt", dir, certificate);
    snprintf(key, sizeof key, "%s/%s.key", dir, certificate);
    snprintf(t->ca, sizeof t->ca, "%s/ca.crt", dir);
    snprintf(t->other_ca, sizeof t->other_ca, "%s/other.crt", dir);
    redis_server_start_in(&t->server, dir,
                          (const char *const[]){"--tls-port", port, "--bind", "127.0.0.1",
                                                "--tls-cert-file", crt, "--tls-key-file", key,
                                                "--tls-ca-cert-file", t->ca, "--tls-auth-clients",
                                                "no", NULL});
}

static void tls_is_spoken_with_the_right_server_only(void **state)
{
    (void)state;
    struct tls_server t;
    start_tls(&t, "good");
    const struct redis_options right = {.ca_file = t.ca}, wrong = {.ca_file = t.other_ca};
    must_reach(url_of("rediss://localhost:%u", t.port), &right);
    must_reach(url_of("rediss://127.0.0.1:%u", t.port), &right);
    must_refuse(url_of("rediss://localhost:%u", t.port), &wrong, ERR_DENIED);
    must_refuse(url_of("rediss://localhost:%u", t.port), NULL, ERR_DENIED);
    must_refuse(url_of("rediss://localhost:%u", t.port),
                &(struct redis_options){.ca_file = "/no/such/ca.crt"}, ERR_CONFIG);
    redis_server_stop(&t.server);
}

static void tls_refuses_a_certificate_for_another_host(void **state)
{
    (void)state;
    struct tls_server t;
    start_tls(&t, "away");
    const struct redis_options opts = {.ca_file = t.ca};
    must_refuse(url_of("rediss://localhost:%u", t.port), &opts, ERR_DENIED);
    must_refuse(url_of("rediss://127.0.0.1:%u", t.port), &opts, ERR_DENIED);
    redis_server_stop(&t.server);
}

static void tls_with_a_server_that_does_not_speak_it_is_unreachable(void **state)
{
    (void)state;
    struct redis_server s;
    char port[8];
    uint16_t n = redis_server_free_port();
    snprintf(port, sizeof port, "%u", n);
    redis_server_start(&s, (const char *const[]){"--port", port, "--bind", "127.0.0.1", NULL});
    must_refuse(url_of("rediss://127.0.0.1:%u", n),
                &(struct redis_options){.connect_timeout_ms = 200}, ERR_UNREACHABLE);
    redis_server_stop(&s);
}

struct blob {
    unsigned calls;
    const char *want;
    size_t n;
};

static void compare_blob(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct blob *b = ctx;
    assert_null(err);
    assert_int_equal(reply->len, b->n);
    assert_memory_equal(reply->str, b->want, b->n);
    b->calls++;
}

static void big_values_pass_tls_whole_and_a_killed_server_is_found_again(void **state)
{
    (void)state;
    struct tls_server t;
    struct fixture f;
    struct answer a;
    struct err err;
    char *bytes = malloc(3000000);
    for (size_t i = 0; i < 3000000; i++)
        bytes[i] = (char)(i * 2654435761u >> 11);
    start_tls(&t, "good");
    fixture_open(&f, url_of("rediss://localhost:%u", t.port),
                 &(struct redis_options){.ca_file = t.ca});
    const struct slice set[] = {SLICE_LIT("SET"), SLICE_LIT("big"), slice_of(bytes, 3000000)};
    const struct slice get[] = {SLICE_LIT("GET"), SLICE_LIT("big")};
    struct blob blob = {.want = bytes, .n = 3000000};
    assert_int_equal(redis_command(f.redis, set, 3, 0, NULL, NULL, &err), ERR_OK);
    assert_int_equal(redis_command(f.redis, get, 2, 0, compare_blob, &blob, &err), ERR_OK);
    fixture_until(&f, &blob.calls, 1);
    redis_server_signal(&t.server, SIGKILL);
    fixture_until(&f, &f.losses, 1);
    redis_server_restart(&t.server);
    fixture_ask(&f, &a, "PING");
    assert_string_equal(a.text, "PONG");
    fixture_close(&f);
    redis_server_stop(&t.server);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_is_reached_by_address_and_by_name),
        cmocka_unit_test(a_connection_may_be_freed_while_its_host_name_is_looked_up),
        cmocka_unit_test(a_socket_is_reached_though_its_path_is_longer_than_an_address),
        cmocka_unit_test(a_user_is_let_in_with_the_right_password_only),
        cmocka_unit_test(a_server_that_wants_a_password_denies_those_without_one),
        cmocka_unit_test(a_password_is_not_repeated_from_the_words_of_a_server_without_auth),
        cmocka_unit_test(the_database_of_the_url_is_the_one_in_use),
        cmocka_unit_test(a_server_that_may_evict_is_refused_until_it_is_changed),
        cmocka_unit_test(where_config_is_forbidden_info_tells_the_policy),
        cmocka_unit_test(a_server_without_a_free_place_is_tried_again),
        cmocka_unit_test(tls_is_spoken_with_the_right_server_only),
        cmocka_unit_test(tls_refuses_a_certificate_for_another_host),
        cmocka_unit_test(tls_with_a_server_that_does_not_speak_it_is_unreachable),
        cmocka_unit_test(big_values_pass_tls_whole_and_a_killed_server_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
