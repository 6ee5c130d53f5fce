/*
 * Who has which slot of a cluster, as its nodes tell it.
 *
 * Begins with the nodes of the URL and goes on with those that it was told of. One of them is asked
 * every second (inquiry.h), and soon after a hint; a node that says that the cluster is down, or
 * that has not heard of the latest failover or move of a slot, is passed over. One thread.
 */
#ifndef SLUICE_REDIS_CLUSTER_H
#define SLUICE_REDIS_CLUSTER_H

#include "protocol/redis/redis.h"
#include "protocol/redis/slots.h"

struct cluster;

struct cluster_options {
    const char *ca_file; /* borrowed; NULL: the system's */
    /** It is as before, or another one (changed), and slots can be served. map: until the next
     * call. */
    void (*on_map)(void *ctx, const struct slot_map *map, bool changed);
    /** No node has an answer. Asked again. Codes: ERR_UNREACHABLE, ERR_DENIED (password,
     * certificate), ERR_CONFIG (the server is no cluster), ERR_REMOTE. */
    void (*on_none)(void *ctx, const struct err *err);
    void *ctx;
};

/** Borrows url, whose shape is REDIS_SHAPE_CLUSTER; asks at once, and calls back later. NULL: out
 * of memory. */
struct cluster *cluster_new(struct event_base *base, const struct redis_url *url,
                            const struct cluster_options *opts);
/** Accepts NULL. Not inside a callback. */
void cluster_free(struct cluster *c);
/** A slot was elsewhere, or a node is away: asks soon. */
void cluster_hint(struct cluster *c);
/** The latest map. NULL: none yet. */
const struct slot_map *cluster_map(const struct cluster *c);

#endif
