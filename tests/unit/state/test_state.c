/* State: what is kept comes back, and what is replaced goes bit by bit. */
#include "place.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/rejected.h"
#include "scheduler/state/runs.h"

#include <sys/wait.h>

static void what_was_committed_comes_back_and_the_rest_does_not(void **state)
{
    struct place *p = *state;
    char id[STATE_ID_BYTES];
    strcpy(id, state_id(p->s));
    must(state_misc_put(p->s, "a", SLICE_LIT("1"), &err));
    assert_true(state_dirty(p->s));
    must(state_commit(p->s, &err));
    assert_false(state_dirty(p->s));
    must(state_commit(p->s, &err)); /* nothing to do: the number stays */
    assert_int_equal(state_commit_number(p->s), 1);
    must(state_misc_put(p->s, "b", SLICE_LIT("2"), &err));
    place_reopen(p);
    struct buf b;
    buf_init(&b, 64);
    must(state_misc_get(p->s, "a", &b, &err));
    assert_int_equal(state_misc_get(p->s, "b", &b, NULL), ERR_NOTFOUND);
    assert_string_equal(state_id(p->s), id);
    assert_int_equal(state_commit_number(p->s), 1);
    buf_done(&b);
}

static void a_rollback_forgets_entries_too(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    must(state_sync_open(p->s, "x", &ss, &err));
    place_accept(ss, 1);
    must(state_commit(p->s, &err));
    place_accept(ss, 2);
    must(state_rollback(p->s, &err));
    assert_int_equal(state_sync_counts(ss).stored, 1);
    assert_int_equal(state_sync_counts(ss).accepted, 1);
    bool added;
    place_take(ss, 2, &added);
    assert_true(added);
    state_sync_close(ss);
}

/* More chunks than the cache holds, so that chunks are written and read again in one transaction.
 */
static void entries_of_many_chunks_keep_their_hashes_in_any_order(void **state)
{
    enum { KEYS = 40000, STEP = 7919 };
    struct place *p = *state;
    struct state_sync *ss;
    must(state_sync_open(p->s, "x", &ss, &err));
    for (uint32_t i = 0; i < KEYS; i++) {
        place_accept(ss, i * STEP % KEYS);
        if (state_commit_due(p->s))
            must(state_commit(p->s, &err));
    }
    must(state_commit(p->s, &err));
    state_sync_close(ss);
    place_reopen(p);
    must(state_sync_open(p->s, "x", &ss, &err));
    assert_int_equal(state_sync_counts(ss).accepted, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct entry e;
        bool added;
        uint32_t key = i * 31 % KEYS;
        must(state_entry_get(ss, place_take(ss, key, &added), &e, &err));
        assert_false(added);
        assert_memory_equal(e.hash, &key, sizeof key);
    }
    state_sync_close(ss);
}

static void a_key_longer_than_the_store_allows_is_found_and_scanned(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    char key[2000];
    memset(key, 't', sizeof key);
    must(state_sync_open(p->s, "x", &ss, &err));
    uint32_t slot, again;
    bool added;
    must(state_key_take(ss, slice_of(key, sizeof key), &slot, &added, &err));
    must(state_key_find(ss, slice_of(key, sizeof key), &again, &err));
    assert_int_equal(slot, again);
    must(state_key_find(ss, slice_of(key, sizeof key - 1), &again, &err));
    assert_int_equal(again, SLOT_NONE);
    must(state_entry_delete(ss, slice_of(key, sizeof key), slot, &err));
    assert_int_equal(state_sync_counts(ss).stored, 0);
    state_sync_close(ss);
}

struct scanned {
    size_t count;
    char key[32];
    uint32_t slot;
};

static bool on_key(void *ctx, uint32_t slot, struct slice key)
{
    struct scanned *s = ctx;
    s->count++;
    s->slot = slot;
    snprintf(s->key, sizeof s->key, "%.*s", (int)key.n, key.p);
    return false;
}

