/*
 * A small world for tests of diff and tally: a state in a temporary folder, one sync of rows
 * (id, email, name), and the planned records of the run in hand. Header only; cmocka asserts
 * inside.
 */
#ifndef SLUICE_TESTS_DIFF_WORLD_H
#define SLUICE_TESTS_DIFF_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scheduler/aggregate/tally.h"
#include "scheduler/diff/diff.h"
#include "scheduler/state/key.h"
#include "scheduler/state/rejected.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORLD_PLANNED_MAX = 256, WORLD_FIELDS = 3 };

struct planned {
    enum diff_class class;
    enum removal_reason why;
    struct tally_record record;
    char key[64];
    char identity[64];
    char name[32]; /* what names it at the destination */
    char text[32]; /* the row's name field */
    int id;
};

struct world {
    char dir[32];
    struct state *s;
    struct state_sync *ss;
    struct diff *d;
    struct tally *t;
    struct diff_options o; /* changed by tests between runs */
    int64_t now_ms;
    int run;
    char run_id[16];
    struct planned planned[WORLD_PLANNED_MAX];
    size_t planned_count;
    char reason[512]; /* of the last invalid row */
    size_t tallies[4];
};

static const struct slice world_names[] = {{"id", 2}};

#define world_check(code, err)                                                                     \
    do {                                                                                           \
        if (code)                                                                                  \
            fail_msg("%s", (err)->text);                                                           \
    } while (0)

static inline void world_reopen(struct world *w)
{
    struct err err;
    state_sync_close(w->ss);
    state_close(w->s);
    w->s = NULL;
    w->ss = NULL;
    world_check(state_open(w->dir, &(struct state_options){.map_bytes = 4 << 20}, &w->s, &err),
                &err);
    world_check(state_sync_open(w->s, "sync", &w->ss, &err), &err);
    w->o.entries = w->ss;
}

