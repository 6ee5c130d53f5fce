/* The table of schedules: what is due when, and what people rely on when things go otherwise. */
#include "world.h"

static void a_sync_is_due_at_each_of_its_times_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "s", 15 * MINUTE);
    world_go(&w, T0 + 1);
    assert_int_equal(schedule_next_ms(w.table, "s"), T0 + 15 * MINUTE);
    assert_int_equal(schedule_wake_ms(w.table), T0 + 15 * MINUTE);
    assert_int_equal(world_due(&w, "s", T0 + 15 * MINUTE - 1), 0);
    for (int n = 1; n < 5; n++) {
        int64_t at = T0 + n * 15 * MINUTE;
        char run[8];
        snprintf(run, sizeof run, "r%d", n);
        assert_int_equal(world_due(&w, "s", at), at);
        assert_int_equal(world_due(&w, "s", at + 1), at); /* until it has started */
        assert_int_equal(schedule_next_ms(w.table, "s"), at);
        assert_int_equal(schedule_wake_ms(w.table), INT64_MAX);
        schedule_started(w.table, "s", run, at + 2);
        assert_int_equal(world_due(&w, "s", at + 3), 0);
        assert_int_equal(schedule_next_ms(w.table, "s"), at + 15 * MINUTE);
        schedule_ran(w.table, "s", run, SCHEDULE_RAN_SUCCESS, at + 4);
        assert_int_equal(world_due(&w, "s", at + 5), 0);
    }
    world_done(&w);
}

static void a_run_by_hand_takes_in_what_is_due(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "s", HOUR);
    world_go(&w, T0);
    assert_int_equal(world_due(&w, "s", T0 + HOUR), T0 + HOUR);
    world_run(&w, "s", "hand", SCHEDULE_RAN_SUCCESS, T0 + HOUR + 1, T0 + HOUR + 2);
    assert_int_equal(world_due(&w, "s", T0 + HOUR + 3), 0);
    assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR), T0 + 2 * HOUR);
    world_done(&w);
}

static void times_during_a_run_make_one_run_after_it_or_none(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "queue", HOUR);
    world_every(&w, "skip", HOUR)->schedule.overlap = OVERLAP_SKIP;
    world_go(&w, T0);
    assert_int_equal(world_due(&w, "skip", T0 + HOUR), T0 + HOUR);
    schedule_started(w.table, "queue", "q1", T0 + HOUR);
    schedule_started(w.table, "skip", "s1", T0 + HOUR);
    for (int n = 1; n < 4; n++) {
        assert_int_equal(world_due(&w, "queue", T0 + n * HOUR + 5), 0);
        assert_int_equal(world_due(&w, "skip", T0 + n * HOUR + 5), 0);
    }
    assert_true(world_why(&w, "queue", "waits for the end of run q1"));
    assert_true(world_why(&w, "skip", ""));
    schedule_ran(w.table, "queue", "q1", SCHEDULE_RAN_SUCCESS, T0 + 3 * HOUR + MINUTE);
    schedule_ran(w.table, "skip", "s1", SCHEDULE_RAN_SUCCESS, T0 + 3 * HOUR + MINUTE);
    assert_int_equal(world_due(&w, "queue", T0 + 3 * HOUR + MINUTE), T0 + 3 * HOUR);
    assert_int_equal(world_due(&w, "skip", T0 + 3 * HOUR + MINUTE), 0);
    schedule_started(w.table, "queue", "q2", T0 + 3 * HOUR + MINUTE);
    schedule_ran(w.table, "queue", "q2", SCHEDULE_RAN_SUCCESS, T0 + 3 * HOUR + 2 * MINUTE);
    assert_int_equal(world_due(&w, "queue", T0 + 4 * HOUR - 1), 0);
    assert_int_equal(world_due(&w, "skip", T0 + 4 * HOUR), T0 + 4 * HOUR);
    world_done(&w);
}

