/* Slots of keys, and what nodes of a cluster say of them; answers that are none are refused. */
#include "protocol/redis/slots.h"

#include "tests/unit/redis/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct redis_node asked = {.host = "seed", .port = 7000};

/* A reply from the bytes that a server sends. */
static struct redisReply *reply_of(const char *bytes)
{
    struct redisReader *r = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(r, bytes, strlen(bytes)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(r, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(r);
    return reply;
}

/* The slots are those that CLUSTER KEYSLOT of a server tells. */
static void a_key_has_the_slot_of_its_hash_tag(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint16_t slot;
    } cases[] = {
        {"", 0},
        {"123456789", 12739},
        {"foo", 12182},
        {"bar", 5061},
        {"sluice:{foo}", 12182},
        {"sluice:{foo}:q:a{b}c", 12182},
        {"{}foo", 9500},
        {"foo{}{bar}", 8363},
        {"foo{{bar}}zap", 4015},
        {"foo{bar}{zap}", 5061},
        {"{foo", 13308},
        {"foo}", 15679},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint16_t slot = slot_of(slice_str(cases[i].key));
        if (slot != cases[i].slot)
            fail_msg("%s: %u, not %u", cases[i].key, slot, cases[i].slot);
    }
}

static void every_slot_has_a_tag(void **state)
{
    (void)state;
    char tag[REDIS_TAG_BYTES], key[64];
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot += slot < 100 ? 1 : 97) {
        slot_tag((uint16_t)slot, tag);
        snprintf(key, sizeof key, "sluice:wake:{%s}", tag);
        assert_int_equal(slot_of(slice_str(key)), slot);
    }
}

/* Three ranges of two primaries, the later slots first; one has no address, and a replica. */
#define TWO_PRIMARIES                                                                              \
    "*3\r\n"                                                                                       \
    "*3\r\n:8192\r\n:16383\r\n*3\r\n$8\r\n10.0.0.2\r\n:6379\r\n$1\r\nb\r\n"                        \
    "*4\r\n:0\r\n:99\r\n*3\r\n$-1\r\n:6380\r\n$1\r\na\r\n*3\r\n$8\r\n10.0.0.3\r\n:1\r\n$"          \
    "1\r\nc\r\n"                                                                                   \
    "*4\r\n:200\r\n:8191\r\n*4\r\n$0\r\n\r\n:6380\r\n$1\r\na\r\n*0\r\n*2\r\n$1\r\n?\r\n:1\r\n"

static void the_map_tells_who_has_a_slot(void **state)
{
    (void)state;
    struct slot_map map;
    struct err err;
    struct redisReply *r = reply_of(TWO_PRIMARIES);
    assert_int_equal(slot_map_read(r, &asked, &map, &err), ERR_OK);
    freeReplyObject(r);
    assert_int_equal(map.count, 2);
    assert_string_equal(map.nodes[0].host, "seed"); /* its own address is unknown to it */
    assert_int_equal(map.nodes[0].port, 6380);
    assert_int_equal(map.first[0], 0);
    assert_string_equal(map.nodes[1].host, "10.0.0.2");
    assert_int_equal(map.first[1], 8192);
    assert_ptr_equal(slot_owner(&map, 0), &map.nodes[0]);
    assert_ptr_equal(slot_owner(&map, 99), &map.nodes[0]);
    assert_null(slot_owner(&map, 100));
    assert_null(slot_owner(&map, 199));
    assert_ptr_equal(slot_owner(&map, 8191), &map.nodes[0]);
    assert_ptr_equal(slot_owner(&map, 8192), &map.nodes[1]);
    assert_ptr_equal(slot_owner(&map, 16383), &map.nodes[1]);
    assert_int_equal(map.replica_count, 1); /* one that has no usable address is left out */
    assert_string_equal(map.replicas[0].host, "10.0.0.3");
}

static void equal_maps_are_equal_whatever_the_order_of_the_answer(void **state)
{
    (void)state;
    static struct slot_map a, b;
    struct err err;
    struct redisReply *r = reply_of("*2\r\n*3\r\n:5\r\n:6\r\n*2\r\n$1\r\nx\r\n:1\r\n"
                                    "*3\r\n:0\r\n:4\r\n*2\r\n$1\r\ny\r\n:2\r\n");
    assert_int_equal(slot_map_read(r, &asked, &a, &err), ERR_OK);
    freeReplyObject(r);
    r = reply_of(
        "*3\r\n*3\r\n:0\r\n:2\r\n*2\r\n$1\r\ny\r\n:2\r\n"
        "*3\r\n:3\r\n:4\r\n*2\r\n$1\r\ny\r\n:2\r\n*3\r\n:5\r\n:6\r\n*2\r\n$1\r\nx\r\n:1\r\n");
    assert_int_equal(slot_map_read(r, &asked, &b, &err), ERR_OK);
    freeReplyObject(r);
    assert_memory_equal(&a, &b, sizeof a);
}

