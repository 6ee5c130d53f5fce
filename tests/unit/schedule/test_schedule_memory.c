/* What the table of schedules keeps over reloads and restarts, and how it tells what it has. */
#include "world.h"

static void a_reload_keeps_what_is_known_and_begins_changed_schedules_anew(void **state)
{
    (void)state;
    struct world w, other;
    struct err err;
    world_init(&w);
    world_every(&w, "same", HOUR);
    world_every(&w, "changed", HOUR);
    world_every(&w, "gone", HOUR);
    struct sync *s = world_on_change(&w, "looks");
    world_after(&w, "after", s);
    world_go(&w, T0);
    assert_true(world_due(&w, "same", T0 + HOUR) && world_due(&w, "changed", T0 + HOUR));
    schedule_looked(w.table, "looks", world_token('a'), T0 + HOUR);
    schedule_started(w.table, "looks", "l1", T0 + HOUR);
    schedule_block(w.table, "changed", SCHEDULE_BLOCK_PAUSED, true);
    world_init(&other);
    world_every(&other, "new", HOUR);
    struct sync *o = world_on_change(&other, "looks");
    o->schedule.every_ms = 5 * SECOND; /* only the looks */
    world_after(&other, "after", o);
    world_every(&other, "changed", 30 * MINUTE);
    world_every(&other, "same", HOUR)->schedule.missed = MISSED_SKIP;
    assert_int_equal(schedule_table_reload(w.table, &other.project, T0 + HOUR + 1, &err), ERR_OK);
    w.project = other.project;
    assert_int_equal(world_due(&w, "same", T0 + HOUR + 1), T0 + HOUR);
    assert_int_equal(schedule_next_ms(w.table, "gone"), 0);
    assert_true(world_why(&w, "changed", "paused"));
    schedule_block(w.table, "changed", SCHEDULE_BLOCK_PAUSED, false);
    assert_int_equal(world_due(&w, "changed", T0 + HOUR + 1), 0);
    assert_int_equal(world_due(&w, "changed", T0 + HOUR + 30 * MINUTE), T0 + HOUR + 30 * MINUTE);
    assert_int_equal(world_due(&w, "new", T0 + 2 * HOUR), T0 + 2 * HOUR);
    schedule_ran(w.table, "looks", "l1", SCHEDULE_RAN_SUCCESS, T0 + HOUR + 2);
    schedule_looked(w.table, "looks", world_token('a'), T0 + HOUR + 3);
    assert_int_equal(world_due(&w, "looks", T0 + HOUR + 4), 0);
    assert_int_equal(world_due(&w, "after", T0 + HOUR + 4), T0 + HOUR + 2);
    world_done(&w);
}

static void a_reload_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct world w, other;
    struct err err;
    world_init(&w);
    world_every(&w, "s", HOUR);
    world_go(&w, T0);
    world_init(&other);
    world_cron(&other, "s", "@daily")->schedule.timezone = "Mars/Base";
    assert_int_equal(schedule_table_reload(w.table, &other.project, T0, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "Mars/Base"));
    assert_int_equal(world_due(&w, "s", T0 + HOUR), T0 + HOUR);
    world_done(&w);
}

static void memory_is_given_when_it_changed_only(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_every(&w, "a", HOUR);
    world_every(&w, "b", HOUR);
    world_go(&w, T0);
    world_keep(&w);
    assert_int_equal(w.kept_calls, 2);
    world_due(&w, "a", T0 + HOUR - 1);
    world_keep(&w);
    assert_int_equal(w.kept_calls, 2);
    schedule_started(w.table, "a", "r", T0 + 5);
    world_keep(&w);
    assert_int_equal(w.kept_calls, 3);
    world_due(&w, "a", T0 + HOUR);
    world_keep(&w);
    assert_int_equal(w.kept_calls, 5);
    world_done(&w);
}

static enum err_code refuse(void *ctx, const char *sync, struct slice packed, struct err *err)
{
    (void)packed;
    (*(size_t *)ctx)++;
    return err_set(err, ERR_FULL, "no room for %s", sync);
}

