/* What the tests of diff and tally share: a world of ids or of e-mails, and looks at what state
 * keeps. */
#ifndef SLUICE_TESTS_DIFF_SUITE_H
#define SLUICE_TESTS_DIFF_SUITE_H

#include "tests/unit/diff/world.h"

static inline int setup_ids(void **state)
{
    struct world *w = malloc(sizeof *w);
    world_init(w, false);
    *state = w;
    return 0;
}

static inline int setup_emails(void **state)
{
    struct world *w = malloc(sizeof *w);
    world_init(w, true);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    world_done(*state);
    free(*state);
    return 0;
}

static inline struct entry entry_of(struct world *w, int id)
{
    struct err err;
    struct entry e = {0};
    struct buf key;
    char digits[16];
    uint32_t slot;
    snprintf(digits, sizeof digits, "%d", id);
    buf_init(&key, 256);
    struct value v = value_of(VALUE_NUMBER, slice_str(digits));
    world_check(key_encode(&key, &v, 1, NULL, &err), &err);
    world_check(state_key_find(w->ss, buf_slice(&key), &slot, &err), &err);
    if (slot != SLOT_NONE)
        world_check(state_entry_get(w->ss, slot, &e, &err), &err);
    buf_done(&key);
    return e;
}

struct listed {
    size_t count;
    enum rejected_kind kind;
    char text[64];
    char message[128];
};

static inline bool on_listed(void *ctx, const struct rejected *r)
{
    struct listed *l = ctx;
    if (!l->count++) {
        l->kind = r->kind;
        snprintf(l->text, sizeof l->text, "%.*s", (int)r->text.n, r->text.p);
        snprintf(l->message, sizeof l->message, "%.*s", (int)r->message.n, r->message.p);
    }
    return true;
}

static inline struct listed listed(struct world *w)
{
    struct err err;
    struct listed l = {0};
    world_check(state_rejected_list(w->s, "sync", 0, on_listed, &l, &err), &err);
    return l;
}

#define with_ids(f) cmocka_unit_test_setup_teardown(f, setup_ids, teardown)
#define with_emails(f) cmocka_unit_test_setup_teardown(f, setup_emails, teardown)

#endif
