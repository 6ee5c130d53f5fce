/* The small world of diff (world.h) for single changes: what is in flight, turns. Header only. */
#ifndef SLUICE_TESTS_DIFF_CHANGE_WORLD_H
#define SLUICE_TESTS_DIFF_CHANGE_WORLD_H

#include "scheduler/diff/change.h"
#include "tests/unit/diff/suite.h"

enum { CHANGE_SLOTS = 4096 };

struct change_world {
    struct world w; /* first: suite.h takes it for one */
    struct diff_stream stream;
    uint32_t in_flight[CHANGE_SLOTS];
    enum diff_class refuses; /* by the guard; DIFF_UNCHANGED: nothing */
    struct diff_decision last;
    size_t closed; /* slots that the last turn was done with */
};

static inline bool change_busy(void *ctx, uint32_t slot)
{
    struct change_world *c = ctx;
    assert_true(slot < CHANGE_SLOTS);
    return c->in_flight[slot];
}

static inline bool change_may(void *ctx, enum diff_class class)
{
    struct change_world *c = ctx;
    return class != c->refuses;
}

static inline void change_init(struct change_world *c, bool has_identity)
{
    memset(c, 0, sizeof *c);
    world_init(&c->w, has_identity);
    c->stream = (struct diff_stream){change_busy, change_may, c};
    c->refuses = DIFF_UNCHANGED;
}

static inline int setup_change_ids(void **state)
{
    struct change_world *c = malloc(sizeof *c);
    change_init(c, false);
    *state = c;
    return 0;
}

static inline int setup_change_emails(void **state)
{
    struct change_world *c = malloc(sizeof *c);
    change_init(c, true);
    *state = c;
    return 0;
}

/* A run of the stream begins: everything before has its verdict. */
static inline void change_begin(struct change_world *c)
{
    c->w.o.stream = &c->stream;
    world_begin(&c->w);
    memset(c->in_flight, 0, sizeof c->in_flight);
}

static inline void change_took(struct change_world *c, const struct diff_decision *g)
{
    bool planned = g->class == DIFF_ADDED || g->class == DIFF_CHANGED || g->class == DIFF_REMOVED;
    if (planned) {
        world_keep(&c->w, g);
        c->in_flight[g->slot]++;
    }
    if (g->class == DIFF_INVALID)
        snprintf(c->w.reason, sizeof c->w.reason, "%.*s", (int)g->reason.n, g->reason.p);
}

static inline enum diff_taken change_row(struct change_world *c, int id, const char *email,
                                         const char *name, bool last)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", id);
    struct value primary =
        id ? value_of(VALUE_NUMBER, slice_str(digits)) : (struct value){.kind = VALUE_NULL};
    struct value fields[WORLD_FIELDS] = {primary, world_text(email), world_text(name)};
    struct mapped m = {fields, &primary, c->w.o.has_identity ? &fields[1] : &primary};
    enum diff_taken taken;
    struct err err;
    world_check(diff_change_row(c->w.d, &m, (struct slice){0}, slice_str(name), last, &c->last,
                                &taken, &err),
                &err);
    if (taken == DIFF_TAKEN || taken == DIFF_OPEN)
        change_took(c, &c->last);
    return taken;
}

static inline enum diff_taken change_gone(struct change_world *c, int id)
{
    char digits[16];
    struct buf key;
    struct err err;
    uint32_t slot;
    enum diff_taken taken;
    snprintf(digits, sizeof digits, "%d", id);
    struct value v = value_of(VALUE_NUMBER, slice_str(digits));
    buf_init(&key, 256);
    world_check(key_encode(&key, &v, 1, NULL, &err), &err);
    world_check(diff_change_gone(c->w.d, buf_slice(&key), &slot, &taken, &err), &err);
    buf_done(&key);
    return taken;
}

/* Ends the turn; gives how many removals it planned. */
static inline size_t change_turn(struct change_world *c)
{
    size_t before = c->w.planned_count;
    struct err err;
    c->closed = 0;
    for (enum diff_step step = DIFF_STEP_MORE; step != DIFF_STEP_END;) {
        struct diff_decision g;
        world_check(diff_turn_next(c->w.d, &g, &step, &err), &err);
        if (step == DIFF_STEP_ONE)
            change_took(c, &g);
        c->closed += step == DIFF_STEP_MORE;
    }
    return c->w.planned_count - before;
}

static inline void change_verdict(struct change_world *c, size_t i, enum verdict verdict,
                                  bool doubt)
{
    uint32_t slot = c->w.planned[i].record.slot;
    assert_true(c->in_flight[slot] > 0);
    world_verdict(&c->w, i, verdict, doubt);
    c->in_flight[slot]--;
}

/* Answers everything planned since `from`. */
static inline void change_answers(struct change_world *c, size_t from, enum verdict verdict)
{
    for (size_t i = from; i < c->w.planned_count; i++)
        change_verdict(c, i, verdict, false);
}

/* A turn of one row, accepted. */
static inline void change_accepted(struct change_world *c, int id, const char *email,
                                   const char *name)
{
    size_t before = c->w.planned_count;
    enum diff_taken taken = change_row(c, id, email, name, false);
    assert_true(taken == DIFF_TAKEN || taken == DIFF_OPEN);
    change_turn(c);
    change_answers(c, before, VERDICT_OK);
}

#define change_ids(f) cmocka_unit_test_setup_teardown(f, setup_change_ids, teardown)
#define change_emails(f) cmocka_unit_test_setup_teardown(f, setup_change_emails, teardown)

#endif