static void times_missed_while_down_make_one_run_or_none(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_cron(&w, "once", "*/10 * * * *");
    world_cron(&w, "skip", "*/10 * * * *")->schedule.missed = MISSED_SKIP;
    world_go(&w, T0);
    world_keep(&w);
    world_restart(&w, T0 + 3 * DAY + 9 * MINUTE);
    assert_int_equal(world_due(&w, "once", T0 + 3 * DAY + 9 * MINUTE), T0 + 3 * DAY);
    assert_int_equal(world_due(&w, "skip", T0 + 3 * DAY + 9 * MINUTE), 0);
    world_run(&w, "once", "r", SCHEDULE_RAN_SUCCESS, T0 + 3 * DAY + 9 * MINUTE,
              T0 + 3 * DAY + 9 * MINUTE + 1);
    assert_int_equal(world_due(&w, "once", T0 + 3 * DAY + 10 * MINUTE - 1), 0);
    assert_int_equal(world_due(&w, "skip", T0 + 3 * DAY + 10 * MINUTE), T0 + 3 * DAY + 10 * MINUTE);
    world_done(&w);
}

static void a_time_that_was_due_before_a_crash_is_due_after_it(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "s", HOUR)->schedule.missed = MISSED_SKIP;
    world_go(&w, T0);
    assert_int_equal(world_due(&w, "s", T0 + HOUR), T0 + HOUR);
    world_keep(&w);
    world_restart(&w, T0 + HOUR + MINUTE);
    assert_int_equal(world_due(&w, "s", T0 + HOUR + MINUTE), T0 + HOUR);
    world_done(&w);
}

/* The run was accepted, but the memory was not kept: told again, it counts; later times stay. */
static void a_run_that_memory_does_not_know_takes_in_what_was_due_before_it(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "s", HOUR);
    world_go(&w, T0);
    world_due(&w, "s", T0 + HOUR);
    world_keep(&w);
    world_restart(&w, T0 + HOUR + MINUTE);
    world_run(&w, "s", "r", SCHEDULE_RAN_SUCCESS, T0 + HOUR + 1, T0 + HOUR + 2);
    assert_int_equal(world_due(&w, "s", T0 + HOUR + MINUTE), 0);
    world_restart(&w, T0 + 2 * HOUR + MINUTE);
    world_run(&w, "s", "r", SCHEDULE_RAN_SUCCESS, T0 + HOUR + 1, T0 + HOUR + 2);
    assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR + MINUTE), T0 + 2 * HOUR);
    world_keep(&w);
    world_restart(&w, T0 + 2 * HOUR + 2 * MINUTE);
    world_run(&w, "s", "r", SCHEDULE_RAN_SUCCESS, T0 + HOUR + 1, T0 + HOUR + 2);
    assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR + 2 * MINUTE), T0 + 2 * HOUR);
    world_done(&w);
}

/* Memory knows a run that was accepted and is not in the history yet. It begins, or never does. */
static void an_older_run_that_is_told_again_does_not_count_again(void **state)
{
    (void)state;
    for (int begins = 0; begins < 2; begins++) {
        struct world w;
        world_init(&w);
        const struct sync *s = world_every(&w, "s", HOUR);
        world_after(&w, "next", s);
        world_go(&w, T0);
        world_run(&w, "s", "r1", SCHEDULE_RAN_SUCCESS, T0 + 1, T0 + 2);
        world_run(&w, "next", "n1", SCHEDULE_RAN_SUCCESS, T0 + 3, T0 + 4);
        assert_int_equal(world_due(&w, "s", T0 + HOUR), T0 + HOUR);
        schedule_started(w.table, "s", "r2", T0 + HOUR + 1);
        world_keep(&w);
        world_restart(&w, T0 + HOUR + MINUTE);
        world_run(&w, "s", "r1", SCHEDULE_RAN_SUCCESS, T0 + 1, T0 + 2);
        world_run(&w, "next", "n1", SCHEDULE_RAN_SUCCESS, T0 + 3, T0 + 4);
        assert_int_equal(world_due(&w, "next", T0 + HOUR + MINUTE), 0);
        assert_int_equal(world_due(&w, "s", T0 + HOUR + MINUTE), 0);
        if (begins) {
            world_run(&w, "s", "r2", SCHEDULE_RAN_SUCCESS, T0 + HOUR + 2 * MINUTE,
                      T0 + HOUR + 3 * MINUTE);
            assert_int_equal(world_due(&w, "next", T0 + HOUR + 4 * MINUTE), T0 + HOUR + 3 * MINUTE);
        }
        assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR), T0 + 2 * HOUR);
        world_done(&w);
    }
}

