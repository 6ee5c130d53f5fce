/* The server of a connection whose URL names sentinels: it is looked for before each dial, and left
 * as soon as they name another. */
#include "protocol/redis/internal.h"
#include "protocol/redis/sentinel.h"

#include <stdio.h>

static void use(struct redis *r, const struct redis_node *primary)
{
    char url[sizeof r->name - sizeof primary->host - 64];
    r->primary = *primary;
    memcpy(r->url.host, primary->host, sizeof r->url.host);
    r->url.port = primary->port;
    redis_url_safe(&r->url, url, sizeof url);
    snprintf(r->name, sizeof r->name, "%s (now %s port %u)", url, primary->host, primary->port);
}

static void on_primary(void *ctx, const struct redis_node *primary)
{
    struct redis *r = ctx;
    struct err err;
    if (r->state == REDIS_SEEKING) {
        use(r, primary);
        redis_dial(r);
        return;
    }
    bool same = strcmp(r->url.host, primary->host) == 0 && r->url.port == primary->port;
    if (r->state == REDIS_PAUSING || same)
        return; /* it is asked for anew, or reached already */
    err_set(&err, ERR_UNREACHABLE, "sentinels name another primary: %s port %u", primary->host,
            primary->port);
    redis_lose(r, &err);
}

static void on_none(void *ctx, const struct err *err)
{
    struct redis *r = ctx;
    if (r->state == REDIS_SEEKING)
        redis_lose(r, err);
}

const struct redis_node *redis_primary(const struct redis *r)
{
    return r->primary.port ? &r->primary : NULL;
}

void primary_seek(struct redis *r)
{
    r->state = REDIS_SEEKING;
    sentinel_seek(r->sentinel);
}

bool primary_init(struct redis *r)
{
    r->sentinel = sentinel_new(
        r->base, &r->url,
        &(struct sentinel_options){
            .ca_file = r->ca_file, .on_primary = on_primary, .on_none = on_none, .ctx = r});
    return r->sentinel != NULL;
}
