/* Which member has a quota, and several real servers behind one fleet. */
#include "tests/harness/redis_server.h"
#include "tests/unit/redis/fixture.h"

#include "protocol/base/clock.h"
#include "protocol/redis/fleet.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { QUOTAS = 10000, MEMBERS = 8, DEADLINE_MS = 8000 };

/* Nothing listens there: homes need no connection. */
static const char *const urls[] = {
    "redis://127.0.0.1:1/0", "redis://127.0.0.1:1/1", "redis://127.0.0.1:1/2",
    "redis://127.0.0.1:1/3", "redis://127.0.0.1:1/4", "redis://127.0.0.1:1/5",
    "redis://127.0.0.1:1/6", "redis://127.0.0.1:1/7",
};

struct world {
    struct event_base *base;
    struct redis_fleet *fleet;
    unsigned told[MEMBERS]; /* on_state(connected) per member named a, b, … */
    unsigned lost[MEMBERS];
};

static void on_state(void *ctx, const char *server, bool connected, const struct err *err)
{
    struct world *w = ctx;
    size_t i = (size_t)(*server - 'a');
    (void)err;
    if (strlen(server) == 1 && i < MEMBERS)
        (connected ? w->told : w->lost)[i]++;
}

static void open_fleet(struct world *w, const struct redis_member *members, size_t count)
{
    struct err err;
    struct redis_fleet_options o = {.waits = true, .on_state = on_state, .ctx = w};
    *w = (struct world){.base = event_base_new()};
    assert_int_equal(redis_fleet_new(w->base, members, count, &o, &w->fleet, &err), ERR_OK);
}

static void close_fleet(struct world *w)
{
    redis_fleet_free(w->fleet);
    event_base_free(w->base);
}

static void until(struct world *w, const unsigned *value, unsigned want)
{
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    while (*value < want && clock_mono_ms() < end)
        event_base_loop(w->base, EVLOOP_ONCE);
    assert_true(*value >= want);
}

static size_t home_of(const struct redis_fleet *f, size_t quota)
{
    char name[32];
    snprintf(name, sizeof name, "destination_%zu", quota);
    const char *home = redis_fleet_home(f, name);
    size_t i = 0;
    while (strcmp(redis_fleet_name(f, i), home) != 0)
        i++;
    return i;
}

static void members_of(struct redis_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        members[i] = (struct redis_member){.url = urls[i]};
}

static void quotas_are_spread_evenly_and_a_new_member_takes_only_its_share(void **state)
{
    (void)state;
    static uint8_t before[QUOTAS];
    struct redis_member members[MEMBERS];
    members_of(members, MEMBERS);
    for (size_t n = 1; n <= MEMBERS; n++) {
        struct world w;
        size_t have[MEMBERS] = {0}, moved = 0;
        open_fleet(&w, members, n);
        for (size_t q = 0; q < QUOTAS; q++) {
            size_t home = home_of(w.fleet, q);
            have[home]++;
            if (n > 1 && home != before[q]) {
                assert_int_equal(home, n - 1);
                moved++;
            }
            before[q] = (uint8_t)home;
        }
        for (size_t i = 0; i < n; i++) {
            assert_true(have[i] > QUOTAS / n * 92 / 100);
            assert_true(have[i] < QUOTAS / n * 108 / 100 + 1);
        }
        if (n > 1)
            assert_int_equal(moved, have[n - 1]);
        close_fleet(&w);
    }
}

static void the_order_of_the_list_and_who_logs_in_decide_nothing(void **state)
{
    (void)state;
    const struct redis_member one[] = {{.url = urls[0]}, {.url = urls[1]}};
    const struct redis_member other[] = {{.url = urls[1]},
                                         {.url = "redis://sluice:secret@127.0.0.1:1/0"}};
    struct world a, b;
    open_fleet(&a, one, 2);
    open_fleet(&b, other, 2);
    for (size_t q = 0; q < 1000; q++)
        assert_string_equal(redis_fleet_name(a.fleet, home_of(a.fleet, q)),
                            redis_fleet_name(b.fleet, home_of(b.fleet, q)));
    assert_string_equal(redis_fleet_name(b.fleet, 1), "redis://127.0.0.1:1/0");
    close_fleet(&a);
    close_fleet(&b);
}

