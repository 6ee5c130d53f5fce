/* The scheduler's metrics: their text, the totals behind it, and how many workers a queue is worth.
 */
#include "protocol/base/clock.h"
#include "scheduler/report/ledger.h"
#include "scheduler/report/metrics.h"
#include "scheduler/report/samples.h"
#include "scheduler/report/work.h"
#include "tests/unit/report/fake_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char project[] =
    "sources: {w: {type: postgres, url: postgresql://h/d}}\n"
    "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
    "destinations:\n"
    "  crm: {type: webhook, url: 'http://h/1', concurrency: 8, batch_size: 50,\n"
    "        rate_limits: [{requests: 100, per: 10s}, {records: 5000, per: 1d}]}\n"
    "  east: {type: webhook, url: 'http://h/2', quota: shared}\n"
    "  west: {type: webhook, url: 'http://h/3', quota: shared}\n"
    "syncs:\n"
    "  a: {model: m, destination: crm, mappings: all, freshness: 2h}\n"
    "  'b\"\\': {model: m, destination: east, mappings: all}\n"
    "  c: {model: m, destination: west, mappings: all}\n"
    "  s: {model: m, destination: west, mappings: all, schedule: {stream: {from: keys, keys: {t: "
    "id}, create: true, max_slot_lag: 2GB}}}\n";

static void setup(struct control *c)
{
    fake_control_init(c, project);
}

static char *text_of(struct control *c)
{
    struct buf out;
    struct err err;
    buf_init(&out, 4 << 20);
    if (metrics_write(c, &out, &err))
        fail_msg("%s", err.text);
    assert_non_null(buf_cstr(&out));
    return out.p;
}

/* One line of the text is this. */
static bool says(struct control *c, const char *line)
{
    char *text = text_of(c), with_ends[400];
    snprintf(with_ends, sizeof with_ends, "\n%s\n", line);
    bool found = strstr(text, with_ends) != NULL;
    free(text);
    return found;
}

#define assert_says(c, line)                                                                       \
    do {                                                                                           \
        if (!says(c, line))                                                                        \
            fail_msg("no line %s in %s", line, text_of(c));                                        \
    } while (0)

static void ended_runs_are_counted_once_and_survive_a_restart(void **state)
{
    (void)state;
    struct control c;
    struct err err;
    setup(&c);
    struct run_record r = fake_run("r1", "a", RUN_WARNING, 1000000, 10);
    r.scheduled_ms = r.started_ms - 100000;
    r.counts = (struct run_counts){.rows = 12,
                                   .added = 7,
                                   .invalid = 5,
                                   .coalesced = 6,
                                   .planned = 7,
                                   .succeeded = 4,
                                   .rejected = 3,
                                   .retries = 2};
    fake_run_put(&c, &r);
    assert_int_equal(ledger_add(c.state, &r, &err), ERR_OK);
    assert_int_equal(ledger_add(c.state, &r, &err), ERR_OK);
    assert_int_equal(ledger_catch_up(c.state, "a", &err), ERR_OK);
    assert_int_equal(state_commit(c.state, &err), ERR_OK);
    fake_control_restart(&c);
    assert_int_equal(ledger_catch_up(c.state, "a", &err), ERR_OK);
    assert_says(&c, "sluice_records_total{sync=\"a\",verdict=\"succeeded\"} 4");
    assert_says(&c, "sluice_records_total{sync=\"a\",verdict=\"rejected\"} 3");
    assert_says(&c, "sluice_changes_total{sync=\"a\",class=\"invalid\"} 5");
    assert_says(&c, "sluice_changes_total{sync=\"a\",class=\"coalesced\"} 6");
    assert_says(&c, "sluice_rows_total{sync=\"a\"} 12");
    assert_says(&c, "sluice_retries_total{sync=\"a\"} 2");
    assert_says(&c, "sluice_runs_total{sync=\"a\",status=\"warning\"} 1");
    assert_says(&c, "sluice_runs_total{sync=\"a\",status=\"success\"} 0");
    assert_says(&c, "sluice_run_duration_seconds_bucket{sync=\"a\",le=\"5\"} 0");
    assert_says(&c, "sluice_run_duration_seconds_bucket{sync=\"a\",le=\"15\"} 1");
    assert_says(&c, "sluice_run_latency_seconds_bucket{sync=\"a\",le=\"60\"} 0");
    assert_says(&c, "sluice_run_latency_seconds_sum{sync=\"a\"} 110");
    assert_says(&c, "sluice_last_run_timestamp_seconds{sync=\"a\"} 1000");
    fake_control_done(&c);
}

