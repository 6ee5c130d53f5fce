/* A connection to a real redis-server through a network that misbehaves. */
#include "tests/harness/fault_proxy.h"
#include "tests/harness/redis_server.h"
#include "tests/unit/redis/fixture.h"

#include "protocol/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct path {
    struct redis_server server;
    struct fault_proxy proxy;
    struct fixture f;
};

static void open_path(struct path *p, const struct redis_options *opts)
{
    char url[100], port[8];
    redis_server_start(&p->server, NULL);
    fault_proxy_start(&p->proxy, "0", p->server.socket);
    snprintf(port, sizeof port, "%u", p->proxy.port);
    snprintf(url, sizeof url, "redis://127.0.0.1:%s", port);
    fixture_open(&p->f, url, opts);
    fixture_ready(&p->f);
}

static void close_path(struct path *p)
{
    fixture_close(&p->f);
    fault_proxy_stop(&p->proxy);
    redis_server_stop(&p->server);
}

static void through_a_blackhole_commands_time_out_and_recover_when_it_is_gone(void **state)
{
    (void)state;
    struct path p;
    struct answer lost, waiting;
    open_path(&p, &(struct redis_options){.connect_timeout_ms = 150});
    fault_proxy_say(&p.proxy, "blackhole");
    fixture_send(&p.f, &lost, 100, "INCR n");
    fixture_until(&p.f, &lost.calls, 1);
    assert_int_equal(lost.err.code, ERR_TIMEOUT);

    unsigned losses = p.f.losses; /* reconnecting stalls in the greeting, too */
    fixture_send(&p.f, &waiting, 0, "PING");
    fixture_until(&p.f, &p.f.losses, losses + 1);
    assert_int_equal(waiting.calls, 0);
    fault_proxy_say(&p.proxy, "ok");
    fixture_until(&p.f, &waiting.calls, 1);
    assert_string_equal(waiting.text, "PONG");
    close_path(&p);
}

static void a_reset_fails_what_was_sent_and_the_next_command_goes_through(void **state)
{
    (void)state;
    struct path p;
    struct answer sent, next;
    open_path(&p, NULL);
    fixture_send(&p.f, &sent, 0, "BLPOP nothing 5");
    fixture_run(&p.f, 20);
    fault_proxy_say(&p.proxy, "rst");
    fixture_until(&p.f, &sent.calls, 1);
    assert_int_equal(sent.err.code, ERR_UNREACHABLE);
    fixture_send(&p.f, &next, 0, "PING");
    fixture_run(&p.f, 150);
    assert_int_equal(next.calls, 0);
    fault_proxy_say(&p.proxy, "ok");
    fixture_until(&p.f, &next.calls, 1);
    assert_string_equal(next.text, "PONG");
    close_path(&p);
}

static void a_refused_port_is_tried_until_it_listens(void **state)
{
    (void)state;
    struct path p;
    struct answer a;
    open_path(&p, NULL);
    fault_proxy_say(&p.proxy, "refuse");
    fixture_until(&p.f, &p.f.losses, 2); /* the loss, then the refusal */
    assert_int_equal(p.f.last.code, ERR_UNREACHABLE);
    assert_non_null(strstr(p.f.last.text, "refused"));
    fault_proxy_say(&p.proxy, "ok");
    fixture_ask(&p.f, &a, "PING");
    assert_string_equal(a.text, "PONG");
    close_path(&p);
}

/* Wherever a reply is torn, its command fails, and no other is answered with the rest of it. */
static void a_reply_torn_at_any_byte_is_a_loss_and_never_a_wrong_answer(void **state)
{
    (void)state;
    struct path p;
    struct answer get, after;
    open_path(&p, NULL);
    fixture_ask(&p.f, &after, "SET k 0123456789");
    /* GET k: 20 bytes there, "$10\r\n0123456789\r\n" is 17 bytes back */
    for (int n = 0; n < 40; n += 1) {
        char order[32];
        snprintf(order, sizeof order, "close %d", n);
        fault_proxy_say(&p.proxy, order);
        fixture_send(&p.f, &get, 0, "GET k");
        fixture_until(&p.f, &get.calls, 1);
        if (n >= 37)
            assert_string_equal(get.text, "0123456789");
        else
            assert_int_equal(get.err.code, ERR_UNREACHABLE);
        fault_proxy_say(&p.proxy, "ok");
        fixture_ask(&p.f, &after, "ECHO whole");
        assert_string_equal(after.text, "whole");
    }
    close_path(&p);
}

static void a_slow_and_late_network_changes_nothing_but_the_time(void **state)
{
    (void)state;
    struct path p;
    struct answer a[50];
    struct err err;
    char bytes[20000];
    memset(bytes, 'x', sizeof bytes);
    open_path(&p, NULL);
    fault_proxy_say(&p.proxy, "delay 50");
    fault_proxy_say(&p.proxy, "rate 400000");
    const struct slice set[] = {SLICE_LIT("SET"), SLICE_LIT("k"), slice_of(bytes, sizeof bytes)};
    int64_t began = clock_mono_ms();
    for (int i = 0; i < 10; i++)
        assert_int_equal(redis_command(p.f.redis, set, 3, 0, NULL, NULL, &err), ERR_OK);
    for (int i = 0; i < 50; i++)
        fixture_send(&p.f, &a[i], 0, "INCR n");
    fixture_until(&p.f, &a[49].calls, 1);
    for (int i = 0; i < 50; i++)
        assert_int_equal(a[i].integer, i + 1);
    assert_in_range(clock_mono_ms() - began, 400, 5000); /* 200 KB at 400 KB/s, and 50 ms twice */
    assert_int_equal(p.f.connects, 1);
    close_path(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(through_a_blackhole_commands_time_out_and_recover_when_it_is_gone),
        cmocka_unit_test(a_reset_fails_what_was_sent_and_the_next_command_goes_through),
        cmocka_unit_test(a_refused_port_is_tried_until_it_listens),
        cmocka_unit_test(a_reply_torn_at_any_byte_is_a_loss_and_never_a_wrong_answer),
        cmocka_unit_test(a_slow_and_late_network_changes_nothing_but_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
