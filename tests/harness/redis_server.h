/*
 * A real redis-server for a C test: on a unix socket in a folder of its own, stopped by its pid.
 *
 * It dies with the test (PR_SET_PDEATHSIG), so a test that crashes leaves no process behind. Every
 * function aborts the test with a sentence on stderr when the server cannot do what is asked.
 * Blocking; one thread.
 *
 *     struct redis_server s;
 *     redis_server_start(&s, NULL);                 // or a NULL-ended list of further arguments
 *     redis_server_ask(&s, "SET", "k", "v", NULL);  // hiredis reply: freeReplyObject()
 *     … redis_url_parse(s.url, …) …
 *     redis_server_stop(&s);
 */
#ifndef SLUICE_TESTS_REDIS_SERVER_H
#define SLUICE_TESTS_REDIS_SERVER_H

#include <stdint.h>
#include <sys/types.h>

struct redisReply;

enum { REDIS_SERVER_ARGS = 48, REDIS_SERVER_DIR_BYTES = 64 };

struct redis_server {
    pid_t pid;                        /* 0: not running */
    char dir[REDIS_SERVER_DIR_BYTES]; /* its folder; log: DIR/redis.log */
    char socket[REDIS_SERVER_DIR_BYTES + 16];
    char url[REDIS_SERVER_DIR_BYTES + 32]; /* unix://… */
    const char *args[REDIS_SERVER_ARGS];   /* borrowed further arguments, NULL-ended */
};

/**
 * Makes a folder under /tmp, starts the server with maxmemory-policy noeviction and no persistence,
 * and returns when it answers. args: NULL or a NULL-ended list of further arguments (borrowed until
 * stop), e.g. {"--port", "7001", "--requirepass", "pw", NULL}.
 */
void redis_server_start(struct redis_server *s, const char *const *args);

/** Like start, with the folder made by the caller (redis_server_folder), where certificates may
 * lie. */
void redis_server_start_in(struct redis_server *s, const char *dir, const char *const *args);

/** Makes an empty folder under /tmp; dir has REDIS_SERVER_DIR_BYTES. */
void redis_server_folder(char *dir);

/** Sends the signal and waits for its end (SIGKILL, SIGTERM); does not wait for SIGSTOP or SIGCONT.
 */
void redis_server_signal(struct redis_server *s, int signal);

/** Starts it again in the same folder after a SIGKILL or SIGTERM. It has lost its data. */
void redis_server_restart(struct redis_server *s);

/** Kills it and removes its folder. Accepts one that is not running. */
void redis_server_stop(struct redis_server *s);

/**
 * One command over the unix socket on a connection of its own: words ended by NULL. Returns the
 * reply, which may be an error reply (freeReplyObject); never NULL. It does not authenticate: a
 * test of AUTH adds a user ("--user", "name", "on", ">pw", "~*", "+@all") and leaves the default
 * one as it is.
 */
struct redisReply *redis_server_ask(const struct redis_server *s, const char *word, ...)
    __attribute__((sentinel));

/** The same for an integer reply. */
int64_t redis_server_ask_int(const struct redis_server *s, const char *word, ...)
    __attribute__((sentinel));

/** A loopback TCP port that was free a moment ago. */
uint16_t redis_server_free_port(void);

#endif
