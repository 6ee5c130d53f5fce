/* Whether an answer accounts for every record: what it leaves out, counts, drops or breaks off. */
#include "tests/unit/judge/judging.h"

#include "protocol/base/clock.h"

/* ---- what no source mentions, counts, sums ---- */

static void what_is_not_mentioned_is_as_the_rule_says(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum verdict verdict;
        const char *entries;
    } table[] = {
        {"accept", VERDICT_OK, "1:rejected(x)"},
        {"open", VERDICT_OPEN, "0:ok 1:rejected(x)"},
        {"reject", VERDICT_REJECTED, "0:ok 1:rejected(x)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256];
        snprintf(step, sizeof step,
                 "verdicts: {at: /r, index: /i, ok: {at: /ok, equals: true}, unmentioned: %s}",
                 table[i].word);
        judging_init(&g, step, NULL);
        struct judged v = judging_body(
            &g, 200, "{\"r\":[{\"i\":0,\"ok\":true},{\"i\":1,\"ok\":false,\"error\":\"x\"}]}");
        assert_int_equal(v.act, DO_OK);
        assert_int_equal(v.unmentioned, table[i].verdict);
        assert_entries(&g, &v, table[i].entries);
        assert_int_equal(judging_body(&g, 200, "").unmentioned, table[i].verdict);
    }
}

static void entries_that_throttle_are_sent_again(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    judging_init(&g, "verdicts: {at: /e, index: /i, throttle: {at: /c, in: [busy]}, message: /c}",
                 NULL);
    struct judged v = judging_headers(&g, 200, "Retry-After: 4",
                                      "{\"e\":[{\"i\":0,\"c\":\"busy\"},{\"i\":1,\"c\":\"bad\"}]}");
    assert_entries(&g, &v, "0:open(busy) 1:rejected(bad)");
    assert_true(v.entry_throttles);
    assert_int_equal(v.wait_ms, 4000);
    assert_false(judging_body(&g, 200, "{\"e\":[{\"i\":1,\"c\":\"bad\"}]}").entry_throttles);
}

static void counts_warn_or_halve(void **state)
{
    (void)state;
    static const struct {
        const char *then;
        const char *body;
        enum rule_do act;
        const char *words;
    } table[] = {
        {"accept", "{\"failed\":0}", DO_OK, ""},
        {"accept", "{}", DO_OK, ""},
        {"accept", "{\"failed\":2,\"why\":{\"BAD\":2}}", DO_OK,
         "2 of 3 records were not taken: {\"BAD\":2}"},
        {"accept", "{\"failed\":[1,2],\"why\":\"x\"}", DO_OK, "2 of 3 records were not taken: x"},
        {"accept", "{\"failed\":\"1\"}", DO_OK, "1 of 3 records were not taken"},
        {"split", "{\"failed\":1,\"why\":null}", DO_SPLIT, "1 of 3 records were not taken"},
        {"split", "{\"failed\":0}", DO_OK, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256];
        snprintf(step, sizeof step,
                 "verdicts: {counts: {failed: /failed, reasons: /why, then: %s}}", table[i].then);
        judging_init(&g, step, NULL);
        struct judged v = judging_body(&g, 200, table[i].body);
        assert_int_equal(v.act, table[i].act);
        assert_false(v.unsure);
        assert_words(v.act == DO_OK ? v.warning : v.message, table[i].words);
    }
}

