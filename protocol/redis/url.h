/*
 * What a Redis URL says: one server, a primary that sentinels know, or a cluster.
 *
 *   redis://user:pass@host:port/db        rediss://… with TLS        unix:///path?db=0
 *   redis+sentinel://user:pass@host:port,host:port/NAME?db=0&sentinel_user=u&sentinel_password=p
 *   redis+cluster://user:pass@host:port,host:port
 *
 * rediss+sentinel:// and rediss+cluster:// speak TLS to all of them. User, password, path and
 * values may be percent-encoded. Where no port is given it is 6379, a sentinel's 26379. Plain data.
 */
#ifndef SLUICE_REDIS_URL_H
#define SLUICE_REDIS_URL_H

#include "protocol/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum redis_shape { REDIS_SHAPE_SERVER, REDIS_SHAPE_SENTINEL, REDIS_SHAPE_CLUSTER };

enum { REDIS_NODES_MAX = 16, REDIS_HOST_BYTES = 256 };

struct redis_node {
    char host[REDIS_HOST_BYTES];
    uint16_t port;
};

struct redis_url {
    enum redis_shape shape;
    bool tls;
    char host[REDIS_HOST_BYTES]; /* of one server; elsewhere empty until it is known */
    char path[4096]; /* unix socket; empty: TCP. May be longer than sun_path: reached through its
                        folder */
    uint16_t port;
    int db;
    char user[256];
    char password[512];                       /* secret */
    struct redis_node nodes[REDIS_NODES_MAX]; /* the sentinels, or some nodes of the cluster */
    size_t node_count;
    char primary[128]; /* what sentinels call it */
    char sentinel_user[256];
    char sentinel_password[512]; /* secret */
};

/** Errors: ERR_CONFIG, with a text that repeats nothing of the URL. */
enum err_code redis_url_parse(const char *text, struct redis_url *ret_url,
                              struct err *err) MUST_CHECK;
/** The URL without its passwords, for messages. out has n bytes; returns out. */
const char *redis_url_safe(const struct redis_url *url, char *out, size_t n);

#endif
