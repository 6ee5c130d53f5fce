/* State on its way: what is exported comes back, what is damaged is refused, what is forgotten is
 * gone. */
#include "place.h"

#include "scheduler/state/forget.h"
#include "scheduler/state/key.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/rejected.h"
#include "scheduler/state/runs.h"
#include "scheduler/state/transfer.h"

enum { KEYS = 3000, EXPORT_BYTES = 4 << 20 };

static struct slice text_key(struct buf *b, const char *text)
{
    struct value v = value_of(VALUE_TEXT, slice_str(text));
    buf_reset(b);
    must(key_encode(b, &v, 1, NULL, &err));
    return buf_slice(b);
}

/* One person: an entry, an identity, a refusal and a listed record. */
static void put_person(struct state_sync *ss, const char *key_text, const char *mail)
{
    struct buf key, name;
    struct entry e = {.flags = ENTRY_ACCEPTED | ENTRY_REFUSED | ENTRY_LISTED};
    struct identity item = {.marks = IDENTITY_LIVE | IDENTITY_ACCEPTED};
    struct refusal r = {.reason = slice_str(mail)};
    uint32_t slot;
    bool added;
    buf_init(&key, 4096);
    buf_init(&name, 4096);
    text_key(&key, key_text);
    item.bytes = text_key(&name, mail);
    must(state_key_take(ss, buf_slice(&key), &slot, &added, &err));
    must(state_entry_put(ss, slot, &e, &err));
    struct identity_list list = {.key = buf_slice(&key), .items = &item, .count = 1};
    must(state_identity_set(ss, slot, &list, &err));
    must(state_refusal_put(ss, slot, REFUSAL_ROW, &r, &err));
    struct rejected listed = {.kind = REJECTED_REFUSED,
                              .key = buf_slice(&key),
                              .text = slice_str(key_text),
                              .message = slice_str(mail),
                              .run = SLICE_LIT("r")};
    must(state_rejected_put(ss, &listed, &err));
    buf_done(&key);
    buf_done(&name);
}

static void fill(struct place *p)
{
    struct state_sync *ss;
    must(state_sync_open(p->s, "people", &ss, &err));
    for (uint32_t i = 0; i < KEYS; i++)
        place_accept(ss, i);
    put_person(ss, "ada", "ada@example.org");
    put_person(ss, "bob", "bob@example.org");
    state_sync_close(ss);
    must(state_misc_put(p->s, "memo", SLICE_LIT("1"), &err));
    must(state_commit(p->s, &err));
}

/* The export of the state as it is; its length. */
static size_t export_of(struct place *p, char *out)
{
    struct transfer_counts c;
    FILE *f = fmemopen(out, EXPORT_BYTES, "w");
    must(state_export(p->dir, f, &c, &err));
    long n = ftell(f);
    fclose(f);
    return (size_t)n;
}

static enum err_code import_to(const char *dir, const char *bytes, size_t n, struct err *err)
{
    struct transfer_counts c;
    FILE *f = n ? fmemopen((void *)(uintptr_t)bytes, n, "r") : fopen("/dev/null", "re");
    enum err_code code = state_import(dir, f, &c, err);
    fclose(f);
    return code;
}

static bool file_has(const struct place *p, const char *text)
{
    char path[64];
    place_file(p, "state.lmdb", path, sizeof path);
    FILE *f = fopen(path, "re");
    char *bytes = malloc(64 << 20);
    size_t n = fread(bytes, 1, 64 << 20, f);
    bool has = memmem(bytes, n, text, strlen(text)) != NULL;
    free(bytes);
    fclose(f);
    return has;
}

static void what_is_exported_comes_back_to_the_last_byte(void **state)
{
    struct place *p = *state;
    char *first = malloc(EXPORT_BYTES), *second = malloc(EXPORT_BYTES), id[STATE_ID_BYTES];
    fill(p);
    size_t n = export_of(p, first);
    uint64_t commit = state_commit_number(p->s);
    strcpy(id, state_id(p->s));
    state_close(p->s);
    must(import_to(p->dir, first, n, &err));
    place_open(p);
    assert_string_equal(state_id(p->s), id);
    assert_int_equal(state_commit_number(p->s), commit);
    assert_int_equal(export_of(p, second), n);
    assert_memory_equal(first, second, n);
    struct state_counts counts;
    must(state_sync_look(p->s, "people", &counts, &err));
    assert_int_equal(counts.accepted, KEYS + 2);
    free(first);
    free(second);
}