static void paused_syncs_rest_and_catch_up_or_not(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "once", HOUR);
    world_every(&w, "skip", HOUR)->schedule.missed = MISSED_SKIP;
    world_go(&w, T0);
    schedule_block(w.table, "once", SCHEDULE_BLOCK_PAUSED, true);
    schedule_block(w.table, "once", SCHEDULE_BLOCK_DESTINATION_PAUSED, true);
    schedule_block(w.table, "skip", SCHEDULE_BLOCK_DESTINATION_PAUSED, true);
    assert_int_equal(world_due(&w, "once", T0 + 2 * HOUR), 0);
    assert_true(world_why(&w, "once", "the sync is paused"));
    assert_true(world_why(&w, "skip", "the destination crm is paused"));
    assert_int_equal(schedule_wake_ms(w.table), INT64_MAX);
    schedule_block(w.table, "once", SCHEDULE_BLOCK_PAUSED, false);
    assert_int_equal(world_due(&w, "once", T0 + 2 * HOUR + 1), 0);
    schedule_block(w.table, "once", SCHEDULE_BLOCK_DESTINATION_PAUSED, false);
    schedule_block(w.table, "skip", SCHEDULE_BLOCK_DESTINATION_PAUSED, false);
    assert_int_equal(world_due(&w, "once", T0 + 2 * HOUR + 1), T0 + 2 * HOUR);
    assert_int_equal(world_due(&w, "skip", T0 + 2 * HOUR + 1), 0);
    assert_int_equal(world_due(&w, "skip", T0 + 3 * HOUR), T0 + 3 * HOUR);
    world_done(&w);
}

static void a_held_run_stops_its_schedule_until_it_has_ended(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        bool goes_on; /* approved */
        const char *by_hand;
        enum schedule_status end;
    } cases[] = {
        {"rejected", false, NULL, SCHEDULE_RAN_CANCELLED},
        {"approved", true, NULL, SCHEDULE_RAN_SUCCESS},
        {"superseded", false, "r2", SCHEDULE_RAN_CANCELLED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        world_init(&w);
        const struct sync *s = world_every(&w, "s", HOUR);
        world_after(&w, "next", s)->schedule.after_on = AFTER_ON_ANY;
        world_go(&w, T0);
        world_run(&w, "s", "r1", SCHEDULE_RAN_HELD, T0 + 1, T0 + 2);
        assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR), 0);
        assert_true(world_why(&w, "s", "held"));
        assert_true(world_why(&w, "next", "waits for s (its run is held)"));
        world_keep(&w);
        world_restart(&w, T0 + 2 * HOUR + 1);
        world_run(&w, "s", "r1", SCHEDULE_RAN_HELD, T0 + 1, T0 + 2);
        assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR + 1), 0);
        if (cases[i].goes_on)
            schedule_started(w.table, "s", "r1", T0 + 2 * HOUR + 2);
        if (cases[i].by_hand)
            schedule_started(w.table, "s", cases[i].by_hand, T0 + 2 * HOUR + 2);
        schedule_ran(w.table, "s", "r1", cases[i].end, T0 + 2 * HOUR + 3);
        /* An end of "r1" is one end, in whichever way it came. */
        int64_t ended = world_due(&w, "next", T0 + 2 * HOUR + 4);
        assert_true(ended == T0 + 2 * HOUR + 2 || ended == T0 + 2 * HOUR + 3);
        world_run(&w, "next", "n1", SCHEDULE_RAN_SUCCESS, T0 + 2 * HOUR + 4, T0 + 2 * HOUR + 5);
        assert_int_equal(world_due(&w, "next", T0 + 2 * HOUR + 6), 0);
        assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR + 6),
                         cases[i].by_hand ? 0 : T0 + 2 * HOUR);
        world_done(&w);
    }
}

