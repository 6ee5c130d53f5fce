/* Single syncs on their way: what is exported arrives as it was, beside what is there, or not at
 * all. */
#include "place.h"

#include "scheduler/state/key.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/part.h"
#include "scheduler/state/rejected.h"
#include "scheduler/state/runs.h"

enum { KEYS = 2000, PART_BYTES = 4 << 20 };

static const char *const people[] = {"people"};
static const char *const quotas[] = {"crm"};
static const char *const destinations[] = {"d"};
static const struct state_part part = {people, 1, quotas, 1, destinations, 1};

static void put_run(struct place *p, const char *id, const char *sync, enum run_status status)
{
    struct run_record r = {.status = status, .started_ms = 1000, .counts = {.rows = 5}};
    snprintf(r.id, sizeof r.id, "%s", id);
    snprintf(r.sync, sizeof r.sync, "%s", sync);
    must(state_run_put(p->s, &r, &err));
}

/* A person with an identity, a refusal and a listed record. */
static void put_person(struct state_sync *ss, const char *name)
{
    CLEANUP(buf_done) struct buf key;
    struct value v = value_of(VALUE_TEXT, slice_str(name));
    struct entry e = {.flags = ENTRY_ACCEPTED | ENTRY_REFUSED | ENTRY_LISTED};
    struct identity item = {.marks = IDENTITY_LIVE | IDENTITY_ACCEPTED, .bytes = slice_str(name)};
    struct refusal r = {.reason = slice_str("no such person")};
    uint32_t slot;
    bool added;
    buf_init(&key, 4096);
    must(key_encode(&key, &v, 1, NULL, &err));
    must(state_key_take(ss, buf_slice(&key), &slot, &added, &err));
    must(state_entry_put(ss, slot, &e, &err));
    struct identity_list list = {.key = buf_slice(&key), .items = &item, .count = 1};
    must(state_identity_set(ss, slot, &list, &err));
    must(state_refusal_put(ss, slot, REFUSAL_ROW, &r, &err));
    struct rejected listed = {.kind = REJECTED_REFUSED,
                              .key = buf_slice(&key),
                              .text = slice_str(name),
                              .message = slice_str("no such person"),
                              .run = SLICE_LIT("r1")};
    must(state_rejected_put(ss, &listed, &err));
}

static void fill_sync(struct place *p, const char *sync, uint32_t keys)
{
    struct state_sync *ss;
    uint8_t target[16] = {7};
    must(state_sync_open(p->s, sync, &ss, &err));
    for (uint32_t i = 0; i < keys; i++)
        place_accept(ss, i);
    put_person(ss, "ada");
    must(state_sync_set_target(ss, target, &err));
    state_sync_close(ss);
}

static void fill(struct place *p)
{
    fill_sync(p, "before", 10);
    fill_sync(p, "people", KEYS);
    fill_sync(p, "people2", 20);
    put_run(p, "r1", "people", RUN_SUCCESS);
    put_run(p, "r2", "people2", RUN_SUCCESS);
    put_run(p, "r3", "people", RUN_HELD);
    must(state_misc_put(p->s, "schedule:people", SLICE_LIT("soon"), &err));
    must(state_misc_put(p->s, "schedule:people2", SLICE_LIT("late"), &err));
    must(state_misc_put(p->s, "pause:destination:d", SLICE_LIT("-"), &err));
    must(state_misc_put(p->s, "shared:crm", SLICE_LIT("token"), &err));
    must(state_misc_put(p->s, "place:crm", SLICE_LIT("at b"), &err));
    must(state_misc_put(p->s, "ask:r9", SLICE_LIT("x"), &err));
    must(state_results_put(p->s, "crm", "5-7", &err));
    must(state_results_put(p->s, "ads", "9-9", &err));
    must(state_commit(p->s, &err));
}

static size_t export_of(struct place *p, char *out)
{
    struct transfer_counts c;
    FILE *f = fmemopen(out, PART_BYTES, "w");
    must(state_part_export(p->s, &part, f, &c, &err));
    long n = ftell(f);
    fclose(f);
    return (size_t)n;
}

static enum err_code import_to(struct place *p, const char *bytes, size_t n, struct err *err)
{
    struct transfer_counts c;
    FILE *f = n ? fmemopen((void *)(uintptr_t)bytes, n, "r") : fopen("/dev/null", "re");
    enum err_code code = state_part_import(p->s, f, &c, err);
    fclose(f);
    return code;
}

static struct place *other_place(void)
{
    void *other;
    place_setup(&other);
    return other;
}

static void drop_place(struct place *p)
{
    void *other = p;
    place_teardown(&other);
}

static uint64_t accepted(struct place *p, const char *sync)
{
    struct state_counts c;
    struct err none;
    return state_sync_look(p->s, sync, &c, &none) ? 0 : c.accepted;
}

static bool misc_is(struct place *p, const char *name, const char *want)
{
    CLEANUP(buf_done) struct buf b;
    struct err none;
    buf_init(&b, 256);
    if (state_misc_get(p->s, name, &b, &none))
        return !*want;
    return slice_eq(buf_slice(&b), slice_str(want));
}

