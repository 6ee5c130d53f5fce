/* What the service reports while it runs, heard and looked at on a real loop. */
#include "scheduler/report/ledger.h"
#include "scheduler/report/report.h"
#include "scheduler/report/samples.h"
#include "tests/unit/report/fake_control.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <unistd.h>

static const char project[] = "sources: {w: {type: postgres, url: postgresql://h/d}}\n"
                              "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
                              "destinations: {crm: {type: webhook, url: 'http://h/1'}, two: {type: "
                              "webhook, url: 'http://h/1', "
                              "quota: crm}}\n"
                              "syncs: {a: {model: m, destination: crm, mappings: all}}\n";

struct lab {
    struct control control;
    struct event_base *base;
    struct log log;
    struct report *report;
};

static void start(struct lab *l)
{
    struct err err;
    struct report_options o = {.base = l->base, .control = &l->control, .log = &l->log};
    if (report_start(&o, &l->report, &err))
        fail_msg("%s", err.text);
}

static void setup(struct lab *l)
{
    *l = (struct lab){.log = {.program = "t", .level = LOG_ERROR, .fd = STDERR_FILENO}};
    fake_control_init(&l->control, project);
    l->base = event_base_new();
    assert_non_null(l->base);
}

static void teardown(struct lab *l)
{
    report_free(l->report);
    event_base_free(l->base);
    for (size_t i = 0; i < FAKE_LISTENERS; i++)
        assert_null(l->control.listeners[i].cb);
    fake_control_done(&l->control);
}

static uint64_t ended(struct lab *l)
{
    struct ledger ledger;
    struct err err;
    assert_int_equal(ledger_get(l->control.state, "a", &ledger, &err), ERR_OK);
    return ledger.statuses[RUN_SUCCESS];
}

static void runs_are_counted_as_they_end_and_what_nobody_heard_at_the_start(void **state)
{
    (void)state;
    struct lab l;
    struct err err;
    setup(&l);
    struct run_record r = fake_run("r1", "a", RUN_SUCCESS, 10000, 1);
    fake_run_put(&l.control, &r);
    start(&l);
    assert_int_equal(ended(&l), 1);
    r = fake_run("r2", "a", RUN_SUCCESS, 20000, 1);
    fake_run_ends(&l.control, &r);
    fake_run_ends(&l.control, &r);
    assert_int_equal(ended(&l), 2);
    report_free(l.report);
    assert_int_equal(state_commit(l.control.state, &err), ERR_OK);
    fake_control_restart(&l.control);
    r = fake_run("r3", "a", RUN_SUCCESS, 30000, 1);
    fake_run_put(&l.control, &r);
    start(&l);
    assert_int_equal(ended(&l), 3);
    report_reload(l.report);
    assert_int_equal(ended(&l), 3);
    teardown(&l);
}

static void throttled_periods_add_up(void **state)
{
    (void)state;
    struct lab l;
    setup(&l);
    struct fake_quota *q = fake_quota(&l.control, "crm");
    start(&l);
    static const int64_t seen[] = {700, 1700, 1700, 0, 0, 500, 300};
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        q->view.now.throttled_for_ms = seen[i];
        event_base_loop(l.base, EVLOOP_ONCE); /* its tick */
        if (i == 1)
            report_reload(l.report); /* counts nothing twice */
    }
    assert_int_equal(throttle_get(l.control.state, "crm"), 1700 + 500 + 300);
    teardown(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_counted_as_they_end_and_what_nobody_heard_at_the_start),
        cmocka_unit_test(throttled_periods_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