static void no_part_of_an_export_is_taken_for_the_whole(void **state)
{
    struct place *p = *state;
    char *bytes = malloc(EXPORT_BYTES);
    struct err why;
    fill(p);
    size_t n = export_of(p, bytes);
    state_close(p->s);
    for (size_t cut = 0; cut < n; cut += cut < 300 || cut > n - 300 ? 1 : 997)
        if (!import_to(p->dir, bytes, cut, &why))
            fail_msg("the first %zu bytes of %zu were imported", cut, n);
    place_open(p);
    struct state_counts counts;
    must(state_sync_look(p->s, "people", &counts, &err));
    assert_int_equal(counts.accepted, KEYS + 2);
    free(bytes);
}

static void no_changed_byte_goes_unnoticed(void **state)
{
    struct place *p = *state;
    char *bytes = malloc(EXPORT_BYTES);
    struct err why;
    fill(p);
    size_t n = export_of(p, bytes);
    state_close(p->s);
    for (size_t at = 0; at < n; at += at < 300 || at > n - 300 ? 1 : 991) {
        bytes[at] ^= 4;
        if (!import_to(p->dir, bytes, n, &why))
            fail_msg("byte %zu of %zu was changed", at, n);
        bytes[at] ^= 4;
    }
    place_open(p);
    free(bytes);
}

static void a_state_that_is_written_anew_keeps_everything_but_what_was_deleted(void **state)
{
    struct place *p = *state;
    char *first = malloc(EXPORT_BYTES), *second = malloc(EXPORT_BYTES);
    struct forget f;
    struct state_sync *ss;
    fill(p);
    forget_init(&f, "ada@example.org");
    must(state_sync_open(p->s, "people", &ss, &err));
    must(forget_entries(&f, ss, &SLICE_LIT("name"), 1, &err));
    must(forget_words(&f, ss, &err));
    must(forget_rest(&f, p->s, &err));
    state_sync_close(ss);
    must(state_commit(p->s, &err));
    assert_int_equal(f.counts.entries, 1);
    assert_int_equal(f.counts.identities, 1);
    forget_done(&f);
    size_t n = export_of(p, first);
    state_close(p->s);
    must(state_rebuild(p->dir, &err));
    assert_false(file_has(p, "ada@example.org"));
    assert_true(file_has(p, "bob@example.org"));
    place_open(p);
    assert_int_equal(export_of(p, second), n);
    assert_memory_equal(first, second, n);
    must(state_misc_put(p->s, "goes", SLICE_LIT("on"), &err));
    must(state_commit(p->s, &err));
    free(first);
    free(second);
}

static void names_are_found_as_words_and_not_inside_of_others(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *text;
        bool named;
    } cases[] = {
        {"ada", true},
        {"the key ada is taken", true},
        {"{\"name\":\"ada\"}", true},
        {"canada", false},
        {"adam", false},
        {"ada2", false},
        {"ada@x.org", true},
        {"AdA", false},
        {"", false},
    };
    struct forget f;
    struct state_sync *ss;
    fill(p);
    must(state_sync_open(p->s, "people", &ss, &err));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char key[16];
        snprintf(key, sizeof key, "k%zu", i);
        struct rejected r = {.kind = REJECTED_FAILED,
                             .key = slice_str(key),
                             .text = slice_str(key),
                             .message = slice_str(cases[i].text),
                             .run = SLICE_LIT("r")};
        must(state_rejected_put(ss, &r, &err));
    }
    uint64_t before = state_rejected_count(ss), named = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        named += cases[i].named;
    forget_init(&f, "ada");
    must(forget_entries(&f, ss, &SLICE_LIT("name"), 1, &err));
    must(forget_words(&f, ss, &err));
    assert_int_equal(before - state_rejected_count(ss), named + 1); /* and the person's own */
    forget_done(&f);
    state_sync_close(ss);
}

