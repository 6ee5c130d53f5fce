/*
 * Random histories of a table against a plain account of what is owed. After every step exactly the
 * syncs that are owed a run, and may have one, are due, at the times they are owed for. The
 * account walks each time by itself and forgets nothing over restarts. SEED=n replays one history,
 * ROUNDS=n asks for more.
 */
#include "world.h"

#include "scheduler/schedule/times.h"

#include <time.h>

enum { STEPS = 400, STATUSES = 5, TOKENS = 3 };

struct account {
    int64_t owed_ms; /* 0: nothing */
    bool under_way;
    bool held;
    bool looking;
    unsigned blocks;
    unsigned turns;
    int taken, seen;          /* tokens; 0: none */
    int64_t last_ms;          /* of the last start that the schedule made */
    int64_t passed, answered; /* times, turns and changes so far; starts for them */
    int run;
    enum schedule_status status;
    int64_t started_ms, ended_ms;
};

struct story {
    struct world w;
    uint64_t seed, random;
    int64_t now_ms;
    int runs;
    struct zone *zone;
    struct account accounts[WORLD_SYNCS];
};

static uint32_t roll(struct story *s, uint32_t below)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->random >> 33) % below;
}

static const char *run_name(int run)
{
    static char name[16];
    snprintf(name, sizeof name, "run%d", run);
    return name;
}

static struct account *account_of(struct story *s, const struct sync *sync)
{
    return &s->accounts[sync - s->w.syncs];
}

static bool looks_at(const struct sync *sync)
{
    return sync->schedule.kind == SCHEDULE_ON_CHANGE || sync->schedule.kind == SCHEDULE_DBT;
}

/* ---- the account ---- */

static int64_t time_after(struct story *s, const struct sync *sync, int64_t ms)
{
    const struct schedule *sc = &sync->schedule;
    if (sc->kind == SCHEDULE_CRON) {
        const struct times t = {sc, s->zone, 0};
        return times_next(&t, ms);
    }
    int64_t every = (int64_t)sc->every_ms, next = (ms / every - 1) * every + (int64_t)sc->offset_ms;
    while (next <= ms)
        next += every;
    return next;
}

static void pass_time(struct story *s, int64_t until_ms, bool down)
{
    for (size_t i = 0; i < s->w.project.sync_count; i++) {
        const struct sync *sync = &s->w.syncs[i];
        struct account *a = &s->accounts[i];
        const struct schedule *sc = &sync->schedule;
        if (sc->kind != SCHEDULE_EVERY && sc->kind != SCHEDULE_CRON)
            continue;
        for (int64_t t = time_after(s, sync, s->now_ms); t <= until_ms;
             t = time_after(s, sync, t)) {
            bool missed = down || a->held || a->blocks;
            bool overlaps = !down && a->under_way;
            a->passed++;
            if ((missed && sc->missed == MISSED_SKIP) || (overlaps && sc->overlap == OVERLAP_SKIP))
                continue;
            a->owed_ms = t;
        }
    }
    s->now_ms = until_ms;
}

static bool ends_well(const struct sync *sync, enum schedule_status status)
{
    if (sync->schedule.after_on == AFTER_ON_ANY)
        return true;
    return status == SCHEDULE_RAN_SUCCESS ||
           (status == SCHEDULE_RAN_WARNING && sync->schedule.after_on == AFTER_ON_WARNING);
}

static void ended(struct story *s, const struct sync *which, enum schedule_status status)
{
    struct account *of = account_of(s, which);
    of->under_way = of->held = false;
    of->status = status;
    of->ended_ms = s->now_ms;
    for (size_t i = 0; i < s->w.project.sync_count; i++) {
        const struct sync *sync = &s->w.syncs[i];
        struct account *a = &s->accounts[i];
        for (size_t n = 0; n < sync->schedule.after_count; n++) {
            if (sync->schedule.after[n] != which)
                continue;
            a->turns &= ~(1u << n);
            if (ends_well(sync, status))
                a->turns |= 1u << n;
            if (a->turns == (1u << sync->schedule.after_count) - 1) {
                a->turns = 0;
                a->owed_ms = s->now_ms;
                a->passed++;
            }
        }
    }
}

