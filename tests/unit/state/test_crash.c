/* State under kill -9, on a full disk, in a small map and on damaged files. */
#include "place.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/rejected.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { KILLS = 12, KEYS_PER_COMMIT = 300 };

/* Commits for ever; tells each commit once it is done. */
static void write_for_ever(const char *dir, int tell)
{
    struct state *s;
    struct state_sync *ss;
    if (state_open(dir, &(struct state_options){.map_bytes = 4 << 20}, &s, NULL) ||
        state_sync_open(s, "x", &ss, NULL))
        _exit(1);
    for (;;) {
        uint32_t from = (uint32_t)state_sync_counts(ss).accepted;
        for (uint32_t i = 0; i < KEYS_PER_COMMIT; i++) {
            place_accept(ss, from + i);
            char text[16];
            int n = snprintf(text, sizeof text, "t%u", from + i);
            struct rejected r = {.key = slice_of(text, (size_t)n),
                                 .text = slice_of(text, (size_t)n)};
            if (state_rejected_put(ss, &r, NULL))
                _exit(1);
        }
        if (state_commit(s, NULL))
            _exit(1);
        uint64_t number = state_commit_number(s);
        if (write(tell, &number, sizeof number) != sizeof number)
            _exit(1);
    }
}

static void check_whole(struct place *p, uint64_t told)
{
    struct state_sync *ss;
    place_open(p);
    uint64_t number = state_commit_number(p->s);
    assert_true(number >= told);
    must(state_sync_open(p->s, "x", &ss, &err));
    uint32_t keys = (uint32_t)state_sync_counts(ss).accepted;
    assert_int_equal(keys, number * KEYS_PER_COMMIT);
    assert_int_equal(state_rejected_count(ss), keys);
    for (uint32_t i = 0; i < keys; i++) {
        bool added;
        struct entry e;
        must(state_entry_get(ss, place_take(ss, i, &added), &e, &err));
        assert_false(added);
        assert_memory_equal(e.hash, &i, sizeof i);
    }
    state_sync_close(ss);
    state_close(p->s);
    p->s = NULL;
}

static void after_kill_9_the_last_commit_is_whole(void **state)
{
    struct place *p = *state;
    state_close(p->s);
    p->s = NULL;
    uint64_t told = 0;
    for (int i = 0; i < KILLS; i++) {
        int tell[2];
        assert_int_equal(pipe(tell), 0);
        pid_t child = fork();
        if (!child)
            write_for_ever(p->dir, tell[1]);
        close(tell[1]);
        for (int n = 0; n < 1 + i % 3; n++)
            assert_int_equal(read(tell[0], &told, sizeof told), sizeof told);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(tell[0], &told, sizeof told) == sizeof told)
            ;
        close(tell[0]);
        check_whole(p, told);
    }
}

static void a_small_map_grows_and_a_writer_that_never_commits_is_told(void **state)
{
    struct place *p = *state;
    struct state_sync *ss;
    state_close(p->s);
    must(state_open(p->dir, &(struct state_options){.map_bytes = 1}, &p->s, &err));
    must(state_sync_open(p->s, "x", &ss, &err));
    enum err_code code = ERR_OK;
    size_t told = 0;
    struct err why = {0};
    for (uint64_t i = 0; !code && i < 500000; i++) {
        char key[32];
        uint32_t slot;
        bool added;
        int n = snprintf(key, sizeof key, "t%08u", (uint32_t)(i * 7919 % 500009));
        code = state_key_take(ss, slice_of(key, (size_t)n), &slot, &added, &why);
        if (state_commit_due(p->s) && i > 300000)
            must(state_commit(p->s, &err));
        if (code == ERR_FULL) { /* was told, commits, goes on: nothing is lost */
            must(state_commit(p->s, &err));
            code = ERR_OK;
            told++;
            i--;
        }
    }
    assert_int_equal(code, ERR_OK);
    assert_int_equal(state_sync_counts(ss).stored, 500000);
    assert_true(told > 0);
    must(state_commit(p->s, &err));
    state_sync_close(ss);
}

static void too_little_free_disk_refuses_the_commit_and_loses_nothing(void **state)
{
    struct place *p = *state;
    struct err why;
    state_close(p->s);
    must(state_open(p->dir, &(struct state_options){.map_bytes = 4 << 20}, &p->s, &err));
    state_close(p->s);
    p->s = NULL;
    struct state_options greedy = {.map_bytes = 4 << 20, .reserve_bytes = 1ull << 60};
    assert_int_equal(state_open(p->dir, &greedy, &p->s, &why), ERR_FULL);
    p->s = NULL;
}

static void fill(const char *path)
{
    char block[4096] = {0};
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void a_full_disk_refuses_the_commit_until_there_is_room(void **state)
{
    struct place *p = *state;
    char mount_at[64], filler[128];
    place_file(p, "disk", mount_at, sizeof mount_at);
    assert_int_equal(mkdir(mount_at, 0700), 0);
    if (mount("tmpfs", mount_at, "tmpfs", 0, "size=4m") != 0) {
        rmdir(mount_at);
        print_message("cannot mount a tmpfs here: skipped\n");
        skip();
    }
    snprintf(filler, sizeof filler, "%s/filler", mount_at);
    struct state *s;
    struct state_sync *ss;
    struct err why;
    must(state_open(mount_at, &(struct state_options){.map_bytes = 8 << 20}, &s, &err));
    must(state_sync_open(s, "x", &ss, &err));
    place_accept(ss, 1);
    must(state_commit(s, &err));
    for (uint32_t i = 2; i < 20000; i++)
        place_accept(ss, i);
    fill(filler);
    assert_int_equal(state_commit(s, &why), ERR_FULL);
    assert_int_equal(state_commit(s, &why), ERR_FULL);
    place_accept(ss, 20000); /* everything stays usable */
    unlink(filler);
    must(state_commit(s, &err));
    assert_int_equal(state_commit_number(s), 2);
    state_sync_close(ss);
    state_close(s);
    must(state_open(mount_at, &(struct state_options){.map_bytes = 8 << 20}, &s, &err));
    must(state_sync_open(s, "x", &ss, &err));
    assert_int_equal(state_sync_counts(ss).accepted, 20000);
    state_sync_close(ss);
    state_close(s);
    umount(mount_at);
    rmdir(mount_at);
}

static void damage(const struct place *p, off_t cut, const char *over)
{
    char path[64];
    place_file(p, "state.lmdb", path, sizeof path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (cut)
        assert_int_equal(ftruncate(fd, cut), 0);
    for (off_t at = 0; over && at < 8192; at += 64)
        assert_int_equal(pwrite(fd, over, strlen(over), at), strlen(over));
    close(fd);
}

static void a_damaged_file_is_named_and_left_alone(void **state)
{
    struct place *p = *state;
    struct err why;
    must(state_misc_put(p->s, "a", SLICE_LIT("1"), &err));
    must(state_commit(p->s, &err));
    state_close(p->s);
    p->s = NULL;
    damage(p, 16384, NULL);
    assert_int_equal(state_open(p->dir, NULL, &p->s, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, "damaged"));
    damage(p, 0, "this is no state at all, it is a text that somebody wrote over");
    assert_int_equal(state_open(p->dir, NULL, &p->s, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, "damaged"));
    p->s = NULL;
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_place(after_kill_9_the_last_commit_is_whole),
        with_place(a_small_map_grows_and_a_writer_that_never_commits_is_told),
        with_place(too_little_free_disk_refuses_the_commit_and_loses_nothing),
        with_place(a_full_disk_refuses_the_commit_until_there_is_room),
        with_place(a_damaged_file_is_named_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
