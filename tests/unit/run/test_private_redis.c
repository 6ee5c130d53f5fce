/* The real redis-server as a private one: started, answering, killed, restarted, stopped. */
#include "scheduler/run/private_redis.h"

#include "protocol/base/clock.h"
#include "protocol/redis/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <cmocka.h>

enum { PATIENCE_MS = 8000, DIR_BYTES = 600 };

static int make_folder(void **state)
{
    char *dir = calloc(1, DIR_BYTES);
    strcpy(dir, "/tmp/sluice-private-XXXXXX");
    *state = dir;
    return mkdtemp(dir) == NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int remove_folder(void **state)
{
    char *dir = *state;
    dir[strlen("/tmp/sluice-private-XXXXXX")] = '\0';
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(dir);
    return 0;
}

static struct private_redis *started(const char *dir)
{
    struct private_redis *p = NULL;
    struct err err;
    if (private_redis_start(dir, &p, &err) || private_redis_wait(p, PATIENCE_MS, &err))
        fail_msg("%s", err.text);
    assert_int_equal(private_redis_check(p, &err), ERR_OK);
    return p;
}

struct asked {
    struct event_base *base;
    char text[ERR_TEXT_BYTES];
};

static void on_answer(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct asked *a = ctx;
    snprintf(a->text, sizeof a->text, "%s", err ? err->text : reply->str ? reply->str : "");
    event_base_loopbreak(a->base);
}

/* Asks through the module that programs use, by the URL that is handed to them. */
static void ask(const struct private_redis *p, const char *a1, const char *a2, const char *want)
{
    struct redis_url url;
    struct err err;
    struct asked asked = {.base = event_base_new()};
    const struct slice argv[] = {slice_str(a1), slice_str(a2)};
    if (redis_url_parse(private_redis_url(p), &url, &err))
        fail_msg("%s", err.text);
    struct redis *r = redis_new(asked.base, &url, NULL);
    assert_int_equal(redis_command(r, argv, a2 ? 2 : 1, PATIENCE_MS, on_answer, &asked, &err), 0);
    event_base_dispatch(asked.base);
    assert_string_equal(asked.text, want);
    redis_free(r);
    event_base_free(asked.base);
}

static void it_answers_by_its_url_and_is_gone_after_the_stop(void **state)
{
    const char *dir = *state;
    char path[DIR_BYTES + 20];
    struct stat st;
    snprintf(path, sizeof path, "%s/redis.sock", dir);
    struct private_redis *p = started(dir);
    ask(p, "PING", NULL, "PONG");
    pid_t pid = private_redis_pid(p);
    assert_true(pid > 0);
    assert_int_equal(getpgid(pid), pid); /* Ctrl-C does not reach it */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    private_redis_stop(p, PATIENCE_MS);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(stat(path, &st), -1);
    private_redis_stop(NULL, 0);
}

static void a_long_and_odd_path_is_no_hindrance(void **state)
{
    char *dir = *state;
    size_t n = strlen(dir);
    for (int i = 0; i < 3; i++) {
        memset(dir + n, 'd', 121);
        memcpy(dir + n, "/a b?c%41", 9);
        dir[n += 121] = '\0';
        assert_int_equal(mkdir(dir, 0700), 0);
    }
    struct private_redis *p = started(dir);
    ask(p, "PING", NULL, "PONG");
    private_redis_stop(p, PATIENCE_MS);
}

static void a_stale_socket_and_an_old_log_are_replaced(void **state)
{
    const char *dir = *state;
    char path[DIR_BYTES + 20];
    struct stat st;
    snprintf(path, sizeof path, "%s/redis.sock", dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof path, "%s/redis.log", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, 3 << 20), 0);
    close(fd);
    struct private_redis *p = started(dir);
    ask(p, "PING", NULL, "PONG");
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, 100000);
    private_redis_stop(p, PATIENCE_MS);
}

/* Polls as a caller does, without a sleep of its own. */
static void await_end(struct private_redis *p, struct err *err)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    while (private_redis_check(p, err) == ERR_OK) {
        assert_true(clock_mono_ms() < end);
        poll(NULL, 0, 1);
    }
}

static void its_death_is_noticed_and_it_can_be_started_again(void **state)
{
    struct err err;
    struct private_redis *p = started(*state);
    assert_int_equal(private_redis_restart(p, &err), ERR_BUSY);
    pid_t first = private_redis_pid(p);
    kill(first, SIGKILL);
    await_end(p, &err);
    assert_int_equal(err.code, ERR_UNREACHABLE);
    assert_non_null(strstr(err.text, "signal 9"));
    assert_int_equal(private_redis_pid(p), 0);
    assert_int_equal(private_redis_restart(p, &err), ERR_OK);
    assert_int_equal(private_redis_wait(p, PATIENCE_MS, &err), ERR_OK);
    assert_int_not_equal(private_redis_pid(p), first);
    ask(p, "PING", NULL, "PONG");
    private_redis_stop(p, PATIENCE_MS);
}