static bool has_memo(struct place *p, const char *name, const char *value)
{
    struct buf b;
    buf_init(&b, 4096);
    enum err_code code = state_misc_get(p->s, name, &b, NULL);
    bool has = !code && slice_eq_str(buf_slice(&b), value);
    buf_done(&b);
    return has;
}

static void what_memos_decide_stays_and_their_words_go(void **state)
{
    struct place *p = *state;
    struct forget f;
    struct state_sync *ss;
    fill(p);
    must(state_misc_put(p->s, "audit:1", SLICE_LIT("retry ada"), &err));
    must(state_misc_put(p->s, "audit:2", SLICE_LIT("retry bob"), &err));
    must(state_misc_put(p->s, "resync:people", SLICE_LIT("no answer for ada"), &err));
    must(state_misc_put(p->s, "pause:sync:ada", SLICE_LIT("-"), &err));
    must(state_misc_put(p->s, "columns:people", SLICE_LIT("ada text"), &err));
    must(state_sync_open(p->s, "people", &ss, &err));
    forget_init(&f, "ada");
    must(forget_entries(&f, ss, &SLICE_LIT("name"), 1, &err));
    must(forget_rest(&f, p->s, &err));
    assert_int_equal(f.counts.texts, 2);
    assert_false(has_memo(p, "audit:1", "retry ada"));
    assert_true(has_memo(p, "audit:2", "retry bob"));
    assert_true(has_memo(p, "resync:people", "(forgotten)"));
    assert_true(has_memo(p, "pause:sync:ada", "-"));
    assert_true(has_memo(p, "columns:people", "ada text"));
    forget_done(&f);
    state_sync_close(ss);
}

static void a_copy_has_no_run_under_way(void **state)
{
    struct place *p = *state, copy = {0};
    struct transfer_counts c;
    struct run_record r = {.id = "r1", .sync = "people", .status = RUN_PLANNED, .started_ms = 5};
    strcpy(r.spool, "spool/r1");
    r.counts = (struct run_counts){.rows = 7, .added = 7, .planned = 7, .succeeded = 3};
    fill(p);
    must(state_run_put(p->s, &r, &err));
    must(state_misc_put(p->s, "ask:people", SLICE_LIT("full"), &err));
    must(state_commit(p->s, &err));
    strcpy(copy.dir, "/tmp/sluice-state-XXXXXX");
    assert_non_null(mkdtemp(copy.dir));
    must(state_backup(p->dir, copy.dir, &c, &err)); /* while the writer has its transaction */
    assert_int_equal(c.runs_ended, 1);
    place_open(&copy);
    must(state_run_get(copy.s, "r1", &r, &err));
    assert_int_equal(r.status, RUN_FAILED);
    assert_int_equal(r.counts.cancelled, 4);
    assert_string_equal(r.spool, "");
    struct buf b;
    buf_init(&b, 64);
    assert_int_equal(state_misc_get(copy.s, "ask:people", &b, NULL), ERR_NOTFOUND);
    assert_int_equal(state_commit_number(copy.s), state_commit_number(p->s));
    buf_done(&b);
    state_close(copy.s);
    char path[64];
    place_file(&copy, "state.lmdb", path, sizeof path);
    unlink(path);
    place_file(&copy, "state.lmdb-lock", path, sizeof path);
    unlink(path);
    assert_int_equal(rmdir(copy.dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_exported_comes_back_to_the_last_byte, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(no_part_of_an_export_is_taken_for_the_whole, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(no_changed_byte_goes_unnoticed, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(
            a_state_that_is_written_anew_keeps_everything_but_what_was_deleted, place_setup,
            place_teardown),
        cmocka_unit_test_setup_teardown(names_are_found_as_words_and_not_inside_of_others,
                                        place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(what_memos_decide_stays_and_their_words_go, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(a_copy_has_no_run_under_way, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