static void nothing_belongs_to_a_member_that_leaves_and_its_quotas_alone_move(void **state)
{
    (void)state;
    static uint8_t before[QUOTAS];
    struct redis_member members[4];
    struct world w;
    struct err err;
    members_of(members, 4);
    open_fleet(&w, members, 4);
    for (size_t q = 0; q < QUOTAS; q++)
        before[q] = (uint8_t)home_of(w.fleet, q);
    members[2].leaving = true;
    assert_int_equal(redis_fleet_set(w.fleet, members, 4, &err), ERR_OK);
    for (size_t q = 0; q < QUOTAS; q++) {
        size_t home = home_of(w.fleet, q);
        assert_int_not_equal(home, 2);
        if (before[q] != 2)
            assert_int_equal(home, before[q]);
    }
    assert_int_equal(redis_fleet_standing(w.fleet, urls[2]), REDIS_MEMBER_LEAVES);
    assert_int_equal(redis_fleet_standing(w.fleet, urls[3]), REDIS_MEMBER_STAYS);
    assert_int_equal(redis_fleet_standing(w.fleet, urls[5]), REDIS_MEMBER_UNKNOWN);
    assert_false(redis_fleet_stays(w.fleet, 2));
    close_fleet(&w);
}

static void a_list_that_cannot_be_is_refused_and_repeats_no_secret(void **state)
{
    (void)state;
    static const struct {
        struct redis_member members[2];
        size_t count;
        const char *words;
    } cases[] = {
        {{{.url = "redis://u:hush@h:1"}, {.url = "redis://w:hush@h:1/0"}}, 2, "have the name"},
        {{{.url = "redis://u:hush@h:1", .name = "a"}, {.url = "redis://h:2", .name = "a"}},
         2,
         "have the name a"},
        {{{.url = "redis://h:1", .leaving = true}, {.url = "redis://h:2", .leaving = true}},
         2,
         "every Redis server is leaving"},
        {{{.url = "redis://h:1", .name = ""}}, 1, "the name of a Redis server"},
        {{{.url = "hush"}}, 1, "Redis URL"},
        {{{.url = "redis+cluster://u:hush@h:1"}, {.url = "redis://h:2"}},
         2,
         "beside other servers"},
        {{{.url = "redis://h:2"}, {.url = "redis+cluster://u:hush@h:1"}},
         2,
         "beside other servers"},
        {{{.url = "redis+cluster://h:1", .leaving = true}}, 1, "every Redis server is leaving"},
        {{{0}}, 0, "can be listed"},
    };
    struct redis_fleet_options o = {0};
    struct redis_fleet *f = NULL;
    struct event_base *base = event_base_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        assert_int_equal(redis_fleet_new(base, cases[i].members, cases[i].count, &o, &f, &err),
                         ERR_CONFIG);
        assert_non_null(strstr(err.text, cases[i].words));
        assert_null(strstr(err.text, "hush"));
        assert_null(f);
    }
    event_base_free(base);
}

static void a_refused_list_changes_nothing(void **state)
{
    (void)state;
    struct redis_member members[2];
    struct world w;
    struct err err;
    members_of(members, 2);
    open_fleet(&w, members, 2);
    struct redis *was = redis_fleet_at(w.fleet, urls[0], "crm");
    const struct redis_member bad[] = {{.url = urls[3]}, {.url = "nonsense"}};
    assert_int_equal(redis_fleet_set(w.fleet, bad, 2, &err), ERR_CONFIG);
    assert_int_equal(redis_fleet_count(w.fleet), 2);
    assert_ptr_equal(redis_fleet_at(w.fleet, urls[0], "crm"), was);
    close_fleet(&w);
}

