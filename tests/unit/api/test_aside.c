/* Answers that a child process works out: others are served meanwhile, and no child is left. */
#include "lab.h"

#include "protocol/base/clock.h"
#include "scheduler/api/aside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000 };

static int open_lab(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    lab_open(lab, TOKENS);
    *state = lab;
    return 0;
}

static int close_lab(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

static void put_held(struct lab *lab, const char *id, const char *spool)
{
    struct run_record r = {.status = RUN_HELD, .started_ms = 5, .sync = "customers"};
    strcpy(r.id, id);
    strcpy(r.spool, spool);
    double_put_run(lab->control, &r, CONTROL_IDLE);
}

/* ---- a server whose answers are never ready ---- */

static enum err_code never(void *ctx, struct output *o, struct err *err)
{
    (void)ctx, (void)o, (void)err;
    while (pause() < 0)
        ;
    return ERR_OK;
}

static void on_request(struct evhttp_request *req, void *ctx)
{
    struct lab *lab = ctx;
    struct api_call c = {.api = lab->api,
                         .control = lab->control,
                         .req = req,
                         .method = evhttp_request_get_command(req)};
    call_aside(&c, never, NULL);
}

struct endless {
    struct evhttp *http;
    char port[8];
};

static void endless_open(struct endless *e, struct lab *lab)
{
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    e->http = evhttp_new(lab->base);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(e->http, "127.0.0.1", 0);
    assert_non_null(bound);
    assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &n), 0);
    snprintf(e->port, sizeof e->port, "%u", ntohs(at.sin_port));
    evhttp_set_gencb(e->http, on_request, lab);
}

static int ask_endless(struct endless *e, struct lab *lab)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    char port[8];
    strcpy(port, lab->port);
    strcpy(lab->port, e->port);
    int fd = lab_connect(lab);
    strcpy(lab->port, port);
    lab_send(lab, fd, request, sizeof request - 1);
    return fd;
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void wait_no_children(struct lab *lab)
{
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    while (has_children()) {
        assert_true(clock_mono_ms() < end);
        lab_turn(lab);
    }
    assert_int_equal(errno, ECHILD);
}

static void what_the_child_cannot_find_is_not_found(void **state)
{
    struct lab *lab = *state;
    put_held(lab, "held", "gone");
    const struct answer *a = ask(lab, "GET", "/api/v1/runs/held/plan", AS_OPERATOR, NULL);
    assert_int_equal(a->status, 404);
    assert_string_equal(at(a->json, "error/code"), "not_found");
    assert_int_equal(ask(lab, "GET", "/api/v1/runs/none/plan", AS_OPERATOR, NULL)->status, 404);
    assert_int_equal(ask(lab, "GET", "/api/v1/runs/held/plan?samples=0", AS_OPERATOR, NULL)->status,
                     400);
    struct run_record r = {.id = "over", .sync = "lines", .status = RUN_SUCCESS, .started_ms = 5};
    double_put_run(lab->control, &r, CONTROL_IDLE);
    assert_int_equal(ask(lab, "GET", "/api/v1/runs/over/plan", AS_OPERATOR, NULL)->status, 409);
    wait_no_children(lab);
}

static size_t count_children(void)
{
    char path[64], line[4096] = "";
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    if (fgets(line, sizeof line, f))
        for (const char *p = line; *p; p++)
            count += *p == ' ';
    fclose(f);
    return count;
}

static void wait_children(struct lab *lab, size_t count)
{
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    while (count_children() != count) {
        assert_true(clock_mono_ms() < end);
        lab_turn(lab);
    }
}

static void others_are_served_while_children_work_and_none_is_left(void **state)
{
    struct lab *lab = *state;
    struct endless e;
    int fds[ASIDE_MAX];
    endless_open(&e, lab);
    for (size_t i = 0; i < ASIDE_MAX; i++)
        fds[i] = ask_endless(&e, lab);
    wait_children(lab, ASIDE_MAX);
    put_held(lab, "held", "gone");
    const struct answer *a = ask(lab, "GET", "/api/v1/runs/held/plan", AS_OPERATOR, NULL);
    assert_int_equal(a->status, 503);
    assert_string_equal(at(a->json, "error/code"), "full");
    assert_int_equal(ask(lab, "GET", "/api/v1/status", AS_VIEWER, NULL)->status, 200);
    for (size_t i = 0; i < ASIDE_MAX; i++)
        close(fds[i]);
    wait_no_children(lab);
    assert_int_equal(ask(lab, "GET", "/api/v1/runs/held/plan", AS_OPERATOR, NULL)->status, 404);
    evhttp_free(e.http);
}

static void what_is_sent_before_the_answer_is_answered_after_it(void **state)
{
    struct lab *lab = *state;
    char text[9000];
    put_held(lab, "held", "gone");
    int n = snprintf(text, sizeof text,
                     "GET /api/v1/runs/held/plan HTTP/1.1\r\nHost: x\r\n" AS_OPERATOR "\r\n"
                     "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %06000d\r\n\r\n",
                     7);
    int fd = lab_connect(lab);
    lab_send(lab, fd, text, (size_t)n);
    char *both = lab_read(lab, fd, "\r\n\r\nok\n");
    assert_non_null(strstr(both, "HTTP/1.1 404 "));
    free(both);
    close(fd);
}

static void a_child_that_is_killed_is_told_as_too_slow(void **state)
{
    struct lab *lab = *state;
    struct endless e;
    endless_open(&e, lab);
    int fd = ask_endless(&e, lab);
    wait_children(lab, 1);
    char path[64];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *f = fopen(path, "r");
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    fclose(f);
    kill(pid, SIGALRM); /* its deadline */
    free(lab_read(lab, fd, "looking took longer"));
    close(fd);
    wait_no_children(lab);
    evhttp_free(e.http);
}

static void ending_the_api_ends_its_children(void **state)
{
    struct lab *lab = *state;
    struct endless e;
    endless_open(&e, lab);
    int fd = ask_endless(&e, lab);
    wait_children(lab, 1);
    evhttp_free(e.http); /* the client's connection with it */
    assert_false(has_children());
    free(lab_read(lab, fd, NULL));
    close(fd);
}

#define with_lab(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_lab(what_the_child_cannot_find_is_not_found),
        with_lab(others_are_served_while_children_work_and_none_is_left),
        with_lab(what_is_sent_before_the_answer_is_answered_after_it),
        with_lab(a_child_that_is_killed_is_told_as_too_slow),
        with_lab(ending_the_api_ends_its_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
