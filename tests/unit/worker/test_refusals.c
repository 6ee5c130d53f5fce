/* Requests that are refused for their token: when another one helps, and when the run ends. Two
 * batches use the tokens of one worker; the token endpoint is played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/worker/there.h"
#include "worker/deliver/prelude.h"
#include "worker/drive/follow.h"

enum { PROGRESS_ROOM = 4096 };

#define CONNECTOR                                                                                  \
    "connectors:\n"                                                                                \
    "  desk:\n"                                                                                    \
    "    options: {secret: {secret: true}}\n"                                                      \
    "    auth:\n"                                                                                  \
    "      headers: {Authorization: 'Bearer {{auth.token}}'}\n"                                    \
    "      token:\n"                                                                               \
    "        grant: client_credentials\n"                                                          \
    "        url: 'http://x/token'\n"                                                              \
    "        form: {secret: '{{options.secret}}'}\n"                                               \
    "        capture: {token: {json: /token}, expires: {json: /expires}}\n"                        \
    "    objects:\n"                                                                               \
    "      things:\n"                                                                              \
    "        keys: {'*': {}}\n"                                                                    \
    "        fields: {'*': {}}\n"                                                                  \
    "        modes: [upsert]\n"                                                                    \
    "        max_records: 10\n"                                                                    \
    "        requests: {upsert: {url: 'http://x/put', body: {json: {$records: {id: "               \
    "'{{key}}'}}}}}\n"

/* One batch of the two; the other's work is done in between with the same destination. */
struct refusals {
    struct there t;
    struct outcome last;
    char room[PROGRESS_ROOM];
    uint32_t tokens;
};

static void begin(struct refusals *r)
{
    struct err err;
    *r = (struct refusals){0};
    assert_int_equal(there_open(&r->t, "{type: desk, secret: s3cret}", CONNECTOR, &err), ERR_OK);
    r->t.delivery.now_ms = 1000000;
}

static void send(struct refusals *r, struct slice progress)
{
    static const char *const keys[] = {"id", NULL}, *const fields[] = {"x", NULL};
    struct sample_head h = {"s", "r", "b", "hook", "f", keys, fields, 0};
    struct value key = sample_number("1"), v = sample_number("2");
    struct record record = {0, OP_UPSERT, &key, &v};
    struct err err;
    r->t.delivery.progress = progress;
    if (there_render(&r->t, &h, &record, 1, &err))
        fail_msg("%s", err.text);
}

static void answer(struct refusals *r, uint32_t status)
{
    struct http_answer a = {.status = status,
                            .body = SLICE_LIT("{\"message\":\"not you\"}"),
                            .reached = true,
                            .retry_after_ms = -1};
    r->last = there_judge(&r->t, &a);
    assert_true(r->last.progress.n < PROGRESS_ROOM);
    if (r->last.progress.n)
        memcpy(r->room, r->last.progress.p, r->last.progress.n);
    r->last.progress = slice_of(r->room, r->last.progress.n);
}

static bool token_is_missing(struct refusals *r, struct prelude **ret_prelude)
{
    struct err err;
    r->t.delivery.progress = r->last.progress;
    assert_int_equal(r->t.driver->prelude(r->t.state, &r->t.delivery, ret_prelude, &err), ERR_OK);
    return *ret_prelude != NULL;
}

/* The worker gets another token, in the turn of whichever batch. */
static void renew(struct refusals *r)
{
    struct prelude *p;
    struct prelude_answer got;
    struct err err;
    char body[80];
    struct http_answer a = {.status = 200, .reached = true, .retry_after_ms = -1};
    assert_true(token_is_missing(r, &p));
    snprintf(body, sizeof body, "{\"token\":\"t-%u\",\"expires\":3600}", (unsigned)++r->tokens);
    a.body = slice_str(body);
    assert_int_equal(p->ops->render(p, &r->t.delivery, &r->t.rendered, &err), ERR_OK);
    assert_int_equal(p->ops->classify(p, &r->t.delivery, &r->t.rendered, &a, &got, &err), ERR_OK);
    assert_true(got.known);
}

