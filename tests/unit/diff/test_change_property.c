/*
 * Random histories of a stream against a model of a destination: rows change faster than verdicts
 * come, identities wander between rows, answers fail, runs follow one another, and where only a
 * read of the whole can tell, one is made. Whatever happens, no record and no name is in flight
 * twice, and once everything was given and accepted the destination holds exactly the rows.
 * SEED=n replays one, ROUNDS=n asks for more.
 */
#include "tests/unit/diff/change_world.h"

#ifdef __SANITIZE_ADDRESS__
enum { HISTORIES = 300 };
#else
enum { HISTORIES = 2000 };
#endif
enum { IDS = 8, EMAILS = 6, NAMES = 3, TURNS = 40, DRAIN_MAX = 20, PLANNED_ROOM = 64 };

struct person {
    bool there, waits; /* waits: its change is still to be given */
    int email, name;
};

/* What the destination holds, by the name of the record. */
struct remote {
    bool there;
    int id, name;
};

struct story {
    struct change_world c;
    uint64_t random;
    struct person rows[IDS + 1];
    struct remote remote[32];
    bool open[WORLD_PLANNED_MAX]; /* planned, and not answered */
    size_t open_count;
    uint64_t changes; /* that were taken, and removals of names that rows left */
};

static uint32_t roll(struct story *s, uint32_t below)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->random >> 33) % below;
}

static void begin(struct story *s)
{
    assert_int_equal(s->open_count, 0);
    memset(s->open, 0, sizeof s->open);
    s->changes = 0;
    change_begin(&s->c);
}

/* ---- the destination ---- */

static struct remote *remote_of(struct story *s, const struct planned *p)
{
    int n = s->c.w.o.has_identity ? p->name[1] - 'a' : atoi(p->name);
    assert_in_range(n, 0, 31);
    return &s->remote[n];
}

static void apply(struct story *s, const struct planned *p)
{
    struct remote *r = remote_of(s, p);
    if (!r->there && p->record.op == OP_UPDATE)
        return;
    *r = (struct remote){.there = p->class != DIFF_REMOVED, .id = p->id, .name = atoi(p->text + 1)};
}

static void verdict(struct story *s, size_t i, enum verdict v, bool doubt)
{
    change_verdict(&s->c, i, v, doubt);
    s->open[i] = false;
    s->open_count--;
}

/* What was not accepted and not refused is given again. */
static void answer(struct story *s, size_t i, bool kind)
{
    const struct planned *p = &s->c.w.planned[i];
    bool missing = p->record.op == OP_UPDATE && !remote_of(s, p)->there;
    uint32_t what = kind ? 9 : roll(s, 10);
    if (what == 0) {
        verdict(s, i, VERDICT_REJECTED, false);
    } else if (what < 4) {
        bool doubt = what > 1;
        if (doubt && roll(s, 2))
            apply(s, p);
        s->rows[p->id].waits = true;
        verdict(s, i, roll(s, 2) ? VERDICT_FAILED : VERDICT_CANCELLED, doubt);
    } else {
        apply(s, p);
        verdict(s, i, missing ? VERDICT_NOT_FOUND : VERDICT_OK, false);
    }
}

static void answer_some(struct story *s, uint32_t one_in, bool kind)
{
    for (size_t i = 0; i < s->c.w.planned_count; i++)
        if (s->open[i] && roll(s, one_in) == 0)
            answer(s, i, kind);
    if (one_in == 1)
        assert_int_equal(s->open_count, 0);
}

/* ---- the stream ---- */

static void mutate(struct story *s)
{
    for (uint32_t n = roll(s, 5); n; n--) {
        struct person *r = &s->rows[1 + roll(s, IDS)], *other = &s->rows[1 + roll(s, IDS)];
        struct person was = *r;
        switch (roll(s, 5)) {
        case 0:
            r->there = !r->there;
            break;
        case 1:
            r->name = (int)roll(s, NAMES);
            break;
        case 2:
            r->email = (int)roll(s, EMAILS);
            break;
        case 3: /* two rows swap what names them */
            r->email = other->email;
            other->email = was.email;
            break;
        default: /* a row goes on under another key */
            r->there = other->there;
            r->email = other->email;
            r->name = other->name;
            other->there = was.there;
            other->email = was.email;
            other->name = was.name;
        }
        r->waits = other->waits = true;
    }
}

