/*
 * Random histories of runs against a model of a destination. After a clean mirror run with a
 * destination that accepts everything, the destination holds exactly the rows. SEED=n replays one,
 * ROUNDS=n asks for more. Fewer under AddressSanitizer, where a state costs ten times as much to
 * open.
 */
#include "world.h"

#ifdef __SANITIZE_ADDRESS__
enum { HISTORIES = 500 };
#else
enum { HISTORIES = 3000 };
#endif
enum { IDS = 10, EMAILS = 8, NAMES = 4, FED_MAX = 64 };

struct person {
    bool there;
    int email;
    int name;
};

/* What the destination holds, by the name of the record: an email or an id. */
struct remote {
    bool there;
    int id;
    char text[32];
};

struct story {
    struct world w;
    uint64_t random;
    bool all_modes;
    struct person rows[IDS + 1];
    struct remote remote[32];
    int fed_emails[FED_MAX];
    size_t fed;
    bool rows_complete;
};

static uint32_t roll(struct story *s, uint32_t below)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->random >> 33) % below;
}

static struct remote *remote_of(struct story *s, const struct planned *p)
{
    int n = s->w.o.has_identity ? p->name[1] - 'a' : atoi(p->name);
    assert_in_range(n, 0, 31);
    return &s->remote[n];
}

static bool is_removal(const struct planned *p)
{
    return p->class == DIFF_REMOVED;
}

static void apply(struct story *s, const struct planned *p)
{
    struct remote *r = remote_of(s, p);
    if (is_removal(p)) {
        r->there = false;
        return;
    }
    if (p->record.op == OP_UPDATE && !r->there)
        return;
    *r = (struct remote){.there = true, .id = p->id};
    memcpy(r->text, p->text, sizeof r->text);
}

static void feed(struct story *s, int id, int email, int name, const char *invalid)
{
    char email_text[8], name_text[16];
    snprintf(email_text, sizeof email_text, "e%c", 'a' + email);
    snprintf(name_text, sizeof name_text, "n%d", name);
    if (!invalid && id && s->fed < FED_MAX)
        s->fed_emails[s->fed++] = email;
    world_row_invalid(&s->w, id, email_text, name_text, invalid);
}

static void feed_rows(struct story *s, bool clean)
{
    int order[IDS];
    for (int i = 0; i < IDS; i++)
        order[i] = i + 1;
    for (uint32_t i = IDS - 1; i > 0; i--) {
        uint32_t j = roll(s, i + 1);
        int x = order[i];
        order[i] = order[j];
        order[j] = x;
    }
    s->fed = 0;
    for (int i = 0; i < IDS; i++) {
        const struct person *r = &s->rows[order[i]];
        if (!r->there)
            continue;
        bool bad = !clean && roll(s, 12) == 0;
        feed(s, order[i], r->email, r->name, bad ? "field name: not a number" : NULL);
        if (!clean && roll(s, 12) == 0)
            feed(s, order[i], (int)roll(s, EMAILS), (int)roll(s, NAMES), NULL);
        if (!clean && roll(s, 20) == 0)
            feed(s, 0, 0, 0, NULL);
    }
}

static void mutate(struct story *s)
{
    uint32_t n = roll(s, 5);
    while (n--) {
        struct person *r = &s->rows[1 + roll(s, IDS)], *other = &s->rows[1 + roll(s, IDS)];
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
        case 3: { /* two rows swap what names them */
            int email = r->email;
            r->email = other->email;
            other->email = email;
            break;
        }
        default:
            break;
        }
    }
}

static void check_removals(struct story *s)
{
    for (size_t i = 0; i < s->w.planned_count; i++) {
        const struct planned *p = &s->w.planned[i];
        for (size_t k = 0; k < s->w.planned_count; k++)
            if (k != i && strcmp(p->name, s->w.planned[k].name) == 0)
                fail_msg("%s is planned twice", p->name);
        if (!is_removal(p) || !s->w.o.has_identity)
            continue;
        for (size_t k = 0; k < s->fed; k++)
            if (s->fed_emails[k] == p->name[1] - 'a')
                fail_msg("%s is removed while a row has it", p->name);
    }
}

static void answer(struct story *s, size_t i)
{
    const struct planned *p = &s->w.planned[i];
    struct remote *r = remote_of(s, p);
    bool update_missing = p->record.op == OP_UPDATE && !r->there;
    switch (roll(s, 8)) {
    case 0:
        world_verdict(&s->w, i, VERDICT_REJECTED, false);
        return;
    case 1:
    case 2: {
        if (roll(s, 2))
            apply(s, p);
        world_verdict(&s->w, i, roll(s, 2) ? VERDICT_FAILED : VERDICT_CANCELLED, true);
        return;
    }
    case 3:
        world_verdict(&s->w, i, roll(s, 2) ? VERDICT_FAILED : VERDICT_CANCELLED, false);
        return;
    default:
        if (is_removal(p) && !r->there && roll(s, 2)) {
            world_verdict(&s->w, i, VERDICT_NOT_FOUND, false);
            return;
        }
        apply(s, p);
        world_verdict(&s->w, i, update_missing ? VERDICT_NOT_FOUND : VERDICT_OK, false);
    }
}

static void check_tally(const struct story *s)
{
    size_t sum = 0;
    for (int i = 0; i < 4; i++)
        sum += s->w.tallies[i];
    assert_int_equal(sum, s->w.planned_count);
}

/* A crash after the spool was written: what the diff wrote to state is lost, the verdicts come all
 * the same. */
