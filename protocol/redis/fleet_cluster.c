/* The cluster of a fleet. Reads: who has which slot. Writes: the fleet's servers, one per primary
 * that has slots. Invariant: servers[i] is the node i of the map, so that finding a quota's server
 * is hashing its name. A node that has no slot any more is given up at once: what is on its way
 * there would wait in vain where it died. */
#include "protocol/redis/cluster.h"
#include "protocol/redis/fleet_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the servers ---- */

static const char *name_of(const struct redis_node *node, char out[REDIS_MEMBER_NAME_MAX + 1])
{
    snprintf(out, REDIS_MEMBER_NAME_MAX + 1, "%.*s:%u", REDIS_MEMBER_NAME_MAX - 6, node->host,
             node->port);
    return out;
}

/* The place of a server of this name in the list; count: there is none. */
static size_t place_of(const struct redis_fleet *f, const char *name)
{
    size_t i = 0;
    while (i < f->count && (!f->servers[i] || strcmp(f->servers[i]->name, name) != 0))
        i++;
    return i;
}

static struct fleet_server *connect_node(struct redis_fleet *f, const struct redis_node *node,
                                         const char *name)
{
    struct redis_url url = f->cluster->url;
    url.node_count = 0;
    memcpy(url.host, node->host, sizeof url.host);
    url.port = node->port;
    struct fleet_server *s = fleet_server_new(f, name, &url);
    explicit_bzero(&url, sizeof url);
    return s;
}

static void give_up(struct redis_fleet *f, struct fleet_server *s)
{
    struct err err;
    err_set(&err, ERR_UNREACHABLE, "it has no slot of the cluster any more");
    redis_mute(s->redis);
    redis_leave(s->redis, &err);
    if (s->wait)
        redis_leave(s->wait, &err);
    fleet_retire(f, s);
}

/* A wake list that this node has, by a tag whose slot is its lowest. */
static void set_wake(struct fleet_server *s, uint16_t slot)
{
    char tag[REDIS_TAG_BYTES];
    slot_tag(slot, tag);
    snprintf(s->wake, sizeof s->wake, "sluice:wake:{%s}", tag);
}

/* Calls back only when the list is whole again. False: out of memory, and the list is as before. */
static bool take_map(struct redis_fleet *f, const struct slot_map *map)
{
    char name[REDIS_MEMBER_NAME_MAX + 1];
    struct fleet_server **servers = calloc(map->count, sizeof(struct fleet_server *));
    bool ok = servers != NULL;
    for (size_t i = 0; ok && i < map->count; i++) {
        size_t at = place_of(f, name_of(&map->nodes[i], name));
        servers[i] = at < f->count ? f->servers[at] : connect_node(f, &map->nodes[i], name);
        ok = servers[i] != NULL;
    }
    struct fleet_server **was = ok ? f->servers : servers, **kept = ok ? servers : f->servers;
    size_t was_count = ok ? f->count : map->count, kept_count = ok ? map->count : f->count;
    if (ok) {
        f->servers = servers;
        f->count = map->count;
        for (size_t i = 0; i < map->count; i++)
            set_wake(servers[i], map->first[i]);
    }
    for (size_t i = 0; was && i < was_count; i++) {
        size_t k = 0;
        while (k < kept_count && kept[k] != was[i])
            k++;
        if (k == kept_count && was[i])
            give_up(f, was[i]);
    }
    free(was);
    return ok;
}

/* ---- what the cluster tells ---- */

static void tell(struct fleet_cluster *c, const struct err *err)
{
    const struct redis_fleet_options *o = &c->fleet->opts;
    if (o->on_state)
        o->on_state(o->ctx, c->name, !err, err);
}

static void is_down(struct fleet_cluster *c, const struct err *err)
{
    bool news = c->up || strcmp(c->error.text, err->text) != 0;
    c->up = false;
    c->error = *err;
    err_prefix(&c->error, "Redis cluster %s", c->name);
    struct err told = c->error;
    if (news)
        tell(c, &told);
}

static void on_map(void *ctx, const struct slot_map *map, bool changed)
{
    struct fleet_cluster *c = ctx;
    struct err err;
    bool was_up = c->up;
    if (changed || c->behind)
        c->behind = !take_map(c->fleet, map);
    if (c->behind) {
        err_set(&err, ERR_NOMEM, "no memory for connections to its nodes");
        is_down(c, &err);
        return;
    }
    c->up = true;
    if (!was_up)
        tell(c, NULL);
}