static enum diff_taken give(struct story *s, int id, bool last)
{
    const struct person *r = &s->rows[id];
    char email[8], name[16];
    snprintf(email, sizeof email, "e%c", 'a' + r->email);
    snprintf(name, sizeof name, "n%d", r->name);
    size_t before = s->c.w.planned_count;
    enum diff_taken taken =
        r->there ? change_row(&s->c, id, email, name, last) : change_gone(&s->c, id);
    bool took = taken == DIFF_TAKEN || taken == DIFF_OPEN;
    if (!took)
        assert_int_equal(s->c.w.planned_count, before);
    if (took) {
        s->rows[id].waits = false;
        s->changes++;
    }
    return taken;
}

/* Neither a record nor a name may be in flight twice, but for one record's own names. */
static void check_flight(struct story *s)
{
    const struct world *w = &s->c.w;
    for (size_t i = 0; i < w->planned_count; i++)
        for (size_t k = 0; k < i && s->open[i]; k++) {
            if (!s->open[k])
                continue;
            if (strcmp(w->planned[i].name, w->planned[k].name) == 0)
                fail_msg("%s is in flight twice", w->planned[i].name);
            if (w->planned[i].id == w->planned[k].id && w->planned[i].class != DIFF_REMOVED)
                fail_msg("row %d is in flight twice", w->planned[i].id);
        }
}

static void note_planned(struct story *s, size_t from)
{
    for (size_t i = from; i < s->c.w.planned_count; i++) {
        s->open[i] = true;
        s->open_count++;
    }
}

/* The removals beyond the first of each row that is gone are changes of their own. */
static void count_removals(struct story *s, size_t from)
{
    const struct planned *p = s->c.w.planned;
    for (size_t i = from; i < s->c.w.planned_count; i++)
        s->changes += p[i].why == REMOVAL_IDENTITY_CHANGED || (i > from && p[i].id == p[i - 1].id);
}

static void check_balance(struct story *s)
{
    struct diff_counts c = diff_counts(s->c.w.d);
    assert_int_equal(s->changes,
                     c.added + c.changed + c.removed + c.unchanged + c.invalid + c.quarantined);
    assert_int_equal(s->c.w.planned_count, c.added + c.changed + c.removed);
}