static void a_scan_goes_on_while_scanned_keys_are_deleted(void **state)
{
    enum { KEYS = 2500 };
    struct place *p = *state;
    struct state_sync *ss, *other;
    must(state_sync_open(p->s, "x", &ss, &err));
    must(state_sync_open(p->s, "y", &other, &err));
    for (uint32_t i = 0; i < KEYS; i++) {
        place_accept(ss, i);
        place_accept(other, i);
    }
    uint8_t seen[KEYS / 8 + 1] = {0xff}; /* the first eight are there */
    struct state_scan scan = {0};
    size_t gone = 0;
    while (!scan.ended) {
        struct scanned got = {0};
        must(state_scan_unseen(ss, &scan, seen, 100, on_key, &got, &err));
        if (!got.count)
            continue;
        must(state_entry_delete(ss, slice_str(got.key), got.slot, &err));
        gone++;
    }
    assert_int_equal(gone, KEYS - 8);
    assert_int_equal(state_sync_counts(ss).accepted, 8);
    assert_int_equal(state_sync_counts(other).accepted, KEYS);
    state_sync_close(ss);
    state_sync_close(other);
}

static void fresh_entries_replace_the_old_ones_which_go_in_steps(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    bool more = true, has;
    must(state_sync_open(p->s, "x", &ss, &err));
    for (uint32_t i = 0; i < 500; i++)
        place_accept(ss, i);
    must(state_sync_set_target(ss, (const uint8_t *)"0123456789abcdef", &err));
    state_sync_close(ss);
    must(state_sync_open_fresh(p->s, "x", &ss, &err));
    assert_int_equal(state_sync_counts(ss).stored, 0);
    place_accept(ss, 7);
    state_sync_close(ss);
    must(state_commit(p->s, &err));
    must(state_sync_has_fresh(p->s, "x", &has, &err));
    assert_true(has);
    must(state_sync_adopt_fresh(p->s, "x", &err));
    size_t steps = 0;
    for (; more; steps++)
        must(state_sweep(p->s, 100, &more, &err));
    assert_in_range(steps, 5, 7);
    uint8_t target[16];
    must(state_sync_open(p->s, "x", &ss, &err));
    assert_int_equal(state_sync_counts(ss).accepted, 1);
    assert_false(state_sync_target(ss, target));
    state_sync_close(ss);
}

static void a_second_verdict_of_a_record_is_not_new(void **state)
{
    struct place *p = *state;
    uint8_t bits[2] = {0x0f, 0}, more[2] = {0xfc, 0xff};
    uint32_t fresh, settled;
    bool left;
    must(state_batch_settle(p->s, "run", 3, 10, bits, &fresh, &settled, &err));
    assert_int_equal(fresh, 4);
    must(state_batch_settle(p->s, "run", 3, 10, more, &fresh, &settled, &err));
    assert_int_equal(fresh, 6);
    assert_int_equal(settled, 10);
    assert_int_equal(more[0], 0xf0);
    assert_int_equal(more[1], 0x03);
    must(state_batch_settle(p->s, "run", 3, 10, more, &fresh, &settled, &err));
    assert_int_equal(fresh, 0);
    must(state_batch_settled(p->s, "run", 4, 10, more, &settled, &err));
    assert_int_equal(settled, 0);
    must(state_batch_drop(p->s, "ru", 10, &left, &err));
    must(state_batch_settled(p->s, "run", 3, 10, more, &settled, &err));
    assert_int_equal(settled, 10);
    must(state_batch_drop(p->s, "run", 10, &left, &err));
    assert_false(left);
    must(state_batch_settled(p->s, "run", 3, 10, more, &settled, &err));
    assert_int_equal(settled, 0);
}

static bool append_id(void *ctx, const struct run_record *r)
{
    strcat(ctx, r->id);
    return true;
}

static void runs_are_listed_newest_first_and_pruned(void **state)
{
    struct place *p = *state;
    struct run_record r = {.status = RUN_SUCCESS, .counts = {.rows = 5, .bytes = 1ull << 40}}, got;
    for (int i = 0; i < 9; i++) {
        snprintf(r.id, sizeof r.id, "%d", i);
        strcpy(r.sync, i % 2 ? "odd" : "even");
        r.started_ms = 1000 + i;
        r.status = i == 1 ? RUN_HELD : RUN_SUCCESS;
        memset(r.error, 'e', RUN_TEXT_MAX);
        memset(r.mapping, i, sizeof r.mapping);
        must(state_run_put(p->s, &r, &err));
    }
    char all[32] = "", odd[32] = "", kept[32] = "";
    must(state_run_list(p->s, NULL, 4, append_id, all, &err));
    assert_string_equal(all, "8765");
    must(state_run_list(p->s, "odd", 0, append_id, odd, &err));
    assert_string_equal(odd, "7531");
    must(state_run_last(p->s, "even", &got, &err));
    assert_memory_equal(&got, &r, sizeof got);
    must(state_run_prune(p->s, "odd", 2, &err));
    must(state_run_list(p->s, "odd", 0, append_id, kept, &err));
    assert_string_equal(kept, "751"); /* a held run stays */
    assert_int_equal(state_run_get(p->s, "3", &got, NULL), ERR_NOTFOUND);
    assert_int_equal(state_run_last(p->s, "od", &got, NULL), ERR_NOTFOUND);
}