static void sums_must_account_for_every_record(void **state)
{
    (void)state;
    static const struct {
        const char *assert_;
        const char *body;
        bool holds;
    } table[] = {
        {"{sum: [/done, /failed], equals: records}", "{\"done\":2,\"failed\":[{}]}", true},
        {"{sum: [/done, /failed], equals: records}", "{\"done\":2,\"failed\":[]}", false},
        {"{sum: [/done, /failed], equals: records}", "{\"done\":4}", false},
        {"{sum: [/done, /failed], equals: records}", "", false},
        {"{sum: ['/*/n'], equals: records}", "[{\"n\":1},{\"n\":\"2\"}]", true},
        {"{sum: [/done], at_least: 1}", "{\"done\":[1]}", true},
        {"{sum: [/done], at_least: 1}", "{\"done\":[]}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256];
        snprintf(step, sizeof step, "verdicts: {assert: %s}", table[i].assert_);
        judging_init(&g, step, NULL);
        struct judged v = judging_body(&g, 200, table[i].body);
        if (v.act != (table[i].holds ? DO_OK : DO_RETRY) || v.unsure == table[i].holds || v.bug)
            fail_msg("%s of %s: %d", table[i].assert_, table[i].body, v.act);
    }
}

/* ---- dropping ---- */

static void what_a_refused_request_names_is_dropped(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum rule_do act;
        const char *entries;
        bool bug;
    } table[] = {
        {"{\"e\":[{\"i\":1,\"m\":\"x\"}]}", DO_DROP, "1:rejected(x)", false},
        {"{\"e\":[{\"i\":1,\"m\":\"x\"},{\"m\":\"of nobody\"}]}", DO_DROP, "1:rejected(x)", false},
        {"{\"e\":[{\"m\":\"of nobody\"}]}", DO_SPLIT, "", false},
        {"{\"e\":[]}", DO_SPLIT, "", false},
        {"no json", DO_SPLIT, "", false},
        {"{\"e\":[{\"i\":7,\"m\":\"x\"}]}", DO_RETRY, "", true},
        {"{\"e\":[{\"i\":1,\"m\":\"x\"},{\"i\":2,\"m\":\"later\"}]}", DO_DROP,
         "1:rejected(x) 2:open(later)", false},
        {"{\"e\":[{\"i\":2,\"m\":\"later\"}]}", DO_RETRY, "", false},
        {"{\"e\":[{\"i\":2,\"m\":\"slow\"}]}", DO_THROTTLE, "", false},
        {"{\"e\":[{\"i\":2,\"m\":\"fine\"}]}", DO_DROP, "2:ok", false},
        /* What looks well in an answer that took nothing was not taken. */
        {"{\"e\":[{\"i\":0,\"m\":\"ok\"},{\"i\":1,\"m\":\"x\"}]}", DO_DROP, "1:rejected(x)", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        judging_init(&g,
                     "answers: [{status: 400, do: drop}], verdicts: {at: /e, index: /i, message: "
                     "/m, retryable: {at: /m, equals: later}, throttle: {at: /m, equals: slow}, "
                     "accept: {at: /m, equals: fine}, ok: {at: /m, equals: ok}}",
                     NULL);
        struct judged v = judging_body(&g, 400, table[i].body);
        if (v.act != table[i].act || v.bug != table[i].bug)
            fail_msg("%s: %d", table[i].body, v.act);
        assert_entries(&g, &v, table[i].entries);
        assert_true(v.message.n > 0);
        assert_int_equal(v.unsure, table[i].bug);
    }
}

/* ---- answers that are not whole ---- */

static void what_was_cut_or_broke_off_accepts_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *verdicts;
        const char *body;
    } cut[] = {
        {"{at: /e, index: /i}", "{\"e\":[{\"i\":0}"},
        {"{at: '/*/e', index: /i}", "{\"x\":"},
        {"{at: /r, by: position, ok: {at: /s, equals: 1}}", "{\"x\":"},
        {"{format: csv, column: Key}", "Key\na\n"},
        {"{format: ndjson, key: /k}", "{\"k\":\"a\"}\n"},
        {"{assert: {sum: [/n], equals: records}}", "{\"n\":3,"},
        {"{counts: {failed: /n, then: accept}}", "{\"x\":"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256];
        snprintf(step, sizeof step, "verdicts: %s", cut[i].verdicts);
        judging_init(&g, step, NULL);
        judging_keys(&g, "a b c", OP_UPSERT);
        struct http_answer answer = {.status = 200,
                                     .body = slice_str(cut[i].body),
                                     .body_cut = true,
                                     .reached = true,
                                     .retry_after_ms = -1};
        struct judged v = judging_answer(&g, &answer);
        if (v.act != DO_RETRY || !v.bug || !v.unsure || v.entry_count)
            fail_msg("%s of %s: %d", cut[i].verdicts, cut[i].body, v.act);
    }
    CLEANUP(judging_done) struct judging g;
    judging_init(&g, "answers: [{status: 400, do: ok}], verdicts: {at: /e, index: /i}", NULL);
    struct http_answer broken = {.status = 400,
                                 .body = SLICE_LIT("{\"e\":[]}"),
                                 .error = "the connection broke",
                                 .reached = true,
                                 .retry_after_ms = -1};
    struct judged v = judging_answer(&g, &broken);
    assert_int_equal(v.act, DO_RETRY);
    assert_true(v.unsure);
    assert_words(v.message, "the connection broke");
}

