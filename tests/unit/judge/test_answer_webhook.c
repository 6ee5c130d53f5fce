/* The built-in webhook: every status, every shape of body. */
#include "tests/unit/judge/judging.h"
#include "worker/deliver/words.h"

static void webhook(struct judging *g)
{
    static const enum record_op ops[] = {OP_UPSERT, OP_UPDATE, OP_DELETE};
    judging_builtin(g, "webhook", "anything", OP_UPSERT, NULL);
    memcpy(g->request.ops, ops, sizeof ops);
}

static void the_status_decides_what_happens_to_the_batch(void **state)
{
    (void)state;
    static const struct {
        uint32_t status;
        enum rule_do act;
        bool unsure;
    } table[] = {
        {200, DO_OK, false},    {201, DO_OK, false},       {202, DO_OK, false},
        {204, DO_OK, false},    {299, DO_OK, false},       {300, DO_HALT, false},
        {301, DO_HALT, false},  {302, DO_HALT, false},     {304, DO_HALT, false},
        {307, DO_HALT, false},  {308, DO_HALT, false},     {400, DO_SPLIT, false},
        {401, DO_AUTH, false},  {402, DO_SPLIT, false},    {403, DO_HALT, false},
        {404, DO_HALT, false},  {405, DO_HALT, false},     {406, DO_SPLIT, false},
        {407, DO_HALT, false},  {408, DO_RETRY, true},     {409, DO_SPLIT, false},
        {410, DO_HALT, false},  {413, DO_SPLIT, false},    {415, DO_SPLIT, false},
        {422, DO_SPLIT, false}, {429, DO_THROTTLE, false}, {451, DO_SPLIT, false},
        {499, DO_SPLIT, false}, {500, DO_RETRY, true},     {501, DO_RETRY, true},
        {502, DO_RETRY, true},  {503, DO_THROTTLE, false}, {504, DO_RETRY, true},
        {599, DO_RETRY, true},  {600, DO_RETRY, true},     {100, DO_RETRY, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        webhook(&g);
        struct judged o = judging_body(&g, table[i].status, "{\"message\":\"why\"}");
        if (o.act != table[i].act || o.unsure != table[i].unsure || o.bug || o.entry_count)
            fail_msg("status %u: kind %d, unsure %d", table[i].status, o.act, o.unsure);
        if (o.act == DO_OK)
            assert_int_equal(o.message.n, 0);
        else
            assert_true(o.message.n > 0);
    }
}

static void no_answer_is_a_failed_attempt_in_doubt_only_when_it_may_have_reached(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    struct http_answer answer = {
        .error = "could not connect", .reached = false, .retry_after_ms = -1};
    struct judged o = judging_answer(&g, &answer);
    assert_int_equal(o.act, DO_RETRY);
    assert_false(o.unsure);
    assert_words(o.message, "could not connect");
    answer.reached = true;
    assert_true(judging_answer(&g, &answer).unsure);
}

static void an_accepting_answer_that_broke_off_says_nothing_sure(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    struct http_answer answer = {
        .status = 200, .error = "cut", .reached = true, .retry_after_ms = -1};
    struct judged o = judging_answer(&g, &answer);
    assert_int_equal(o.act, DO_RETRY);
    assert_true(o.unsure);
    /* A refusal whose words broke off is a refusal all the same. */
    answer.status = 401;
    assert_int_equal(judging_answer(&g, &answer).act, DO_AUTH);
}

static void bodies_without_a_list_of_errors_accept_everything(void **state)
{
    (void)state;
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
        CLEANUP(judging_done) struct judging g;
        webhook(&g);
        struct judged o = judging_body(&g, 200, bodies[i]);
        if (o.act != DO_OK || o.entry_count)
            fail_msg("body %s: kind %d, %zu entries", bodies[i], o.act, o.entry_count);
    }
}

static void listed_records_get_their_own_verdicts_in_ascending_order(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    struct judged o =
        judging_body(&g, 200,
                     "{\"errors\":[{\"index\":2,\"message\":\"gone\",\"code\":\"not_found\"},"
                     "{\"index\":0,\"message\":\"busy\",\"retryable\":true},"
                     "{\"index\":1,\"message\":\"no such "
                     "contact\",\"retryable\":false,\"code\":\"not_found\"}]}");
    assert_int_equal(o.act, DO_OK);
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
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    struct judged o = judging_body(
        &g, 200,
        "{\"errors\":[{\"index\":0,\"why\":\"x\"},{\"index\":1,\"message\":{\"a\":[1]}}]}");
    assert_int_equal(o.entry_count, 2);
    assert_int_equal(o.entries[0].verdict, VERDICT_REJECTED);
    assert_true(memmem(o.entries[0].message.p, o.entries[0].message.n, "\"why\"", 5) != NULL);
    assert_true(memmem(o.entries[1].message.p, o.entries[1].message.n, "\"a\"", 3) != NULL);
}

