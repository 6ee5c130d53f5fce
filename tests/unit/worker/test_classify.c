/* Every status and every shape of body, and what it means for the records of a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/clock.h"
#include "tests/unit/worker/there.h"
#include "worker/deliver/words.h"

enum { RECORDS = 3, ARENA_BYTES = 8 << 20 };

static const enum record_op OPS[RECORDS] = {OP_UPSERT, OP_UPDATE, OP_DELETE};

static int open_there(void **state)
{
    static const char *const keys[] = {"id", NULL}, *const fields[] = {"x", NULL};
    struct sample_head h = {"s", "r", "b", "hook", "f", keys, fields, 0};
    struct value key = sample_number("1"), v = sample_number("2");
    struct record records[RECORDS];
    struct there *t = calloc(1, sizeof *t);
    struct err err;
    if (!t || there_open(t, "{type: webhook, url: \"http://x/in\"}", NULL, &err))
        return -1;
    t->delivery.now_ms = clock_wall_ms();
    for (uint32_t i = 0; i < RECORDS; i++)
        records[i] = (struct record){i, OPS[i], &key, OPS[i] == OP_DELETE ? NULL : &v};
    *state = t;
    return there_render(t, &h, records, RECORDS, &err) ? -1 : 0;
}

static int close_there(void **state)
{
    there_close(*state);
    free(*state);
    return 0;
}

static struct outcome of(void **state, uint32_t status, const char *body)
{
    struct http_answer answer = {
        .status = status, .body = slice_str(body), .reached = true, .retry_after_ms = -1};
    return there_judge(*state, &answer);
}

static void assert_words(struct slice words, const char *expected)
{
    if (!slice_eq_str(words, expected))
        fail_msg("words are \"%.*s\", not \"%s\"", (int)words.n, words.p, expected);
}

static void the_status_decides_what_happens_to_the_batch(void **state)
{
    static const struct {
        uint32_t status;
        enum outcome_kind kind;
        bool unsure;
    } table[] = {
        {200, OUTCOME_ANSWERED, false}, {201, OUTCOME_ANSWERED, false},
        {202, OUTCOME_ANSWERED, false}, {204, OUTCOME_ANSWERED, false},
        {299, OUTCOME_ANSWERED, false}, {300, OUTCOME_STOP, false},
        {301, OUTCOME_STOP, false},     {302, OUTCOME_STOP, false},
        {304, OUTCOME_STOP, false},     {307, OUTCOME_STOP, false},
        {308, OUTCOME_STOP, false},     {400, OUTCOME_REFUSED, false},
        {401, OUTCOME_STOP, false},     {402, OUTCOME_REFUSED, false},
        {403, OUTCOME_STOP, false},     {404, OUTCOME_STOP, false},
        {405, OUTCOME_STOP, false},     {406, OUTCOME_REFUSED, false},
        {407, OUTCOME_STOP, false},     {408, OUTCOME_RETRY, true},
        {409, OUTCOME_REFUSED, false},  {410, OUTCOME_STOP, false},
        {413, OUTCOME_REFUSED, false},  {415, OUTCOME_REFUSED, false},
        {422, OUTCOME_REFUSED, false},  {429, OUTCOME_THROTTLE, false},
        {451, OUTCOME_REFUSED, false},  {499, OUTCOME_REFUSED, false},
        {500, OUTCOME_RETRY, true},     {501, OUTCOME_RETRY, true},
        {502, OUTCOME_RETRY, true},     {503, OUTCOME_THROTTLE, false},
        {504, OUTCOME_RETRY, true},     {599, OUTCOME_RETRY, true},
        {600, OUTCOME_RETRY, true},     {100, OUTCOME_RETRY, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct outcome o = of(state, table[i].status, "{\"message\":\"why\"}");
        if (o.kind != table[i].kind || o.unsure != table[i].unsure || o.bug || o.entry_count)
            fail_msg("status %u: kind %d, unsure %d", table[i].status, o.kind, o.unsure);
        if (o.kind == OUTCOME_ANSWERED)
            assert_int_equal(o.message.n, 0);
        else
            assert_true(o.message.n > 0);
    }
}

static void no_answer_is_a_failed_attempt_in_doubt_only_when_it_may_have_reached(void **state)
{
    struct http_answer answer = {
        .error = "could not connect", .reached = false, .retry_after_ms = -1};
    struct outcome o = there_judge(*state, &answer);
    assert_int_equal(o.kind, OUTCOME_RETRY);
    assert_false(o.unsure);
    assert_words(o.message, "could not connect");
    answer.reached = true;
    assert_true(there_judge(*state, &answer).unsure);
}

static void an_accepting_answer_that_broke_off_says_nothing_sure(void **state)
{
    struct http_answer answer = {
        .status = 200, .error = "cut", .reached = true, .retry_after_ms = -1};
    struct outcome o = there_judge(*state, &answer);
    assert_int_equal(o.kind, OUTCOME_RETRY);
    assert_true(o.unsure);
    /* A refusal whose words broke off is a refusal all the same. */
    answer.status = 401;
    assert_int_equal(there_judge(*state, &answer).kind, OUTCOME_STOP);
}

