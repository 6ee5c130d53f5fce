/* What the files of a fleet share: its life and its primaries are fleet.c. */
#ifndef SLUICE_REDIS_FLEET_PRIVATE_H
#define SLUICE_REDIS_FLEET_PRIVATE_H

#include "protocol/redis/fleet.h"

#include <stddef.h>
#include <sys/queue.h>

struct event;

/* A member that is one server. */
struct fleet_server {
    struct redis_fleet *fleet;
    char *name;
    char *url;     /* secret */
    uint64_t seed; /* of its name, for scores */
    bool leaving, dropped;
    struct redis *redis;
    struct redis *wait; /* NULL: none was asked for */
    TAILQ_ENTRY(fleet_server) retired;
};

struct redis_fleet {
    struct event_base *base;
    struct redis_fleet_options opts;
    char *ca_file;
    struct fleet_server **servers; /* in the order of the list; dropped ones last */
    size_t count;
    /* Replaced by one of the same name: what is on its way there is still answered. */
    TAILQ_HEAD(, fleet_server) retired;
    struct event *sweep; /* closes them */
};

#endif