static void an_index_that_names_no_record_spoils_the_whole_answer(void **state)
{
    (void)state;
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
        CLEANUP(judging_done) struct judging g;
        webhook(&g);
        char body[256];
        snprintf(body, sizeof body, "{\"errors\":%s}", lists[i]);
        struct judged o = judging_body(&g, 200, body);
        if (o.act != DO_RETRY || !o.bug || !o.unsure || o.entry_count)
            fail_msg("%s: kind %d bug %d", body, o.act, o.bug);
    }
}

static void a_record_listed_twice_is_refused_once_and_finality_wins(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "{\"errors\":[{\"index\":0,\"message\":\"a\"},{\"index\":0,\"message\":\"b\"}]}",
        "{\"errors\":[{\"index\":0,\"message\":\"b\",\"retryable\":true},"
        "{\"index\":0,\"message\":\"a\"}]}",
        "{\"errors\":[{\"index\":0,\"message\":\"a\"},"
        "{\"index\":0,\"message\":\"b\",\"retryable\":true}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        CLEANUP(judging_done) struct judging g;
        webhook(&g);
        struct judged o = judging_body(&g, 200, lists[i]);
        assert_int_equal(o.act, DO_OK);
        assert_int_equal(o.entry_count, 1);
        assert_int_equal(o.entries[0].index, 0);
        assert_int_equal(o.entries[0].verdict, VERDICT_REJECTED);
        assert_true(slice_eq_str(o.entries[0].message, "a"));
    }
}

static void a_list_is_understood_whatever_stands_beside_it(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"id\":123456789012345678901234567890,\"errors\":[{\"index\":1}]}",
        "{\"note\":\"a\\u0000b\",\"errors\":[{\"index\":1}]}",
        "{\"note\":\"caf\xe9\",\"errors\":[{\"index\":1,\"message\":\"\xe9\"}]}",
        "\n {\"errors\" : [ { \"index\" : 1.0 } ] } \n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        CLEANUP(judging_done) struct judging g;
        webhook(&g);
        struct judged o = judging_body(&g, 200, bodies[i]);
        if (o.entry_count != 1 || o.entries[0].index != 1)
            fail_msg("body %zu: %zu entries", i, o.entry_count);
    }
}

static void a_list_too_long_to_be_read_is_not_taken_for_acceptance(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    struct http_answer answer = {.status = 200,
                                 .body = SLICE_LIT("{\"errors\":[{\"index\":0},"),
                                 .body_cut = true,
                                 .retry_after_ms = -1};
    assert_true(judging_answer(&g, &answer).bug);
    answer.body = SLICE_LIT("{\"everything\":\"is fine");
    assert_int_equal(judging_answer(&g, &answer).act, DO_OK);
}

static void the_remotes_words_are_found_and_made_fit_to_keep(void **state)
{
    (void)state;
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
        CLEANUP(judging_done) struct judging g;
        webhook(&g);
        assert_words(judging_body(&g, table[i].status, table[i].body).message, table[i].words);
    }
}

static void words_are_cut_between_characters(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    char body[3 * RESULT_MESSAGE_MAX];
    for (size_t i = 0; i + 3 <= sizeof body; i += 3)
        memcpy(body + i, "\xe2\x82\xac", 3);
    struct slice words = words_clean(&g.answer, slice_of(body, sizeof body));
    assert_int_equal(words.n, RESULT_MESSAGE_MAX / 3 * 3);
    words = words_with_status(&g.answer, 400, words);
    assert_true(words.n <= RESULT_MESSAGE_MAX);
    assert_int_equal((words.n - strlen("HTTP 400: ")) % 3, 0);
}

static void a_redirect_says_where_to_but_not_with_what(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    struct http_answer answer = {
        .status = 302, .location = "https://else.where/in?token=hidden", .retry_after_ms = -1};
    struct judged o = judging_answer(&g, &answer);
    assert_int_equal(o.act, DO_HALT);
    assert_words(o.message,
                 "HTTP 302: redirects are not followed; this one points to https://else.where/in");
}

static void a_throttling_answer_hands_its_delay_on(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    webhook(&g);
    struct http_answer answer = {.status = 429, .retry_after_ms = 7000};
    assert_int_equal(judging_answer(&g, &answer).wait_ms, 7000);
    answer.retry_after_ms = -1;
    assert_int_equal(judging_answer(&g, &answer).wait_ms, -1);
    answer.status = 500;
    answer.retry_after_ms = 7000;
    assert_int_equal(judging_answer(&g, &answer).wait_ms, -1);
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
    return cmocka_run_group_tests(tests, NULL, NULL);
}