static void crash(struct story *s)
{
    struct err err;
    diff_free(s->w.d);
    s->w.d = NULL;
    if (roll(s, 2))
        world_check(state_commit(s->w.s, &err), &err);
    else
        world_check(state_rollback(s->w.s, &err), &err);
    world_reopen(&s->w);
    world_tally(&s->w);
    for (size_t i = 0; i < s->w.planned_count; i++)
        s->w.planned[i].record.slot = SLOT_NONE;
}

static void choose_mode(struct story *s)
{
    static const enum sync_mode modes[] = {MODE_UPSERT, MODE_MIRROR, MODE_FULL,
                                           MODE_UPDATE, MODE_INSERT, MODE_APPEND};
    s->w.o.mode = modes[roll(s, s->all_modes ? 6 : 4)];
    s->w.o.on_removed = (enum on_removed)roll(s, 3);
    s->w.o.full = roll(s, 6) == 0;
    s->w.o.skip_first = s->all_modes && s->w.run == 0 && roll(s, 3) == 0;
    if (roll(s, 10) == 0)
        s->w.o.mapping.bytes[0]++;
    s->w.now_ms += roll(s, 2) ? 1000 : 2 * 86400000;
}

static void random_run(struct story *s)
{
    mutate(s);
    choose_mode(s);
    world_begin(&s->w);
    feed_rows(s, false);
    bool complete = roll(s, 6) != 0;
    world_finish(&s->w, complete);
    if (!complete)
        assert_int_equal(diff_counts(s->w.d).removed, 0);
    check_removals(s);
    if (roll(s, 6) == 0)
        crash(s);
    for (size_t i = 0; i < s->w.planned_count; i++)
        answer(s, i);
    check_tally(s);
    struct err err;
    world_check(state_commit(s->w.s, &err), &err);
    if (roll(s, 4) == 0) {
        world_end_run(&s->w);
        world_reopen(&s->w);
    }
}

static void clean_run(struct story *s)
{
    world_begin(&s->w);
    feed_rows(s, true);
    world_finish(&s->w, true);
    check_removals(s);
    for (size_t i = 0; i < s->w.planned_count; i++) {
        apply(s, &s->w.planned[i]);
        world_verdict(&s->w, i, VERDICT_OK, false);
    }
    struct err err;
    world_check(state_commit(s->w.s, &err), &err);
}

static void make_rows_clean(struct story *s)
{
    bool used[EMAILS] = {false};
    for (int id = 1; id <= IDS; id++) {
        struct person *r = &s->rows[id];
        if (r->there && used[r->email])
            r->there = false;
        if (r->there)
            used[r->email] = true;
    }
}

static void forget_refusals(struct story *s)
{
    struct err err;
    uint64_t position = 0, count = 0;
    bool more = true;
    while (more)
        world_check(
            state_retry(s->w.ss, &(struct retry_filter){0}, &position, 3, &count, &more, &err),
            &err);
}

static void compare(struct story *s)
{
    size_t rows = 0, remote = 0;
    for (int id = 1; id <= IDS; id++) {
        const struct person *r = &s->rows[id];
        if (!r->there)
            continue;
        rows++;
        const struct remote *m = &s->remote[s->w.o.has_identity ? r->email : id];
        char want[16];
        snprintf(want, sizeof want, "n%d", r->name);
        if (!m->there || m->id != id || strcmp(m->text, want) != 0)
            fail_msg("row %d (e%c, %s) is not there as it should be: %d %d %s", id, 'a' + r->email,
                     want, m->there, m->id, m->text);
    }
    for (size_t i = 0; i < ARRAY_LEN(s->remote); i++)
        remote += s->remote[i].there;
    assert_int_equal(remote, rows);
    assert_int_equal(state_sync_counts(s->w.ss).stored, rows);
    assert_int_equal(state_sync_counts(s->w.ss).accepted, rows);
    assert_int_equal(state_sync_counts(s->w.ss).doubt, 0);
    assert_int_equal(state_sync_counts(s->w.ss).refused, 0);
}

static void tell(uint64_t seed)
{
    struct story *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->random = seed * 2654435761u + 1;
    world_init(&s->w, roll(s, 3) != 0);
    s->all_modes = roll(s, 2);
    uint32_t runs = 1 + roll(s, 12);
    for (uint32_t i = 0; i < runs; i++)
        random_run(s);
    make_rows_clean(s);
    forget_refusals(s);
    s->w.o.mode = MODE_MIRROR;
    s->w.o.full = s->all_modes;
    s->w.o.skip_first = false;
    clean_run(s);
    compare(s);
    s->w.o.full = false;
    clean_run(s);
    assert_int_equal(s->w.planned_count, 0);
    compare(s);
    world_done(&s->w);
    free(s);
}

static void after_any_history_a_clean_mirror_run_makes_the_destination_the_rows(void **state)
{
    uint64_t *now = *state;
    const char *seed = getenv("SEED"), *rounds = getenv("ROUNDS");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
    uint64_t count = seed ? 1 : rounds ? strtoull(rounds, NULL, 10) : HISTORIES;
    for (uint64_t i = first; i < first + count; i++) {
        *now = i;
        tell(i);
    }
}

static int say_seed(void **state)
{
    fprintf(stderr, "the last history was SEED=%llu\n", *(unsigned long long *)*state);
    return 0;
}

int main(void)
{
    uint64_t seed = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(
            after_any_history_a_clean_mirror_run_makes_the_destination_the_rows, NULL, say_seed,
            &seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
