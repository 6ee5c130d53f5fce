/* What the files of a fleet share: its life and its primaries are fleet.c, the nodes of a cluster
 * fleet_cluster.c. */
#ifndef SLUICE_REDIS_FLEET_PRIVATE_H
#define SLUICE_REDIS_FLEET_PRIVATE_H

#include "protocol/redis/fleet.h"
#include "protocol/redis/slots.h"

#include <stddef.h>
#include <sys/queue.h>

struct cluster;
struct event;

enum { FLEET_WAKE_BYTES = 24 + REDIS_TAG_BYTES };

/* A member that is one server, or a node of the cluster. */
struct fleet_server {
    struct redis_fleet *fleet;
    char *name;
    char *url;     /* secret; NULL: a node */
    uint64_t seed; /* of its name, for scores */
    bool leaving, dropped;
    char wake[FLEET_WAKE_BYTES]; /* its wake list */
    struct redis *redis;
    struct redis *wait; /* NULL: none was asked for */
    TAILQ_ENTRY(fleet_server) retired;
};

/* The one member of a fleet that is a cluster. Its nodes are the fleet's servers, in the order of
 * its map. */
struct fleet_cluster {
    struct redis_fleet *fleet;
    char *name;
    struct redis_url url; /* secret */
    struct cluster *asked;
    bool up;          /* the latest question had an answer */
    bool behind;      /* memory was out when the latest map came */
    struct err error; /* why not; code 0: not known yet */
};

struct redis_fleet {
    struct event_base *base;
    struct redis_fleet_options opts;
    char *ca_file;
    struct fleet_server **servers; /* in the order of the list; dropped ones last */
    size_t count;
    struct fleet_cluster *cluster; /* NULL: each member is a server */
    /* Replaced by one of the same name: what is on its way there is still answered. */
    TAILQ_HEAD(, fleet_server) retired;
    struct event *sweep; /* closes them */
};

/* ---- fleet.c ---- */

/** Connects; NULL: out of memory. url is copied. */
struct fleet_server *fleet_server_new(struct redis_fleet *f, const char *name,
                                      const struct redis_url *url);
void fleet_server_free(struct fleet_server *s);
/** Out of the list already: what is on its way there is answered, then it is closed. */
void fleet_retire(struct redis_fleet *f, struct fleet_server *s);

/* ---- fleet_cluster.c ---- */

/** Whether a list names a cluster. */
bool fleet_is_cluster(const struct redis_member *members, size_t count);
/** The first list, or the same again. Errors: ERR_CONFIG (a cluster beside others, or another one
 * than before), ERR_NOMEM. */
enum err_code fleet_cluster_set(struct redis_fleet *f, const struct redis_member *members,
                                size_t count, struct err *err) MUST_CHECK;
void fleet_cluster_free(struct fleet_cluster *c);
/** The node that has the quota; NULL: nobody is known to. */
struct fleet_server *fleet_cluster_node(const struct redis_fleet *f, const char *quota);

#endif