static void runs_that_ended_unseen_are_caught_up_with(void **state)
{
    (void)state;
    struct control c;
    struct err err;
    setup(&c);
    char id[16];
    for (int i = 1; i <= 5; i++) {
        snprintf(id, sizeof id, "r%d", i);
        struct run_record r = fake_run(id, "a", i == 3 ? RUN_FAILED : RUN_SUCCESS, i * 60000, 2);
        r.counts.succeeded = (uint64_t)i;
        fake_run_put(&c, &r);
        if (i == 2)
            assert_int_equal(ledger_catch_up(c.state, "a", &err), ERR_OK);
    }
    struct run_record held = fake_run("r6", "a", RUN_HELD, 600000, 2);
    fake_run_put(&c, &held);
    assert_int_equal(ledger_add(c.state, &held, &err), ERR_OK);
    assert_int_equal(ledger_catch_up(c.state, "a", &err), ERR_OK);
    assert_int_equal(ledger_catch_up(c.state, "a", &err), ERR_OK);
    struct ledger l;
    assert_int_equal(ledger_get(c.state, "a", &l, &err), ERR_OK);
    assert_int_equal(l.statuses[RUN_SUCCESS], 4);
    assert_int_equal(l.statuses[RUN_FAILED], 1);
    assert_int_equal(l.counts.succeeded, 15);
    assert_int_equal(l.last_ended_ms, 300000);
    assert_string_equal(l.last_run, "r5");
    assert_int_equal(ledger_get(c.state, "c", &l, &err), ERR_OK);
    assert_int_equal(histogram_count(&l.durations), 0);
    fake_control_done(&c);
}

static void a_run_under_way_counts_until_the_ledger_has_it(void **state)
{
    (void)state;
    struct control c;
    struct err err;
    setup(&c);
    c.records[0] = fake_run("r1", "a", RUN_PLANNED, 90000, 5);
    c.records[0].counts.succeeded = 40;
    c.run_count = 1;
    fake_view(&c, "a")->phase = CONTROL_SENDING;
    assert_says(&c, "sluice_records_total{sync=\"a\",verdict=\"succeeded\"} 40");
    assert_says(&c, "sluice_run_under_way{sync=\"a\"} 1");
    assert_says(&c, "sluice_run_duration_seconds_count{sync=\"a\"} 0");
    c.records[0].status = RUN_SUCCESS;
    c.records[0].ended_ms = 91000;
    fake_run_put(&c, &c.records[0]);
    c.run_count = 0; /* it has ended, and nobody is told yet */
    assert_says(&c, "sluice_records_total{sync=\"a\",verdict=\"succeeded\"} 40");
    assert_int_equal(ledger_add(c.state, &c.records[0], &err), ERR_OK);
    assert_says(&c, "sluice_records_total{sync=\"a\",verdict=\"succeeded\"} 40");
    assert_says(&c, "sluice_runs_total{sync=\"a\",status=\"success\"} 1");
    fake_control_done(&c);
}

static void a_held_run_stays_counted(void **state)
{
    (void)state;
    struct control c;
    struct err err;
    setup(&c);
    c.records[0] = fake_run("r1", "a", RUN_HELD, 90000, 5);
    c.records[0].counts.rows = 40;
    c.run_count = 1;
    fake_run_put(&c, &c.records[0]);
    assert_says(&c, "sluice_rows_total{sync=\"a\"} 40");
    c.records[0].status = RUN_PLANNED; /* approved */
    fake_run_put(&c, &c.records[0]);
    assert_says(&c, "sluice_rows_total{sync=\"a\"} 40");
    c.records[0].status = RUN_SUCCESS;
    c.records[0].ended_ms = 91000;
    fake_run_put(&c, &c.records[0]);
    assert_int_equal(ledger_add(c.state, &c.records[0], &err), ERR_OK);
    assert_says(&c, "sluice_rows_total{sync=\"a\"} 40");
    fake_control_done(&c);
}

