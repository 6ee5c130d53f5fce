/*
 * The Redis servers of an installation, and which of them has a quota.
 *
 * Three shapes: one server; several primaries, over which quotas are spread by rendezvous hashing
 * of their members' names, so that one more primary of n takes one in n + 1 of the quotas and moves
 * no other; or a cluster, which says itself who has the slot of `sluice:{QUOTA}`. A primary may be
 * found through sentinels. One connection per server, and one more for long waits where they are
 * asked for. One thread: the loop's.
 */
#ifndef SLUICE_REDIS_FLEET_H
#define SLUICE_REDIS_FLEET_H

#include "protocol/redis/redis.h"

struct redis_fleet;

/* One entry of settings.redis. */
struct redis_member {
    const char *url;  /* redis://, rediss://, unix://, redis+sentinel://, redis+cluster:// */
    const char *name; /* what quotas are spread by; NULL: of the URL, without user and password */
    bool leaving;     /* no quota belongs there; those that are there move away */
};

struct redis_fleet_options {
    struct redis_options each; /* its on_state and ctx are not used */
    bool waits;                /* a second connection per server, for long waits */
    /** As in redis_options, of one server's first connection. */
    void (*on_state)(void *ctx, const char *server, bool connected, const struct err *err);
    /** In a cluster: quotas may be at other servers than before. May be NULL. */
    void (*on_moved)(void *ctx);
    void *ctx;
};

/** Copies what it is given and connects in the background. Errors: ERR_CONFIG (a URL, two members
 * of one name, a cluster beside others, none that stays), ERR_NOMEM. */
enum err_code redis_fleet_new(struct event_base *base, const struct redis_member *members,
                              size_t count, const struct redis_fleet_options *opts,
                              struct redis_fleet **ret_fleet, struct err *err) MUST_CHECK;
/** As redis_free, of all. Accepts NULL. */
void redis_fleet_free(struct redis_fleet *f);

/* ---- where a quota is ---- */

/** The name of the member that the quota belongs to. Borrowed, as long as the fleet. */
const char *redis_fleet_home(const struct redis_fleet *f, const char *quota);
/** The connection that serves the quota at that member now; it may be another one after the loop
 * turned. NULL: no such member; a cluster that has not said yet who has the slot. */
struct redis *redis_fleet_at(const struct redis_fleet *f, const char *member, const char *quota);
/** A reply said that the slot is elsewhere (MOVED, ASK, CLUSTERDOWN): the fleet asks who has it.
 * Harmless with any other error. */
void redis_fleet_note(struct redis_fleet *f, const struct err *err);

/* ---- its servers ---- */

/** Servers known so far: members, or a cluster's primaries. */
size_t redis_fleet_count(const struct redis_fleet *f);
const char *redis_fleet_name(const struct redis_fleet *f, size_t i);
struct redis *redis_fleet_server(const struct redis_fleet *f, size_t i);
struct redis *redis_fleet_wait(const struct redis_fleet *f, size_t i);
/** The wake list that this server has: sluice:wake, in a cluster one with a hash tag of its own. */
const char *redis_fleet_wake_key(const struct redis_fleet *f, size_t i);
/** Every server that quotas belong to is reached, so that any quota can be served. */
bool redis_fleet_connected(const struct redis_fleet *f);

#endif
