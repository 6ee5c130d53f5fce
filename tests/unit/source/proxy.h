/*
 * Stands between a read and PostgreSQL on the same loop and changes what passes, so that a server
 * that lacks something, or a network that breaks, can be had from a real server.
 */
#ifndef SLUICE_TESTS_PROXY_H
#define SLUICE_TESTS_PROXY_H

#include <stddef.h>

struct event_base;

/* Every find becomes replace, which has the same length. */
struct proxy_rule {
    int to_client; /* in what the server says; otherwise in what the client says */
    const char *find;
    const char *replace;
};

struct proxy;

/** Listens as DIR/.s.PGSQL.5433 for the server in DIR. cut_after: bytes to the client until the
 * connection breaks; 0: never. */
struct proxy *proxy_new(struct event_base *base, const char *dir, const struct proxy_rule *rules,
                        size_t rule_count, size_t cut_after);
/** How often a rule applied. */
size_t proxy_applied(const struct proxy *p);
void proxy_free(struct proxy *p);

#endif