static void syncs_and_quotas_are_told_as_they_are(void **state)
{
    (void)state;
    struct control c;
    struct err err;
    setup(&c);
    struct control_sync_view *a = fake_view(&c, "a");
    a->held = a->paused = true;
    a->next_ms = 5000;
    a->fresh_ms = clock_wall_ms() + 60000; /* a clock that was set back */
    struct fake_quota *q = fake_quota(&c, "crm");
    q->view.now = (struct quota_summary){
        .queued = 30, .parked = 4, .leased = 3, .leases_lost = 9, .throttled_for_ms = 1500};
    q->view.factor = 0.7;
    q->used[0] = 67;
    assert_int_equal(throttle_add(c.state, "crm", 2000, &err), ERR_OK);
    assert_int_equal(throttle_add(c.state, "crm", 1000, &err), ERR_OK);
    fake_quota(&c, "west")->paused = true;
    assert_says(&c, "sluice_sync_paused{sync=\"a\"} 1");
    assert_says(&c, "sluice_run_held{sync=\"a\"} 1");
    assert_says(&c, "sluice_run_held{sync=\"b\\\"\\\\\"} 0");
    assert_says(&c, "sluice_freshness_seconds{sync=\"a\"} 0");
    assert_says(&c, "sluice_freshness_objective_seconds{sync=\"a\"} 7200");
    assert_says(&c, "sluice_next_run_timestamp_seconds{sync=\"a\"} 5");
    assert_says(&c, "sluice_queue_batches{quota=\"crm\",state=\"queued\"} 30");
    assert_says(&c, "sluice_queue_batches{quota=\"crm\",state=\"parked\"} 4");
    assert_says(&c, "sluice_runnable_batches{quota=\"crm\"} 3"); /* 70 tokens, 67 in use */
    assert_says(&c, "sluice_in_flight_batches{quota=\"crm\"} 3");
    assert_says(&c, "sluice_lease_losses_total{quota=\"crm\"} 9");
    assert_says(&c, "sluice_limit_used{quota=\"crm\",limit=\"requests per 10s\"} 67");
    assert_says(&c, "sluice_limit_tokens{quota=\"crm\",limit=\"records per 1d\"} 5000");
    assert_says(&c, "sluice_limit_factor{quota=\"crm\"} 0.7");
    assert_says(&c, "sluice_throttled_seconds_total{quota=\"crm\"} 3");
    assert_says(&c, "sluice_quota_paused{quota=\"shared\"} 0");
    assert_says(&c, "sluice_workers 2");
    assert_says(&c, "sluice_ready 1");
    char *text = text_of(&c);
    assert_null(strstr(text, "sluice_freshness_seconds{sync=\"c\"}"));
    assert_null(strstr(text, "sluice_next_run_timestamp_seconds{sync=\"c\"}"));
    assert_null(strstr(text, "sluice_limit_factor{quota=\"shared\"}"));
    free(text);
    fake_control_done(&c);
}

static void streams_are_told_as_they_are(void **state)
{
    (void)state;
    struct control c;
    setup(&c);
    struct control_sync_view *v = fake_view(&c, "s");
    v->streams = true;
    v->stream = (struct stream_view){.phase = STREAM_FLOWING,
                                     .lag = {.behind_ms = 1500, .bytes = 4096, .records = -1},
                                     .pending = 7,
                                     .in_flight = 3,
                                     .waits_ms = 250,
                                     .slot = "sluice_s"};
    assert_says(&c, "sluice_stream_up{sync=\"s\"} 1");
    assert_says(&c, "sluice_stream_lag_seconds{sync=\"s\"} 1.5");
    assert_says(&c, "sluice_stream_lag_bytes{sync=\"s\"} 4096");
    assert_says(&c, "sluice_stream_max_lag_bytes{sync=\"s\"} 2000000000");
    assert_says(&c, "sluice_stream_drift_records{sync=\"s\"} 0");
    assert_says(&c, "sluice_stream_pending{sync=\"s\"} 7");
    assert_says(&c, "sluice_stream_in_flight{sync=\"s\"} 3");
    assert_says(&c, "sluice_stream_waits_seconds{sync=\"s\"} 0.25");
    char *text = text_of(&c);
    assert_null(strstr(text, "sluice_stream_lag_records{"));
    assert_null(strstr(text, "sluice_stream_up{sync=\"a\"}"));
    free(text);
    strcpy(v->stream.why, "the connection is lost");
    assert_says(&c, "sluice_stream_up{sync=\"s\"} 0");
    v->stream = (struct stream_view){
        .phase = STREAM_PAUSED, .lag = {.behind_ms = -1, .bytes = -1, .records = 12}, .drift = -1};
    assert_says(&c, "sluice_stream_up{sync=\"s\"} 1");
    assert_says(&c, "sluice_stream_lag_records{sync=\"s\"} 12");
    text = text_of(&c);
    assert_null(strstr(text, "sluice_stream_lag_seconds{"));
    assert_null(strstr(text, "sluice_stream_drift_records{"));
    assert_null(strstr(text, "sluice_stream_max_lag_bytes{"));
    free(text);
    fake_control_done(&c);
}

