/* Alerts against a real HTTP receiver on the same loop. */
#include "protocol/base/clock.h"
#include "scheduler/report/alerts.h"
#include "scheduler/report/told.h"
#include "tests/unit/report/fake_control.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGES_MAX = 32, DEADLINE_MS = 30000 };

static const char head[] =
    "sources: {w: {type: postgres, url: postgresql://h/d}}\n"
    "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
    "destinations: {d: {type: webhook, url: 'http://h/1'}}\n"
    "syncs:\n"
    "  a: {model: m, destination: d, mappings: all, freshness: 1h}\n"
    "  b: {model: m, destination: d, mappings: all}\n"
    "  c: {model: m, destination: d, mappings: all}\n"
    "  d: {model: m, destination: d, mappings: all}\n"
    "  e: {model: m, destination: d, mappings: all}\n"
    "  f: {model: m, destination: d, mappings: all}\n"
    "  g: {model: m, destination: d, mappings: all, schedule: {stream: {from: "
    "keys, keys: {t: id}, create: true, max_slot_lag: 2GB}}}\n"
    "alerts:\n";

struct lab {
    struct control control;
    struct event_base *base;
    struct evhttp *receiver;
    struct event *pulse;
    uint16_t port;
    int status; /* that the receiver answers with */
    char *messages[MESSAGES_MAX];
    char signature[MESSAGES_MAX][100];
    size_t count;
    size_t asked; /* refused ones too */
    FILE *log_file;
    struct log log;
    struct alerts *alerts;
};

static void on_message(struct evhttp_request *r, void *ctx)
{
    struct lab *l = ctx;
    struct evbuffer *in = evhttp_request_get_input_buffer(r);
    size_t n = evbuffer_get_length(in);
    l->asked++;
    if (l->status == 200) {
        assert_true(l->count < MESSAGES_MAX);
        char *text = calloc(1, n + 1);
        evbuffer_copyout(in, text, n);
        const char *signature =
            evhttp_find_header(evhttp_request_get_input_headers(r), "X-Sluice-Signature");
        snprintf(l->signature[l->count], sizeof l->signature[0], "%s", signature ? signature : "");
        l->messages[l->count++] = text;
    }
    evhttp_send_reply(r, l->status, NULL, NULL);
}

static void on_pulse(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct lab *l = ctx;
    alerts_turn(l->alerts);
}

static void begin(struct lab *l)
{
    struct err err;
    if (alerts_new(l->base, &l->control, &l->log, &l->alerts, &err))
        fail_msg("%s", err.text);
}

/* %d in the alerts' YAML stands for the receiver's port. */
static void setup(struct lab *l, const char *alerts)
{
    char yaml[4000];
    struct sockaddr_in at = {0};
    socklen_t n = sizeof at;
    struct timeval every = {0, 20000};
    *l = (struct lab){.status = 200, .base = event_base_new()};
    l->receiver = evhttp_new(l->base);
    struct evhttp_bound_socket *s = evhttp_bind_socket_with_handle(l->receiver, "127.0.0.1", 0);
    assert_non_null(s);
    getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&at, &n);
    l->port = ntohs(at.sin_port);
    evhttp_set_gencb(l->receiver, on_message, l);
    size_t used = (size_t)snprintf(yaml, sizeof yaml, "%s", head);
    for (; *alerts; alerts++)
        if (strncmp(alerts, "%d", 2) == 0)
            used += (size_t)snprintf(yaml + used, sizeof yaml - used, "%u", l->port), alerts++;
        else
            yaml[used++] = *alerts;
    yaml[used] = '\0';
    fake_control_init(&l->control, yaml);
    fake_view(&l->control, "a")->fresh_ms = clock_wall_ms();
    l->log_file = tmpfile();
    l->log = (struct log){.program = "t", .level = LOG_DEBUG, .fd = fileno(l->log_file)};
    begin(l);
    l->pulse = event_new(l->base, -1, EV_PERSIST, on_pulse, l);
    event_add(l->pulse, &every);
}

static void teardown(struct lab *l)
{
    event_free(l->pulse);
    alerts_free(l->alerts);
    evhttp_free(l->receiver);
    event_base_free(l->base);
    for (size_t i = 0; i < l->count; i++)
        free(l->messages[i]);
    fclose(l->log_file);
    fake_control_done(&l->control);
}