static bool count_rejected(void *ctx, const struct rejected *r)
{
    (void)r;
    ++*(int *)ctx;
    return true;
}

static void check_people(struct place *p)
{
    struct state_sync *ss;
    uint8_t target[16];
    int listed = 0;
    assert_int_equal(accepted(p, "people"), KEYS + 1);
    must(state_sync_open(p->s, "people", &ss, &err));
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[32];
        uint32_t slot, is;
        struct entry e;
        int n = snprintf(key, sizeof key, "t%08u", i);
        must(state_key_find(ss, slice_of(key, (size_t)n), &slot, &err));
        must(state_entry_get(ss, slot, &e, &err));
        memcpy(&is, e.hash, sizeof is);
        assert_int_equal(is, i);
        assert_int_equal(e.flags & ENTRY_ACCEPTED, ENTRY_ACCEPTED);
    }
    struct identity_owner owner;
    struct refusal r;
    must(state_identity_find(ss, SLICE_LIT("ada"), &owner, &err));
    assert_int_not_equal(owner.slot, SLOT_NONE);
    must(state_refusal_get(ss, owner.slot, REFUSAL_ROW, &r, &err));
    assert_true(slice_eq(r.reason, SLICE_LIT("no such person")));
    assert_true(state_sync_target(ss, target));
    assert_int_equal(target[0], 7);
    state_sync_close(ss);
    must(state_rejected_list(p->s, "people", 0, count_rejected, &listed, &err));
    assert_int_equal(listed, 1);
    struct run_record run;
    must(state_run_get(p->s, "r1", &run, &err));
    assert_int_equal(run.counts.rows, 5);
    assert_true(misc_is(p, "schedule:people", "soon"));
}

static void a_sync_arrives_as_it_was_beside_what_is_there(void **state)
{
    struct place *p = *state, *q = other_place();
    char *bytes = malloc(PART_BYTES), position[STATE_POSITION_BYTES], id[STATE_ID_BYTES];
    struct run_record run;
    struct err none;
    fill(p);
    fill_sync(q, "own", 30);
    must(state_commit(q->s, &err));
    size_t n = export_of(p, bytes);
    must(import_to(q, bytes, n, &err));
    place_reopen(q); /* it is durable */
    check_people(q);
    assert_int_equal(accepted(q, "own"), 31);
    assert_int_equal(accepted(q, "people2") + accepted(q, "before"), 0);
    assert_int_equal(state_run_get(q->s, "r2", &run, &none), ERR_NOTFOUND);
    must(state_run_get(q->s, "r3", &run, &err));
    assert_int_equal(run.status, RUN_CANCELLED);
    assert_true(misc_is(q, "schedule:people2", "") && misc_is(q, "ask:r9", ""));
    assert_true(misc_is(q, "pause:destination:d", "-") && misc_is(q, "shared:crm", "token"));
    assert_true(misc_is(q, "place:crm", "at b"));
    must(state_results_get(q->s, "crm", position, &err));
    assert_string_equal(position, "5-7");
    must(state_results_get(q->s, "ads", position, &err));
    assert_string_equal(position, "");
    must(state_sync_origin(q->s, "people", id, &err));
    assert_string_equal(id, state_id(p->s));
    bool more = true;
    must(state_sweep(q->s, 100000, &more, &err));
    assert_false(more);
    check_people(q);
    check_people(p); /* the source is as it was */
    /* and from there on */
    struct place *third = other_place();
    n = export_of(q, bytes);
    must(import_to(third, bytes, n, &err));
    check_people(third);
    must(state_sync_origin(third->s, "people", id, &err));
    assert_string_equal(id, state_id(p->s));
    drop_place(third);
    drop_place(q);
    free(bytes);
}

static void the_right_to_a_quota_passes_only_while_the_source_stands_still(void **state)
{
    struct place *p = *state, *q = other_place();
    char *bytes = malloc(PART_BYTES);
    bool is;
    fill(p);
    uint64_t commit = state_commit_number(p->s);
    must(import_to(q, bytes, export_of(p, bytes), &err));
    must(state_part_is_heir(q->s, "crm", state_id(p->s), commit, &is, &err));
    assert_true(is);
    must(state_part_is_heir(q->s, "crm", state_id(p->s), commit + 1, &is, &err));
    assert_false(is);
    must(state_part_is_heir(q->s, "crm", state_id(q->s), commit, &is, &err));
    assert_false(is);
    must(state_part_is_heir(q->s, "ads", state_id(p->s), commit, &is, &err));
    assert_false(is);
    drop_place(q);
    free(bytes);
}