static void a_backlog_behind_a_limit_is_worth_no_worker(void **state)
{
    (void)state;
    static const struct rate_limit limits[] = {{RATE_REQUESTS, 100, 10000, 0},
                                               {RATE_RECORDS, 5000, 86400000, 0},
                                               {RATE_REQUESTS, 1, 1000, 2}};
    const struct destination d = {.limits = limits, .limit_count = 3, .concurrency = 64};
    static const struct {
        uint64_t queued, leased, requests, records;
        double factor;
        int64_t throttled_ms;
        bool paused;
        uint64_t runnable;
    } cases[] = {
        {0, 0, 0, 0, 1, 0, false, 0},
        {1000, 0, 0, 0, 1, 0, false, 50},    /* records: 5000 tokens in batches of 100 */
        {1000, 0, 100, 0, 1, 0, false, 0},   /* all requests are in use */
        {1000, 20, 95, 0, 1, 0, false, 5},   /* five are left */
        {1000, 60, 60, 0, 1, 0, false, 4},   /* concurrency */
        {1000, 0, 60, 0, 0.7, 0, false, 10}, /* 70 of them are to be used */
        {1000, 0, 0, 4950, 1, 0, false, 0},  /* half a batch would fit */
        {3, 0, 0, 0, 1, 0, false, 3},        /* no more work */
        {1000, 0, 0, 0, 1, 500, false, 0},   /* throttled */
        {1000, 0, 0, 0, 1, 0, true, 0},      /* paused */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const uint64_t used[] = {cases[i].requests, cases[i].records, 1};
        const struct control_quota_view view = {
            .open = true,
            .now = {.queued = cases[i].queued,
                    .leased = cases[i].leased,
                    .throttled_left_ms = cases[i].throttled_ms},
            .factor = cases[i].factor,
            .limit_used = used,
            .limit_count = 3,
        };
        uint64_t n = work_runnable(&d, &view, cases[i].paused, 100);
        if (n != cases[i].runnable)
            fail_msg("case %zu: %llu", i, (unsigned long long)n);
    }
}

static void desired_workers_are_the_sum_over_quotas(void **state)
{
    (void)state;
    struct control c;
    setup(&c);
    assert_says(&c, "sluice_desired_workers 0");
    assert_says(&c, "sluice_worker_load 0");
    struct fake_quota *crm = fake_quota(&c, "crm"), *shared = fake_quota(&c, "shared");
    crm->view.now.cost = shared->view.now.cost = (struct request_cost){20000, 1};
    c.records[0] = fake_run("r1", "a", RUN_PLANNED, 90000, 5);
    c.records[1] = fake_run("r2", "c", RUN_PLANNED, 90000, 5);
    c.run_count = 2;
    assert_says(&c, "sluice_desired_workers 0"); /* they read; nothing is to be sent yet */
    c.runs[0].batches_due = 100000;
    c.records[0].batches = 100000;
    c.records[0].counts.planned = 100000 * 50;
    assert_says(&c, "sluice_desired_workers 1"); /* 5,000 records a day are 100 batches */
    assert_says(&c, "sluice_useful_slots{quota=\"crm\"} 8");
    c.runs[1].batches_due = 100000;
    assert_says(&c, "sluice_useful_slots{quota=\"shared\"} 8");
    assert_says(&c, "sluice_desired_workers 1");
    assert_says(&c, "sluice_worker_load 0.5");
    crm->paused = true;
    assert_says(&c, "sluice_useful_slots{quota=\"crm\"} 0");
    assert_says(&c, "sluice_useful_slots{quota=\"shared\"} 8");
    fake_view(&c, "c")->paused = true;
    assert_says(&c, "sluice_desired_workers 0");
    struct quota_sync gone = {"gone", 40, 0, 2}; /* no longer in the project: its work is left */
    shared->view.syncs = &gone;
    shared->view.sync_count = 1;
    assert_says(&c, "sluice_desired_workers 1");
    fake_control_done(&c);
}

