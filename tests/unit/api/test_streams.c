/* Event streams: what is told, to whom, and what becomes of those who do not listen. */
#include "lab.h"

#include "protocol/base/clock.h"
#include "scheduler/api/api_private.h"
#include "scheduler/api/socket_file.h"
#include "scheduler/api/streams.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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

static int subscribe(struct lab *lab, const char *token)
{
    char text[256];
    int fd = lab_connect(lab);
    int n = snprintf(text, sizeof text, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n%s\r\n", token);
    lab_send(lab, fd, text, (size_t)n);
    char *head = lab_read(lab, fd, "retry: 2000\n\n");
    assert_non_null(strstr(head, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(head, "Content-Type: text/event-stream\r\n"));
    free(head);
    return fd;
}

static void expect(struct lab *lab, int fd, const char *words)
{
    free(lab_read(lab, fd, words));
}

static void wait_clients(struct lab *lab, size_t count)
{
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    while (streams_clients(lab->api->streams) != count) {
        assert_true(clock_mono_ms() < end);
        lab_turn(lab);
    }
}

static void everyone_who_listens_is_told(void **state)
{
    struct lab *lab = *state;
    int one = subscribe(lab, AS_VIEWER), two = subscribe(lab, AS_ADMIN);
    assert_int_equal(streams_clients(lab->api->streams), 2);
    struct run_record r = {.id = "r1", .sync = "lines", .status = RUN_PLANNED, .started_ms = 5};
    double_put_run(lab->control, &r, CONTROL_SENDING);
    double_tell(lab->control, CONTROL_EVENT_RUN, "r1", &r);
    expect(lab, one,
           "event: run\ndata: {\"id\":\"r1\",\"sync\":\"lines\",\"status\":\"planned\","
           "\"phase\":\"sending\"");
    ask(lab, "POST", "/api/v1/syncs/customers/pause", AS_OPERATOR, NULL);
    expect(lab, one, "event: sync\ndata: {\"name\":\"customers\"");
    ask(lab, "POST", "/api/v1/destinations/hook/pause", AS_OPERATOR, NULL);
    ask(lab, "POST", "/api/v1/reload", AS_ADMIN, NULL);
    char *all = lab_read(lab, two, "event: reload\ndata: {\"error\":null}\n\n");
    assert_non_null(strstr(all, "event: run\n"));
    assert_non_null(strstr(all, "event: destination\ndata: {\"name\":\"hook\""));
    free(all);
    double_tell(lab->control, CONTROL_EVENT_SYNC, "gone", NULL); /* by a reload */
    double_end_run(lab->control, "r1", RUN_SUCCESS);
    expect(lab, one, "\"status\":\"success\"");
    close(one);
    wait_clients(lab, 1);
    close(two);
    wait_clients(lab, 0);
}

static void a_stream_ends_when_its_token_is_taken_away(void **state)
{
    struct lab *lab = *state;
    int viewer = subscribe(lab, AS_VIEWER), admin = subscribe(lab, AS_ADMIN);
    lab_write(lab, "tokens: [{name: ada, role: admin, sha256: " SHA256_OF_ADMIN "}]", "");
    ask(lab, "POST", "/api/v1/reload", AS_ADMIN, NULL);
    free(lab_read(lab, viewer, NULL));
    expect(lab, admin, "event: reload\n");
    close(viewer);
    close(admin);
}

static void who_does_not_read_is_dropped(void **state)
{
    struct lab *lab = *state;
    struct run_record r = {.id = "r1", .sync = "lines", .status = RUN_PLANNED, .started_ms = 5};
    memset(r.error, 'e', RUN_TEXT_MAX);
    int deaf = subscribe(lab, AS_VIEWER), good = subscribe(lab, AS_VIEWER);
    char *rest = malloc(1 << 20);
    /* Until the kernel's buffers are full, and then ours. */
    for (int i = 0; i < 10000 && streams_clients(lab->api->streams) == 2; i++) {
        for (int j = 0; j < 64; j++)
            double_tell(lab->control, CONTROL_EVENT_RUN, "r1", &r);
        lab_turn(lab);
        while (recv(good, rest, 1 << 20, 0) > 0)
            lab_turn(lab);
    }
    assert_int_equal(streams_clients(lab->api->streams), 1);
    double_end_run(lab->control, (double_put_run(lab->control, &r, CONTROL_SENDING), "r1"),
                   RUN_SUCCESS);
    expect(lab, good, "\"status\":\"success\"");
    free(rest);
    close(deaf);
    close(good);
}

static void commands_have_places_of_their_own(struct lab *lab)
{
    static const char request[] = "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd;
    struct err err;
    assert_int_equal(socket_file_connect(lab->socket_path, &fd, &err), ERR_OK);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    lab_send(lab, fd, request, sizeof request - 1);
    expect(lab, fd, "retry: 2000");
    close(fd);
    wait_clients(lab, STREAMS_MAX);
}

static void there_is_an_end_to_how_many_listen(void **state)
{
    struct lab *lab = *state;
    int fds[STREAMS_MAX];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = subscribe(lab, i % 2 ? AS_VIEWER : AS_ADMIN);
    const struct answer *a = ask(lab, "GET", "/api/v1/events", AS_OPERATOR, NULL);
    assert_int_equal(a->status, 503);
    assert_string_equal(at(a->json, "error/code"), "full");
    commands_have_places_of_their_own(lab);
    close(fds[0]);
    wait_clients(lab, STREAMS_MAX - 1);
    fds[0] = subscribe(lab, AS_OPERATOR);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

static void a_head_of_a_stream_ends_at_once(void **state)
{
    struct lab *lab = *state;
    assert_int_equal(ask(lab, "HEAD", "/api/v1/events", AS_VIEWER, NULL)->status, 200);
    assert_int_equal(streams_clients(lab->api->streams), 0);
}

static void ending_the_api_ends_its_streams(void **state)
{
    struct lab *lab = *state;
    int fd = subscribe(lab, AS_VIEWER);
    assert_int_equal(double_listeners(lab->control), 1);
    api_free(lab->api);
    lab->api = NULL;
    free(lab_read(lab, fd, NULL));
    assert_int_equal(double_listeners(lab->control), 0);
    close(fd);
}

#define with_lab(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_lab(everyone_who_listens_is_told),
        with_lab(a_stream_ends_when_its_token_is_taken_away),
        with_lab(who_does_not_read_is_dropped),
        with_lab(there_is_an_end_to_how_many_listen),
        with_lab(a_head_of_a_stream_ends_at_once),
        with_lab(ending_the_api_ends_its_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
