/* TLS and HTTP/2, against nghttpd. */
#include "tests/unit/worker/http_bench.h"

struct nghttpd {
    pid_t pid;
    char dir[32];
    char ca[64];
    char url[64];
};

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void wait_for_port(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    for (int64_t end_ms = clock_mono_ms() + DEADLINE_S * 1000; clock_mono_ms() < end_ms;
         poll(NULL, 0, 10)) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int rc = connect(fd, (struct sockaddr *)&a, sizeof a);
        close(fd);
        if (rc == 0)
            return;
    }
    fail_msg("nghttpd did not start");
}

static void nghttpd_start(struct nghttpd *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/sluice-h2-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->ca, sizeof s->ca, "%s/c.pem", s->dir);
    char command[512], key[64], port_text[8];
    snprintf(key, sizeof key, "%s/k.pem", s->dir);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
             "/CN=localhost "
             "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
             key, s->ca);
    assert_int_equal(system(command), 0);
    uint16_t port = free_port();
    snprintf(port_text, sizeof port_text, "%u", port);
    snprintf(s->url, sizeof s->url, "https://localhost:%u/", port);
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/usr/sbin/nghttpd", "nghttpd", "--echo-upload", "-a", "127.0.0.1", "-d", s->dir,
              port_text, key, s->ca, (char *)NULL);
        _exit(127);
    }
    wait_for_port(port);
}

static void nghttpd_stop(struct nghttpd *s)
{
    char command[128];
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    snprintf(command, sizeof command, "rm -r %s", s->dir);
    assert_int_equal(system(command), 0);
}

static void http2_is_used_over_tls_and_only_with_the_right_authority(void **state)
{
    (void)state;
    if (access("/usr/sbin/nghttpd", X_OK))
        skip();
    struct nghttpd s;
    struct bench b;
    nghttpd_start(&s);
    bench_open(&b, answer_ok, NULL);
    /* nghttpd speaks nothing but HTTP/2, so an answer proves it. */
    for (int i = 0; i < 10; i++)
        send_to(&b, s.url, SLICE_LIT("{\"over\":2}"), 5000, s.ca);
    wait_all(&b);
    for (int i = 0; i < 10; i++) {
        if (b.answers[i].answer.status != 200)
            fail_msg("status %u: %s", b.answers[i].answer.status, b.answers[i].error);
        assert_string_equal(b.answers[i].body, "{\"over\":2}");
    }
    send_to(&b, s.url, SLICE_LIT("{}"), 5000, NULL);
    wait_all(&b);
    assert_int_equal(b.answers[10].answer.status, 0);
    assert_false(b.answers[10].answer.reached);
    assert_string_not_equal(b.answers[10].error, "");
    bench_close(&b);
    nghttpd_stop(&s);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_is_used_over_tls_and_only_with_the_right_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
