/*
 * Any one of several nodes that answers: sentinels, or nodes of a cluster.
 *
 * A round connects to one after the other, beginning with the connection that stands already, until
 * the owner keeps one by doing nothing more, or all were tried. A node has one time limit for being
 * reached; what it is asked has its own deadline. One connection at a time. One thread.
 */
#ifndef SLUICE_REDIS_NODES_H
#define SLUICE_REDIS_NODES_H

#include "protocol/redis/redis.h"

struct nodes;

struct nodes_options {
    bool tls;
    const char *user;     /* borrowed, as long as the nodes */
    const char *password; /* likewise; secret */
    const char *ca_file;  /* likewise; NULL: the system's */
    uint64_t timeout_ms;  /* for each, to be reached; and for each answer */
    /** Ask it: redis_command with this connection. A late answer or an error: nodes_pass. */
    void (*on_reached)(void *ctx, struct redis *node);
    /** Everyone was tried in vain. err is the most telling reason. */
    void (*on_none)(void *ctx, const struct err *err);
    void *ctx;
};

/** NULL: out of memory. */
struct nodes *nodes_new(struct event_base *base, const struct nodes_options *opts);
/** Accepts NULL. Commands under way are failed with ERR_STOPPED. */
void nodes_free(struct nodes *n);
/** Replaces who may be asked; begins at a random one, or at the one whose connection stands. Copies
 * at most REDIS_NODES_MAX. */
void nodes_set(struct nodes *n, const struct redis_node *list, size_t count);
/** Begins a round, unless one is under way. another: not with the connection that stands. Calls
 * back later. */
void nodes_ask(struct nodes *n, bool another);
/** The one at hand is of no use: the next one, or on_none. Allowed in its callbacks. */
void nodes_pass(struct nodes *n, const struct err *why);
/** The one at hand answered: the round is over, its connection is kept for the next one. */
void nodes_keep(struct nodes *n);
/** Whom the round asks, or whose connection is kept. */
const struct redis_node *nodes_at(const struct nodes *n);

#endif