/* The other batch uses the token, and is accepted. */
static void used_by_another(struct refusals *r)
{
    struct outcome mine = r->last;
    char room[PROGRESS_ROOM];
    memcpy(room, r->room, sizeof room);
    send(r, (struct slice){0});
    answer(r, 200);
    assert_int_equal(r->last.kind, OUTCOME_ANSWERED);
    memcpy(r->room, room, sizeof room);
    r->last = mine;
}

static void refused(struct refusals *r)
{
    send(r, r->last.progress);
    answer(r, 401);
}

static void new_tokens_that_are_refused_end_the_run(void **state)
{
    (void)state;
    struct refusals r;
    begin(&r);
    for (uint32_t i = 1; i < FOLLOW_REFUSED_NEW_MAX; i++) {
        renew(&r);
        refused(&r);
        assert_int_equal(r.last.kind, OUTCOME_CONTINUE);
        assert_int_equal(r.last.delay_ms, 0);
    }
    renew(&r);
    refused(&r);
    assert_int_equal(r.last.kind, OUTCOME_STOP);
    assert_non_null(memmem(r.last.message.p, r.last.message.n, "not you", 7));
    there_close(&r.t);
}

static void a_token_that_others_used_up_is_no_reason_to_stop(void **state)
{
    (void)state;
    struct refusals r;
    begin(&r);
    for (uint32_t i = 0; i < 2 * FOLLOW_REFUSED_NEW_MAX; i++) {
        renew(&r);
        used_by_another(&r);
        refused(&r);
        assert_int_equal(r.last.kind, OUTCOME_CONTINUE);
    }
    renew(&r);
    send(&r, r.last.progress);
    answer(&r, 200);
    assert_int_equal(r.last.kind, OUTCOME_ANSWERED);
    there_close(&r.t);
}

static void refusals_without_end_are_a_failed_attempt(void **state)
{
    (void)state;
    struct refusals r;
    begin(&r);
    for (uint32_t i = 0; i < FOLLOW_REFUSALS_MAX; i++) {
        renew(&r);
        used_by_another(&r);
        refused(&r);
        assert_int_equal(r.last.kind, OUTCOME_CONTINUE);
    }
    renew(&r);
    used_by_another(&r);
    refused(&r);
    assert_int_equal(r.last.kind, OUTCOME_RETRY);
    assert_int_equal(r.last.progress.n, 0);
    assert_non_null(memmem(r.last.message.p, r.last.message.n, "not you", 7));
    there_close(&r.t);
}

static void whoever_minds_something_else_does_not_mind_the_token(void **state)
{
    (void)state;
    struct refusals r;
    begin(&r);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 1; i < FOLLOW_REFUSED_NEW_MAX; i++) {
            renew(&r);
            refused(&r);
            assert_int_equal(r.last.kind, OUTCOME_CONTINUE);
        }
        renew(&r);
        send(&r, r.last.progress);
        answer(&r, 429);
        assert_int_equal(r.last.kind, OUTCOME_THROTTLE);
        refused(&r); /* the same token, which is not new any more */
        assert_int_equal(r.last.kind, OUTCOME_CONTINUE);
    }
    there_close(&r.t);
}

static void a_newer_token_is_taken_as_it_is(void **state)
{
    (void)state;
    struct refusals r;
    struct prelude *p;
    begin(&r);
    renew(&r);
    used_by_another(&r);
    send(&r, (struct slice){0}); /* on its way while the token is renewed for another batch */
    struct rendered on_its_way = r.t.rendered;
    rendered_init(&r.t.rendered);
    refused(&r);
    renew(&r);
    rendered_done(&r.t.rendered);
    r.t.rendered = on_its_way;
    answer(&r, 401);
    assert_int_equal(r.last.kind, OUTCOME_CONTINUE);
    assert_false(token_is_missing(&r, &p));
    there_close(&r.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_tokens_that_are_refused_end_the_run),
        cmocka_unit_test(a_token_that_others_used_up_is_no_reason_to_stop),
        cmocka_unit_test(refusals_without_end_are_a_failed_attempt),
        cmocka_unit_test(whoever_minds_something_else_does_not_mind_the_token),
        cmocka_unit_test(a_newer_token_is_taken_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
