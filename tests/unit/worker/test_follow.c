/* What follows from an answer to one of several requests, through the driver: steps, lookups,
 * polls, pages, jumps, tokens, and what is ensured first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/worker/there.h"
#include "worker/deliver/prelude.h"
#include "worker/deliver/progress.h"

enum { RECORDS = 3, PROGRESS_ROOM = 4096 };

#define CONNECTOR                                                                                  \
    "connectors:\n"                                                                                \
    "  desk:\n"                                                                                    \
    "    options: {base_url: {default: 'http://x'}, token: {secret: true}}\n"                      \
    "    limits: [{requests: 100, per: 1s, group: polls}]\n"                                       \
    "    objects:\n"                                                                               \
    "      jobs:\n"                                                                                \
    "        keys: {'*': {}}\n"                                                                    \
    "        fields: {'*': {}}\n"                                                                  \
    "        modes: [upsert, mirror]\n"                                                            \
    "        remove: [delete]\n"                                                                   \
    "        hold: 1s\n"                                                                           \
    "        max_records: 10\n"                                                                    \
    "        requests:\n"                                                                          \
    "          upsert:\n"                                                                          \
    "            steps:\n"                                                                         \
    "              - {name: put, url: '{{options.base_url}}/put', opens: true, body: {json: "      \
    "{records: {$records: {id: '{{key}}'}}}}, capture: {job: {json: /job}}}\n"                     \
    "              - name: ask\n"                                                                  \
    "                method: GET\n"                                                                \
    "                url: '{{options.base_url}}/ask/{{vars.job}}'\n"                               \
    "                group: polls\n"                                                               \
    "                wait: {first: 5s, every: 10s, factor: 2, max: 30s, deadline: 2m}\n"           \
    "                answers:\n"                                                                   \
    "                  - {json: {at: /state, equals: running}, do: pending}\n"                     \
    "                  - {json: {at: /state, equals: lost}, do: restart}\n"                        \
    "                  - {json: {at: /state, equals: again}, do: {goto: put}}\n"                   \
    "                  - {status: 200, do: ok}\n"                                                  \
    "                pages: {next: {json: /next}, var: page}\n"                                    \
    "                query: {page: '{{vars.page}}'}\n"                                             \
    "                verdicts: {at: /bad, index: /i, message: /why}\n"                             \
    "          delete:\n"                                                                          \
    "            steps:\n"                                                                         \
    "              - name: look\n"                                                                 \
    "                method: GET\n"                                                                \
    "                url: '{{options.base_url}}/look'\n"                                           \
    "                lookup: {entries: /found, key: /key, id: /id, missing: ok}\n"                 \
    "              - {name: remove, url: '{{options.base_url}}/remove', body: {json: {ids: "       \
    "{$records: '{{found}}'}}}}\n"

static void open_desk(struct there *t)
{
    struct err err;
    assert_int_equal(there_open(t, "{type: desk, token: secret-1}", CONNECTOR, &err), ERR_OK);
    t->delivery.now_ms = 1000000;
    t->delivery.progress = (struct slice){0};
}

static void render(struct there *t, enum record_op op)
{
    static const char *const keys[] = {"id", NULL}, *const fields[] = {"x", NULL};
    static const char *const ids[RECORDS] = {"1", "2", "3"};
    struct value key[RECORDS], v = sample_number("2");
    struct record records[RECORDS];
    struct sample_head h = {"s", "r", "b", "hook", "f", keys, fields, 0};
    struct err err;
    for (uint32_t i = 0; i < RECORDS; i++) {
        key[i] = sample_number(ids[i]);
        records[i] = (struct record){i, op, &key[i], op == OP_DELETE ? NULL : &v};
    }
    if (there_render(t, &h, records, RECORDS, &err))
        fail_msg("%s", err.text);
}

static struct outcome answer(struct there *t, uint32_t status, const char *body)
{
    struct http_answer a = {
        .status = status, .body = slice_str(body), .reached = true, .retry_after_ms = -1};
    return there_judge(t, &a);
}

/* The batch is claimed again with what the outcome left. */
static void go_on(struct there *t, const struct outcome *o, char *room)
{
    assert_true(o->progress.n < PROGRESS_ROOM);
    if (o->progress.n)
        memcpy(room, o->progress.p, o->progress.n);
    t->delivery.progress = slice_of(room, o->progress.n);
    t->delivery.now_ms += o->delay_ms;
}