static void sequences_stop_where_they_are_told_to(void **state)
{
    (void)state;
    static const struct {
        enum after_on on;
        enum schedule_status status;
        bool goes_on;
    } cases[] = {
        {AFTER_ON_SUCCESS, SCHEDULE_RAN_SUCCESS, true},
        {AFTER_ON_SUCCESS, SCHEDULE_RAN_WARNING, false},
        {AFTER_ON_SUCCESS, SCHEDULE_RAN_FAILED, false},
        {AFTER_ON_WARNING, SCHEDULE_RAN_SUCCESS, true},
        {AFTER_ON_WARNING, SCHEDULE_RAN_WARNING, true},
        {AFTER_ON_WARNING, SCHEDULE_RAN_FAILED, false},
        {AFTER_ON_WARNING, SCHEDULE_RAN_CANCELLED, false},
        {AFTER_ON_WARNING, SCHEDULE_RAN_HELD, false},
        {AFTER_ON_ANY, SCHEDULE_RAN_FAILED, true},
        {AFTER_ON_ANY, SCHEDULE_RAN_CANCELLED, true},
        {AFTER_ON_ANY, SCHEDULE_RAN_HELD, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        world_init(&w);
        const struct sync *s = world_add(&w, "s", SCHEDULE_MANUAL);
        world_after(&w, "next", s)->schedule.after_on = cases[i].on;
        world_go(&w, T0);
        world_run(&w, "s", "r", cases[i].status, T0 + 1, T0 + 2);
        assert_int_equal(world_due(&w, "next", T0 + 3), cases[i].goes_on ? T0 + 2 : 0);
        schedule_ran(w.table, "s", "r", cases[i].status, T0 + 4); /* told again */
        world_run(&w, "next", "n", SCHEDULE_RAN_SUCCESS, T0 + 5, T0 + 6);
        assert_int_equal(world_due(&w, "next", T0 + 7), 0);
        world_done(&w);
    }
}

static void a_sync_after_several_runs_once_for_a_turn_of_all(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct sync *a = world_every(&w, "a", HOUR), *b = world_every(&w, "b", HOUR);
    struct sync *c = world_after(&w, "c", a);
    c->schedule.after[c->schedule.after_count++] = b;
    world_go(&w, T0);
    assert_true(world_why(&w, "c", "waits for a, b"));
    world_run(&w, "a", "a1", SCHEDULE_RAN_SUCCESS, T0 + 1, T0 + 2);
    world_run(&w, "a", "a2", SCHEDULE_RAN_SUCCESS, T0 + 3, T0 + 4);
    assert_int_equal(world_due(&w, "c", T0 + 4), 0);
    assert_true(world_why(&w, "c", "waits for b"));
    world_run(&w, "b", "b1", SCHEDULE_RAN_FAILED, T0 + 5, T0 + 6);
    assert_true(world_why(&w, "c", "waits for b (its last run failed)"));
    /* By hand in between: the turn goes on where it was. */
    world_run(&w, "c", "c1", SCHEDULE_RAN_SUCCESS, T0 + 7, T0 + 8);
    world_keep(&w);
    world_restart(&w, T0 + 9);
    world_run(&w, "b", "b2", SCHEDULE_RAN_WARNING, T0 + 10, T0 + 11);
    assert_int_equal(world_due(&w, "c", T0 + 12), T0 + 11);
    assert_true(world_why(&w, "c", ""));
    /* A whole turn is owed, whatever comes. */
    world_run(&w, "b", "b3", SCHEDULE_RAN_FAILED, T0 + 12, T0 + 13);
    assert_int_equal(world_due(&w, "c", T0 + 13), T0 + 11);
    world_run(&w, "c", "c2", SCHEDULE_RAN_SUCCESS, T0 + 14, T0 + 15);
    world_run(&w, "a", "a3", SCHEDULE_RAN_SUCCESS, T0 + 16, T0 + 17);
    assert_int_equal(world_due(&w, "c", T0 + 18), 0);
    /* An end that is bad again takes its part back. */
    world_run(&w, "a", "a4", SCHEDULE_RAN_FAILED, T0 + 19, T0 + 20);
    world_run(&w, "b", "b4", SCHEDULE_RAN_SUCCESS, T0 + 21, T0 + 22);
    assert_int_equal(world_due(&w, "c", T0 + 23), 0);
    world_done(&w);
}

static void an_end_before_the_first_start_of_the_scheduler_starts_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    const struct sync *s = world_add(&w, "s", SCHEDULE_MANUAL);
    world_after(&w, "next", s);
    world_go(&w, T0);
    world_run(&w, "s", "old", SCHEDULE_RAN_SUCCESS, T0 - HOUR, T0 - MINUTE);
    assert_int_equal(world_due(&w, "next", T0 + 1), 0);
    world_run(&w, "s", "new", SCHEDULE_RAN_SUCCESS, T0 + 1, T0 + 2);
    assert_int_equal(world_due(&w, "next", T0 + 3), T0 + 2);
    world_done(&w);
}