static void one_that_does_not_end_by_itself_is_killed_after_the_grace(void **state)
{
    struct private_redis *p = started(*state);
    pid_t pid = private_redis_pid(p);
    kill(pid, SIGSTOP);
    int64_t began = clock_mono_ms();
    private_redis_stop(p, 100);
    assert_in_range(clock_mono_ms() - began, 100, 3000);
    assert_int_equal(kill(pid, 0), -1);
}

static void it_never_evicts_and_never_saves(void **state)
{
    struct private_redis *p = started(*state);
    ask(p, "PING", NULL, "PONG"); /* redis_new refuses any policy but noeviction */
    ask(p, "SET", NULL, "ERR wrong number of arguments for 'set' command");
    struct stat st;
    char path[DIR_BYTES + 20];
    private_redis_stop(p, PATIENCE_MS);
    snprintf(path, sizeof path, "%s/dump.rdb", (const char *)*state);
    assert_int_equal(stat(path, &st), -1);
}

static void without_the_binary_the_error_names_the_package(void **state)
{
    char *path = strdup(getenv("PATH"));
    struct private_redis *p = NULL;
    struct err err;
    setenv("PATH", "/nonexistent", 1);
    assert_int_equal(private_redis_start(*state, &p, &err), ERR_NOTFOUND);
    setenv("PATH", path, 1);
    free(path);
    assert_non_null(strstr(err.text, "package redis-server"));
    assert_null(p);
}

static void a_server_that_cannot_start_is_told_with_the_last_line_of_its_log(void **state)
{
    char path[DIR_BYTES + 20];
    char *before = strdup(getenv("PATH"));
    snprintf(path, sizeof path, "%s/redis-server", (const char *)*state);
    int fd = open(path, O_CREAT | O_WRONLY, 0700);
    static const char script[] = "#!/bin/sh\necho first\necho no room here >&2\nexit 3\n";
    assert_int_equal(write(fd, script, sizeof script - 1), (ssize_t)sizeof script - 1);
    close(fd);
    setenv("PATH", *state, 1);
    struct private_redis *p = NULL;
    struct err err;
    assert_int_equal(private_redis_start(*state, &p, &err), ERR_OK);
    assert_int_equal(private_redis_wait(p, PATIENCE_MS, &err), ERR_UNREACHABLE);
    setenv("PATH", before, 1);
    free(before);
    assert_non_null(strstr(err.text, "status 3: no room here"));
    private_redis_stop(p, 0);
}

static void a_missing_folder_is_an_error(void **state)
{
    (void)state;
    struct private_redis *p = NULL;
    struct err err;
    assert_int_equal(private_redis_start("/tmp/no/such/folder", &p, &err), ERR_IO);
    assert_non_null(strstr(err.text, "/tmp/no/such/folder"));
}

/* A process that starts one and is killed: its server must not survive it. */
static void it_dies_with_the_process_that_started_it(void **state)
{
    int fds[2];
    pid_t server = 0;
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that its end can be waited for here */
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        struct private_redis *p = started(*state);
        server = private_redis_pid(p);
        if (write(fds[1], &server, sizeof server) == sizeof server)
            pause();
        _exit(1);
    }
    assert_int_equal(read(fds[0], &server, sizeof server), sizeof server);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    int status = 0;
    alarm(PATIENCE_MS / 1000);
    assert_int_equal(waitpid(server, &status, 0), server);
    alarm(0);
    assert_true(WIFSIGNALED(status));
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(it_answers_by_its_url_and_is_gone_after_the_stop),
        IN_FOLDER(a_long_and_odd_path_is_no_hindrance),
        IN_FOLDER(a_stale_socket_and_an_old_log_are_replaced),
        IN_FOLDER(its_death_is_noticed_and_it_can_be_started_again),
        IN_FOLDER(one_that_does_not_end_by_itself_is_killed_after_the_grace),
        IN_FOLDER(it_never_evicts_and_never_saves),
        IN_FOLDER(without_the_binary_the_error_names_the_package),
        IN_FOLDER(a_server_that_cannot_start_is_told_with_the_last_line_of_its_log),
        IN_FOLDER(a_missing_folder_is_an_error),
        IN_FOLDER(it_dies_with_the_process_that_started_it),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