static void a_job_is_put_asked_for_and_read(void **state)
{
    (void)state;
    char room[PROGRESS_ROOM];
    struct there t;
    open_desk(&t);
    render(&t, OP_UPSERT);
    assert_string_equal(t.rendered.url, "http://x/put");
    struct outcome o = answer(&t, 202, "{\"job\":\"j7\"}");
    assert_int_equal(o.kind, OUTCOME_CONTINUE);
    assert_int_equal(o.delay_ms, 5000);
    assert_int_equal(o.next_group, 2);
    assert_true(o.next_carries_none && o.open && o.unsure && !o.carried_none);
    assert_int_equal(o.hold_ms, 1000);
    static const int64_t waits[] = {10000, 20000, 30000, 30000};
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        go_on(&t, &o, room);
        render(&t, OP_UPSERT);
        assert_string_equal(t.rendered.url, "http://x/ask/j7");
        o = answer(&t, 200, "{\"state\":\"running\"}");
        assert_int_equal(o.kind, OUTCOME_CONTINUE);
        assert_int_equal(o.delay_ms, waits[i]);
        assert_true(o.open && o.unsure && o.carried_none && o.next_carries_none);
    }
    go_on(&t, &o, room);
    render(&t, OP_UPSERT);
    o = answer(&t, 200, "{\"state\":\"done\",\"bad\":[{\"i\":1,\"why\":\"odd\"}]}");
    assert_int_equal(o.kind, OUTCOME_ANSWERED);
    assert_int_equal(o.entry_count, 1);
    assert_int_equal(o.entries[0].index, 1);
    assert_int_equal(o.entries[0].verdict, VERDICT_REJECTED);
    assert_false(o.unsure);
    there_close(&t);
}

static void a_job_that_is_never_done_begins_again_in_doubt(void **state)
{
    (void)state;
    char room[PROGRESS_ROOM];
    struct there t;
    open_desk(&t);
    render(&t, OP_UPSERT);
    struct outcome o = answer(&t, 202, "{\"job\":\"j7\"}");
    int polls = 0;
    while (o.kind == OUTCOME_CONTINUE) {
        assert_true(++polls < 10);
        go_on(&t, &o, room);
        render(&t, OP_UPSERT);
        o = answer(&t, 200, "{\"state\":\"running\"}");
    }
    assert_int_equal(o.kind, OUTCOME_RETRY);
    assert_true(o.unsure && !o.open && !o.next_carries_none);
    assert_int_equal(o.next_group, 1);
    assert_int_equal(o.progress.n, 0);
    there_close(&t);
}

static void a_failed_poll_is_repeated_as_it_is(void **state)
{
    (void)state;
    char room[PROGRESS_ROOM];
    struct there t;
    open_desk(&t);
    render(&t, OP_UPSERT);
    struct outcome o = answer(&t, 202, "{\"job\":\"j7\"}");
    go_on(&t, &o, room);
    static const struct {
        uint32_t status;
        enum outcome_kind kind;
    } table[] = {{500, OUTCOME_RETRY}, {429, OUTCOME_THROTTLE}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        render(&t, OP_UPSERT);
        o = answer(&t, table[i].status, "");
        assert_int_equal(o.kind, table[i].kind);
        assert_true(slice_eq(o.progress, t.delivery.progress));
        assert_true(o.open && o.next_carries_none && o.unsure);
        assert_int_equal(o.next_group, 2);
    }
    there_close(&t);
}

static void pages_are_turned_and_their_verdicts_told_at_the_last(void **state)
{
    (void)state;
    char room[PROGRESS_ROOM];
    struct there t;
    open_desk(&t);
    render(&t, OP_UPSERT);
    struct outcome o = answer(&t, 202, "{\"job\":\"j7\"}");
    go_on(&t, &o, room);
    render(&t, OP_UPSERT);
    o = answer(&t, 200, "{\"state\":\"done\",\"next\":\"p2\",\"bad\":[{\"i\":2,\"why\":\"a\"}]}");
    assert_int_equal(o.kind, OUTCOME_CONTINUE);
    assert_int_equal(o.delay_ms, 0);
    assert_int_equal(o.entry_count, 0);
    go_on(&t, &o, room);
    render(&t, OP_UPSERT);
    assert_string_equal(t.rendered.url, "http://x/ask/j7?page=p2");
    o = answer(&t, 200, "{\"state\":\"done\",\"bad\":[{\"i\":0,\"why\":\"b\"}]}");
    assert_int_equal(o.kind, OUTCOME_ANSWERED);
    assert_int_equal(o.entry_count, 2);
    assert_int_equal(o.entries[0].index, 0);
    assert_true(slice_eq_str(o.entries[0].message, "b"));
    assert_int_equal(o.entries[1].index, 2);
    assert_true(slice_eq_str(o.entries[1].message, "a"));
    there_close(&t);
}