static void check(struct story *s)
{
    struct schedule_start starts[WORLD_SYNCS];
    size_t n = schedule_due(s->w.table, s->now_ms, starts, WORLD_SYNCS), owed = 0;
    for (size_t i = 0; i < s->w.project.sync_count; i++) {
        struct account *a = &s->accounts[i];
        bool is_due = a->owed_ms && !a->under_way && !a->held && !a->blocks;
        int64_t at = 0;
        for (size_t k = 0; k < n; k++)
            if (starts[k].sync == &s->w.syncs[i])
                at = starts[k].scheduled_ms;
        owed += is_due;
        if (at != (is_due ? a->owed_ms : 0))
            fail_msg("SEED=%llu: %s is due for %lld instead of %lld at %lld",
                     (unsigned long long)s->seed, s->w.syncs[i].name, (long long)at,
                     (long long)(is_due ? a->owed_ms : 0), (long long)s->now_ms);
    }
    assert_int_equal(n, owed);
    for (size_t k = 1; k < n; k++)
        assert_true(starts[k - 1].sync->priority >= starts[k].sync->priority);
}

/* ---- what happens ---- */

static void start(struct story *s)
{
    const struct sync *sync = &s->w.syncs[roll(s, (uint32_t)s->w.project.sync_count)];
    struct account *a = account_of(s, sync);
    if (a->under_way)
        return;
    int run = ++s->runs;
    schedule_started(s->w.table, sync->name, run_name(run), s->now_ms);
    if (a->held) {
        ended(s, sync, SCHEDULE_RAN_CANCELLED);
        if (roll(s, 2)) /* and is told */
            schedule_ran(s->w.table, sync->name, run_name(a->run), SCHEDULE_RAN_CANCELLED,
                         s->now_ms);
    }
    if (a->owed_ms) {
        assert_true(a->owed_ms >= a->last_ms);
        assert_true(++a->answered <= a->passed);
        a->last_ms = a->owed_ms;
        a->owed_ms = 0;
        a->taken = a->seen;
    }
    a->under_way = true;
    a->run = run;
    a->started_ms = s->now_ms;
}

static void end(struct story *s)
{
    const struct sync *sync = &s->w.syncs[roll(s, (uint32_t)s->w.project.sync_count)];
    struct account *a = account_of(s, sync);
    enum schedule_status status = (enum schedule_status)roll(s, STATUSES);
    if (!a->under_way && !a->held)
        return;
    if (a->held && status == SCHEDULE_RAN_HELD) { /* approved */
        schedule_started(s->w.table, sync->name, run_name(a->run), s->now_ms);
        a->held = false;
        a->under_way = true;
        return;
    }
    schedule_ran(s->w.table, sync->name, run_name(a->run), status, s->now_ms);
    if (status == SCHEDULE_RAN_HELD) {
        a->under_way = false;
        a->held = true;
        return;
    }
    ended(s, sync, status);
}

static void block(struct story *s)
{
    const struct sync *sync = &s->w.syncs[roll(s, (uint32_t)s->w.project.sync_count)];
    enum schedule_block why =
        roll(s, 2) ? SCHEDULE_BLOCK_PAUSED : SCHEDULE_BLOCK_DESTINATION_PAUSED;
    struct account *a = account_of(s, sync);
    a->blocks ^= why;
    schedule_block(s->w.table, sync->name, why, a->blocks & why);
}

static void begin_looks(struct story *s)
{
    const struct sync *given[WORLD_SYNCS];
    size_t n = schedule_looks(s->w.table, s->now_ms, given, 1 + roll(s, WORLD_SYNCS));
    for (size_t i = 0; i < n; i++) {
        struct account *a = account_of(s, given[i]);
        assert_true(looks_at(given[i]) && !a->looking);
        if (given[i]->schedule.kind == SCHEDULE_ON_CHANGE)
            assert_true(!a->under_way && !a->held && !a->blocks);
        a->looking = true;
    }
}

static void end_look(struct story *s)
{
    const struct sync *sync = &s->w.syncs[roll(s, (uint32_t)s->w.project.sync_count)];
    struct account *a = account_of(s, sync);
    if (!a->looking)
        return;
    a->looking = false;
    int seen = 1 + (int)roll(s, TOKENS);
    uint8_t token[SCHEDULE_TOKEN_BYTES] = {(uint8_t)seen};
    if (roll(s, 5) == 0) {
        schedule_look_failed(s->w.table, sync->name, "no answer", s->now_ms);
        return;
    }
    schedule_looked(s->w.table, sync->name, token, s->now_ms);
    if (seen == a->taken) {
        a->owed_ms = 0;
    } else if (!a->owed_ms || seen != a->seen) {
        a->owed_ms = s->now_ms;
        a->passed++;
    }
    a->seen = seen;
}