static bool looks(struct world *w, const char *sync, int64_t now_ms)
{
    const struct sync *given[WORLD_SYNCS];
    size_t n = schedule_looks(w->table, now_ms, given, WORLD_SYNCS);
    assert_true(n <= 1);
    return n == 1 && strcmp(given[0]->name, sync) == 0;
}

static void a_change_makes_a_sync_due_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_on_change(&w, "s");
    world_go(&w, T0);
    assert_true(looks(&w, "s", T0));
    assert_false(looks(&w, "s", T0 + HOUR)); /* until it has ended */
    schedule_looked(w.table, "s", world_token('a'), T0 + 1);
    assert_int_equal(schedule_wake_ms(w.table), T0 + 30 * SECOND + 1);
    assert_int_equal(world_due(&w, "s", T0 + 2), T0 + 1);
    assert_int_equal(schedule_next_ms(w.table, "s"), 0);
    schedule_started(w.table, "s", "r1", T0 + 3);
    assert_false(looks(&w, "s", T0 + HOUR)); /* a run is under way */
    schedule_ran(w.table, "s", "r1", SCHEDULE_RAN_FAILED, T0 + 4);
    assert_true(looks(&w, "s", T0 + 31 * SECOND));
    schedule_looked(w.table, "s", world_token('a'), T0 + 31 * SECOND);
    assert_int_equal(world_due(&w, "s", T0 + HOUR), 0);
    world_keep(&w);
    world_restart(&w, T0 + HOUR);
    assert_true(looks(&w, "s", T0 + HOUR));
    schedule_looked(w.table, "s", world_token('a'), T0 + HOUR);
    assert_int_equal(world_due(&w, "s", T0 + HOUR), 0);
    assert_true(looks(&w, "s", T0 + HOUR + 30 * SECOND));
    schedule_looked(w.table, "s", world_token('b'), T0 + HOUR + 30 * SECOND);
    assert_true(world_due(&w, "s", T0 + HOUR + 30 * SECOND) != 0);
    /* The change was taken back before anything ran. */
    schedule_looked(w.table, "s", world_token('a'), T0 + HOUR + 60 * SECOND);
    assert_int_equal(world_due(&w, "s", T0 + HOUR + 60 * SECOND), 0);
    /* A change that was seen and not run is still owed after a crash. */
    schedule_looked(w.table, "s", world_token('c'), T0 + HOUR + 90 * SECOND);
    world_keep(&w);
    world_restart(&w, T0 + 2 * HOUR);
    assert_int_equal(world_due(&w, "s", T0 + 2 * HOUR), T0 + HOUR + 90 * SECOND);
    world_done(&w);
}