static void jumps_back_end_in_an_attempt(void **state)
{
    (void)state;
    char room[PROGRESS_ROOM];
    struct there t;
    struct outcome o = {.kind = OUTCOME_CONTINUE};
    open_desk(&t);
    int requests = 0;
    while (o.kind == OUTCOME_CONTINUE) {
        assert_true(++requests < 100);
        go_on(&t, &o, room);
        render(&t, OP_UPSERT);
        bool puts = strstr(t.rendered.url, "/put") != NULL;
        o = puts ? answer(&t, 202, "{\"job\":\"j7\"}") : answer(&t, 200, "{\"state\":\"again\"}");
    }
    assert_int_equal(o.kind, OUTCOME_RETRY);
    assert_true(o.unsure && requests > 10);
    go_on(&t, &o, room);
    render(&t, OP_UPSERT);
    assert_string_equal(t.rendered.url, "http://x/put");
    there_close(&t);
}

static void a_restart_is_an_attempt_from_the_beginning(void **state)
{
    (void)state;
    char room[PROGRESS_ROOM];
    struct there t;
    open_desk(&t);
    render(&t, OP_UPSERT);
    struct outcome o = answer(&t, 202, "{\"job\":\"j7\"}");
    go_on(&t, &o, room);
    render(&t, OP_UPSERT);
    o = answer(&t, 200, "{\"state\":\"lost\"}");
    assert_int_equal(o.kind, OUTCOME_RETRY);
    assert_int_equal(o.progress.n, 0);
    assert_true(o.unsure && !o.open);
    there_close(&t);
}

static void what_a_lookup_does_not_find_is_done_and_the_rest_goes_on(void **state)
{
    (void)state;
    char room[PROGRESS_ROOM];
    struct there t;
    open_desk(&t);
    render(&t, OP_DELETE);
    assert_string_equal(t.rendered.url, "http://x/look");
    struct outcome o =
        answer(&t, 200, "{\"found\":[{\"key\":\"3\",\"id\":\"c\"},{\"key\":\"1\",\"id\":\"a\"}]}");
    assert_int_equal(o.kind, OUTCOME_CONTINUE);
    assert_int_equal(o.entry_count, 1);
    assert_int_equal(o.entries[0].index, 1);
    assert_int_equal(o.entries[0].verdict, VERDICT_OK);
    assert_false(o.unsure);
    struct progress p;
    struct arena a;
    struct err err;
    arena_init(&a, 1 << 20);
    assert_int_equal(progress_read(&p, &a, o.progress, 2, &err), ERR_OK);
    assert_int_equal(p.record_count, 2);
    assert_int_equal(p.records[0].ordinal, 0);
    assert_true(slice_eq_str(p.records[0].id, "a"));
    assert_int_equal(p.records[1].ordinal, 2);
    arena_done(&a);
    go_on(&t, &o, room);
    render(&t, OP_DELETE);
    assert_string_equal(t.rendered.url, "http://x/remove");
    assert_non_null(memmem(t.rendered.body.p, t.rendered.body.n, "\"c\"", 3));
    o = answer(&t, 200, "{}");
    assert_int_equal(o.kind, OUTCOME_ANSWERED);
    there_close(&t);
}

static void a_lookup_that_finds_nobody_ends_the_batch(void **state)
{
    (void)state;
    struct there t;
    open_desk(&t);
    render(&t, OP_DELETE);
    struct outcome o = answer(&t, 200, "{\"found\":[]}");
    assert_int_equal(o.kind, OUTCOME_ANSWERED);
    assert_int_equal(o.entry_count, RECORDS);
    for (size_t i = 0; i < RECORDS; i++)
        assert_int_equal(o.entries[i].verdict, VERDICT_OK);
    there_close(&t);
}

static void more_records_than_a_request_holds_are_too_large(void **state)
{
    (void)state;
    static const char *const keys[] = {"id", NULL}, *const fields[] = {"x", NULL};
    enum { MANY = 11 };
    struct sample_head h = {"s", "r", "b", "hook", "f", keys, fields, 0};
    struct value key = sample_number("1"), v = sample_number("2");
    struct record records[MANY];
    struct there t;
    struct err err;
    open_desk(&t);
    for (uint32_t i = 0; i < MANY; i++)
        records[i] = (struct record){i, OP_UPSERT, &key, &v};
    assert_int_equal(there_render(&t, &h, records, MANY, &err), ERR_FULL);
    there_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_put_asked_for_and_read),
        cmocka_unit_test(a_job_that_is_never_done_begins_again_in_doubt),
        cmocka_unit_test(a_failed_poll_is_repeated_as_it_is),
        cmocka_unit_test(pages_are_turned_and_their_verdicts_told_at_the_last),
        cmocka_unit_test(jumps_back_end_in_an_attempt),
        cmocka_unit_test(a_restart_is_an_attempt_from_the_beginning),
        cmocka_unit_test(what_a_lookup_does_not_find_is_done_and_the_rest_goes_on),
        cmocka_unit_test(a_lookup_that_finds_nobody_ends_the_batch),
        cmocka_unit_test(more_records_than_a_request_holds_are_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