static void memory_that_was_not_taken_is_given_again(void **state)
{
    (void)state;
    struct world w;
    struct err err;
    size_t refused = 0;
    world_init(&w);
    world_every(&w, "a", HOUR);
    world_every(&w, "b", HOUR);
    world_go(&w, T0);
    assert_int_equal(schedule_keep(w.table, refuse, &refused, &err), ERR_FULL);
    assert_int_equal(refused, 1);
    world_keep(&w);
    assert_int_equal(w.kept_calls, 2);
    world_done(&w);
}

static void memory_that_is_none_is_refused(void **state)
{
    (void)state;
    struct world w;
    struct err err;
    world_init(&w);
    world_every(&w, "s", HOUR);
    world_go(&w, T0);
    schedule_started(w.table, "s", "20260105T000000-0123abcd", T0 + 1);
    world_keep(&w);
    const struct kept good = w.kept[0];
    for (size_t n = 0; n < good.n; n++) {
        char *cut = malloc(n + 1);
        assert_non_null(cut);
        memcpy(cut, good.bytes, n);
        assert_int_equal(schedule_recall(w.table, "s", slice_of(cut, n), T0, &err), ERR_INVALID);
        free(cut);
    }
    for (size_t i = 0; i < good.n * 8; i++) {
        struct kept bad = good;
        bad.bytes[i / 8] ^= (char)(1 << i % 8);
        if (schedule_recall(w.table, "s", slice_of(bad.bytes, bad.n), T0, &err) == ERR_OK)
            world_due(&w, "s", T0 + HOUR);
    }
    assert_int_equal(schedule_recall(w.table, "other", slice_of("x", 1), T0, &err), ERR_OK);
    world_done(&w);
}

static void schedules_are_told_in_words(void **state)
{
    (void)state;
    struct world w;
    char words[SCHEDULE_WORDS_BYTES], why[SCHEDULE_WHY_BYTES], failed[300];
    world_init(&w);
    struct sync *a = world_every(&w, "a", 90 * MINUTE);
    struct sync *b = world_cron(&w, "b", "0 6 * * 1-5"), *c = world_after(&w, "c", a);
    assert_string_equal(schedule_words(a, words), "every 1h30m");
    a->schedule.offset_ms = 300 * SECOND + 7;
    assert_string_equal(schedule_words(a, words), "every 1h30m, offset 5m7ms");
    assert_string_equal(schedule_words(b, words), "0 6 * * 1-5 (UTC)");
    b->schedule.timezone = "Europe/Berlin";
    assert_string_equal(schedule_words(b, words), "0 6 * * 1-5 (Europe/Berlin)");
    assert_string_equal(schedule_words(c, words), "after a");
    c->schedule.after[c->schedule.after_count++] = b;
    c->schedule.after_on = AFTER_ON_SUCCESS;
    assert_string_equal(schedule_words(c, words), "after a, b, on success");
    assert_string_equal(schedule_words(world_add(&w, "m", SCHEDULE_MANUAL), words), "manual");
    struct sync *d = world_on_change(&w, "d");
    assert_string_equal(schedule_words(d, words), "on change, looked for every 30s");
    struct sync *e = world_add(&w, "e", SCHEDULE_STREAM);
    e->schedule.stream.from = STREAM_KEYS;
    assert_string_equal(schedule_words(e, words), "stream (keys)");
    world_go(&w, T0);
    memset(failed, 'x', sizeof failed);
    failed[0] = 'y';
    for (size_t i = 1; i + 1 < sizeof failed; i += 2)
        memcpy(failed + i, "\xc3\xa4", 2);
    failed[sizeof failed - 1] = '\0';
    schedule_look_failed(w.table, "d", failed, T0);
    schedule_why(w.table, "d", why); /* cut between two characters */
    assert_in_range(strlen(why), SCHEDULE_WHY_BYTES - 4, SCHEDULE_WHY_BYTES - 1);
    assert_int_equal((unsigned char)why[strlen(why) - 1], 0xa4);
    assert_string_equal(schedule_why(w.table, "nobody", why), "");
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_keeps_what_is_known_and_begins_changed_schedules_anew),
        cmocka_unit_test(a_reload_that_fails_changes_nothing),
        cmocka_unit_test(memory_is_given_when_it_changed_only),
        cmocka_unit_test(memory_that_was_not_taken_is_given_again),
        cmocka_unit_test(memory_that_is_none_is_refused),
        cmocka_unit_test(schedules_are_told_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
