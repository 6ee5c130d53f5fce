#include "scheduler/run/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* A process that takes a lock, says so and waits to be killed. */
static pid_t holder(const char *dir, bool workers_only)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct state_lock lock;
        char path[128];
        snprintf(path, sizeof path, "%s/workers.lock", dir);
        bool ok = workers_only ? flock(open(path, O_RDWR | O_CREAT, 0600), LOCK_SH) == 0
                               : state_lock_take(&lock, dir, NULL) == ERR_OK;
        if (!ok || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_second_engine_is_refused_with_the_pid_of_the_first(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-lock-XXXXXX", deep[64], pid_text[32];
    assert_non_null(mkdtemp(dir));
    snprintf(deep, sizeof deep, "%s/a/b", dir);
    pid_t pid = holder(deep, false);
    struct state_lock lock;
    struct err err;
    assert_int_equal(state_lock_take(&lock, deep, &err), ERR_BUSY);
    snprintf(pid_text, sizeof pid_text, "process %ld", (long)pid);
    assert_non_null(strstr(err.text, pid_text));
    end(pid);
    assert_int_equal(state_lock_take(&lock, deep, &err), ERR_OK);
    state_lock_release(&lock);
}

static void workers_of_a_dead_engine_are_noticed_until_they_are_gone(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-lock-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct state_lock lock;
    struct err err;
    assert_int_equal(state_lock_take(&lock, dir, &err), ERR_OK);
    assert_true(state_lock_workers_gone(&lock));
    pid_t one = holder(dir, true), two = holder(dir, true);
    assert_false(state_lock_workers_gone(&lock));
    end(one);
    assert_false(state_lock_workers_gone(&lock));
    end(two);
    assert_true(state_lock_workers_gone(&lock));
    state_lock_release(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_engine_is_refused_with_the_pid_of_the_first),
        cmocka_unit_test(workers_of_a_dead_engine_are_noticed_until_they_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