static void nothing_of_a_damaged_part_is_taken(void **state)
{
    struct place *p = *state, *q = other_place();
    char *bytes = malloc(PART_BYTES);
    struct err why;
    fill(p);
    fill_sync(q, "own", 30);
    must(state_commit(q->s, &err));
    size_t n = export_of(p, bytes);
    uint64_t commit = state_commit_number(q->s);
    for (size_t at = 0; at < n; at += at < 300 || at > n - 300 ? 1 : 1999) {
        bytes[at] ^= 4;
        if (!import_to(q, bytes, n, &why))
            fail_msg("byte %zu of %zu was changed", at, n);
        bytes[at] ^= 4;
        if (!import_to(q, bytes, at, &why))
            fail_msg("the first %zu bytes of %zu were imported", at, n);
    }
    assert_int_equal(state_commit_number(q->s), commit);
    assert_int_equal(accepted(q, "people"), 0);
    assert_int_equal(accepted(q, "own"), 31);
    must(import_to(q, bytes, n, &err));
    check_people(q);
    drop_place(q);
    free(bytes);
}

static void what_is_there_already_is_never_replaced(void **state)
{
    struct place *p = *state, *q = other_place();
    char *bytes = malloc(PART_BYTES);
    struct err why;
    fill(p);
    size_t n = export_of(p, bytes);
    assert_int_equal(import_to(p, bytes, n, &why), ERR_USAGE);
    fill_sync(q, "people", 3);
    must(state_commit(q->s, &err));
    assert_int_equal(import_to(q, bytes, n, &why), ERR_USAGE);
    assert_non_null(strstr(why.text, "people already"));
    assert_int_equal(accepted(q, "people"), 4);
    drop_place(q);
    /* entries of which nothing was ever accepted are none */
    q = other_place();
    struct state_sync *ss;
    bool added;
    must(state_sync_open(q->s, "people", &ss, &err));
    place_take(ss, 1, &added);
    state_sync_close(ss);
    must(state_commit(q->s, &err));
    must(import_to(q, bytes, n, &err));
    check_people(q);
    drop_place(q);
    free(bytes);
}

static void parts_and_whole_states_are_not_taken_for_each_other(void **state)
{
    struct place *p = *state, *q = other_place();
    char *bytes = malloc(PART_BYTES);
    struct transfer_counts c;
    struct err why;
    fill(p);
    size_t n = export_of(p, bytes);
    char other[64];
    snprintf(other, sizeof other, "%s", q->dir);
    state_close(q->s);
    FILE *f = fmemopen(bytes, n, "r");
    assert_int_equal(state_import(other, f, &c, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, "--merge"));
    fclose(f);
    place_open(q);
    f = fmemopen(bytes, PART_BYTES, "w");
    must(state_export(p->dir, f, &c, &err));
    n = (size_t)ftell(f);
    fclose(f);
    assert_int_equal(import_to(q, bytes, n, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, "without --merge"));
    drop_place(q);
    free(bytes);
}

static void a_run_under_way_keeps_its_sync_here(void **state)
{
    struct place *p = *state;
    char *bytes = malloc(PART_BYTES);
    struct transfer_counts c;
    struct err why;
    fill(p);
    put_run(p, "r5", "people", RUN_PLANNED);
    FILE *f = fmemopen(bytes, PART_BYTES, "w");
    assert_int_equal(state_part_export(p->s, &part, f, &c, &why), ERR_USAGE);
    assert_non_null(strstr(why.text, "r5"));
    fclose(f);
    free(bytes);
}

static void only_what_was_exported_and_left_alone_is_dropped(void **state)
{
    struct place *p = *state;
    struct err why;
    struct run_record run;
    bool more;
    fill(p);
    assert_int_equal(state_part_drop(p->s, "people", &why), ERR_USAGE);
    must(state_part_mark(p->s, &part, &err));
    must(state_commit(p->s, &err));
    must(state_part_goes_on(p->s, "people", &err));
    assert_int_equal(state_part_drop(p->s, "people", &why), ERR_USAGE);
    check_people(p);
    must(state_part_mark(p->s, &part, &err));
    must(state_part_drop(p->s, "people", &err));
    must(state_commit(p->s, &err));
    must(state_sweep(p->s, 100000, &more, &err));
    must(state_commit(p->s, &err));
    assert_int_equal(accepted(p, "people"), 0);
    assert_int_equal(accepted(p, "people2"), 21);
    assert_int_equal(state_run_get(p->s, "r1", &run, &why), ERR_NOTFOUND);
    must(state_run_get(p->s, "r2", &run, &err));
    assert_true(misc_is(p, "schedule:people", "") && misc_is(p, "schedule:people2", "late"));
    assert_int_equal(state_part_drop(p->s, "people", &why), ERR_USAGE);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(a_sync_arrives_as_it_was_beside_what_is_there),
        IN_PLACE(the_right_to_a_quota_passes_only_while_the_source_stands_still),
        IN_PLACE(nothing_of_a_damaged_part_is_taken),
        IN_PLACE(what_is_there_already_is_never_replaced),
        IN_PLACE(parts_and_whole_states_are_not_taken_for_each_other),
        IN_PLACE(a_run_under_way_keeps_its_sync_here),
        IN_PLACE(only_what_was_exported_and_left_alone_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