static void turn(struct story *s, uint32_t one_in)
{
    int order[IDS], waiting[IDS];
    size_t waits = 0, before = s->c.w.planned_count;
    for (int i = 0; i < IDS; i++) {
        int j = (int)roll(s, (uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i + 1;
    }
    for (int i = 0; i < IDS; i++)
        if (s->rows[order[i]].waits && roll(s, one_in) == 0 &&
            give(s, order[i], false) == DIFF_WAITS)
            waiting[waits++] = order[i];
    for (size_t i = 0; i < waits; i++)
        assert_int_not_equal(give(s, waiting[i], true), DIFF_WAITS);
    size_t removals = s->c.w.planned_count;
    change_turn(&s->c);
    count_removals(s, removals);
    note_planned(s, before);
    check_flight(s);
    check_balance(s);
}

/* ---- a read of the whole ---- */

static void read_all(struct story *s, bool kind)
{
    struct world *w = &s->c.w;
    w->o.stream = NULL;
    world_begin(w);
    for (int id = 1; id <= IDS; id++) {
        const struct person *r = &s->rows[id];
        char email[8], name[16];
        snprintf(email, sizeof email, "e%c", 'a' + r->email);
        snprintf(name, sizeof name, "n%d", r->name);
        if (r->there)
            world_row(w, id, email, name);
    }
    world_finish(w, true);
    memset(s->c.in_flight, 0, sizeof s->c.in_flight);
    for (size_t i = 0; i < w->planned_count; i++)
        s->c.in_flight[w->planned[i].record.slot]++;
    note_planned(s, 0);
    answer_some(s, 1, kind);
    begin(s);
}

static void follow(struct story *s, bool kind)
{
    bool read = diff_wants_read(s->c.w.d) != NULL;
    if (!read && s->c.w.planned_count < WORLD_PLANNED_MAX - PLANNED_ROOM && roll(s, 8))
        return;
    answer_some(s, 1, kind);
    struct err err;
    world_check(state_commit(s->c.w.s, &err), &err);
    if (!read && roll(s, 4) == 0) {
        world_end_run(&s->c.w);
        world_reopen(&s->c.w);
    }
    if (read)
        read_all(s, kind);
    else
        begin(s);
}

/* ---- the end ---- */

static void make_rows_clean(struct story *s)
{
    bool used[EMAILS] = {false};
    for (int id = 1; id <= IDS; id++) {
        struct person *r = &s->rows[id];
        r->there = r->there && !used[r->email];
        if (r->there)
            used[r->email] = true;
        r->waits = true;
    }
}

static void forget_refusals(struct story *s)
{
    struct err err;
    uint64_t position = 0, count = 0;
    bool more = true;
    while (more)
        world_check(
            state_retry(s->c.w.ss, &(struct retry_filter){0}, &position, 3, &count, &more, &err),
            &err);
}

static bool all_given(const struct story *s)
{
    for (int id = 1; id <= IDS; id++)
        if (s->rows[id].waits)
            return false;
    return !s->open_count;
}

static void drain(struct story *s)
{
    for (int i = 0; i < DRAIN_MAX; i++) {
        turn(s, 1);
        answer_some(s, 1, true);
        if (diff_wants_read(s->c.w.d))
            read_all(s, true);
        if (all_given(s))
            return;
    }
    fail_msg("changes are given for ever");
}

static void compare(struct story *s)
{
    size_t rows = 0, remote = 0;
    for (int id = 1; id <= IDS; id++) {
        const struct person *r = &s->rows[id];
        const struct remote *m = &s->remote[s->c.w.o.has_identity ? r->email : id];
        if (!r->there)
            continue;
        rows++;
        if (!m->there || m->id != id || m->name != r->name)
            fail_msg("row %d (e%c, n%d) is not there as it should be: %d %d n%d", id,
                     'a' + r->email, r->name, m->there, m->id, m->name);
    }
    for (size_t i = 0; i < ARRAY_LEN(s->remote); i++)
        remote += s->remote[i].there;
    assert_int_equal(remote, rows);
    assert_int_equal(state_sync_counts(s->c.w.ss).stored, rows);
    assert_int_equal(state_sync_counts(s->c.w.ss).accepted, rows);
    assert_int_equal(state_sync_counts(s->c.w.ss).doubt, 0);
    assert_int_equal(state_sync_counts(s->c.w.ss).refused, 0);
    assert_int_equal(state_sync_counts(s->c.w.ss).absent, 0);
}

static void tell(uint64_t seed)
{
    static const enum sync_mode modes[] = {MODE_UPSERT, MODE_MIRROR, MODE_FULL,
                                           MODE_UPDATE, MODE_INSERT, MODE_APPEND};
    struct story *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->random = seed * 2654435761u + 1;
    change_init(&s->c, roll(s, 4) != 0);
    s->c.w.o.mode = modes[roll(s, ARRAY_LEN(modes))];
    s->c.w.o.on_removed = (enum on_removed)roll(s, 3);
    begin(s);
    for (uint32_t i = 0, turns = 1 + roll(s, TURNS); i < turns; i++) {
        mutate(s);
        turn(s, 1 + roll(s, 3));
        answer_some(s, 1 + roll(s, 4), false);
        follow(s, false);
    }
    answer_some(s, 1, false);
    make_rows_clean(s);
    forget_refusals(s);
    s->c.w.o.mode = MODE_MIRROR;
    s->c.w.o.full = true; /* some modes have not sent what changed */
    begin(s);
    drain(s);
    compare(s);
    world_done(&s->c.w);
    free(s);
}

static void after_any_history_the_destination_holds_the_rows(void **state)
{
    uint64_t *now = *state;
    const char *seed = getenv("SEED"), *rounds = getenv("ROUNDS");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
    uint64_t count = seed ? 1 : rounds ? strtoull(rounds, NULL, 10) : HISTORIES;
    for (*now = first; *now < first + count; (*now)++)
        tell(*now);
}

static int print_seed(void **state)
{
    uint64_t *now = *state;
    if (*now)
        print_message("the last seed was %llu\n", (unsigned long long)*now);
    return 0;
}

int main(void)
{
    static uint64_t now;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(after_any_history_the_destination_holds_the_rows,
                                                 NULL, print_seed, &now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