static void restart(struct lab *l)
{
    struct err err;
    alerts_free(l->alerts);
    assert_int_equal(state_commit(l->control.state, &err), ERR_OK);
    fake_control_restart(&l->control);
    begin(l);
}

/* Turns the loop until so many messages have come; the last one of them. */
static const char *message(struct lab *l, size_t count)
{
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    while (l->count < count) {
        if (clock_mono_ms() > end_ms)
            fail_msg("%zu messages instead of %zu", l->count, count);
        event_base_loop(l->base, EVLOOP_ONCE);
    }
    assert_int_equal(l->count, count);
    return l->messages[count - 1];
}

/* Turns the loop until state knows that the alert t has told this of the sync. */
static void told_is(struct lab *l, const char *sync, uint32_t bits)
{
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    struct told told = {0};
    struct err err;
    do {
        assert_true(clock_mono_ms() < end_ms);
        event_base_loop(l->base, EVLOOP_ONCE);
        told_done(&told);
        assert_int_equal(told_load(l->control.state, sync, &told, &err), ERR_OK);
    } while (told_get(&told, "t") != bits);
    told_done(&told);
}

/* Longer than the pause between two messages. */
static void assert_silence(struct lab *l)
{
    int64_t end_ms = clock_mono_ms() + 1500;
    size_t count = l->count;
    while (clock_mono_ms() < end_ms)
        event_base_loop(l->base, EVLOOP_ONCE);
    if (l->count != count)
        fail_msg("told unasked: %s", l->messages[count]);
}

static void assert_has(const char *message, const char *words)
{
    if (!strstr(message, words))
        fail_msg("no %s in %s", words, message);
}

static void run_ends(struct lab *l, const char *id, const char *sync, enum run_status status,
                     uint64_t planned, uint64_t rejected)
{
    struct run_record r = fake_run(id, sync, status, clock_wall_ms(), 5);
    r.counts = (struct run_counts){.rows = planned,
                                   .added = planned,
                                   .planned = planned,
                                   .succeeded = planned - rejected,
                                   .rejected = rejected};
    if (status == RUN_FAILED)
        strcpy(r.error, "the warehouse said <no> & \"never\"\xff");
    if (status == RUN_HELD)
        strcpy(r.reason, "90 % would be removed");
    fake_view(&l->control, sync)->held = status == RUN_HELD;
    fake_run_put(&l->control, &r);
    alerts_run(l->alerts, &r);
}

static void a_failure_is_told_once_and_its_end_once(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: slack, url: 'http://127.0.0.1:%d/secret-path'}\n");
    run_ends(&l, "r1", "a", RUN_FAILED, 0, 0);
    const char *text = message(&l, 1);
    assert_has(text, "{\"text\":\"*Sluice: a failed*\\nRun r1, failed, begun ");
    assert_has(text, "the warehouse said &lt;no&gt; &amp; \\\"never\\\"\xEF\xBF\xBD");
    run_ends(&l, "r2", "a", RUN_FAILED, 0, 0);
    assert_silence(&l);
    run_ends(&l, "r3", "a", RUN_CANCELLED, 5, 0);
    assert_silence(&l);
    run_ends(&l, "r4", "a", RUN_SUCCESS, 5, 0);
    assert_has(message(&l, 2), "Sluice: a has recovered*\\nRun r4");
    run_ends(&l, "r5", "a", RUN_SUCCESS, 5, 0);
    assert_silence(&l);
    teardown(&l);
}

static void a_restart_repeats_nothing_and_misses_nothing(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: slack, url: 'http://127.0.0.1:%d'}\n");
    run_ends(&l, "r1", "a", RUN_FAILED, 0, 0);
    message(&l, 1);
    told_is(&l, "a", ALERT_ON_FAILED);
    restart(&l);
    assert_silence(&l);
    struct run_record r = fake_run("r2", "a", RUN_SUCCESS, clock_wall_ms(), 1);
    fake_run_put(&l.control, &r); /* ended while nobody listened */
    restart(&l);
    assert_has(message(&l, 2), "a has recovered");
    told_is(&l, "a", 0);
    restart(&l);
    assert_silence(&l);
    teardown(&l);
}