static void a_list_of_runs_goes_on_behind_a_mark(void **state)
{
    struct place *p = *state;
    struct run_record r = {.status = RUN_SUCCESS};
    for (int i = 0; i < 9; i++) {
        snprintf(r.id, sizeof r.id, "%d", i);
        strcpy(r.sync, i % 2 ? "odd" : "even");
        r.started_ms = 1000 + i / 2; /* two in the same millisecond */
        must(state_run_put(p->s, &r, &err));
    }
    static const struct {
        const char *sync;
        struct run_mark mark;
        size_t limit;
        const char *ids;
    } cases[] = {
        {NULL, {1003, "6"}, 3, "543"},  {NULL, {1003, "7"}, 0, "6543210"},
        {"odd", {1003, "7"}, 0, "531"}, {"odd", {1003, "60"}, 2, "53"}, /* a run that is gone */
        {"even", {1000, "0"}, 0, ""},   {NULL, {0, "x"}, 0, ""},
        {"odd", {99999, "x"}, 1, "7"},  {"none", {99999, "x"}, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char ids[32] = "";
        must(state_run_list_from(p->s, cases[i].sync, &cases[i].mark, cases[i].limit, append_id,
                                 ids, &err));
        assert_string_equal(ids, cases[i].ids);
    }
}

static bool append_batch(void *ctx, const struct batch_state *b)
{
    char one[64];
    snprintf(one, sizeof one, "%u:%u/%u ", (unsigned)b->number, b->settled, b->planned);
    strcat(ctx, one);
    return true;
}

static void batches_of_a_run_are_listed_in_order(void **state)
{
    struct place *p = *state;
    for (unsigned i = 0; i < 300; i += 100) {
        uint8_t bits[2] = {(uint8_t)(i == 100 ? 3 : 1), 0};
        uint32_t fresh, settled;
        must(state_batch_settle(p->s, "r1", i, 10, bits, &fresh, &settled, &err));
        must(state_batch_settle(p->s, "r10", i, 10, bits, &fresh, &settled, &err));
    }
    char all[128] = "", some[128] = "", none[128] = "";
    must(state_batch_list(p->s, "r1", 0, 0, append_batch, all, &err));
    assert_string_equal(all, "0:1/10 100:2/10 200:1/10 ");
    must(state_batch_list(p->s, "r1", 1, 1, append_batch, some, &err));
    assert_string_equal(some, "100:2/10 ");
    must(state_batch_list(p->s, "r", 0, 0, append_batch, none, &err));
    assert_string_equal(none, "");
}

static bool append_number(void *ctx, const struct rejected *r)
{
    char one[64];
    snprintf(one, sizeof one, "%u%.*s ", (unsigned)r->number, (int)r->message.n, r->message.p);
    strcat(ctx, one);
    return true;
}

static void rejected_records_are_found_by_number_and_by_key(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    char all[64] = "", behind[64] = "", key[64] = "", none[64] = "";
    must(state_sync_open(p->s, "x", &ss, &err));
    for (unsigned i = 0; i < 4; i++) {
        struct rejected r = {.kind = i == 3 ? REJECTED_DUPLICATE : REJECTED_FAILED,
                             .key = slice_of(i == 3 ? "k1" : &"k0\0k1\0k2"[3 * i], 2),
                             .message = slice_of(&"abcd"[i], 1)};
        must(state_rejected_put(ss, &r, &err));
    }
    must(state_rejected_list(p->s, "x", 0, append_number, all, &err));
    assert_string_equal(all, "3d 2c 1b 0a ");
    must(state_rejected_list_from(p->s, "x", 3, 2, append_number, behind, &err));
    assert_string_equal(behind, "2c 1b ");
    must(state_rejected_of_key(p->s, "x", SLICE_LIT("k1"), append_number, key, &err));
    assert_string_equal(key, "1b 3d ");
    must(state_rejected_of_key(p->s, "x", SLICE_LIT("k9"), append_number, none, &err));
    must(state_rejected_of_key(p->s, "y", SLICE_LIT("k1"), append_number, none, &err));
    assert_string_equal(none, "");
    state_sync_close(ss);
}

static void an_entry_is_looked_at_while_open_and_while_not(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    struct entry_view v;
    struct refusal no = {.due_ms = 7, .reason = SLICE_LIT("not an address")};
    assert_int_equal(state_entry_look(p->s, "x", SLICE_LIT("t00000001"), &v, NULL), ERR_NOTFOUND);
    assert_false(state_dirty(p->s)); /* looking makes no entries */
    must(state_sync_open(p->s, "x", &ss, &err));
    place_accept(ss, 1);
    bool added;
    uint32_t slot = place_take(ss, 2, &added);
    must(state_refusal_put(ss, slot, REFUSAL_ROW, &no, &err));
    must(state_entry_put(ss, slot, &(struct entry){.flags = ENTRY_REFUSED}, &err));
    for (int closed = 0; closed < 2; closed++) {
        must(state_entry_look(p->s, "x", SLICE_LIT("t00000001"), &v, &err));
        assert_int_equal(v.flags, ENTRY_ACCEPTED);
        assert_string_equal(v.refused, "");
        must(state_entry_look(p->s, "x", SLICE_LIT("t00000002"), &v, &err));
        assert_int_equal(v.flags, ENTRY_REFUSED);
        assert_string_equal(v.refused, "not an address");
        assert_int_equal(v.refused_due_ms, 7);
        assert_int_equal(state_entry_look(p->s, "x", SLICE_LIT("t3"), &v, NULL), ERR_NOTFOUND);
        if (!closed)
            state_sync_close(ss);
    }
}

static bool count_rejected(void *ctx, const struct rejected *r)
{
    struct scanned *s = ctx;
    if (!s->count++)
        snprintf(s->key, sizeof s->key, "%.*s", (int)r->text.n, r->text.p);
    return true;
}

static void of_too_many_rejected_records_the_oldest_go(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    must(state_sync_open(p->s, "x", &ss, &err));
    state_rejected_set_cap(ss, 10);
    for (int i = 0; i < 25; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "t%02d", i);
        struct rejected r = {.kind = REJECTED_FAILED,
                             .key = slice_of(text, (size_t)n),
                             .text = slice_of(text, (size_t)n),
                             .run = SLICE_LIT("r")};
        must(state_rejected_put(ss, &r, &err));
        must(state_rejected_put(ss, &r, &err)); /* in the place of the first */
    }
    struct scanned got = {0};
    must(state_rejected_list(p->s, "x", 0, count_rejected, &got, &err));
    assert_int_equal(got.count, 10);
    assert_string_equal(got.key, "t24");
    assert_int_equal(state_rejected_count(ss), 10);
    must(state_rejected_clear(ss, SLICE_LIT("t24"), &err));
    must(state_rejected_clear(ss, SLICE_LIT("t03"), &err));
    assert_int_equal(state_rejected_count(ss), 9);
    state_sync_close(ss);
}

