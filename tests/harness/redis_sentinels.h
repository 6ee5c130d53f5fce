/*
 * A primary, a replica of it and three sentinels that know each other, for a C test: real
 * processes on loopback ports, which die with the test.
 *
 *     struct redis_sentinels s;
 *     redis_sentinels_start(&s, &(struct redis_sentinels_options){0});
 *     redis_server_signal(&s.servers[0], SIGKILL);      // servers[0] is the first primary
 *     … the sentinels make servers[1] the primary within a few seconds …
 *     redis_sentinels_stop(&s);
 */
#ifndef SLUICE_TESTS_REDIS_SENTINELS_H
#define SLUICE_TESTS_REDIS_SENTINELS_H

#include "tests/harness/redis_server.h"

#include <stdbool.h>

enum { SENTINELS = 3, SENTINEL_WORDS = 24, SENTINEL_WORD_BYTES = 128 };

struct redis_sentinels_options {
    const char *password;          /* of both servers; NULL: none */
    const char *sentinel_password; /* of the sentinels; NULL: none */
    /* A folder with ca.crt, and CERTIFICATE.crt and .key for localhost and 127.0.0.1: all of them
     * speak TLS only. NULL: none does. */
    const char *tls;
    const char *certificate;
};

struct redis_sentinels {
    struct redis_server servers[2]; /* the first one begins as the primary */
    uint16_t ports[2];
    pid_t sentinels[SENTINELS];
    uint16_t sentinel_ports[SENTINELS];
    char dir[REDIS_SERVER_DIR_BYTES];
    char words[2][SENTINEL_WORDS][SENTINEL_WORD_BYTES]; /* the servers' arguments */
    const char *args[2][SENTINEL_WORDS + 1];
};

/** Returns when the replica is in step and each sentinel knows all the others. */
void redis_sentinels_start(struct redis_sentinels *s, const struct redis_sentinels_options *o);
void redis_sentinels_stop(struct redis_sentinels *s);
/** scheme://user-part127.0.0.1:a,127.0.0.1:b,127.0.0.1:c/prime?query into out. */
const char *redis_sentinels_url(const struct redis_sentinels *s, const char *scheme,
                                const char *user_part, const char *query, char *out, size_t n);
/** Of one sentinel: SIGSTOP, SIGCONT, SIGKILL. */
void redis_sentinels_signal(struct redis_sentinels *s, size_t sentinel, int signal);

#endif
