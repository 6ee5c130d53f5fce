/* What state knows of events that are sent once goes when their position has passed, and not
 * before. */
#include "scheduler/run/stream_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 256 };

static char forgotten[TEXT_BYTES]; /* keys, each with a blank behind it */
static int runs_asked;

enum err_code sync_run_forget(struct sync_run *run, struct slice key, struct err *err)
{
    size_t n = strlen(forgotten);
    (void)err;
    assert_non_null(run);
    runs_asked++;
    if (n + key.n + 2 < sizeof forgotten)
        snprintf(forgotten + n, sizeof forgotten - n, "%.*s ", (int)key.n, key.p);
    return ERR_OK;
}

struct world {
    struct sync sync;
    struct stream_driver d;
};

static void begin(struct world *w, enum sync_mode mode)
{
    *w = (struct world){.sync = {.name = "s", .mode = mode}};
    w->sync.schedule.stream.from = STREAM_EVENTS;
    w->d.sync = &w->sync;
    w->d.marks = marks_new();
    w->d.run = (struct sync_run *)w; /* only told apart from none */
    stream_forget_init(&w->d.passing);
    forgotten[0] = '\0';
    runs_asked = 0;
}

static void end(struct world *w)
{
    marks_free(w->d.marks);
    stream_forget_done(&w->d.passing);
}

static uint64_t open_mark(struct world *w)
{
    marks_hold(w->d.marks, marks_open(w->d.marks));
    return marks_open(w->d.marks);
}

static void close_mark(struct world *w, unsigned n)
{
    struct feed_position at = {.n = 1, .bytes = {(uint8_t)n}};
    marks_close(w->d.marks, &at);
}

static void settle(struct world *w, uint64_t mark, const char *key)
{
    stream_forget_later(&w->d, mark, slice_str(key));
    marks_release(w->d.marks, mark);
}

static void commit(struct world *w)
{
    struct err err;
    assert_int_equal(stream_forget_passed(&w->d, &err), ERR_OK);
}

static void a_key_goes_when_its_mark_has_passed(void **state)
{
    (void)state;
    struct world w;
    begin(&w, MODE_APPEND);
    uint64_t a = open_mark(&w);
    close_mark(&w, 1);
    uint64_t b = open_mark(&w);
    close_mark(&w, 2);
    uint64_t c = open_mark(&w);
    close_mark(&w, 3);
    settle(&w, b, "b");
    commit(&w);
    assert_string_equal(forgotten, "");
    settle(&w, a, "a");
    commit(&w);
    assert_string_equal(forgotten, "b a ");
    settle(&w, c, "c");
    commit(&w);
    commit(&w);
    assert_string_equal(forgotten, "b a c ");
    assert_int_equal(w.d.passing.count, 0);
    assert_int_equal(w.d.passing.keys.len, 0);
    end(&w);
}

static void what_is_upserted_stays_known(void **state)
{
    (void)state;
    struct world w;
    begin(&w, MODE_UPSERT);
    uint64_t a = open_mark(&w);
    close_mark(&w, 1);
    settle(&w, a, "a");
    commit(&w);
    assert_int_equal(runs_asked, 0);
    end(&w);
}

static void without_a_run_it_waits_for_the_next(void **state)
{
    (void)state;
    struct world w;
    begin(&w, MODE_APPEND);
    struct sync_run *run = w.d.run;
    uint64_t a = open_mark(&w);
    close_mark(&w, 1);
    settle(&w, a, "a");
    w.d.run = NULL;
    commit(&w);
    assert_int_equal(runs_asked, 0);
    w.d.run = run;
    commit(&w);
    assert_string_equal(forgotten, "a ");
    end(&w);
}

static void what_is_given_again_is_known_until_then(void **state)
{
    (void)state;
    struct world w;
    struct feed_position at = {.n = 1, .bytes = {1}};
    begin(&w, MODE_APPEND);
    uint64_t a = open_mark(&w);
    close_mark(&w, 1);
    open_mark(&w);
    close_mark(&w, 2);
    uint64_t c = open_mark(&w);
    close_mark(&w, 3);
    settle(&w, a, "a");
    settle(&w, c, "c");
    stream_forget_reset(&w.d);
    marks_reset(w.d.marks, &at);
    commit(&w);
    assert_string_equal(forgotten, "a ");
    uint64_t again = open_mark(&w);
    close_mark(&w, 3);
    settle(&w, again, "c");
    commit(&w);
    assert_string_equal(forgotten, "a c ");
    end(&w);
}

/* A mark that hangs, and a hundred thousand events behind it, in portions. */
static void many_wait_behind_one(void **state)
{
    (void)state;
    enum { PORTIONS = 200, PORTION = 500, ALL = PORTIONS * PORTION + 1 };
    struct world w;
    char key[32];
    begin(&w, MODE_APPEND);
    for (int round = 0; round < 3; round++) {
        uint64_t first = open_mark(&w);
        close_mark(&w, 1);
        for (int i = 0; i < PORTIONS; i++) {
            uint64_t mark = 0;
            for (int k = 0; k < PORTION; k++)
                mark = open_mark(&w);
            close_mark(&w, 2);
            for (int k = 0; k < PORTION; k++) {
                snprintf(key, sizeof key, "key-%d-%d", i, k);
                settle(&w, mark, key);
            }
            commit(&w);
        }
        assert_int_equal(runs_asked, round * ALL);
        settle(&w, first, "first");
        commit(&w);
        assert_int_equal(runs_asked, (round + 1) * ALL);
        assert_int_equal(w.d.passing.count, 0);
    }
    assert_true(w.d.passing.cap <= 2 * ALL);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_goes_when_its_mark_has_passed),
        cmocka_unit_test(what_is_upserted_stays_known),
        cmocka_unit_test(without_a_run_it_waits_for_the_next),
        cmocka_unit_test(what_is_given_again_is_known_until_then),
        cmocka_unit_test(many_wait_behind_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