static void a_change_during_a_run_is_not_forgotten(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct sync *s = world_add(&w, "s", SCHEDULE_DBT);
    s->schedule.run_results = "/r.json";
    s->schedule.dbt_model = "m";
    s->schedule.every_ms = 10 * SECOND;
    world_go(&w, T0);
    assert_true(looks(&w, "s", T0));
    schedule_looked(w.table, "s", world_token('a'), T0);
    schedule_started(w.table, "s", "r1", T0 + 1);
    assert_true(looks(&w, "s", T0 + 10 * SECOND));
    schedule_looked(w.table, "s", world_token('b'), T0 + 10 * SECOND);
    /* Then dbt writes its file over, without the model. */
    assert_true(looks(&w, "s", T0 + 20 * SECOND));
    schedule_look_failed(w.table, "s", "dbt did not build it", T0 + 20 * SECOND);
    assert_int_equal(world_due(&w, "s", T0 + 20 * SECOND), 0);
    schedule_ran(w.table, "s", "r1", SCHEDULE_RAN_SUCCESS, T0 + 21 * SECOND);
    assert_int_equal(world_due(&w, "s", T0 + 21 * SECOND), T0 + 10 * SECOND);
    assert_true(world_why(&w, "s", "dbt did not build it"));
    world_done(&w);
}

static void the_most_urgent_come_first(void **state)
{
    (void)state;
    static const char *const order[] = {"high", "early", "late", "late2", "low"};
    struct world w;
    world_init(&w);
    world_every(&w, "late", HOUR);
    world_every(&w, "low", HOUR)->priority = PRIORITY_LOW;
    world_every(&w, "late2", HOUR);
    world_cron(&w, "early", "30 * * * *");
    world_every(&w, "high", HOUR)->priority = PRIORITY_HIGH;
    world_go(&w, T0);
    for (size_t max = 1; max <= 5; max++) {
        struct schedule_start starts[5];
        assert_int_equal(schedule_due(w.table, T0 + HOUR, starts, max), max);
        for (size_t i = 0; i < max; i++)
            assert_string_equal(starts[i].sync->name, order[i]);
    }
    world_done(&w);
}

static void jitter_is_the_same_for_syncs_of_a_model(void **state)
{
    (void)state;
    struct world w;
    struct model other[20];
    char names[20][8];
    bool differs = false;
    world_init(&w);
    world_every(&w, "a", HOUR)->schedule.jitter_ms = 10 * MINUTE;
    world_cron(&w, "b", "@hourly")->schedule.jitter_ms = 10 * MINUTE;
    struct sync *c = world_every(&w, "c", HOUR);
    c->schedule.jitter_ms = 10 * MINUTE;
    world_go(&w, T0);
    int64_t next = schedule_next_ms(w.table, "a");
    assert_in_range(next, T0, T0 + HOUR + 10 * MINUTE);
    assert_int_equal(schedule_next_ms(w.table, "b"), next);
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        other[i] = (struct model){.name = names[i], .source = &w.source};
        c->model = &other[i];
        struct err err;
        assert_int_equal(schedule_table_reload(w.table, &w.project, T0, &err), ERR_OK);
        assert_int_equal(schedule_next_ms(w.table, "a"), next);
        differs |= schedule_next_ms(w.table, "c") != next;
    }
    assert_true(differs);
    world_done(&w);
}