static void trouble_of_the_receiver_is_waited_for_and_what_has_passed_is_not_told(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: slack, url: 'http://127.0.0.1:%d/secret-path'}\n");
    l.status = 503;
    run_ends(&l, "r1", "a", RUN_FAILED, 0, 0);
    run_ends(&l, "r2", "b", RUN_FAILED, 0, 0);
    while (l.asked < 2)
        event_base_loop(l.base, EVLOOP_ONCE);
    run_ends(&l, "r3", "a", RUN_SUCCESS, 1, 0);
    l.status = 200;
    assert_has(message(&l, 1), "Sluice: b failed");
    assert_silence(&l);
    char log[8000] = "";
    rewind(l.log_file);
    assert_true(fread(log, 1, sizeof log - 1, l.log_file) > 0);
    assert_has(log,
               "alert_not_sent alert=t sync=a what=failed reason=\"answered with status 503\"");
    assert_has(log, "alert_sent alert=t sync=b");
    assert_null(strstr(log, "secret-path"));
    assert_null(strstr(log, "warehouse said"));
    teardown(&l);
}

static void a_warning_counts_beyond_its_threshold(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: webhook, url: 'http://127.0.0.1:%d', warning_above: 5%, sign: {secret: "
              "key}}\n");
    run_ends(&l, "r1", "a", RUN_WARNING, 100, 5);
    assert_silence(&l);
    run_ends(&l, "r2", "a", RUN_WARNING, 100, 6);
    const char *text = message(&l, 1);
    assert_has(text, "{\"event\":\"warning\",\"alert\":\"t\",\"sync\":\"a\",");
    assert_has(text, "\"run\":{\"id\":\"r2\",\"status\":\"warning\"");
    assert_has(text, "\"rejected\":6");
    assert_string_not_equal(l.signature[0], "");
    run_ends(&l, "r3", "a", RUN_WARNING, 100, 2);
    assert_has(message(&l, 2), "\"event\":\"recovered\"");
    teardown(&l);
}

static void holds_and_lateness_are_told_when_they_begin(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: webhook, url: 'http://127.0.0.1:%d', on: [held, late], syncs: a}\n");
    run_ends(&l, "r1", "b", RUN_HELD, 0, 0);
    run_ends(&l, "r2", "a", RUN_FAILED, 0, 0);
    assert_silence(&l); /* another sync; another event */
    run_ends(&l, "r3", "a", RUN_HELD, 9, 0);
    const char *text = message(&l, 1);
    assert_has(text, "\"event\":\"held\"");
    assert_has(text, "\"reason\":\"90 % would be removed\"");
    fake_view(&l.control, "a")->fresh_ms = clock_wall_ms() - 3700 * 1000;
    text = message(&l, 2); /* with the next look */
    assert_has(text, "\"event\":\"late\"");
    fake_view(&l.control, "a")->fresh_ms = clock_wall_ms();
    run_ends(&l, "r4", "a", RUN_SUCCESS, 9, 0);
    assert_silence(&l); /* `recovered` was not asked for */
    fake_view(&l.control, "a")->paused = true;
    fake_view(&l.control, "a")->fresh_ms = clock_wall_ms() - 3700 * 1000;
    run_ends(&l, "r5", "a", RUN_SUCCESS, 9, 0);
    assert_silence(&l); /* nobody expects a paused sync to be fresh */
    teardown(&l);
}

/* The text behind key":" up to the next quote. */
static const char *json_text(const char *json, const char *key)
{
    static char value[200];
    char start[100];
    snprintf(start, sizeof start, "\"%s\":\"", key);
    const char *at = strstr(json, start);
    if (!at)
        return "";
    at += strlen(start);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\""), at);
    return value;
}