static void bodies_without_a_list_of_errors_accept_everything(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "ok",
        "[]",
        "null",
        "\"errors\"",
        "{\"errors\":[]}",
        "{\"errors\":null}",
        "{\"errors\":0}",
        "{\"errors\":{}}",
        "{\"errors\":false}",
        "{\"errors\":\"none\"}",
        "{\"data\":{\"errors\":[{\"index\":0}]}}",
        "{\"errors\":[{\"index\":0}]",
        "<html>errors</html>",
        "[{\"errors\":[{\"index\":0}]}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct outcome o = of(state, 200, bodies[i]);
        if (o.kind != OUTCOME_ANSWERED || o.entry_count)
            fail_msg("body %s: kind %d, %zu entries", bodies[i], o.kind, o.entry_count);
    }
}

static void listed_records_get_their_own_verdicts_in_ascending_order(void **state)
{
    struct outcome o = of(state, 200,
                          "{\"errors\":[{\"index\":2,\"message\":\"gone\",\"code\":\"not_found\"},"
                          "{\"index\":0,\"message\":\"busy\",\"retryable\":true},"
                          "{\"index\":1,\"message\":\"no such "
                          "contact\",\"retryable\":false,\"code\":\"not_found\"}]}");
    assert_int_equal(o.kind, OUTCOME_ANSWERED);
    assert_int_equal(o.entry_count, 3);
    assert_int_equal(o.entries[0].index, 0);
    assert_int_equal(o.entries[0].verdict, VERDICT_OPEN);
    assert_words(o.entries[0].message, "busy");
    assert_int_equal(o.entries[1].index, 1);
    assert_int_equal(o.entries[1].verdict, VERDICT_NOT_FOUND);
    assert_words(o.entries[1].message, "no such contact");
    /* "not found" is a verdict of its own for updates only. */
    assert_int_equal(o.entries[2].index, 2);
    assert_int_equal(o.entries[2].verdict, VERDICT_REJECTED);
}

static void an_entry_without_a_message_is_quoted_whole(void **state)
{
    struct outcome o =
        of(state, 200,
           "{\"errors\":[{\"index\":0,\"why\":\"x\"},{\"index\":1,\"message\":{\"a\":[1]}}]}");
    assert_int_equal(o.entry_count, 2);
    assert_int_equal(o.entries[0].verdict, VERDICT_REJECTED);
    assert_true(memmem(o.entries[0].message.p, o.entries[0].message.n, "\"why\"", 5) != NULL);
    assert_true(memmem(o.entries[1].message.p, o.entries[1].message.n, "\"a\"", 3) != NULL);
}

static void an_index_that_names_no_record_spoils_the_whole_answer(void **state)
{
    static const char *const lists[] = {
        "[{\"index\":3}]",
        "[{\"index\":-1}]",
        "[{\"index\":1.5}]",
        "[{\"index\":\"0\"}]",
        "[{\"index\":null}]",
        "[{\"message\":\"x\"}]",
        "[0]",
        "[null]",
        "[\"x\"]",
        "[[]]",
        "[{\"index\":99999999999999999999999999}]",
        "[{\"index\":1e300}]",
        "[{\"index\":true}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"errors\":%s}", lists[i]);
        struct outcome o = of(state, 200, body);
        if (o.kind != OUTCOME_RETRY || !o.bug || !o.unsure || o.entry_count)
            fail_msg("%s: kind %d bug %d", body, o.kind, o.bug);
    }
}

static void a_record_listed_twice_is_refused_once_and_finality_wins(void **state)
{
    static const char *const lists[] = {
        "{\"errors\":[{\"index\":0,\"message\":\"a\"},{\"index\":0,\"message\":\"b\"}]}",
        "{\"errors\":[{\"index\":0,\"message\":\"b\",\"retryable\":true},"
        "{\"index\":0,\"message\":\"a\"}]}",
        "{\"errors\":[{\"index\":0,\"message\":\"a\"},"
        "{\"index\":0,\"message\":\"b\",\"retryable\":true}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct outcome o = of(state, 200, lists[i]);
        assert_int_equal(o.kind, OUTCOME_ANSWERED);
        assert_int_equal(o.entry_count, 1);
        assert_int_equal(o.entries[0].index, 0);
        assert_int_equal(o.entries[0].verdict, VERDICT_REJECTED);
        assert_true(slice_eq_str(o.entries[0].message, "a"));
    }
}

static void a_list_is_understood_whatever_stands_beside_it(void **state)
{
    static const char *const bodies[] = {
        "{\"id\":123456789012345678901234567890,\"errors\":[{\"index\":1}]}",
        "{\"note\":\"a\\u0000b\",\"errors\":[{\"index\":1}]}",
        "{\"note\":\"caf\xe9\",\"errors\":[{\"index\":1,\"message\":\"\xe9\"}]}",
        "\n {\"errors\" : [ { \"index\" : 1.0 } ] } \n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct outcome o = of(state, 200, bodies[i]);
        if (o.entry_count != 1 || o.entries[0].index != 1)
            fail_msg("body %zu: %zu entries", i, o.entry_count);
    }
}

