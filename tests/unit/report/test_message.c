/* Every kind of news in the form of every receiver: what it is about, and what it says. */
#include "scheduler/report/message.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 4096 };

static const char *const receivers[] = {"ana@example.org"};

static const struct kind {
    enum alert_on what;
    unsigned of;
    const char *title, *detail;
    const char *action, *severity, *key; /* at PagerDuty */
} kinds[] = {
    {ALERT_ON_FAILED, 0, "orders failed", "bad token", "trigger", "error", "orders/failed"},
    {ALERT_ON_WARNING, 0, "orders: 5 records were not accepted", "sluice errors orders", "trigger",
     "warning", "orders/warning"},
    {ALERT_ON_HELD, 0, "a run of orders waits for approval", "sluice approve r1", "trigger",
     "warning", "orders/held"},
    {ALERT_ON_LATE, 0, "orders is late", "objective is 60 s", "trigger", "error", "orders/late"},
    {ALERT_ON_RECOVERED, ALERT_ON_LATE, "orders has recovered", "Run r1", "resolve", "error",
     "orders/late"},
};

static struct run_record record(void)
{
    struct run_record r = {.id = "r1",
                           .sync = "orders",
                           .status = RUN_WARNING,
                           .started_ms = 1700000000000,
                           .error = "bad token",
                           .reason = "guard max_removed"};
    r.counts =
        (struct run_counts){.rows = 9, .planned = 9, .succeeded = 4, .rejected = 2, .failed = 3};
    return r;
}

static void make(const struct alert *a, const struct kind *k, const struct run_record *r,
                 struct message *ret)
{
    struct err err;
    struct news n = {.what = k->what,
                     .of = k->of,
                     .sync = "orders",
                     .run = r,
                     .at_ms = 1700000100000,
                     .fresh_ms = 1700000000000,
                     .objective_ms = 60000,
                     .origin = "here"};
    assert_false(message_make(a, &n, ret, &err));
}

static void assert_has(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("%s is not in: %s", words, text);
}

static const char *at(const json_t *j, const char *name)
{
    const char *text = json_string_value(json_object_get(j, name));
    assert_non_null(text);
    return text;
}

static json_t *body_of(const struct message *m)
{
    json_t *j = json_loadb(m->parcel.body.p, m->parcel.body.n, 0, NULL);
    assert_non_null(j);
    return j;
}

static void slack_says_it_in_one_text(void **state)
{
    (void)state;
    const struct alert a = {.name = "ops", .type = ALERT_SLACK, .url = "http://slack/hook"};
    struct run_record r = record();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct message m;
        make(&a, &kinds[i], &r, &m);
        json_t *j = body_of(&m);
        assert_string_equal(m.parcel.url, a.url);
        assert_has(at(j, "text"), kinds[i].title);
        assert_has(at(j, "text"), kinds[i].detail);
        json_decref(j);
        message_done(&m);
    }
}

static void a_webhook_has_the_run_in_numbers(void **state)
{
    (void)state;
    const struct alert a = {.name = "ops", .type = ALERT_WEBHOOK, .url = "http://here/"};
    struct run_record r = record();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct message m;
        make(&a, &kinds[i], &r, &m);
        json_t *j = body_of(&m), *run = json_object_get(j, "run");
        assert_string_equal(at(j, "event"), news_name(kinds[i].what));
        assert_has(at(j, "title"), kinds[i].title);
        assert_string_equal(at(j, "sync"), "orders");
        assert_string_equal(at(run, "id"), "r1");
        assert_int_equal(json_integer_value(json_object_get(run, "rejected")), 2);
        json_decref(j);
        message_done(&m);
    }
}

static void pagerduty_opens_an_incident_of_each_kind_and_resolves_it(void **state)
{
    (void)state;
    const struct alert a = {
        .name = "ops", .type = ALERT_PAGERDUTY, .url = "http://pager/", .routing_key = "key"};
    struct run_record r = record();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct message m;
        make(&a, &kinds[i], &r, &m);
        json_t *j = body_of(&m), *payload = json_object_get(j, "payload");
        assert_string_equal(at(j, "routing_key"), "key");
        assert_string_equal(at(j, "event_action"), kinds[i].action);
        assert_has(at(j, "dedup_key"), kinds[i].key);
        assert_has(at(payload, "summary"), kinds[i].title);
        assert_string_equal(at(payload, "severity"), kinds[i].severity);
        assert_has(at(json_object_get(payload, "custom_details"), "detail"), kinds[i].detail);
        json_decref(j);
        message_done(&m);
    }
}

static void decode(const char *from, size_t n, char *out)
{
    char whole[TEXT_BYTES];
    size_t count = 0;
    for (size_t i = 0; i < n && count < sizeof whole; i++)
        if (from[i] != '\r' && from[i] != '\n')
            whole[count++] = from[i];
    assert_true(count < sizeof whole && count % 4 == 0);
    int bytes = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)whole, (int)count);
    assert_true(bytes >= 0);
    out[bytes] = '\0';
}

/* The encoded words of the subject, joined. */
static void decode_subject(const char *mail, char *out)
{
    const char *word = strstr(mail, "Subject:");
    const char *end = strstr(mail, "\r\nDate:");
    assert_true(word && end);
    *out = '\0';
    while ((word = strstr(word, "=?UTF-8?B?")) && word < end) {
        char part[TEXT_BYTES];
        word += 10;
        decode(word, strcspn(word, "?"), part);
        strcat(out, part);
    }
}

static void mail_has_subject_text_and_receivers(void **state)
{
    (void)state;
    const struct alert a = {.name = "ops",
                            .type = ALERT_EMAIL,
                            .smtp = "smtp://mail:25",
                            .from = "sluice@example.org",
                            .to = receivers,
                            .to_count = 1};
    struct run_record r = record();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct message m;
        char text[TEXT_BYTES], *mail;
        make(&a, &kinds[i], &r, &m);
        mail = strndup(m.parcel.body.p, m.parcel.body.n);
        assert_non_null(mail);
        assert_int_equal(m.parcel.to_count, 1);
        assert_has(mail, "To: <ana@example.org>");
        decode_subject(mail, text);
        assert_has(text, kinds[i].title);
        const char *body = strstr(mail, "\r\n\r\n");
        assert_non_null(body);
        decode(body, strlen(body), text);
        assert_has(text, kinds[i].detail);
        free(mail);
        message_done(&m);
    }
}

static void a_destination_that_is_away_is_named_where_there_is_no_error(void **state)
{
    (void)state;
    const struct alert a = {.name = "ops", .type = ALERT_SLACK, .url = "http://slack/hook"};
    struct run_record r = record();
    struct message m;
    r.error[0] = '\0';
    snprintf(r.reason, sizeof r.reason, "no record reached the destination: refused");
    make(&a, &kinds[0], &r, &m);
    json_t *j = body_of(&m);
    assert_has(at(j, "text"), "no record reached the destination: refused");
    json_decref(j);
    message_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slack_says_it_in_one_text),
        cmocka_unit_test(a_webhook_has_the_run_in_numbers),
        cmocka_unit_test(pagerduty_opens_an_incident_of_each_kind_and_resolves_it),
        cmocka_unit_test(mail_has_subject_text_and_receivers),
        cmocka_unit_test(a_destination_that_is_away_is_named_where_there_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
