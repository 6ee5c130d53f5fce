#include "tests/unit/redis/fixture.h"

#include "protocol/base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 8000, WORDS_MAX = 16 };

static void on_state(void *ctx, bool connected, const struct err *err)
{
    struct fixture *f = ctx;
    f->connected = connected;
    f->connects += connected;
    f->losses += !connected;
    f->last.code = ERR_OK;
    f->last.text[0] = '\0';
    if (err)
        f->last = *err;
    if (!connected)
        assert_non_null(err);
}

void fixture_open(struct fixture *f, const char *url, const struct redis_options *opts)
{
    struct redis_url parsed;
    struct err err;
    struct redis_options o = opts ? *opts : (struct redis_options){0};
    *f = (struct fixture){.base = event_base_new()};
    signal(SIGPIPE, SIG_IGN);
    o.on_state = on_state;
    o.ctx = f;
    assert_non_null(f->base);
    if (redis_url_parse(url, &parsed, &err))
        fail_msg("%s", err.text);
    f->redis = redis_new(f->base, &parsed, &o);
    assert_non_null(f->redis);
    assert_int_equal(f->connects + f->losses, 0);
}

void fixture_close(struct fixture *f)
{
    redis_free(f->redis);
    event_base_free(f->base);
}

static void wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

/* One turn of the loop that ends after ms at the latest. */
static void turn(struct fixture *f, int64_t ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    struct event *e = evtimer_new(f->base, wake, NULL);
    evtimer_add(e, &tv);
    event_base_loop(f->base, EVLOOP_ONCE);
    event_free(e);
}

void fixture_until(struct fixture *f, const unsigned *value, unsigned want)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    while (*value < want) {
        int64_t left = end - clock_mono_ms();
        if (left <= 0)
            fail_msg("waited in vain for %u, it is %u; last: %s", want, *value, f->last.text);
        turn(f, left);
    }
}

void fixture_ready(struct fixture *f)
{
    fixture_until(f, &f->connects, f->connected ? f->connects : f->connects + 1);
    assert_true(redis_connected(f->redis));
}

void fixture_run(struct fixture *f, unsigned ms)
{
    int64_t end = clock_mono_ms() + ms;
    for (int64_t left = ms; left > 0; left = end - clock_mono_ms())
        turn(f, left);
}

void answer_take(void *ctx, const struct redisReply *reply, const struct err *err)
{
    static unsigned total; /* only its order matters */
    struct answer *a = ctx;
    assert_true((reply != NULL) != (err != NULL));
    a->calls++;
    a->order = ++total;
    if (err) {
        a->err = *err;
        return;
    }
    a->type = reply->type;
    a->integer = reply->integer;
    a->bytes = reply->str ? (size_t)reply->len : reply->elements;
    if (reply->str)
        snprintf(a->text, sizeof a->text, "%s", reply->str);
}

static size_t split(const char *words, struct slice *argv)
{
    size_t argc = 0;
    while (*words) {
        size_t n = strcspn(words, " ");
        assert_true(argc < WORDS_MAX);
        argv[argc++] = slice_of(words, n);
        words += n + (words[n] == ' ');
    }
    return argc;
}

void fixture_send(struct fixture *f, struct answer *a, uint64_t deadline_ms, const char *words)
{
    struct slice argv[WORDS_MAX];
    struct err err;
    size_t argc = split(words, argv);
    memset(a, 0, sizeof *a);
    if (redis_command(f->redis, argv, argc, deadline_ms, answer_take, a, &err))
        fail_msg("%s: %s", words, err.text);
    assert_int_equal(a->calls, 0);
}

void fixture_ask(struct fixture *f, struct answer *a, const char *words)
{
    fixture_send(f, a, 0, words);
    fixture_until(f, &a->calls, 1);
}

void fixture_certificates(const char *dir)
{
    static const char script[] =
        "cd %s && new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && exec 2>openssl.log &&"
        "for ca in ca other; do"
        " openssl req -x509 $new -keyout $ca.key -out $ca.crt -days 2 -subj /CN=$ca || exit 1; "
        "done;"
        "sign() { openssl req $new -keyout $1.key -subj /CN=$1 |"
        " openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext"
        " -out $1.crt; };"
        "echo subjectAltName=DNS:localhost,IP:127.0.0.1 >good.ext; sign good;"
        "echo subjectAltName=DNS:elsewhere.example,IP:127.0.0.9 >away.ext; sign away";
    char command[sizeof script + 64];
    snprintf(command, sizeof command, script, dir);
    assert_int_equal(system(command), 0);
}

void fixture_remove(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}