static void an_answer_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "+OK\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n",
        "*1\r\n*3\r\n$1\r\n0\r\n:1\r\n*2\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n*3\r\n:-1\r\n:1\r\n*2\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n*3\r\n:2\r\n:1\r\n*2\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nx\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nx\r\n$1\r\n1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nx\r\n:0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nx\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n?\r\n:1\r\n",
    };
    static struct slot_map map;
    map.count = 77;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct err err;
        struct redisReply *r = reply_of(answers[i]);
        if (slot_map_read(r, &asked, &map, &err) != ERR_REMOTE)
            fail_msg("taken: %s", answers[i]);
        freeReplyObject(r);
    }
    assert_int_equal(map.count, 77);
}

static void more_primaries_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    static struct slot_map map;
    static char bytes[REDIS_PRIMARIES_MAX * 64 + 128];
    struct err err;
    for (int count = REDIS_PRIMARIES_MAX; count <= REDIS_PRIMARIES_MAX + 1; count++) {
        int n = snprintf(bytes, sizeof bytes, "*%d\r\n", count);
        for (int i = 0; i < count; i++)
            n += snprintf(bytes + n, sizeof bytes - (size_t)n,
                          "*3\r\n:%d\r\n:%d\r\n*2\r\n$1\r\nx\r\n:%d\r\n", i, i, i + 1);
        struct redisReply *r = reply_of(bytes);
        assert_int_equal(slot_map_read(r, &asked, &map, &err),
                         count > REDIS_PRIMARIES_MAX ? ERR_REMOTE : ERR_OK);
        freeReplyObject(r);
    }
    assert_int_equal(map.count, REDIS_PRIMARIES_MAX);
}

static void the_epoch_is_read_where_the_cluster_is_up(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum err_code code;
        uint64_t epoch;
    } cases[] = {
        {"$48\r\ncluster_state:ok\r\ncluster_current_epoch:12345678\r\n\r\n", ERR_OK, 12345678},
        {"$43\r\ncluster_state:fail\r\ncluster_current_epoch:7\r\n\r\n", ERR_UNREACHABLE, 0},
        {"$41\r\ncluster_state:ok\r\nmy_cluster_current_epoch:7\r\n", ERR_REMOTE, 0},
        {"$41\r\ncluster_state:ok\r\ncluster_current_epoch:x\r\n\r\n", ERR_REMOTE, 0},
        {"$16\r\ncluster_state:ok\r\n", ERR_REMOTE, 0},
        {"*0\r\n", ERR_REMOTE, 0},
        {"$-1\r\n", ERR_REMOTE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t epoch = 0;
        struct err err;
        struct redisReply *r = reply_of(cases[i].answer);
        enum err_code code = slot_epoch_read(r, &epoch, &err);
        if (code != cases[i].code || epoch != cases[i].epoch)
            fail_msg("case %zu: code %d, epoch %llu", i, code, (unsigned long long)epoch);
        freeReplyObject(r);
    }
}

static void replies_tell_a_slot_that_moves_from_one_that_has_moved(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        bool moving, elsewhere;
    } cases[] = {
        {"ASK 1 10.0.0.1:6379", true, true},    {"TRYAGAIN Multiple keys", true, true},
        {"MOVED 1 10.0.0.1:6379", false, true}, {"CLUSTERDOWN Hash slot not served", false, true},
        {"READONLY You can't", false, false},   {"ASKING", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        err_set(&err, ERR_UNREACHABLE, "%s", cases[i].words);
        assert_int_equal(slot_is_moving(&err), cases[i].moving);
        assert_int_equal(slot_is_elsewhere(&err), cases[i].elsewhere);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_the_slot_of_its_hash_tag),
        cmocka_unit_test(every_slot_has_a_tag),
        cmocka_unit_test(the_map_tells_who_has_a_slot),
        cmocka_unit_test(equal_maps_are_equal_whatever_the_order_of_the_answer),
        cmocka_unit_test(an_answer_that_is_none_is_refused),
        cmocka_unit_test(more_primaries_than_there_is_room_for_are_refused),
        cmocka_unit_test(the_epoch_is_read_where_the_cluster_is_up),
        cmocka_unit_test(replies_tell_a_slot_that_moves_from_one_that_has_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
