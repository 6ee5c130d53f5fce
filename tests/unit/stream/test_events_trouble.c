/* What may happen to a Redis stream while it is read: servers that go, streams and groups that are
 * taken away, keys and passwords that are wrong. */
#include "events_world.h"

#include "tests/harness/fault_proxy.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(struct world *w, const char *a, const char *b, const char *c, const char *d)
{
    redisReply *r = redis_server_ask(&w->redis, a, b, c, d, NULL);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

static void add_as(struct world *w, const char *entry, const char *id)
{
    redisReply *r = redis_server_ask(&w->redis, "XADD", "s", entry, "id", id, "n", "1", NULL);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    freeReplyObject(r);
}

static void a_server_that_is_away_is_waited_for(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    redis_server_signal(&w.redis, SIGKILL);
    world_start(&w);
    world_until(&w, &w.losts, 1);
    assert_non_null(strstr(w.trouble.text, "Redis at"));
    redis_server_restart(&w.redis);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.given, 1);
    assert_int_equal(w.backs, 1);
    assert_int_equal(w.fails, 0);
    world_close(&w);
}

static void a_server_that_lost_everything_is_read_on(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.given, 1);
    redis_server_signal(&w.redis, SIGKILL);
    world_until(&w, &w.losts, 1);
    redis_server_restart(&w.redis);
    world_until(&w, &w.backs, 2);
    world_confirm(&w); /* of the stream that is gone: says nothing about the new one */
    world_add(&w, "b", "2", NULL);
    world_until(&w, &w.given, 2);
    assert_string_equal(w.rows[1], "b|2");
    world_until_pending(&w, 1);
    world_until(&w, &w.marks, 2);
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

/* Ids may begin anew, too. */
static void a_stream_that_begins_anew_is_read_from_its_beginning(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    add_as(&w, "500-1", "a");
    world_until(&w, &w.marks, 1);
    struct feed_position old = w.mark;
    say(&w, "DEL", "s", NULL, NULL);
    world_until(&w, &w.backs, 2);
    add_as(&w, "3-1", "b");
    world_until(&w, &w.marks, 2);
    assert_string_equal(w.rows[1], "b|1");
    w.feed->ops->confirm(w.feed, &old);
    world_run(&w, 50);
    assert_int_equal(world_pending(&w), 1);
    world_end(&w);
    world_forget(&w);
    w.from = old; /* nothing of the new stream was settled */
    world_start(&w);
    world_until(&w, &w.given, 1);
    assert_string_equal(w.rows[0], "b|1");
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

static void a_group_that_is_destroyed_is_made_where_it_was(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.marks, 1);
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_add(&w, "b", "2", NULL);
    world_until(&w, &w.given, 2);
    say(&w, "XGROUP", "DESTROY", "s", "sluice:t");
    world_until(&w, &w.backs, 2);
    world_add(&w, "c", "3", NULL);
    world_until(&w, &w.given, 3);
    assert_string_equal(w.rows[2], "c|3"); /* and neither a nor b once more */
    world_until_pending(&w, 2);            /* b is pending as before: nothing confirmed it */
    world_until(&w, &w.marks, 3);
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

static void a_key_that_is_no_stream_ends_the_feed(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "SET", "s", "x", NULL);
    world_start(&w);
    world_until(&w, &w.fails, 1);
    assert_string_equal(w.trouble.text, "the key s of source bus is not a stream");
    world_run(&w, 50);
    assert_int_equal(w.fails, 1);
    assert_int_equal(w.backs, 0);
    world_close(&w);
}

static void a_stream_that_becomes_another_thing_ends_the_feed(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    world_until(&w, &w.backs, 1);
    say(&w, "SET", "s", "x", NULL);
    world_until(&w, &w.fails, 1);
    assert_string_equal(w.trouble.text, "the key s of source bus is not a stream");
    world_close(&w);
}

static void make_user(struct world *w, const char *password, const char *commands)
{
    redisReply *r = redis_server_ask(&w->redis, "ACL", "SETUSER", "reader", "reset", "on", password,
                                     "~*", "&*", commands, NULL);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

static void a_wrong_password_is_said_without_it_and_tried_again(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    make_user(&w, ">right", "+@all");
    snprintf(w.url, sizeof w.url, "unix://reader:hunter2@%s", w.redis.socket);
    world_start(&w);
    world_until(&w, &w.losts, 1);
    assert_non_null(strstr(w.trouble.text, "WRONGPASS"));
    assert_null(strstr(w.trouble.text, "hunter2"));
    make_user(&w, ">hunter2", "+@all");
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.given, 1);
    assert_int_equal(w.fails, 0);
    world_close(&w);
}

static void a_user_who_may_not_read_ends_the_feed(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    make_user(&w, ">p", "+@read");
    snprintf(w.url, sizeof w.url, "unix://reader:p@%s", w.redis.socket);
    world_start(&w);
    world_until(&w, &w.fails, 1);
    assert_non_null(strstr(w.trouble.text, "NOPERM"));
    assert_non_null(strstr(w.trouble.text, "stream s"));
    world_close(&w);
}

/* Redis does not know yet that the one before is gone: what it waits for must not go to it. */
static void a_connection_that_redis_still_believes_in_takes_nothing_away(void **state)
{
    (void)state;
    struct world w;
    struct fault_proxy proxy;
    char path[128];
    world_open(&w);
    snprintf(path, sizeof path, "%s/proxy", w.redis.dir);
    fault_proxy_start(&proxy, path, w.redis.socket);
    snprintf(w.url, sizeof w.url, "unix://%s", path);
    world_start(&w);
    world_until(&w, &w.backs, 1);
    world_run(&w, 50);
    fault_proxy_say(&proxy, "blackhole");
    world_end(&w);
    world_forget(&w);
    snprintf(w.url, sizeof w.url, "%s", w.redis.url);
    world_start(&w);
    world_until(&w, &w.backs, 1);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.given, 1);
    assert_string_equal(w.rows[0], "a|1");
    world_end(&w);
    fault_proxy_stop(&proxy);
    world_close(&w);
}