static void an_incident_is_opened_and_resolved_under_one_key(void **state)
{
    (void)state;
    struct lab l;
    char key[200];
    setup(&l, "  t: {type: pagerduty, url: 'http://127.0.0.1:%d', routing_key: rk}\n");
    run_ends(&l, "r1", "a", RUN_FAILED, 0, 0);
    const char *text = message(&l, 1);
    assert_string_equal(json_text(text, "event_action"), "trigger");
    assert_string_equal(json_text(text, "severity"), "error");
    assert_string_equal(json_text(text, "routing_key"), "rk");
    snprintf(key, sizeof key, "%s", json_text(text, "dedup_key"));
    assert_has(key, "/a/failed");
    run_ends(&l, "r2", "a", RUN_WARNING, 10, 3);
    text = message(&l, 2);
    assert_string_equal(json_text(text, "event_action"), "trigger");
    assert_has(json_text(text, "dedup_key"), "/a/warning");
    text = message(&l, 3);
    assert_string_equal(json_text(text, "event_action"), "resolve");
    assert_string_equal(json_text(text, "dedup_key"), key);
    run_ends(&l, "r3", "a", RUN_SUCCESS, 10, 0);
    text = message(&l, 4);
    assert_string_equal(json_text(text, "event_action"), "resolve");
    assert_has(json_text(text, "dedup_key"), "/a/warning");
    assert_silence(&l);
    teardown(&l);
}

static void a_sync_that_never_was_up_to_date_is_late_since_it_was_first_seen(void **state)
{
    (void)state;
    struct lab l;
    struct err err;
    struct told told;
    setup(&l, "  t: {type: webhook, url: 'http://127.0.0.1:%d'}\n");
    fake_view(&l.control, "a")->fresh_ms = 0;
    run_ends(&l, "r1", "a", RUN_CANCELLED, 0, 0);
    assert_silence(&l); /* first seen a moment ago */
    alerts_free(l.alerts);
    assert_int_equal(told_load(l.control.state, "a", &told, &err), ERR_OK);
    assert_true(told.since_ms > clock_wall_ms() - 60000);
    told.since_ms -= 3700 * 1000;
    assert_int_equal(told_put(l.control.state, "a", &told, &err), ERR_OK);
    told_done(&told);
    begin(&l);
    const char *text = message(&l, 1);
    assert_has(text, "\"event\":\"late\"");
    assert_has(text, "\"fresh_at\":null");
    teardown(&l);
}

static void many_syncs_share_a_message_for_people_and_not_for_programs(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: slack, url: 'http://127.0.0.1:%d'}\n"
              "  u: {type: webhook, url: 'http://127.0.0.1:%d', syncs: [a, b]}\n");
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char id[8];
        snprintf(id, sizeof id, "r%zu", i);
        run_ends(&l, id, names[i], RUN_FAILED, 0, 0);
    }
    message(&l, 3); /* one for all of them, and one for each of two */
    size_t together = 0, alone = 0;
    for (size_t i = 0; i < 3; i++) {
        together +=
            strstr(l.messages[i], "*Sluice: 6 syncs failed*\\na\\nb\\nc\\nd\\ne\\nf\\n") != NULL;
        alone += strstr(l.messages[i], "\"event\":\"failed\",\"alert\":\"u\"") != NULL;
    }
    assert_int_equal(together, 1);
    assert_int_equal(alone, 2);
    assert_silence(&l);
    run_ends(&l, "r9", "c", RUN_SUCCESS, 5, 0);
    assert_has(message(&l, 4), "c has recovered");
    teardown(&l);
}

static struct control_sync_view *streams(struct lab *l, const char *sync, enum stream_phase phase)
{
    struct control_sync_view *v = fake_view(&l->control, sync);
    v->streams = true;
    v->stream.phase = phase;
    v->stream.lag = (struct feed_lag){.bytes = -1, .records = -1};
    return v;
}

