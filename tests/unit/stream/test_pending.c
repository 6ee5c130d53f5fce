/* Pending changes: the newest value per key, in order, within bounds; against a plain model. */
#include "scheduler/stream/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pending_change change(enum change_kind kind, const char *key, uint64_t mark)
{
    return (struct pending_change){
        .kind = kind, .key = slice_str(key), .mark = mark, .since_ms = 1};
}

static bool put(struct pending *p, struct pending_change c, const char *text)
{
    struct err err;
    bool replaced;
    struct value v[2] = {value_of(VALUE_TEXT, slice_str(text)), {.kind = VALUE_NULL}};
    struct row row = {v, 2};
    assert_int_equal(pending_put(p, &c, &row, &replaced, &err), ERR_OK);
    return replaced;
}

static void assert_row(struct pending *p, const struct pending_change *c, const char *text)
{
    struct row row = pending_row(p, c);
    assert_int_equal(row.n, 2);
    assert_int_equal(row.values[0].kind, VALUE_TEXT);
    assert_true(slice_eq_str(value_slice(row.values[0]), text));
    assert_int_equal(row.values[1].kind, VALUE_NULL);
}

static void test_the_newest_value_keeps_place_and_mark(void **state)
{
    (void)state;
    struct pending *p = pending_new();
    struct pending_change c;
    size_t at = 0;
    assert_false(put(p, change(CHANGE_ROW, "a", 1), "one"));
    assert_false(put(p, change(CHANGE_GONE, "b", 2), ""));
    assert_true(put(p, change(CHANGE_ROW, "a", 3), "three, and longer"));
    assert_int_equal(pending_count(p), 2);
    assert_true(pending_next(p, &at, &c));
    assert_true(slice_eq_str(c.key, "a"));
    assert_int_equal(c.mark, 1);
    assert_row(p, &c, "three, and longer");
    pending_take(p, at);
    assert_true(pending_next(p, &at, &c));
    assert_int_equal(c.kind, CHANGE_GONE);
    assert_int_equal(c.row.n, 0);
    assert_false(pending_next(p, &at, &c));
    assert_int_equal(pending_count(p), 1);
    pending_free(p);
}

static void test_what_is_laid_by_is_passed_until_it_is_woken(void **state)
{
    (void)state;
    struct pending *p = pending_new();
    struct pending_change c;
    struct err err;
    size_t at = 0;
    put(p, change(CHANGE_ROW, "a", 1), "1");
    put(p, change(CHANGE_ROW, "b", 1), "2");
    assert_true(pending_next(p, &at, &c));
    pending_lay_by(p, at);
    assert_int_equal(pending_ready(p), 1);
    assert_int_equal(pending_count(p), 2);
    assert_true(put(p, change(CHANGE_ROW, "a", 2), "newer")); /* stays laid by */
    at = 0;
    assert_true(pending_next(p, &at, &c));
    assert_true(slice_eq_str(c.key, "b"));
    pending_take(p, at);
    assert_int_equal(pending_sweep(p, &err), ERR_OK);
    pending_wake(p, slice_str("nobody"));
    assert_int_equal(pending_ready(p), 0);
    pending_wake(p, slice_str("a"));
    at = 0;
    assert_true(pending_next(p, &at, &c));
    assert_row(p, &c, "newer");
    pending_lay_by(p, at);
    pending_wake_all(p);
    assert_int_equal(pending_ready(p), 1);
    pending_free(p);
}

static void test_what_is_put_back_gives_way_to_a_newer_one(void **state)
{
    (void)state;
    struct pending *p = pending_new();
    struct err err;
    struct pending_change c = change(CHANGE_KEY, "a", 5);
    bool there;
    assert_int_equal(pending_put_back(p, &c, NULL, &there, &err), ERR_OK);
    assert_false(there);
    put(p, change(CHANGE_ROW, "a", 6), "newer");
    assert_int_equal(pending_put_back(p, &c, NULL, &there, &err), ERR_OK);
    assert_true(there);
    size_t at = 0;
    assert_true(pending_next(p, &at, &c));
    assert_row(p, &c, "newer");
    pending_to_keys(p);
    at = 0;
    assert_true(pending_next(p, &at, &c));
    assert_int_equal(c.kind, CHANGE_KEY);
    assert_int_equal(c.row.n, 0);
    pending_clear(p);
    assert_int_equal(pending_count(p), 0);
    assert_int_equal(pending_since_ms(p), 0);
    pending_free(p);
}

