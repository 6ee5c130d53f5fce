/*
 * One connection to Redis on the event loop: hiredis' reader and formatter over a libevent bufferevent.
 *
 * Commands go out in order, replies come back in order, each with its own deadline. A lost connection
 * fails every command that is waiting (ERR_UNREACHABLE: it may or may not have been carried out) and is
 * made again with growing pauses; commands given meanwhile wait for it until their deadline. Pending
 * bytes have a ceiling. TCP, TLS (rediss://) and unix sockets. One thread.
 */
#ifndef SLUICE_REDIS_REDIS_H
#define SLUICE_REDIS_REDIS_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct redis;
struct redisReply; /* hiredis' plain reply tree */

/* What a URL says: redis://user:pass@host:port/db, rediss://…, unix:///path?db=0 or unix://user:pass@/path. */
struct redis_url {
    bool tls;
    char host[256];
    char path[4096]; /* unix socket; empty: TCP. Longer than sun_path is fine: it is reached through its folder */
    uint16_t port;
    int db;
    char user[256];
    char password[512]; /* secret */
};

enum err_code redis_url_parse(const char *text, struct redis_url *ret_url, struct err *err) MUST_CHECK;
/** The URL without its password, for messages. out has n bytes; returns out. */
const char *redis_url_safe(const struct redis_url *url, char *out, size_t n);

struct redis_options {
    const char *ca_file;       /* for TLS; NULL: the system's authorities */
    uint64_t connect_timeout_ms; /* default 5 000 */
    uint64_t command_timeout_ms; /* default 10 000; per command it can be overridden */
    size_t pending_bytes;      /* ceiling of unsent bytes; default 256 MiB */
    /** Called at every change: connected (err NULL) or lost / not reached (err says why). May be NULL. */
    void (*on_state)(void *ctx, bool connected, const struct err *err);
    void *ctx;
};

/**
 * Takes nothing; connects at once in the background. After connecting it authenticates, selects the
 * database and checks that maxmemory-policy is noeviction (ERR_CONFIG through on_state otherwise, and
 * no command is sent).
 */
struct redis *redis_new(struct event_base *base, const struct redis_url *url, const struct redis_options *opts);
/** Fails what waits with ERR_STOPPED (callbacks are called) and closes. Accepts NULL. Not inside a callback. */
void redis_free(struct redis *r);
bool redis_connected(const struct redis *r);

/** Exactly one of reply and err is not NULL; an error reply of Redis is an err with its words (ERR_REMOTE, ERR_STALE for NOSCRIPT). The reply is borrowed for the call. */
typedef void (*redis_cb)(void *ctx, const struct redisReply *reply, const struct err *err);

/** Sends one command. deadline_ms: from now, 0 for the default. cb may be NULL. Errors: ERR_FULL, ERR_NOMEM (cb is not called then). */
enum err_code redis_command(struct redis *r, const struct slice *argv, size_t argc, uint64_t deadline_ms,
                            redis_cb cb, void *ctx, struct err *err) MUST_CHECK;

/** A Lua script with its SHA-1, computed once. */
struct redis_script {
    const char *name;
    struct slice text;
    char sha[41];
};

void redis_script_init(struct redis_script *s, const char *name, struct slice text);

/** EVALSHA with key and argv; on NOSCRIPT the text is sent once (EVAL) in its place. Order among evals may change then. */
enum err_code redis_eval(struct redis *r, const struct redis_script *s, struct slice key, const struct slice *argv,
                         size_t argc, uint64_t deadline_ms, redis_cb cb, void *ctx, struct err *err) MUST_CHECK;

#endif
