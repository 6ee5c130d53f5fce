/* Marks: the settled position is behind everything that is held, however releases come. */
#include "scheduler/stream/marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct feed_position place(unsigned n)
{
    struct feed_position p = {.n = sizeof n};
    memcpy(p.bytes, &n, sizeof n);
    return p;
}

static unsigned settled(const struct marks *m)
{
    unsigned n = 0;
    const struct feed_position *p = marks_settled(m);
    if (p->n)
        memcpy(&n, p->bytes, sizeof n);
    return n;
}

static void close_at(struct marks *m, unsigned n)
{
    struct feed_position p = place(n);
    marks_close(m, &p);
}

static void test_nothing_held_moves_at_once(void **state)
{
    (void)state;
    struct marks *m = marks_new();
    assert_int_equal(settled(m), 0);
    close_at(m, 1);
    close_at(m, 2);
    assert_int_equal(settled(m), 2);
    marks_free(m);
}

static void test_releases_out_of_order(void **state)
{
    (void)state;
    struct marks *m = marks_new();
    uint64_t first = marks_open(m);
    marks_hold(m, first);
    close_at(m, 1);
    uint64_t second = marks_open(m);
    assert_int_not_equal(first, second);
    marks_hold(m, second);
    marks_hold(m, second);
    close_at(m, 2);
    marks_release(m, second);
    marks_release(m, second);
    assert_int_equal(settled(m), 0);
    close_at(m, 3); /* with nothing in it */
    assert_int_equal(marks_held(m), 1);
    marks_release(m, first);
    assert_int_equal(settled(m), 3);
    assert_int_equal(marks_held(m), 0);
    marks_free(m);
}

static void test_the_open_mark_is_not_settled_before_it_is_closed(void **state)
{
    (void)state;
    struct marks *m = marks_new();
    uint64_t a = marks_open(m);
    marks_hold(m, a);
    marks_release(m, a);
    assert_int_equal(settled(m), 0);
    close_at(m, 7);
    assert_int_equal(settled(m), 7);
    marks_free(m);
}

static void test_a_reset_forgets_and_late_releases_do_nothing(void **state)
{
    (void)state;
    struct marks *m = marks_new();
    uint64_t a = marks_open(m);
    marks_hold(m, a);
    close_at(m, 1);
    struct feed_position p = place(40);
    marks_reset(m, &p);
    assert_int_equal(settled(m), 40);
    marks_release(m, a);
    uint64_t b = marks_open(m);
    assert_true(b > a);
    marks_hold(m, b);
    close_at(m, 41);
    assert_int_equal(settled(m), 40);
    marks_release(m, b);
    assert_int_equal(settled(m), 41);
    marks_free(m);
}

/* One change holds the first mark while very many others pass: later ones share a mark. */
static void test_marks_are_bounded(void **state)
{
    (void)state;
    struct marks *m = marks_new();
    uint64_t first = marks_open(m);
    marks_hold(m, first);
    close_at(m, 1);
    unsigned n = 2, end = MARKS_MAX * 3;
    uint64_t *mine = calloc(end, sizeof *mine);
    for (; n < end; n++) {
        mine[n] = marks_open(m);
        marks_hold(m, mine[n]);
        close_at(m, n);
    }
    assert_true(marks_open(m) - first < MARKS_MAX);
    for (unsigned i = 2; i < end; i++)
        marks_release(m, mine[i]);
    assert_int_equal(settled(m), 0);
    marks_release(m, first);
    assert_int_equal(settled(m), end - 1);
    assert_int_equal(marks_held(m), 0);
    free(mine);
    marks_free(m);
}

/* Against a plain model: any order of holds, closes and releases. */
static void test_against_a_model(void **state)
{
    (void)state;
    enum { STEPS = 200000, HELD_MAX = 3000 };
    static struct {
        uint64_t mark;
        unsigned after; /* position closed last when it came */
    } held[HELD_MAX];
    struct marks *m = marks_new();
    unsigned count = 0, closed = 0, seed = 12345;
    for (int i = 0; i < STEPS; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned what = seed >> 16 & 3, pick = seed >> 18;
        if (what <= 1 && count < HELD_MAX) {
            held[count].mark = marks_open(m);
            held[count++].after = closed;
            marks_hold(m, marks_open(m));
        } else if (what == 2) {
            close_at(m, ++closed);
        } else if (count) {
            pick %= count;
            marks_release(m, held[pick].mark);
            held[pick] = held[--count];
        }
        unsigned least = closed;
        for (unsigned k = 0; k < count && i % 50 == 0; k++)
            least = held[k].after < least ? held[k].after : least;
        if (i % 50 == 0)
            assert_int_equal(settled(m), least);
    }
    marks_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_held_moves_at_once),
        cmocka_unit_test(test_releases_out_of_order),
        cmocka_unit_test(test_the_open_mark_is_not_settled_before_it_is_closed),
        cmocka_unit_test(test_a_reset_forgets_and_late_releases_do_nothing),
        cmocka_unit_test(test_marks_are_bounded),
        cmocka_unit_test(test_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