static void test_it_says_when_it_is_full(void **state)
{
    (void)state;
    struct pending *p = pending_new();
    static char big[1 << 20];
    memset(big, 'x', sizeof big - 1);
    char key[16];
    int n = 0;
    while (!pending_is_full(p)) {
        snprintf(key, sizeof key, "k%d", n++);
        put(p, change(CHANGE_ROW, key, 1), big);
    }
    assert_in_range(n, 60, 65);
    pending_free(p);
}

/* Random puts, takes and sweeps; the same of a plain array. */
/* A stream that is held plans nothing for days, and one record may change all the while. */
static void test_values_that_were_replaced_take_no_room(void **state)
{
    (void)state;
    enum { KEYS = 100, ROUNDS = 20000, VALUE_BYTES = 64, ROOM = 16 << 20 };
    struct pending *p = pending_new();
    struct pending_change c;
    char key[8], text[VALUE_BYTES + 1], last[VALUE_BYTES + 1];
    size_t at = 0, count = 0;
    for (int i = 0; i < ROUNDS * KEYS; i++) {
        snprintf(key, sizeof key, "%d", i % KEYS);
        snprintf(text, sizeof text, "%064d", i / KEYS);
        assert_int_equal(put(p, change(CHANGE_ROW, key, 1), text), i >= KEYS);
        assert_true(pending_bytes(p) < ROOM);
    }
    snprintf(last, sizeof last, "%064d", ROUNDS - 1);
    for (; pending_next(p, &at, &c); count++)
        assert_row(p, &c, last);
    assert_int_equal(count, KEYS);
    pending_free(p);
}

static void test_against_a_model(void **state)
{
    (void)state;
    enum { KEYS = 3000, STEPS = 300000 };
    static unsigned value[KEYS]; /* 0: does not wait */
    struct pending *p = pending_new();
    struct err err;
    unsigned seed = 99, count = 0;
    for (unsigned i = 1; i <= STEPS; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned k = (seed >> 8) % KEYS;
        char key[16], text[64];
        snprintf(key, sizeof key, "key-%u", k);
        snprintf(text, sizeof text, "%u %.*s", i, (int)(seed >> 20 & 31),
                 "................................");
        if (seed >> 30) {
            assert_int_equal(put(p, change(CHANGE_ROW, key, i), text), value[k] != 0);
            count += value[k] == 0;
            value[k] = i;
        } else { /* take some from where a walk comes by */
            struct pending_change c;
            size_t at = seed >> 12 & 255;
            for (int n = 0; n < 7 && pending_next(p, &at, &c); n++) {
                unsigned of;
                struct row row = pending_row(p, &c);
                assert_int_equal(sscanf(c.key.p, "key-%u", &of), 1);
                assert_int_equal(strtoul(row.values[0].p, NULL, 10), value[of]);
                pending_take(p, at);
                value[of] = 0;
                count--;
            }
            assert_int_equal(pending_sweep(p, &err), ERR_OK);
        }
        assert_int_equal(pending_count(p), count);
    }
    struct pending_change c;
    size_t at = 0;
    while (pending_next(p, &at, &c))
        count--;
    assert_int_equal(count, 0);
    pending_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_value_keeps_place_and_mark),
        cmocka_unit_test(test_what_is_laid_by_is_passed_until_it_is_woken),
        cmocka_unit_test(test_what_is_put_back_gives_way_to_a_newer_one),
        cmocka_unit_test(test_it_says_when_it_is_full),
        cmocka_unit_test(test_values_that_were_replaced_take_no_room),
        cmocka_unit_test(test_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
