/*
 * The Redis servers of an installation, and which of them has a quota.
 *
 * Three shapes: one server; several primaries, over which quotas are spread by rendezvous hashing
 * of their members' names, so that one more primary of n takes one in n + 1 of the quotas and moves
 * no other; or a cluster, which says itself who has the slot of `sluice:{QUOTA}`: it is one member,
 * and its primaries are the servers, as many as are known. A primary may be found through
 * sentinels. One connection per server, and one more for long waits where they are asked for. One
 * thread: the loop's.
 */
#ifndef SLUICE_REDIS_FLEET_H
#define SLUICE_REDIS_FLEET_H

#include "protocol/redis/redis.h"

enum { REDIS_MEMBER_NAME_MAX = 200, REDIS_MEMBERS_MAX = 64 };

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
    /** As in redis_options, of one server's first connection. Of a cluster also, by its member's
     * name, that it is known who has which slot, or why not. */
    void (*on_state)(void *ctx, const char *server, bool connected, const struct err *err);
    void *ctx;
};

/** The name that a member has where none is given. out has n bytes. Errors: ERR_CONFIG. */
enum err_code redis_member_name(const char *url, char *out, size_t n, struct err *err) MUST_CHECK;

/** Copies what it is given and connects in the background. Errors: ERR_CONFIG (a URL, two members
 * of one name, a cluster beside others, none that stays), ERR_NOMEM. */
enum err_code redis_fleet_new(struct event_base *base, const struct redis_member *members,
                              size_t count, const struct redis_fleet_options *opts,
                              struct redis_fleet **ret_fleet, struct err *err) MUST_CHECK;
/**
 * Another list. Members of the same name and URL keep their connections; of the same name and
 * another URL get new ones, while what is on its way over the old ones is still answered. What is
 * not in the list any more is *dropped*: nothing belongs there, but what lies there can be reached
 * until redis_fleet_forget. Not inside a callback. Errors: as redis_fleet_new; then nothing
 * changed.
 */
enum err_code redis_fleet_set(struct redis_fleet *f, const struct redis_member *members,
                              size_t count, struct err *err) MUST_CHECK;
/** As redis_free, of all. Accepts NULL. */
void redis_fleet_free(struct redis_fleet *f);

/* ---- where a quota is ---- */

enum redis_standing {
    REDIS_MEMBER_UNKNOWN, /* no member of this name */
    REDIS_MEMBER_STAYS,
    REDIS_MEMBER_LEAVES,  /* said to be leaving */
    REDIS_MEMBER_DROPPED, /* in an earlier list, not in this one */
};
/** A cluster is one member, and its nodes are none. */
enum redis_standing redis_fleet_standing(const struct redis_fleet *f, const char *member);
/** Closes a dropped member's connections, where nothing is on its way there. */
void redis_fleet_forget(struct redis_fleet *f, const char *member);

/** The name of the member that the quota belongs to. Borrowed, as long as the list. */
const char *redis_fleet_home(const struct redis_fleet *f, const char *quota);
/** The connection that serves the quota at that member now; it may be another one after the loop
 * turned. NULL: no such member; a cluster that has not said yet who has the slot. */
struct redis *redis_fleet_at(const struct redis_fleet *f, const char *member, const char *quota);
/** The name of that server; the member's own where it is not known. Borrowed until the loop turns.
 */
const char *redis_fleet_server_of(const struct redis_fleet *f, const char *member,
                                  const char *quota);
/** The wake list that the quota's workers wait on. Borrowed likewise. */
const char *redis_fleet_wake_of(const struct redis_fleet *f, const char *member, const char *quota);
/** A reply said that the slot is elsewhere (MOVED, ASK, CLUSTERDOWN), or there was none: the fleet
 * asks who has it. Harmless with any other error. */
void redis_fleet_note(struct redis_fleet *f, const struct err *err);
/** The error is of a slot that is on its way from one node to another: nothing was carried out, and
 * until it has arrived its keys may lie at both. */
bool redis_fleet_moves(const struct err *err);

/* ---- its servers ---- */

/** Servers known so far: members, dropped ones too, or a cluster's primaries. */
size_t redis_fleet_count(const struct redis_fleet *f);
/** Whether it is one of them, or the cluster. */
bool redis_fleet_has(const struct redis_fleet *f, const char *name);
/** The first member's name, for messages. */
const char *redis_fleet_title(const struct redis_fleet *f);
/** Nothing can be done without this server or cluster: there is no other. */
bool redis_fleet_is_all(const struct redis_fleet *f, const char *server);
/** Why nobody knows who has which slot of the cluster. NULL: it is known, or there is none. */
const char *redis_fleet_down(const struct redis_fleet *f);
const char *redis_fleet_name(const struct redis_fleet *f, size_t i);
struct redis *redis_fleet_server(const struct redis_fleet *f, size_t i);
/** NULL where none were asked for. */
struct redis *redis_fleet_wait(const struct redis_fleet *f, size_t i);
/** The wake list that this server has: sluice:wake, in a cluster one with a hash tag of its own. */
const char *redis_fleet_wake_key(const struct redis_fleet *f, size_t i);
/** Whether anything belongs at this server. */
bool redis_fleet_stays(const struct redis_fleet *f, size_t i);
/** Every server that quotas belong to is reached, so that any quota can be served. */
bool redis_fleet_connected(const struct redis_fleet *f);

#endif