static void a_stream_that_does_not_flow_has_failed_after_a_minute(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: webhook, url: 'http://127.0.0.1:%d'}\n");
    struct control_sync_view *g = streams(&l, "g", STREAM_RESTING);
    strcpy(g->stream.why, "the connection was refused");
    g->ails_ms = 59000;
    run_ends(&l, "r1", "g", RUN_SUCCESS, 5, 0); /* looks at once */
    assert_silence(&l);
    g->ails_ms = 61000;
    run_ends(&l, "r2", "g", RUN_SUCCESS, 5, 0);
    const char *text = message(&l, 1);
    assert_has(text,
               "{\"event\":\"failed\",\"alert\":\"t\",\"sync\":\"g\",\"title\":\"Sluice: g does "
               "not flow\"");
    assert_has(text, "\"why\":\"the connection was refused\"");
    told_is(&l, "g", ALERT_ON_FAILED);
    /* Neither a restart, nor looking for its source again, nor a read of the model is a recovery.
     */
    g->ails_ms = 0;
    restart(&l);
    assert_silence(&l);
    g->stream.phase = STREAM_OPENING;
    run_ends(&l, "r3", "g", RUN_SUCCESS, 5, 0);
    assert_silence(&l);
    g->stream.phase = STREAM_READING;
    run_ends(&l, "r4", "g", RUN_SUCCESS, 5, 0);
    assert_silence(&l);
    g->stream.phase = STREAM_FLOWING;
    g->stream.why[0] = '\0';
    run_ends(&l, "r5", "g", RUN_SUCCESS, 5, 0);
    text = message(&l, 2);
    assert_has(text, "\"event\":\"recovered\"");
    assert_has(text, "\"why\":\"\"");
    /* Its connection may be lost while it flows. */
    strcpy(g->stream.why, "the server closed the connection");
    g->ails_ms = 61000;
    run_ends(&l, "r6", "g", RUN_SUCCESS, 5, 0);
    assert_has(message(&l, 3), "the server closed the connection");
    teardown(&l);
}

static void a_slot_that_holds_back_much_is_told_once(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "  t: {type: webhook, url: 'http://127.0.0.1:%d'}\n");
    struct control_sync_view *g = streams(&l, "g", STREAM_FLOWING);
    strcpy(g->stream.slot, "sluice_g");
    g->stream.lag.bytes = 1000000000; /* half of max_slot_lag */
    run_ends(&l, "r1", "g", RUN_SUCCESS, 5, 0);
    assert_silence(&l);
    g->stream.lag.bytes = 1100000000;
    run_ends(&l, "r2", "g", RUN_SUCCESS, 5, 0);
    const char *text = message(&l, 1);
    assert_has(text, "\"event\":\"late\"");
    assert_has(text, "The slot sluice_g holds back 1.1 GB");
    assert_has(text, "past 2.0 GB (max_slot_lag)");
    g->stream.lag.bytes = 900000000;
    run_ends(&l, "r3", "g", RUN_SUCCESS, 5, 0);
    g->stream.lag.bytes = 1200000000;
    run_ends(&l, "r4", "g", RUN_SUCCESS, 5, 0);
    g->stream.lag.bytes = -1; /* not known while the connection is lost */
    run_ends(&l, "r5", "g", RUN_SUCCESS, 5, 0);
    assert_silence(&l);
    g->stream.phase = STREAM_READING;
    g->stream.gave_up = true;
    run_ends(&l, "r6", "g", RUN_SUCCESS, 5, 0);
    text = message(&l, 2);
    assert_has(text, "\"event\":\"warning\"");
    assert_has(text, "Sluice: the slot of g was given up");
    assert_has(text, "nothing is lost");
    g->stream.phase = STREAM_FLOWING;
    g->stream.gave_up = false;
    g->stream.lag.bytes = 1000;
    run_ends(&l, "r7", "g", RUN_SUCCESS, 5, 0);
    assert_has(message(&l, 3), "\"event\":\"recovered\"");
    teardown(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_told_once_and_its_end_once),
        cmocka_unit_test(a_restart_repeats_nothing_and_misses_nothing),
        cmocka_unit_test(trouble_of_the_receiver_is_waited_for_and_what_has_passed_is_not_told),
        cmocka_unit_test(a_warning_counts_beyond_its_threshold),
        cmocka_unit_test(holds_and_lateness_are_told_when_they_begin),
        cmocka_unit_test(a_sync_that_never_was_up_to_date_is_late_since_it_was_first_seen),
        cmocka_unit_test(many_syncs_share_a_message_for_people_and_not_for_programs),
        cmocka_unit_test(an_incident_is_opened_and_resolved_under_one_key),
        cmocka_unit_test(a_stream_that_does_not_flow_has_failed_after_a_minute),
        cmocka_unit_test(a_slot_that_holds_back_much_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