static void a_clock_set_back_neither_repeats_nor_stops(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "s", MINUTE);
    world_go(&w, T0);
    assert_int_equal(world_due(&w, "s", T0 + MINUTE), T0 + MINUTE);
    world_run(&w, "s", "r1", SCHEDULE_RAN_SUCCESS, T0 + MINUTE, T0 + MINUTE + 1);
    assert_int_equal(world_due(&w, "s", T0 + 1), 0);
    assert_int_equal(world_due(&w, "s", T0 + MINUTE), 0); /* that minute was */
    assert_int_equal(world_due(&w, "s", T0 + 2 * MINUTE), T0 + 2 * MINUTE);
    /* By a year: it would rest as long. */
    assert_int_equal(world_due(&w, "s", T0 - 365 * DAY), T0 - 365 * DAY);
    world_run(&w, "s", "r2", SCHEDULE_RAN_SUCCESS, T0 - 365 * DAY, T0 - 365 * DAY + 1);
    assert_int_equal(world_due(&w, "s", T0 - 365 * DAY + 2), 0);
    assert_int_equal(world_due(&w, "s", T0 - 365 * DAY + MINUTE), T0 - 365 * DAY + MINUTE);
    world_done(&w);
}

static void a_stream_is_never_due_by_time(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_add(&w, "s", SCHEDULE_STREAM);
    world_after(&w, "then", &w.syncs[0]);
    world_go(&w, T0);
    for (int64_t now = T0; now < T0 + 3 * DAY; now += HOUR)
        assert_int_equal(world_due(&w, "s", now), 0);
    assert_int_equal(schedule_next_ms(w.table, "s"), 0);
    assert_true(schedule_wake_ms(w.table) == INT64_MAX);
    assert_true(world_why(&w, "s", ""));
    /* Its runs are runs: others may follow them. */
    world_run(&w, "s", "r1", SCHEDULE_RAN_SUCCESS, T0 + 3 * DAY, T0 + 3 * DAY + MINUTE);
    assert_int_equal(world_due(&w, "s", T0 + 4 * DAY), 0);
    assert_int_equal(world_due(&w, "then", T0 + 4 * DAY), T0 + 3 * DAY + MINUTE);
    schedule_block(w.table, "s", SCHEDULE_BLOCK_PAUSED, true);
    assert_true(world_why(&w, "s", "paused"));
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_is_due_at_each_of_its_times_once),
        cmocka_unit_test(a_run_by_hand_takes_in_what_is_due),
        cmocka_unit_test(times_during_a_run_make_one_run_after_it_or_none),
        cmocka_unit_test(times_missed_while_down_make_one_run_or_none),
        cmocka_unit_test(a_time_that_was_due_before_a_crash_is_due_after_it),
        cmocka_unit_test(a_run_that_memory_does_not_know_takes_in_what_was_due_before_it),
        cmocka_unit_test(an_older_run_that_is_told_again_does_not_count_again),
        cmocka_unit_test(paused_syncs_rest_and_catch_up_or_not),
        cmocka_unit_test(a_held_run_stops_its_schedule_until_it_has_ended),
        cmocka_unit_test(sequences_stop_where_they_are_told_to),
        cmocka_unit_test(a_sync_after_several_runs_once_for_a_turn_of_all),
        cmocka_unit_test(an_end_before_the_first_start_of_the_scheduler_starts_nothing),
        cmocka_unit_test(a_change_makes_a_sync_due_once),
        cmocka_unit_test(a_change_during_a_run_is_not_forgotten),
        cmocka_unit_test(the_most_urgent_come_first),
        cmocka_unit_test(jitter_is_the_same_for_syncs_of_a_model),
        cmocka_unit_test(a_clock_set_back_neither_repeats_nor_stops),
        cmocka_unit_test(a_stream_is_never_due_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