static void a_list_too_long_to_be_read_is_not_taken_for_acceptance(void **state)
{
    struct http_answer answer = {.status = 200,
                                 .body = SLICE_LIT("{\"errors\":[{\"index\":0},"),
                                 .body_cut = true,
                                 .retry_after_ms = -1};
    assert_true(there_judge(*state, &answer).bug);
    answer.body = SLICE_LIT("{\"everything\":\"is fine");
    assert_int_equal(there_judge(*state, &answer).kind, OUTCOME_ANSWERED);
}

static void the_remotes_words_are_found_and_made_fit_to_keep(void **state)
{
    static const struct {
        uint32_t status;
        const char *body;
        const char *words;
    } table[] = {
        {400, "{\"message\":\"invalid record\"}", "HTTP 400: invalid record"},
        {400, "{\"error\":\"bad\"}", "HTTP 400: bad"},
        {400, "{\"error\":{\"code\":7,\"message\":\"deep\"}}", "HTTP 400: deep"},
        {422, "{\"errors\":[{\"detail\":\"listed\"}]}", "HTTP 422: listed"},
        {422, "{\"errors\":[\"plain\"]}", "HTTP 422: plain"},
        {401, "{\"error\":\"invalid_token\",\"error_description\":\"expired\"}",
         "HTTP 401: invalid_token"},
        {400, "{\"code\":1}", "HTTP 400: {\"code\":1}"},
        {400, "not json\r\n  at all\t", "HTTP 400: not json at all"},
        {400, "caf\xe9", "HTTP 400: caf?"},
        {400, "caf\xc3\xa9", "HTTP 400: caf\xc3\xa9"},
        {500, "", "HTTP 500"},
        {413, "", "HTTP 413: too large"},
        {413, "{\"message\":\"limit is 1 MB\"}", "HTTP 413: limit is 1 MB"},
        {404, "   \n ", "HTTP 404"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_words(of(state, table[i].status, table[i].body).message, table[i].words);
    }
}

static void words_are_cut_between_characters(void **state)
{
    (void)state;
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    char body[3 * RESULT_MESSAGE_MAX];
    for (size_t i = 0; i + 3 <= sizeof body; i += 3)
        memcpy(body + i, "\xe2\x82\xac", 3);
    struct slice words = words_clean(&a, slice_of(body, sizeof body));
    assert_int_equal(words.n, RESULT_MESSAGE_MAX / 3 * 3);
    words = words_with_status(&a, 400, words);
    assert_true(words.n <= RESULT_MESSAGE_MAX);
    assert_int_equal((words.n - strlen("HTTP 400: ")) % 3, 0);
}

static void a_redirect_says_where_to_but_not_with_what(void **state)
{
    struct http_answer answer = {
        .status = 302, .location = "https://else.where/in?token=hidden", .retry_after_ms = -1};
    struct outcome o = there_judge(*state, &answer);
    assert_int_equal(o.kind, OUTCOME_STOP);
    assert_words(o.message,
                 "HTTP 302: redirects are not followed; this one points to https://else.where/in");
}

static void a_throttling_answer_hands_its_delay_on(void **state)
{
    const struct http_header header = {"Retry-After", "7"};
    struct http_answer answer = {
        .status = 429, .headers = &header, .header_count = 1, .retry_after_ms = 7000};
    assert_int_equal(there_judge(*state, &answer).retry_after_ms, 7000);
    answer.status = 500;
    assert_int_equal(there_judge(*state, &answer).retry_after_ms, -1);
    answer.status = 429;
    answer.header_count = 0;
    answer.retry_after_ms = -1;
    assert_int_equal(there_judge(*state, &answer).retry_after_ms, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_decides_what_happens_to_the_batch),
        cmocka_unit_test(no_answer_is_a_failed_attempt_in_doubt_only_when_it_may_have_reached),
        cmocka_unit_test(an_accepting_answer_that_broke_off_says_nothing_sure),
        cmocka_unit_test(bodies_without_a_list_of_errors_accept_everything),
        cmocka_unit_test(listed_records_get_their_own_verdicts_in_ascending_order),
        cmocka_unit_test(an_entry_without_a_message_is_quoted_whole),
        cmocka_unit_test(an_index_that_names_no_record_spoils_the_whole_answer),
        cmocka_unit_test(a_record_listed_twice_is_refused_once_and_finality_wins),
        cmocka_unit_test(a_list_is_understood_whatever_stands_beside_it),
        cmocka_unit_test(a_list_too_long_to_be_read_is_not_taken_for_acceptance),
        cmocka_unit_test(the_remotes_words_are_found_and_made_fit_to_keep),
        cmocka_unit_test(words_are_cut_between_characters),
        cmocka_unit_test(a_redirect_says_where_to_but_not_with_what),
        cmocka_unit_test(a_throttling_answer_hands_its_delay_on),
    };
    return cmocka_run_group_tests(tests, open_there, close_there);
}