static void on_none(void *ctx, const struct err *err)
{
    is_down(ctx, err);
}

/* ---- the list ---- */

static bool is_cluster_url(const char *url)
{
    struct err err;
    struct redis_url u;
    bool yes = !redis_url_parse(url, &u, &err) && u.shape == REDIS_SHAPE_CLUSTER;
    explicit_bzero(&u, sizeof u);
    return yes;
}

bool fleet_is_cluster(const struct redis_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_cluster_url(members[i].url))
            return true;
    return false;
}

static enum err_code member_name(const struct redis_member *m, char *out, size_t n, struct err *err)
{
    if (!m->name)
        return redis_member_name(m->url, out, n, err);
    snprintf(out, n, "%s", m->name);
    return ERR_OK;
}

static bool same_url(const struct redis_url *a, const struct redis_url *b)
{
    return a->tls == b->tls && a->node_count == b->node_count &&
           memcmp(a->nodes, b->nodes, a->node_count * sizeof *a->nodes) == 0 &&
           strcmp(a->user, b->user) == 0 && strcmp(a->password, b->password) == 0;
}

static enum err_code begin(struct redis_fleet *f, const char *name, const struct redis_url *url,
                           struct err *err)
{
    struct fleet_cluster *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(err, ERR_NOMEM, "no memory for a Redis cluster");
    c->fleet = f;
    c->url = *url;
    c->name = strdup(name);
    c->asked = cluster_new(
        f->base, &c->url,
        &(struct cluster_options){
            .ca_file = f->opts.each.ca_file, .on_map = on_map, .on_none = on_none, .ctx = c});
    if (!c->name || !c->asked) {
        fleet_cluster_free(c);
        return err_set(err, ERR_NOMEM, "no memory for a Redis cluster");
    }
    f->cluster = c;
    return ERR_OK;
}

enum err_code fleet_cluster_set(struct redis_fleet *f, const struct redis_member *members,
                                size_t count, struct err *err)
{
    char name[sizeof(struct redis_url)];
    struct redis_url url;
    if (count > 1 && fleet_is_cluster(members, count))
        return err_set(err, ERR_CONFIG, "a Redis cluster cannot stand beside other servers");
    if (members[0].leaving)
        return err_set(err, ERR_CONFIG, "every Redis server is leaving: one must stay");
    enum err_code rc = member_name(&members[0], name, sizeof name, err);
    if (!rc)
        rc = redis_url_parse(members[0].url, &url, err);
    if (rc)
        return rc;
    bool begins = !f->cluster && !f->count;
    if (begins)
        rc = begin(f, name, &url, err);
    else if (!f->cluster || url.shape != REDIS_SHAPE_CLUSTER ||
             strcmp(f->cluster->name, name) != 0 || !same_url(&f->cluster->url, &url))
        rc = err_set(err, ERR_CONFIG,
                     "to a Redis cluster, from one, or to another one takes a restart");
    explicit_bzero(&url, sizeof url);
    return rc;
}

void fleet_cluster_free(struct fleet_cluster *c)
{
    if (!c)
        return;
    cluster_free(c->asked);
    explicit_bzero(&c->url, sizeof c->url);
    free(c->name);
    free(c);
}

/* ---- where a quota is ---- */

struct fleet_server *fleet_cluster_node(const struct redis_fleet *f, const char *quota)
{
    /* A quota's name has no braces, so it is the tag of all its keys. */
    const struct slot_map *map = cluster_map(f->cluster->asked);
    size_t index = map && !f->cluster->behind ? map->owner[slot_of(slice_str(quota))] : 0;
    return index ? f->servers[index - 1] : NULL;
}

void redis_fleet_note(struct redis_fleet *f, const struct err *err)
{
    bool lost = err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT;
    if (f->cluster && (lost || slot_is_elsewhere(err)))
        cluster_hint(f->cluster->asked);
}

bool redis_fleet_moves(const struct err *err)
{
    return slot_is_moving(err);
}

const char *redis_fleet_down(const struct redis_fleet *f)
{
    const struct fleet_cluster *c = f->cluster;
    if (!c || c->up)
        return NULL;
    return *c->error.text ? c->error.text : "no node of the Redis cluster has answered yet";
}
