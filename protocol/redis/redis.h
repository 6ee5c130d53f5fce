/*
 * One connection to Redis on the event loop: hiredis' reader over a libevent bufferevent.
 *
 * Commands go out in order, replies come back in order, each with its own deadline. A lost
 * connection fails every command that was sent (ERR_UNREACHABLE: it may or may not have been
 * carried out) and is made again with growing pauses (50 ms … 2 s); commands given meanwhile wait
 * for it until their deadline. A late reply (ERR_TIMEOUT) leaves the stream out of step: the
 * connection is closed and made again, which fails the commands behind it, so long waits need a
 * connection of their own. Pending bytes have a ceiling. TCP, TLS (rediss://) and unix sockets. One
 * thread, in a program that ignores SIGPIPE.
 *
 * With sentinels the server is the primary that they name: asked before each connection, believed
 * once it says itself that it is one, and left as soon as one of them names another, or it refuses
 * to write. A URL of a cluster connects to one node of it, of which fleet.h knows which slots it
 * has. A server that turns out to be such a node, unasked, is ERR_CONFIG.
 */
#ifndef SLUICE_REDIS_REDIS_H
#define SLUICE_REDIS_REDIS_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"
#include "protocol/redis/url.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct histogram;
struct redis;
struct redisReply; /* hiredis' plain reply tree */

struct redis_options {
    const char *ca_file;         /* for TLS; NULL: the system's authorities */
    uint64_t connect_timeout_ms; /* until the first command may be sent; default 5 000 */
    uint64_t command_timeout_ms; /* default 10 000; per command it can be overridden */
    size_t pending_bytes;        /* ceiling of commands without a reply; default 256 MiB */
    bool any_policy; /* a server of somebody else's: maxmemory-policy is not looked at */
    /**
     * Called at every change: connected, or lost / not reached (err says why; once per reason). May
     * be NULL. err is NULL when connected, except where the server hides its maxmemory-policy: then
     * it names that (ERR_DENIED), and the connection is in use all the same. Codes:
     * ERR_UNREACHABLE; ERR_REMOTE (loading, too many clients); ERR_DENIED (user, password,
     * certificate); ERR_CONFIG (policy, database, authorities file). Tried again after each of
     * them.
     */
    void (*on_state)(void *ctx, bool connected, const struct err *err);
    void *ctx;
};

/**
 * Copies what it is given; connects at once in the background. After connecting it authenticates,
 * selects the database and checks that maxmemory-policy is noeviction (ERR_CONFIG through on_state
 * otherwise, and no command is sent), or with any_policy that it answers a PING. Never calls back
 * before it returns. NULL: out of memory.
 */
struct redis *redis_new(struct event_base *base, const struct redis_url *url,
                        const struct redis_options *opts);
/**
 * Fails what waits with ERR_STOPPED (callbacks are called) and closes. Accepts NULL. Not inside a
 * callback.
 */
void redis_free(struct redis *r);
/** Nothing is told any more; commands are answered as before. */
void redis_mute(struct redis *r);
/** As if the connection was lost now; what waits for one fails, too (ERR_UNREACHABLE). */
void redis_leave(struct redis *r, const struct err *why);
bool redis_connected(const struct redis *r);
/** With sentinels: the primary that they named last. NULL: none yet, or there are no sentinels. */
const struct redis_node *redis_primary(const struct redis *r);
/** Commands without a reply, sent or not. */
bool redis_pending(const struct redis *r);
/** How long each reply took, from the command's sending; lost ones are not in it. */
const struct histogram *redis_trips(const struct redis *r);

/**
 * Exactly one of reply and err is not NULL. Both are borrowed for the call, which may give new
 * commands. An error reply of Redis is an err with its words: ERR_STALE (NOSCRIPT), ERR_FULL (OOM),
 * ERR_DENIED (NOAUTH, NOPERM, DENIED, also of a command inside a script), ERR_UNREACHABLE (not
 * carried out, for the server is a replica, has not this slot or too few replicas: READONLY, MOVED,
 * ASK, TRYAGAIN, CLUSTERDOWN, MASTERDOWN, UNBLOCKED, NOREPLICAS), ERR_REMOTE (any other). Without a
 * reply: ERR_UNREACHABLE, ERR_TIMEOUT, ERR_STOPPED; ERR_DENIED and ERR_CONFIG where the deadline of
 * a command that was not sent passed while such a reason kept the connection from standing.
 */
typedef void (*redis_cb)(void *ctx, const struct redisReply *reply, const struct err *err);

/**
 * Sends one command (copied). deadline_ms: from now, 0 for the default. cb may be NULL; it is never
 * called before this returns. Errors, where cb is not called: ERR_FULL, ERR_NOMEM, ERR_STOPPED
 * (inside redis_free).
 */
enum err_code redis_command(struct redis *r, const struct slice *argv, size_t argc,
                            uint64_t deadline_ms, redis_cb cb, void *ctx,
                            struct err *err) MUST_CHECK;

/* A Lua script with its SHA-1, computed once. Must outlive the connections that use it. */
struct redis_script {
    const char *name;
    struct slice text; /* borrowed */
    char sha[41];
};

void redis_script_init(struct redis_script *s, const char *name, struct slice text);

/**
 * EVALSHA with key and argv; on NOSCRIPT the text is sent once (EVAL) in its place, behind what was
 * sent since: the order among evals may change then. Otherwise like redis_command.
 */
enum err_code redis_eval(struct redis *r, const struct redis_script *s, struct slice key,
                         const struct slice *argv, size_t argc, uint64_t deadline_ms, redis_cb cb,
                         void *ctx, struct err *err) MUST_CHECK;

#endif