static inline void world_init(struct world *w, bool has_identity)
{
    memset(w, 0, sizeof *w);
    bool memory = access("/dev/shm", W_OK) == 0; /* thousands of commits: not to a slow disk */
    strcpy(w->dir, memory ? "/dev/shm/sluice-diff-XXXXXX" : "/tmp/sluice-diff-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->now_ms = 1700000000000;
    w->o = (struct diff_options){
        .mode = MODE_MIRROR,
        .has_identity = has_identity,
        .primary_names = world_names,
        .primary_count = 1,
        .key_count = 1,
        .field_count = WORLD_FIELDS,
        .names = {{1}},
        .mapping = {{2}},
    };
    world_reopen(w);
}

static inline void world_end_run(struct world *w)
{
    diff_free(w->d);
    tally_free(w->t);
    w->d = NULL;
    w->t = NULL;
}

static inline void world_done(struct world *w)
{
    world_end_run(w);
    state_sync_close(w->ss);
    state_close(w->s);
    char path[64];
    snprintf(path, sizeof path, "%s/state.lmdb", w->dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/state.lmdb-lock", w->dir);
    unlink(path);
    rmdir(w->dir);
}

static inline void world_tally(struct world *w)
{
    struct err err;
    tally_free(w->t);
    struct tally_options t = {.entries = w->ss,
                              .run = w->run_id,
                              .has_identity = w->o.has_identity,
                              .primary_names = world_names,
                              .primary_count = 1,
                              .mapping = w->o.mapping};
    world_check(tally_new(&t, &w->t, &err), &err);
}

static inline void world_begin(struct world *w)
{
    struct err err;
    world_end_run(w);
    snprintf(w->run_id, sizeof w->run_id, "run-%d", ++w->run);
    w->o.run = w->run_id;
    w->o.now_ms = w->now_ms;
    w->planned_count = 0;
    memset(w->tallies, 0, sizeof w->tallies);
    world_check(diff_new(&w->o, &w->d, &err), &err);
    world_tally(w);
}

static inline void world_balance(const struct world *w)
{
    struct diff_counts c = diff_counts(w->d);
    assert_int_equal(c.rows,
                     c.added + c.changed + c.unchanged + c.invalid + c.quarantined + c.aside);
    assert_int_equal(w->planned_count, c.added + c.changed + c.removed);
}

static inline void world_keep(struct world *w, const struct diff_decision *g)
{
    assert_true(w->planned_count < WORLD_PLANNED_MAX);
    struct planned *p = &w->planned[w->planned_count++];
    *p = (struct planned){.class = g->class, .why = g->why};
    p->record = (struct tally_record){.slot = g->slot, .op = g->op};
    memcpy(p->record.hash, g->hash, sizeof g->hash);
    assert_true(g->key.n < sizeof p->key && g->identity.n < sizeof p->identity);
    memcpy(p->key, g->key.p, g->key.n);
    p->record.key = slice_of(p->key, g->key.n);
    if (g->identity.n)
        memcpy(p->identity, g->identity.p, g->identity.n);
    p->record.identity = slice_of(p->identity, g->identity.n);
    snprintf(p->name, sizeof p->name, "%.*s", (int)g->keys[0].n, g->keys[0].p);
    struct value id;
    struct err err;
    world_check(key_decode(p->record.key, &id, 1, &err), &err);
    p->id = atoi(strndupa(id.p, id.n));
    if (g->extra.n)
        snprintf(p->text, sizeof p->text, "%.*s", (int)g->extra.n, g->extra.p);
}

static inline void world_took(struct world *w, const struct diff_decision *g)
{
    if (g->class == DIFF_ADDED || g->class == DIFF_CHANGED || g->class == DIFF_REMOVED)
        world_keep(w, g);
    if (g->class == DIFF_INVALID)
        snprintf(w->reason, sizeof w->reason, "%.*s", (int)g->reason.n, g->reason.p);
    world_balance(w);
}

static inline struct value world_text(const char *s)
{
    return s ? value_of(VALUE_TEXT, slice_str(s)) : (struct value){.kind = VALUE_NULL};
}

/* id 0: NULL; invalid: the mapping's words or NULL. */
static inline enum diff_class world_row_invalid(struct world *w, int id, const char *email,
                                                const char *name, const char *invalid)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", id);
    struct value primary =
        id ? value_of(VALUE_NUMBER, slice_str(digits)) : (struct value){.kind = VALUE_NULL};
    struct value fields[WORLD_FIELDS] = {primary, world_text(email), world_text(name)};
    struct mapped m = {fields, &primary, w->o.has_identity ? &fields[1] : &primary};
    struct diff_decision g;
    struct err err;
    world_check(diff_row(w->d, &m, slice_str(invalid), slice_str(name), &g, &err), &err);
    world_took(w, &g);
    return g.class;
}

static inline enum diff_class world_row(struct world *w, int id, const char *email,
                                        const char *name)
{
    return world_row_invalid(w, id, email, name, NULL);
}

static inline void world_finish(struct world *w, bool complete)
{
    struct err err;
    world_check(diff_finish(w->d, complete, &err), &err);
    for (enum diff_step step = DIFF_STEP_MORE; step != DIFF_STEP_END;) {
        struct diff_decision g;
        world_check(diff_next(w->d, &g, &step, &err), &err);
        if (step == DIFF_STEP_ONE)
            world_took(w, &g);
    }
    assert_int_equal(diff_counts(w->d).aside, 0);
    world_balance(w);
}

static inline void world_verdict(struct world *w, size_t i, enum verdict verdict, bool doubt)
{
    struct err err;
    enum tally_count count;
    struct tally_verdict v = {.verdict = verdict,
                              .doubt = doubt,
                              .now_ms = w->now_ms,
                              .message = slice_str(verdict == VERDICT_OK ? "" : "no such thing")};
    world_check(tally_fold(w->t, &w->planned[i].record, &v, &count, &err), &err);
    w->tallies[count]++;
}

static inline void world_all(struct world *w, enum verdict verdict, bool doubt)
{
    for (size_t i = 0; i < w->planned_count; i++)
        world_verdict(w, i, verdict, doubt);
    struct err err;
    world_check(state_commit(w->s, &err), &err);
}

/* A whole run with one row, answered alike. */
static inline enum diff_class world_one(struct world *w, int id, const char *email,
                                        const char *name, enum verdict verdict, bool doubt)
{
    world_begin(w);
    enum diff_class class = world_row(w, id, email, name);
    world_finish(w, true);
    world_all(w, verdict, doubt);
    return class;
}

static inline size_t world_empty(struct world *w)
{
    world_begin(w);
    world_finish(w, true);
    return w->planned_count;
}

#endif