static void limits_positions_and_values_come_back(void **state)
{
    struct place *p = *state;
    const struct saved_limit limits[] = {{1, 250000, 86400000, 900, 800}, {0, 10, 1000, 0, 0}};
    const struct saved_window windows[] = {{0, 77, 3}, {0, 99, 4}, {1, 5, 6}};
    struct saved_limits l = {123, limits, 2, windows, 3}, *got;
    must(state_limits_put(p->s, "crm", &l, &err));
    must(state_results_put(p->s, "crm", "17-3", &err));
    must(state_commit(p->s, &err));
    must(state_limits_get(p->s, "crm", &got, &err));
    assert_int_equal(got->limit_count, 2);
    assert_int_equal(got->limits[0].grant, 900);
    assert_int_equal(got->windows[2].count, 6);
    free(got);
    char position[STATE_POSITION_BYTES];
    must(state_results_get(p->s, "crm", position, &err));
    assert_string_equal(position, "17-3");
    must(state_results_get(p->s, "other", position, &err));
    assert_string_equal(position, "");
    assert_int_equal(state_limits_get(p->s, "other", &got, NULL), ERR_NOTFOUND);
}

static void a_reader_beside_sees_each_commit_and_cannot_write(void **state)
{
    struct place *p = *state;
    struct run_record r = {.id = "1", .sync = "x", .started_ms = 1};
    must(state_run_put(p->s, &r, &err));
    must(state_commit(p->s, &err));
    int wanted[2], looked[2];
    char has_looked;
    assert_int_equal(pipe(wanted), 0);
    assert_int_equal(pipe(looked), 0);
    pid_t child = fork(); /* another process, as `sluice status` is */
    if (!child) {
        struct state *ro;
        struct run_record got;
        char go;
        if (state_open(p->dir, &(struct state_options){.read_only = true}, &ro, NULL))
            _exit(2);
        if (state_run_get(ro, "1", &got, NULL) ||
            state_run_get(ro, "2", &got, NULL) != ERR_NOTFOUND)
            _exit(3);
        if (state_misc_put(ro, "a", SLICE_LIT("b"), NULL) == ERR_OK ||
            write(looked[1], "l", 1) != 1 || read(wanted[0], &go, 1) != 1)
            _exit(4);
        _exit(state_run_get(ro, "2", &got, NULL) ? 5 : 0);
    }
    close(looked[1]); /* a child that ends is seen */
    assert_int_equal(read(looked[0], &has_looked, 1), 1);
    strcpy(r.id, "2");
    for (uint32_t i = 0; i < 20; i++) { /* past the map that the reader has opened */
        char name[16], bytes[1000000];
        memset(bytes, 'x', sizeof bytes);
        snprintf(name, sizeof name, "big%u", i);
        must(state_misc_put(p->s, name, slice_of(bytes, sizeof bytes), &err));
        must(state_commit(p->s, &err));
    }
    must(state_run_put(p->s, &r, &err));
    must(state_commit(p->s, &err));
    assert_int_equal(write(wanted[1], "g", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(looked[0]);
    close(wanted[0]);
    close(wanted[1]);
}

static void identities_have_one_owner(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    bool added;
    must(state_sync_open(p->s, "x", &ss, &err));
    uint32_t a = place_take(ss, 1, &added), b = place_take(ss, 2, &added);
    struct identity items[] = {{IDENTITY_LIVE, SLICE_LIT("one")},
                               {IDENTITY_ACCEPTED, SLICE_LIT("two")}};
    struct identity_list list = {SLICE_LIT("key"), items, 2}, got;
    must(state_identity_set(ss, a, &list, &err));
    struct entry e;
    must(state_entry_get(ss, a, &e, &err));
    assert_int_equal(e.flags, ENTRY_IDENTITY | ENTRY_STALE);
    items[0].bytes = SLICE_LIT("two");
    list.count = 1;
    must(state_identity_set(ss, b, &list, &err));
    struct identity_owner o;
    must(state_identity_find(ss, SLICE_LIT("two"), &o, &err));
    assert_int_equal(o.slot, b);
    must(state_identity_list(ss, a, &got, &err));
    assert_int_equal(got.count, 1);
    assert_true(slice_eq_str(got.key, "key"));
    must(state_entry_get(ss, a, &e, &err));
    assert_int_equal(e.flags, ENTRY_IDENTITY);
    must(state_entry_delete(ss, SLICE_LIT("t00000002"), b, &err));
    must(state_identity_find(ss, SLICE_LIT("two"), &o, &err));
    assert_int_equal(o.slot, SLOT_NONE);
    state_sync_close(ss);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_place(what_was_committed_comes_back_and_the_rest_does_not),
        with_place(a_rollback_forgets_entries_too),
        with_place(entries_of_many_chunks_keep_their_hashes_in_any_order),
        with_place(a_key_longer_than_the_store_allows_is_found_and_scanned),
        with_place(a_scan_goes_on_while_scanned_keys_are_deleted),
        with_place(fresh_entries_replace_the_old_ones_which_go_in_steps),
        with_place(a_second_verdict_of_a_record_is_not_new),
        with_place(runs_are_listed_newest_first_and_pruned),
        with_place(a_list_of_runs_goes_on_behind_a_mark),
        with_place(batches_of_a_run_are_listed_in_order),
        with_place(rejected_records_are_found_by_number_and_by_key),
        with_place(an_entry_is_looked_at_while_open_and_while_not),
        with_place(of_too_many_rejected_records_the_oldest_go),
        with_place(limits_positions_and_values_come_back),
        with_place(a_reader_beside_sees_each_commit_and_cannot_write),
        with_place(identities_have_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