/* What a start of the service tells of the last runs. */
static void tell_runs(struct story *s)
{
    for (size_t i = 0; i < s->w.project.sync_count; i++) {
        const struct account *a = &s->accounts[i];
        const char *name = s->w.syncs[i].name, *run = run_name(a->run);
        if (!a->run)
            continue;
        if (!a->held || roll(s, 2) == 0)
            schedule_started(s->w.table, name, run, a->started_ms);
        if (a->held)
            schedule_ran(s->w.table, name, run, SCHEDULE_RAN_HELD, a->started_ms);
        else if (!a->under_way)
            schedule_ran(s->w.table, name, run, a->status, a->ended_ms);
    }
}

static void restart(struct story *s)
{
    int64_t down_ms = roll(s, 2) ? 0 : (int64_t)roll(s, 3 * 86400) * SECOND;
    world_keep(&s->w);
    pass_time(s, s->now_ms + down_ms, true);
    world_restart(&s->w, s->now_ms);
    for (size_t i = 0; i < s->w.project.sync_count; i++) {
        struct account *a = &s->accounts[i];
        a->looking = false;
        for (unsigned why = 1; why <= 2; why++)
            if (a->blocks & why)
                schedule_block(s->w.table, s->w.syncs[i].name, (enum schedule_block)why, true);
    }
    tell_runs(s);
}

static void reload(struct story *s)
{
    struct err err;
    for (size_t i = 0; i < s->w.project.sync_count; i++) {
        struct schedule *sc = &s->w.syncs[i].schedule;
        sc->missed = (enum schedule_missed)roll(s, 2);
        sc->overlap = (enum schedule_overlap)roll(s, 2);
        if (looks_at(&s->w.syncs[i]))
            sc->every_ms = (1 + roll(s, 60)) * SECOND;
        s->accounts[i].looking = false;
    }
    assert_int_equal(schedule_table_reload(s->w.table, &s->w.project, s->now_ms, &err), ERR_OK);
}

static void wait_a_while(struct story *s)
{
    static const int64_t most[] = {SECOND, MINUTE, HOUR, DAY};
    pass_time(s, s->now_ms + (int64_t)roll(s, (uint32_t)most[roll(s, ARRAY_LEN(most))]), false);
}

static void make_world(struct story *s)
{
    struct err err;
    world_init(&s->w);
    struct sync *every = world_every(&s->w, "every", 7 * MINUTE);
    every->schedule.offset_ms = 90 * SECOND;
    world_cron(&s->w, "cron", "*/20 1-3 * * *")->schedule.timezone = "Europe/Berlin";
    struct sync *manual = world_add(&s->w, "manual", SCHEDULE_MANUAL);
    manual->priority = PRIORITY_HIGH;
    struct sync *both = world_after(&s->w, "both", every);
    both->schedule.after[both->schedule.after_count++] = manual;
    world_after(&s->w, "then", both)->schedule.after_on = AFTER_ON_ANY;
    world_on_change(&s->w, "change")->priority = PRIORITY_LOW;
    struct sync *dbt = world_add(&s->w, "dbt", SCHEDULE_DBT);
    dbt->schedule.run_results = "/r.json";
    dbt->schedule.dbt_model = "m";
    dbt->schedule.every_ms = 10 * SECOND;
    s->now_ms = T0 + 82 * DAY; /* a few days before clocks go forward */
    assert_int_equal(zone_load("Europe/Berlin", &s->zone, &err), ERR_OK);
    world_go(&s->w, s->now_ms++);
}

/* How many times something that was owed was answered. */
static int64_t tell(uint64_t seed)
{
    static void (*const things[])(struct story *) = {
        wait_a_while, wait_a_while, wait_a_while, start,  start,       start,
        end,          end,          end,          block,  begin_looks, begin_looks,
        end_look,     end_look,     restart,      reload, tell_runs};
    struct story s = {.seed = seed, .random = seed};
    make_world(&s);
    for (int i = 0; i < STEPS; i++) {
        things[roll(&s, ARRAY_LEN(things))](&s);
        check(&s);
    }
    int64_t answered = 0;
    for (size_t i = 0; i < s.w.project.sync_count; i++)
        answered += s.accounts[i].answered;
    zone_free(s.zone);
    world_done(&s.w);
    return answered;
}

static void a_sync_is_due_once_for_each_thing_it_is_owed_for(void **state)
{
    (void)state;
    const char *seed_text = getenv("SEED"), *rounds_text = getenv("ROUNDS");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL) * 1000;
    int rounds = seed_text ? 1 : rounds_text ? atoi(rounds_text) : 200;
    int64_t answered = 0;
    for (int i = 0; i < rounds; i++)
        answered += tell(seed + (uint64_t)i);
    print_message("%lld starts in %d histories\n", (long long)answered, rounds);
    assert_true(answered > 5 * rounds);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_is_due_once_for_each_thing_it_is_owed_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