/* Nobody answers at these addresses: it is told once, and no quota has a server. */
static void a_cluster_is_one_member_that_only_a_restart_changes(void **state)
{
    (void)state;
    static const char url[] = "redis+cluster://u:hush@127.0.0.1:1";
    const struct redis_member cluster = {.url = url, .name = "a"};
    static const struct redis_member others[] = {
        {.url = "redis+cluster://u:hush@127.0.0.1:2", .name = "a"},
        {.url = "redis+cluster://u:other@127.0.0.1:1", .name = "a"},
        {.url = url, .name = "b"},
        {.url = "redis://127.0.0.1:1", .name = "a"},
    };
    struct world w;
    struct err err;
    open_fleet(&w, &cluster, 1);
    assert_non_null(redis_fleet_down(w.fleet));
    until(&w, &w.lost[0], 1);
    assert_non_null(strstr(redis_fleet_down(w.fleet), "no node tells who has which slot"));
    assert_null(strstr(redis_fleet_down(w.fleet), "hush"));
    assert_false(redis_fleet_connected(w.fleet));
    assert_int_equal(redis_fleet_count(w.fleet), 0);
    assert_string_equal(redis_fleet_title(w.fleet), "a");
    assert_string_equal(redis_fleet_home(w.fleet, "crm"), "a");
    assert_string_equal(redis_fleet_server_of(w.fleet, "a", "crm"), "a");
    assert_null(redis_fleet_at(w.fleet, "a", "crm"));
    assert_int_equal(redis_fleet_standing(w.fleet, "a"), REDIS_MEMBER_STAYS);
    assert_int_equal(redis_fleet_standing(w.fleet, "b"), REDIS_MEMBER_UNKNOWN);
    assert_true(redis_fleet_has(w.fleet, "a") && !redis_fleet_has(w.fleet, "b"));
    assert_true(redis_fleet_is_all(w.fleet, "a"));
    assert_int_equal(redis_fleet_set(w.fleet, &cluster, 1, &err), ERR_OK);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(redis_fleet_set(w.fleet, &others[i], 1, &err), ERR_CONFIG);
        assert_non_null(strstr(err.text, "takes a restart"));
    }
    close_fleet(&w);

    const struct redis_member single = {.url = "redis://127.0.0.1:1", .name = "a"};
    open_fleet(&w, &single, 1);
    assert_int_equal(redis_fleet_set(w.fleet, &cluster, 1, &err), ERR_CONFIG);
    assert_null(redis_fleet_down(w.fleet));
    close_fleet(&w);
}

/* ---- with servers ---- */

struct asked {
    unsigned calls;
    unsigned failed;
    char text[64];
};

static void on_reply(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct asked *a = ctx;
    a->calls++;
    a->failed += err != NULL;
    if (!err && reply->type == REDIS_REPLY_STRING)
        snprintf(a->text, sizeof a->text, "%.*s", (int)reply->len, reply->str);
}

static void ask(struct redis *r, struct asked *a, const char *one, const char *two)
{
    struct err err;
    const struct slice argv[] = {slice_str(one), slice_str(two)};
    assert_non_null(r);
    assert_int_equal(redis_command(r, argv, 2, 0, on_reply, a, &err), ERR_OK);
}

static void each_quota_is_served_by_the_server_that_has_it(void **state)
{
    (void)state;
    struct redis_server s[2];
    struct world w;
    for (size_t i = 0; i < 2; i++) {
        redis_server_start(&s[i], NULL);
        freeReplyObject(redis_server_ask(&s[i], "SET", "me", i ? "b" : "a", NULL));
    }
    const struct redis_member members[] = {{.url = s[0].url, .name = "a"},
                                           {.url = s[1].url, .name = "b"}};
    open_fleet(&w, members, 2);
    for (size_t q = 0; q < 20; q++) {
        char name[32];
        struct asked a = {0};
        snprintf(name, sizeof name, "destination_%zu", q);
        const char *home = redis_fleet_home(w.fleet, name);
        ask(redis_fleet_at(w.fleet, home, name), &a, "GET", "me");
        until(&w, &a.calls, 1);
        assert_string_equal(a.text, home);
    }
    assert_null(redis_fleet_at(w.fleet, "c", "destination_1"));
    until(&w, &w.told[1], 1);
    assert_true(redis_fleet_connected(w.fleet));

    redis_server_signal(&s[1], SIGKILL);
    until(&w, &w.lost[1], 1);
    assert_false(redis_fleet_connected(w.fleet));
    struct asked a = {0};
    ask(redis_fleet_at(w.fleet, "a", "any"), &a, "GET", "me");
    until(&w, &a.calls, 1);
    assert_int_equal(a.failed, 0);
    assert_int_equal(w.lost[0], 0);
    close_fleet(&w);
    for (size_t i = 0; i < 2; i++)
        redis_server_stop(&s[i]);
}

