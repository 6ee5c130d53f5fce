/*
 * Random things done to a feed of events, against a model: whatever is added, paused, confirmed,
 * cut off, destroyed or begun again, every entry that is not deleted is given, in order, at most
 * once between two starts, and stays pending until a position behind it was confirmed.
 *
 * The seed is printed; SLUICE_TEST_SEED=N plays it again.
 */
#include "events_world.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEPS = 400, ENTRIES_MAX = 4000 };

struct trial {
    struct world w; /* first: callbacks find the trial by it */
    unsigned added;
    char ids[ENTRIES_MAX][64];
    bool given[ENTRIES_MAX], deleted[ENTRIES_MAX];
    int last;      /* given last since the start; -1: none */
    int marked;    /* given last before the last mark */
    int confirmed; /* everything up to it is settled */
};

static struct trial trial;

static void on_row(struct world *w, const char *row)
{
    struct trial *t = (struct trial *)w;
    int n = atoi(row);
    if (n <= t->last || n <= t->confirmed || n >= (int)t->added)
        fail_msg("%d was given after %d, with %d confirmed and %u added", n, t->last, t->confirmed,
                 t->added);
    for (int i = (t->last > t->confirmed ? t->last : t->confirmed) + 1; i < n; i++)
        if (!t->deleted[i])
            fail_msg("%d was given before %d", n, i);
    t->last = n;
    t->given[n] = true;
}

static void on_marked(struct world *w)
{
    struct trial *t = (struct trial *)w;
    if (t->last > t->marked)
        t->marked = t->last;
}

static void add(struct trial *t)
{
    char n[16];
    for (unsigned k = 1 + (unsigned)rand() % 20; k && t->added < ENTRIES_MAX; k--) {
        snprintf(n, sizeof n, "%u", t->added);
        t->added++;
        world_add(&t->w, n, n, t->ids[t->added - 1]);
    }
}

static void delete_one(struct trial *t)
{
    if (!t->added)
        return;
    unsigned i = (unsigned)rand() % t->added;
    redisReply *r = redis_server_ask(&t->w.redis, "XDEL", "s", t->ids[i], NULL);
    freeReplyObject(r);
    t->deleted[i] = true;
}

static void confirm(struct trial *t)
{
    if (t->marked < 0 || !t->w.mark.n)
        return;
    world_confirm(&t->w);
    if (t->marked > t->confirmed)
        t->confirmed = t->marked;
}

static void restart(struct trial *t)
{
    world_end(&t->w);
    t->w.backs = 0;
    t->w.mark = t->w.from; /* a position of the feed before says nothing any more */
    t->last = t->marked = t->confirmed;
    world_start(&t->w);
}

static void cut_off(struct trial *t)
{
    redisReply *r =
        redis_server_ask(&t->w.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
    freeReplyObject(r);
}

static void destroy_group(struct trial *t)
{
    if (t->confirmed < 0) /* where it began is nowhere else: it begins anew */
        return;
    redisReply *r = redis_server_ask(&t->w.redis, "XGROUP", "DESTROY", "s", "sluice:t", NULL);
    freeReplyObject(r);
}

static void pause_or_resume(struct trial *t, bool *paused)
{
    *paused = !*paused;
    if (*paused)
        t->w.feed->ops->pause(t->w.feed);
    else
        t->w.feed->ops->resume(t->w.feed);
}

/* What is given and not confirmed is pending, unless its group was destroyed this moment. */
static void check_pending(struct trial *t)
{
    unsigned open = 0;
    for (int i = t->confirmed + 1; i <= t->last; i++)
        open += t->given[i] && !t->deleted[i];
    if (world_pending(&t->w) < open)
        fail_msg("%u are pending, and %u are not confirmed", world_pending(&t->w), open);
}

static void one_step(struct trial *t, bool *paused)
{
    switch (rand() % 16) {
    case 0:
        delete_one(t);
        break;
    case 1:
    case 2:
        confirm(t);
        break;
    case 3:
        *paused = false;
        restart(t);
        break;
    case 4:
        cut_off(t);
        break;
    case 5:
    case 6:
        pause_or_resume(t, paused);
        break;
    case 7:
        check_pending(t);
        break;
    default:
        add(t);
        world_run(&t->w, (unsigned)rand() % 8);
        break;
    }
}

static int last_left(const struct trial *t)
{
    int i = (int)t->added - 1;
    while (i >= 0 && t->deleted[i])
        i--;
    return i;
}

static void finish(struct trial *t, bool paused)
{
    if (paused)
        t->w.feed->ops->resume(t->w.feed);
    add(t);
    int want = last_left(t);
    for (int i = 0; t->last < want && t->confirmed < want && i < 500; i++)
        world_run(&t->w, 20);
    for (unsigned i = 0; i < t->added; i++)
        if (!t->given[i] && !t->deleted[i])
            fail_msg("%u was never given", i);
    world_run(&t->w, 50);
    confirm(t);
    world_until_pending(&t->w, 0);
}

static void begin(struct trial *t)
{
    memset(t, 0, sizeof *t);
    world_open(&t->w);
    t->w.on_row = on_row;
    t->w.marked = on_marked;
    t->last = t->marked = t->confirmed = -1;
    world_start(&t->w);
}

static void whatever_is_done_every_entry_is_given_in_order(void **state)
{
    (void)state;
    const char *given = getenv("SLUICE_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    for (unsigned round = 0; round < (given ? 1 : 4); round++) {
        bool paused = false;
        print_message("SLUICE_TEST_SEED=%u\n", seed + round);
        srand(seed + round);
        begin(&trial);
        for (int i = 0; i < STEPS; i++)
            one_step(&trial, &paused);
        finish(&trial, paused);
        assert_int_equal(trial.w.fails, 0);
        world_close(&trial.w);
    }
}

/* The group's own memory is gone: what was confirmed is not given again, the rest is. */
static void groups_that_are_destroyed_lose_nothing(void **state)
{
    (void)state;
    struct trial *t = &trial;
    begin(t);
    add(t);
    world_until(&t->w, &t->w.given, t->added);
    world_run(&t->w, 20);
    confirm(t);
    for (int i = 0; i < 20; i++) {
        add(t);
        world_run(&t->w, 10);
        destroy_group(t);
        if (i % 3 == 0)
            restart(t);
        if (i % 4 == 0)
            confirm(t);
    }
    finish(t, false);
    assert_int_equal(t->w.fails, 0);
    world_close(&t->w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_done_every_entry_is_given_in_order),
        cmocka_unit_test(groups_that_are_destroyed_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
