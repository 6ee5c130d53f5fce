/* Who gets in, and what a browser of a stranger's page cannot do. */
#include "lab.h"

#include "protocol/base/clock.h"
#include "scheduler/api/rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int open_with_tokens(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    lab_open(lab, TOKENS);
    *state = lab;
    return 0;
}

static int open_without(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    lab_open(lab, "");
    *state = lab;
    return 0;
}

static int close_lab(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

static int status_of(struct lab *lab, const char *method, const char *path, const char *headers)
{
    return ask(lab, method, path, headers, NULL)->status;
}

static void a_token_is_needed_and_must_be_whole(void **state)
{
    struct lab *lab = *state;
    const struct answer *a = ask(lab, "GET", "/api/v1/status", NULL, NULL);
    assert_int_equal(a->status, 401);
    assert_string_equal(header_of(a, "WWW-Authenticate"), "Bearer");
    static const char *const wrong[] = {
        "Authorization: Bearer viewer-toke\r\n",
        "Authorization: Bearer viewer-token2\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer\r\n",
        "Authorization: viewer-token\r\n",
        "Authorization: Basic dmlld2VyLXRva2Vu\r\n",
        "Authorization: Bearer " SHA256_OF_VIEWER "\r\n", /* what is configured is not the token */
        "Cookie: sluice_session=viewer-token\r\n",
        "Cookie: sluice_session=\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (status_of(lab, "GET", "/api/v1/status", wrong[i]) != 401)
            fail_msg("%s was let in", wrong[i]);
    const json_t *j = get(lab, "/api/v1/status", "authorization: bearer   viewer-token\r\n");
    assert_string_equal(at(j, "name"), "vic");
    assert_string_equal(at(j, "role"), "viewer");
    assert_int_equal(status_of(lab, "GET", "/metrics", NULL), 401);
    assert_int_equal(status_of(lab, "GET", "/metrics", AS_VIEWER), 200);
    assert_int_equal(status_of(lab, "GET", "/healthz", NULL), 200);
}

/* Logs in; the Cookie header of the session into out. */
static void login(struct lab *lab, const char *token, char *out, size_t n)
{
    char body[128];
    snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    const struct answer *a = ask(lab, "POST", "/api/v1/login", BROWSER, body);
    assert_int_equal(a->status, 200);
    const char *cookie = header_of(a, "Set-Cookie");
    assert_non_null(strstr(cookie, "; HttpOnly"));
    assert_non_null(strstr(cookie, "; SameSite=Strict"));
    assert_null(strstr(cookie, token));
    snprintf(out, n, "Cookie: other=1; %.*s\r\n", (int)strcspn(cookie, ";"), cookie);
}

static void a_session_stands_for_its_token_until_logout(void **state)
{
    struct lab *lab = *state;
    char cookie[256], with_header[300];
    const struct answer *a = ask(lab, "POST", "/api/v1/login", BROWSER, "{\"token\":\"wrong\"}");
    assert_int_equal(a->status, 401);
    assert_null(header_of(a, "Set-Cookie"));
    assert_int_equal(ask(lab, "POST", "/api/v1/login", BROWSER, "{}")->status, 401);
    login(lab, "operator-token", cookie, sizeof cookie);
    assert_string_equal(at(get(lab, "/api/v1/status", cookie), "name"), "olga");
    assert_int_equal(status_of(lab, "POST", "/api/v1/syncs/lines/pause", cookie), 403);
    snprintf(with_header, sizeof with_header, BROWSER "%s", cookie);
    assert_int_equal(status_of(lab, "POST", "/api/v1/syncs/lines/pause", with_header), 200);
    assert_int_equal(status_of(lab, "GET", "/api/v1/audit", cookie), 403);
    a = ask(lab, "POST", "/api/v1/logout", with_header, NULL);
    assert_int_equal(a->status, 204);
    assert_non_null(strstr(header_of(a, "Set-Cookie"), "Max-Age=0"));
    assert_int_equal(status_of(lab, "GET", "/api/v1/status", cookie), 401);
}

static void a_token_taken_away_ends_its_sessions(void **state)
{
    struct lab *lab = *state;
    char cookie[256];
    login(lab, "viewer-token", cookie, sizeof cookie);
    get(lab, "/api/v1/status", cookie);
    lab_write(lab, "tokens: [{name: ada, role: admin, sha256: " SHA256_OF_ADMIN "}]", "");
    assert_int_equal(status_of(lab, "POST", "/api/v1/reload", AS_ADMIN), 200);
    assert_int_equal(status_of(lab, "GET", "/api/v1/status", cookie), 401);
    assert_int_equal(status_of(lab, "GET", "/api/v1/status", AS_VIEWER), 401);
}

static void another_sites_page_is_refused(void **state)
{
    struct lab *lab = *state;
    char headers[512], cookie[256], origin[128];
    login(lab, "operator-token", cookie, sizeof cookie);
    static const char *const origins[] = {"https://evil.example", "null", "http://127.0.0.1:1",
                                          "http://127.0.0.1", "file://"};
    for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
        snprintf(headers, sizeof headers, BROWSER "%sOrigin: %s\r\n", cookie, origins[i]);
        assert_int_equal(status_of(lab, "POST", "/api/v1/syncs/lines/pause", headers), 403);
        assert_int_equal(status_of(lab, "GET", "/api/v1/syncs", headers), 403);
    }
    snprintf(origin, sizeof origin, "Origin: http://127.0.0.1:%s\r\n", lab->port);
    snprintf(headers, sizeof headers, BROWSER "%s%s", cookie, origin);
    assert_int_equal(status_of(lab, "POST", "/api/v1/syncs/lines/pause", headers), 200);
    /* Behind a proxy that ends TLS, both name the outer host. */
    snprintf(headers, sizeof headers,
             BROWSER "%sHost: sluice.example.org\r\nOrigin: https://sluice.example.org\r\n",
             cookie);
    assert_int_equal(status_of(lab, "POST", "/api/v1/syncs/lines/pause", headers), 200);
}

static void without_tokens_only_loopback_names_are_answered(void **state)
{
    struct lab *lab = *state;
    static const char *const good[] = {"Host: localhost\r\n", "Host: LOCALHOST:99\r\n",
                                       "Host: 127.0.0.1\r\n", "Host: [::1]:8470\r\n"};
    static const char *const bad[] = {
        "Host: evil.example\r\n",  "Host: localhost.evil.example\r\n", "Host: \r\n",
        "Host: 10.0.0.1:8470\r\n", "Host: 127.0.0.1.nip.io\r\n",       "Host: [::1\r\n",
        "Host: localhost:x\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(status_of(lab, "GET", "/api/v1/syncs", good[i]), 200);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (status_of(lab, "GET", "/api/v1/syncs", bad[i]) != 403)
            fail_msg("%s was answered", bad[i]);
        assert_int_equal(status_of(lab, "GET", "/healthz", bad[i]), 200);
    }
}

static void without_tokens_a_change_needs_what_a_form_cannot_send(void **state)
{
    struct lab *lab = *state;
    const char *path = "/api/v1/syncs/lines/pause";
    assert_int_equal(status_of(lab, "POST", path, NULL), 403);
    assert_int_equal(status_of(lab, "POST", path, "Content-Type: text/plain\r\n"), 403);
    assert_int_equal(
        status_of(lab, "POST", path, "Content-Type: application/x-www-form-urlencoded\r\n"), 403);
    assert_int_equal(status_of(lab, "POST", path, "Content-Type: application/jsonx\r\n"), 403);
    assert_int_equal(status_of(lab, "POST", path, "Content-Type: application/json\r\n"), 200);
    assert_int_equal(
        status_of(lab, "POST", path, "Content-Type: Application/JSON; charset=utf-8\r\n"), 200);
    assert_int_equal(status_of(lab, "POST", path, BROWSER), 200);
    const struct answer *a = ask(lab, "POST", "/api/v1/login", BROWSER, "{\"token\":\"x\"}");
    assert_int_equal(a->status, 200); /* there is nothing to log in to */
    assert_string_equal(at(a->json, "role"), "admin");
    assert_null(header_of(a, "Set-Cookie"));
}

static void too_many_requests_are_put_off_by_token_and_address(void **state)
{
    struct lab *lab = *state;
    int put_off = 0;
    /* The bucket fills while the loop is slow: then it takes a few more. */
    for (int i = 0; i < 50 * RATE_PER_SECOND && !put_off; i++)
        put_off = status_of(lab, "GET", "/healthz", NULL) == 429 ? i : 0;
    assert_true(put_off >= RATE_PER_SECOND);
    const struct answer *a;
    do
        a = ask(lab, "GET", "/healthz", NULL, NULL);
    while (a->status != 429);
    assert_string_equal(header_of(a, "Retry-After"), "1");
    assert_string_equal(at(a->json, "error/code"), "too_many_requests");
    assert_int_equal(status_of(lab, "GET", "/api/v1/status", AS_VIEWER), 200);
    assert_int_equal(ask_local(lab, "GET", "/healthz", NULL)->status, 200);
}

/* ---- starting ---- */

static enum err_code start_at(struct lab *lab, const char *listen, const char *socket_path,
                              struct err *err)
{
    const struct log quiet = {.program = "test", .level = LOG_ERROR, .fd = STDERR_FILENO};
    struct api *api = NULL;
    const struct api_options options = {.base = lab->base,
                                        .control = lab->control,
                                        .log = &quiet,
                                        .listen = listen,
                                        .socket_path = socket_path};
    enum err_code rc = api_start(&options, &api, err);
    if (!rc)
        api_free(api);
    return rc;
}

static void it_listens_for_strangers_only_with_tokens(void **state)
{
    struct lab *lab = *state;
    struct err err;
    assert_int_equal(start_at(lab, "0.0.0.0:0", NULL, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "tokens"));
    assert_int_equal(start_at(lab, "[::]:0", NULL, &err), ERR_CONFIG);
    assert_int_equal(start_at(lab, "127.0.0.1:0", NULL, &err), ERR_OK);
    assert_int_equal(start_at(lab, NULL, NULL, &err), ERR_OK);
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%s", lab->port);
    assert_int_equal(start_at(lab, taken, NULL, &err), ERR_UNREACHABLE);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(start_at(lab, "no.such.host.invalid:1", NULL, &err), ERR_CONFIG);
}

static void a_socket_of_the_dead_is_replaced_and_one_of_the_living_is_not(void **state)
{
    struct lab *lab = *state;
    struct err err;
    char path[100];
    struct stat st;
    assert_int_equal(start_at(lab, NULL, lab->socket_path, &err), ERR_BUSY);
    assert_non_null(strstr(err.text, "another scheduler"));
    assert_int_equal(ask_local(lab, "GET", "/healthz", NULL)->status, 200);
    snprintf(path, sizeof path, "%.80s.dead", lab->socket_path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(start_at(lab, NULL, path, &err), ERR_OK);
    assert_int_equal(stat(path, &st), -1); /* and taken away at the end */
    snprintf(path, sizeof path, "%.80s.file", lab->socket_path);
    fclose(fopen(path, "w"));
    assert_int_equal(start_at(lab, NULL, path, &err), ERR_BUSY);
    assert_int_equal(stat(path, &st), 0);
}

static void a_socket_may_lie_deeper_than_an_address_is_long(void **state)
{
    struct lab *lab = *state;
    struct err err;
    char path[400];
    size_t n = (size_t)snprintf(path, sizeof path, "%s", lab->folder.path);
    for (int i = 0; i < 5; i++) {
        n += (size_t)snprintf(path + n, sizeof path - n, "/%040d", i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(path + n, sizeof path - n, "/control.sock");
    assert_int_equal(start_at(lab, NULL, path, &err), ERR_OK);
}

#define with_tokens(f) cmocka_unit_test_setup_teardown(f, open_with_tokens, close_lab)
#define without(f) cmocka_unit_test_setup_teardown(f, open_without, close_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_tokens(a_token_is_needed_and_must_be_whole),
        with_tokens(a_session_stands_for_its_token_until_logout),
        with_tokens(a_token_taken_away_ends_its_sessions),
        with_tokens(another_sites_page_is_refused),
        without(without_tokens_only_loopback_names_are_answered),
        without(without_tokens_a_change_needs_what_a_form_cannot_send),
        with_tokens(too_many_requests_are_put_off_by_token_and_address),
        without(it_listens_for_strangers_only_with_tokens),
        without(a_socket_of_the_dead_is_replaced_and_one_of_the_living_is_not),
        without(a_socket_may_lie_deeper_than_an_address_is_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