static void what_waits_to_be_tried_again_is_no_backlog(void **state)
{
    (void)state;
    struct control c;
    setup(&c);
    struct fake_quota *crm = fake_quota(&c, "crm");
    struct quota_sync queue = {"a", 0, 1000, 0};
    crm->view.syncs = &queue;
    crm->view.sync_count = 1;
    crm->view.now.cost = (struct request_cost){20000, 1};
    c.records[0] = fake_run("r1", "a", RUN_PLANNED, 90000, 5);
    c.run_count = 1;
    c.runs[0].batches_due = 1000;
    assert_says(&c, "sluice_useful_slots{quota=\"crm\"} 0");
    assert_says(&c, "sluice_desired_workers 1");
    c.runs[0].batches_due = 1003;
    assert_says(&c, "sluice_useful_slots{quota=\"crm\"} 0.625");
    fake_control_done(&c);
}

/* ---- the list in the README ---- */

struct names {
    char names[200][80];
    size_t count;
};

static void add_name(struct names *n, const char *from, size_t len)
{
    assert_true(n->count < 200 && len < 80);
    snprintf(n->names[n->count++], 80, "%.*s", (int)len, from);
}

static bool has_name(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->names[i], name) == 0)
            return true;
    return false;
}

static void read_readme(struct names *out)
{
    FILE *f = fopen(SLUICE_REPORT_README, "r");
    char line[4000];
    assert_non_null(f);
    bool within = false;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "## ", 3) == 0)
            within = strcmp(line, "## Metrics\n") == 0;
        bool row = within && strncmp(line, "| `sluice_", 10) == 0;
        char *end = row ? strchr(line + 1, '|') : NULL;
        for (char *p = line; end && (p = strstr(p, "`sluice_")) && p < end;) {
            size_t n = strcspn(++p, "`");
            add_name(out, p, n);
            p += n + 1;
        }
    }
    fclose(f);
}

static void every_metric_is_in_the_readme_and_no_other(void **state)
{
    (void)state;
    struct control c;
    struct names told = {0}, written = {0};
    setup(&c);
    char *text = text_of(&c);
    for (char *p = text; (p = strstr(p, "# TYPE ")); p++)
        add_name(&told, p + 7, strcspn(p + 7, " "));
    read_readme(&written);
    for (size_t i = 0; i < told.count; i++)
        if (!has_name(&written, told.names[i]))
            fail_msg("%s is not in the README", told.names[i]);
    for (size_t i = 0; i < written.count; i++)
        if (!has_name(&told, written.names[i]))
            fail_msg("the README has %s, which is not told", written.names[i]);
    assert_true(told.count > 30);
    free(text);
    fake_control_done(&c);
}

static void promtool_finds_nothing_to_complain_of(void **state)
{
    (void)state;
    struct control c;
    static const double bounds[] = {1};
    if (system("command -v promtool >/dev/null") != 0)
        skip();
    setup(&c);
    histogram_init(&c.trips, bounds, 1);
    char *text = text_of(&c);
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    assert_int_equal(fwrite(text, 1, strlen(text), promtool), strlen(text));
    assert_int_equal(pclose(promtool), 0);
    free(text);
    fake_control_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ended_runs_are_counted_once_and_survive_a_restart),
        cmocka_unit_test(runs_that_ended_unseen_are_caught_up_with),
        cmocka_unit_test(a_run_under_way_counts_until_the_ledger_has_it),
        cmocka_unit_test(a_held_run_stays_counted),
        cmocka_unit_test(syncs_and_quotas_are_told_as_they_are),
        cmocka_unit_test(streams_are_told_as_they_are),
        cmocka_unit_test(a_backlog_behind_a_limit_is_worth_no_worker),
        cmocka_unit_test(desired_workers_are_the_sum_over_quotas),
        cmocka_unit_test(what_waits_to_be_tried_again_is_no_backlog),
        cmocka_unit_test(every_metric_is_in_the_readme_and_no_other),
        cmocka_unit_test(promtool_finds_nothing_to_complain_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