static void what_is_too_deep_to_be_looked_at_accepts_nothing(void **state)
{
    (void)state;
    enum { DEEP = 2000 };
    static const struct {
        const char *step;
        bool bug;
    } table[] = {
        {"verdicts: {at: /e, index: /i}", true},
        {"verdicts: {at: /f, index: /i}", false}, /* nothing of it is there */
        {"verdicts: {counts: {failed: /e, then: accept}}", true},
        {"lookup: {entries: /e, key: /k, missing: create}", true},
        {"answers: [{json: {at: /x, equals: 1}, do: fail}, {body: not_json, do: fail}, {do: ok}]",
         true},
        {"", false},
    };
    char body[2 * DEEP + 16];
    int n = sprintf(body, "{\"e\":");
    memset(body + n, '[', DEEP);
    memset(body + n + DEEP, ']', DEEP);
    strcpy(body + n + 2 * DEEP, "}");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        judging_init(&g, table[i].step, NULL);
        judging_keys(&g, "a b c", OP_UPSERT);
        struct judged v = judging_body(&g, 200, body);
        if (v.bug != table[i].bug || v.act != (v.bug ? DO_RETRY : DO_OK))
            fail_msg("%s: act %d, bug %d", table[i].step, v.act, v.bug);
    }
}

/* ---- several arrays ---- */

static void an_index_counts_among_the_records_of_its_array(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    judging_init(&g, "verdicts: {at: /e, index: /i, in: {at: /a, equals: removals}, message: /m}",
                 NULL);
    judging_records(&g, 5, OP_UPSERT);
    g.request.ops[1] = g.request.ops[4] = OP_DELETE;
    struct verdict_source *s = (struct verdict_source *)(uintptr_t)g.step->verdicts->sources;
    s->among = (struct record_filter){.ops = 1u << OP_DELETE};
    struct judged v = judging_body(
        &g, 200, "{\"e\":[{\"i\":1,\"a\":\"removals\",\"m\":\"x\"},{\"i\":4,\"a\":\"y\"}]}");
    assert_entries(&g, &v, "4:rejected(x)");
    assert_true(judging_body(&g, 200, "{\"e\":[{\"i\":2,\"a\":\"removals\"}]}").bug);
    /* By a field's value: as the request was rendered. */
    static const char *const kinds[] = {"event", "sale"};
    s->among = (struct record_filter){.field = "kind", .in = kinds, .in_count = 2};
    assert_true(judging_body(&g, 200, "{\"e\":[{\"i\":0,\"a\":\"removals\"}]}").bug);
    struct slice chosen[] = {
        SLICE_LIT("x"), SLICE_LIT("sale"), {0}, SLICE_LIT("event"), SLICE_LIT("sales")};
    g.request.chosen = chosen;
    v = judging_body(&g, 200, "{\"e\":[{\"i\":1,\"a\":\"removals\",\"m\":\"x\"}]}");
    assert_entries(&g, &v, "3:rejected(x)");
}

/* ---- size ---- */

static void a_hundred_thousand_entries_are_read_in_linear_time(void **state)
{
    (void)state;
    enum { RECORDS = 65535, KEY_BYTES = 8, ENTRY_BYTES = 64, DEADLINE_MS = 10000 };
    CLEANUP(judging_done) struct judging g;
    judging_init(&g, "verdicts: {at: /e, key: /k, key_as: lower, message: /m}", NULL);
    char *keys = malloc(RECORDS * KEY_BYTES), *body = malloc((size_t)RECORDS * ENTRY_BYTES);
    size_t n = 0, m = 0;
    for (int i = 0; i < RECORDS; i++) {
        n += (size_t)sprintf(keys + n, "%sk%d", i ? " " : "", i);
        m += (size_t)sprintf(body + m, "%s{\"k\":\"K%d\",\"m\":\"\\u0062ad %d\"}",
                             i ? "," : "{\"e\":[", RECORDS - 1 - i, i);
    }
    strcpy(body + m, "]}");
    judging_keys(&g, keys, OP_UPSERT);
    int64_t begun = clock_mono_ms();
    struct judged v = judging_body(&g, 200, body);
    assert_true(clock_mono_ms() - begun < DEADLINE_MS);
    assert_int_equal(v.act, DO_OK);
    assert_int_equal(v.entry_count, RECORDS);
    assert_words(v.entries[0].message, "bad 65534");
    free(keys);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_mentioned_is_as_the_rule_says),
        cmocka_unit_test(entries_that_throttle_are_sent_again),
        cmocka_unit_test(counts_warn_or_halve),
        cmocka_unit_test(sums_must_account_for_every_record),
        cmocka_unit_test(what_a_refused_request_names_is_dropped),
        cmocka_unit_test(what_was_cut_or_broke_off_accepts_nothing),
        cmocka_unit_test(what_is_too_deep_to_be_looked_at_accepts_nothing),
        cmocka_unit_test(an_index_counts_among_the_records_of_its_array),
        cmocka_unit_test(a_hundred_thousand_entries_are_read_in_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