/* Somebody else's server: what it does when its memory is full is not our business. */
static void a_server_that_evicts_is_read_all_the_same(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    world_start(&w);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.given, 1);
    world_close(&w);
}

/* ---- values ---- */

static const struct event_column all_types[] = {
    {"t", EVENT_TEXT}, {"n", EVENT_NUMBER},     {"b", EVENT_BOOL},
    {"j", EVENT_JSON}, {"at", EVENT_TIMESTAMP}, {"_time", EVENT_TIMESTAMP},
};

/* XADD of one field. */
static void add_field(struct world *w, const char *entry, const char *name, const char *value)
{
    redisReply *r = redis_server_ask(&w->redis, "XADD", "s", entry, name, value, NULL);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    freeReplyObject(r);
}

static void fields_become_values_of_their_columns_types(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *row;
    } cases[] = {
        {"t", "", "|null|null|null|null|"},
        {"t", "12", "12|null|null|null|null|"},
        {"t", "\xff", "bad: text that is not valid UTF-8|null|null|null|null|"},
        {"n", "-12.500", "null|-12.500|null|null|null|"},
        {"n", "12345678901234567890123", "null|12345678901234567890123|null|null|null|"},
        {"n", "", "null|null|null|null|null|"},
        {"n", "NaN", "null|bad: a number that is none|null|null|null|"},
        {"n", "1 ", "null|bad: a number that is none|null|null|null|"},
        {"b", "true", "null|null|true|null|null|"},
        {"b", "False", "null|null|false|null|null|"},
        {"b", "1", "null|null|true|null|null|"},
        {"b", "yes", "null|null|bad: a bool that is none of true, false, 1 and 0|null|null|"},
        {"j", "{\"a\": [1, 2.50, \"x y\"]}", "null|null|null|{\"a\":[1,2.50,\"x y\"]}|null|"},
        {"j", "{\"a\":1}", "null|null|null|{\"a\":1}|null|"},
        {"j", "{a:1}", "null|null|null|bad: json that is none|null|"},
        {"at", "2026-11-28T10:00:00+02:00", "null|null|null|null|2026-11-28T08:00:00Z|"},
        {"at", "1795860000", "null|null|null|null|2026-11-28T10:00:00Z|"},
        {"at", "1795860000123", "null|null|null|null|2026-11-28T10:00:00.123Z|"},
        {"at", "soon",
         "null|null|null|null|bad: a timestamp that is neither RFC 3339 nor Unix time|"},
        {"other", "x", "null|null|null|null|null|"},
        {"_time", "x", "null|null|null|null|null|"},
    };
    static const char *const own_key[] = {"_id"};
    struct world w;
    char entry[32], want[NOTED_BYTES];
    world_open(&w);
    w.model.primary_key = own_key;
    w.model.event_columns = all_types;
    w.model.event_column_count = ARRAY_LEN(all_types);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(entry, sizeof entry, "1795860000%03zu-7", i);
        add_field(&w, entry, cases[i].name, cases[i].value);
    }
    world_start(&w);
    world_until(&w, &w.given, ARRAY_LEN(cases));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(want, sizeof want, "%s2026-11-28T10:00:00.%03zuZ|1795860000%03zu-7", cases[i].row,
                 i, i);
        assert_string_equal(w.rows[i], want);
    }
    world_close(&w);
}

/* The same field many times over: the last one counts, and room is for all of them. */
static void a_field_that_repeats_is_what_it_was_last(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    w.model.event_columns = all_types;
    w.model.event_column_count = ARRAY_LEN(all_types);
    static const char *const own_key[] = {"_id"};
    w.model.primary_key = own_key;
    redisReply *r = redis_server_ask(
        &w.redis, "EVAL",
        "local a = {} for i = 1, 1000 do a[#a+1] = 'at' a[#a+1] = '1795860000' a[#a+1] = 'j' "
        "a[#a+1] = '[ ' .. i .. ' ]' end redis.call('XADD', 's', '1-1', unpack(a))",
        "0", NULL);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
    world_start(&w);
    world_until(&w, &w.given, 1);
    assert_string_equal(w.rows[0],
                        "null|null|null|[1000]|2026-11-28T10:00:00Z|1970-01-01T00:00:00.001Z|1-1");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_is_away_is_waited_for),
        cmocka_unit_test(a_server_that_lost_everything_is_read_on),
        cmocka_unit_test(a_stream_that_begins_anew_is_read_from_its_beginning),
        cmocka_unit_test(a_group_that_is_destroyed_is_made_where_it_was),
        cmocka_unit_test(a_key_that_is_no_stream_ends_the_feed),
        cmocka_unit_test(a_stream_that_becomes_another_thing_ends_the_feed),
        cmocka_unit_test(a_wrong_password_is_said_without_it_and_tried_again),
        cmocka_unit_test(a_user_who_may_not_read_ends_the_feed),
        cmocka_unit_test(a_connection_that_redis_still_believes_in_takes_nothing_away),
        cmocka_unit_test(a_server_that_evicts_is_read_all_the_same),
        cmocka_unit_test(fields_become_values_of_their_columns_types),
        cmocka_unit_test(a_field_that_repeats_is_what_it_was_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
