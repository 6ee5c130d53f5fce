/* A connection under test with its event loop, and what its callbacks saw. */
#ifndef SLUICE_TESTS_REDIS_FIXTURE_H
#define SLUICE_TESTS_REDIS_FIXTURE_H

#include "protocol/redis/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <cmocka.h>

struct fixture {
    struct event_base *base;
    struct redis *redis;
    unsigned connects; /* on_state(connected) so far */
    unsigned losses;   /* on_state(lost or not reached) so far */
    bool connected;
    struct err last; /* of the latest on_state; code 0: none */
};

/* What one command's callback saw. */
struct answer {
    unsigned calls;
    int type; /* of the reply; 0: there was an err */
    int64_t integer;
    size_t bytes;
    char text[64]; /* the start of a string */
    struct err err;
    unsigned order; /* the how manieth answer of all */
};

/** Connects in the background. opts: NULL or timeouts and limits; on_state is the fixture's. */
void fixture_open(struct fixture *f, const char *url, const struct redis_options *opts);
void fixture_close(struct fixture *f);

/** Runs the loop until *value >= want; fails the test after 8 s. */
void fixture_until(struct fixture *f, const unsigned *value, unsigned want);
/** Runs the loop until the connection stands. */
void fixture_ready(struct fixture *f);
/** Runs the loop for at most ms. */
void fixture_run(struct fixture *f, unsigned ms);

/** A command of words parted by blanks; the answer is filled when it comes. */
void fixture_send(struct fixture *f, struct answer *a, uint64_t deadline_ms, const char *words);
/** The same, waiting for the answer. */
void fixture_ask(struct fixture *f, struct answer *a, const char *words);
/** The callback that fills a struct answer. */
void answer_take(void *ctx, const struct redisReply *reply, const struct err *err);

/** Into dir (a path of less than 64 bytes): ca.crt; good.crt and .key for localhost and 127.0.0.1,
 * away.crt and .key for others, signed by it; other.crt, an authority that signed nothing. */
void fixture_certificates(const char *dir);
/** A folder under /tmp with what is in it. */
void fixture_remove(const char *dir);

#endif