static void a_dropped_member_is_reached_until_it_is_forgotten(void **state)
{
    (void)state;
    struct redis_server s[2];
    struct world w;
    struct err err;
    struct asked a = {0};
    for (size_t i = 0; i < 2; i++)
        redis_server_start(&s[i], NULL);
    const struct redis_member members[] = {{.url = s[0].url, .name = "a"},
                                           {.url = s[1].url, .name = "b"}};
    open_fleet(&w, members, 2);
    until(&w, &w.told[1], 1);
    assert_int_equal(redis_fleet_set(w.fleet, members, 1, &err), ERR_OK);
    assert_int_equal(redis_fleet_standing(w.fleet, "b"), REDIS_MEMBER_DROPPED);
    assert_string_equal(redis_fleet_home(w.fleet, "any"), "a");
    ask(redis_fleet_at(w.fleet, "b", "any"), &a, "GET", "me");
    redis_fleet_forget(w.fleet, "b"); /* not while something is on its way */
    assert_int_equal(redis_fleet_standing(w.fleet, "b"), REDIS_MEMBER_DROPPED);
    until(&w, &a.calls, 1);
    redis_fleet_forget(w.fleet, "a"); /* it stays */
    redis_fleet_forget(w.fleet, "b");
    assert_int_equal(redis_fleet_count(w.fleet), 1);
    assert_null(redis_fleet_at(w.fleet, "b", "any"));
    assert_int_equal(redis_fleet_set(w.fleet, members, 2, &err), ERR_OK);
    until(&w, &w.told[1], 2);
    close_fleet(&w);
    for (size_t i = 0; i < 2; i++)
        redis_server_stop(&s[i]);
}

static void another_url_of_a_member_replaces_its_connection_and_loses_no_answer(void **state)
{
    (void)state;
    struct redis_server s[2];
    struct world w;
    struct err err;
    struct asked a = {0}, b = {0};
    for (size_t i = 0; i < 2; i++) {
        redis_server_start(&s[i], NULL);
        freeReplyObject(redis_server_ask(&s[i], "SET", "me", i ? "new" : "old", NULL));
    }
    struct redis_member member = {.url = s[0].url, .name = "a"};
    open_fleet(&w, &member, 1);
    ask(redis_fleet_at(w.fleet, "a", "any"), &a, "GET", "me");
    member.url = s[1].url;
    assert_int_equal(redis_fleet_set(w.fleet, &member, 1, &err), ERR_OK);
    ask(redis_fleet_at(w.fleet, "a", "any"), &b, "GET", "me");
    until(&w, &a.calls, 1);
    until(&w, &b.calls, 1);
    assert_string_equal(a.text, "old");
    assert_string_equal(b.text, "new");
    assert_int_equal(redis_fleet_count(w.fleet), 1);
    close_fleet(&w);
    for (size_t i = 0; i < 2; i++)
        redis_server_stop(&s[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_are_spread_evenly_and_a_new_member_takes_only_its_share),
        cmocka_unit_test(the_order_of_the_list_and_who_logs_in_decide_nothing),
        cmocka_unit_test(nothing_belongs_to_a_member_that_leaves_and_its_quotas_alone_move),
        cmocka_unit_test(a_list_that_cannot_be_is_refused_and_repeats_no_secret),
        cmocka_unit_test(a_refused_list_changes_nothing),
        cmocka_unit_test(a_cluster_is_one_member_that_only_a_restart_changes),
        cmocka_unit_test(each_quota_is_served_by_the_server_that_has_it),
        cmocka_unit_test(a_dropped_member_is_reached_until_it_is_forgotten),
        cmocka_unit_test(another_url_of_a_member_replaces_its_connection_and_loses_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
