#include "protocol/redis/cluster.h"

#include "protocol/redis/inquiry.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

struct cluster {
    struct cluster_options opts;
    const struct redis_url *url;
    struct inquiry *inquiry;
    bool known;              /* there is a map */
    uint64_t epoch;          /* of the answer that is being read */
    struct slot_map map;     /* the latest */
    struct slot_map reading; /* the answer */
};

/* ---- who may be asked ---- */

static void add_node(struct redis_node *list, size_t *count, const struct redis_node *node)
{
    for (size_t i = 0; i < *count; i++)
        if (list[i].port == node->port && strcmp(list[i].host, node->host) == 0)
            return;
    if (*count < REDIS_NODES_MAX)
        list[(*count)++] = *node;
}

/* Primaries and replicas, and those of the URL, as far as there is room: half of it is for the
 * URL's, which somebody meant to last. */
static void set_nodes(struct cluster *c)
{
    struct redis_node list[REDIS_NODES_MAX];
    size_t count = 0, half = REDIS_NODES_MAX / 2;
    const struct slot_map *m = &c->map;
    for (size_t i = 0; i < c->url->node_count && i < half; i++)
        add_node(list, &count, &c->url->nodes[i]);
    for (size_t i = 0; i < m->count; i++)
        add_node(list, &count, &m->nodes[i]);
    for (size_t i = 0; i < m->replica_count; i++)
        add_node(list, &count, &m->replicas[i]);
    inquiry_set(c->inquiry, list, count);
}

/* ---- an answer ---- */

static void take(struct cluster *c)
{
    bool sought;
    if (!inquiry_take(c->inquiry, c->epoch, &sought))
        return;
    bool changed = !c->known || memcmp(&c->map, &c->reading, sizeof c->map) != 0;
    if (changed) {
        c->known = true;
        c->map = c->reading;
        set_nodes(c);
    }
    c->opts.on_map(c->opts.ctx, &c->map, changed);
}

static void failed(struct cluster *c, const struct err *err)
{
    struct err own = *err;
    if (strstr(err->text, "cluster support disabled"))
        err_set(&own, ERR_CONFIG,
                "it is no node of a cluster: write redis:// or redis+sentinel://");
    inquiry_pass(c->inquiry, &own);
}

/* False: nobody waits for it any more, or it is none. */
static bool is_answer(struct cluster *c, const struct err *err)
{
    if (!inquiry_awaits(c->inquiry))
        return false;
    if (err)
        failed(c, err);
    return !err;
}

static void on_info(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct cluster *c = ctx;
    struct err own;
    if (is_answer(c, err) && slot_epoch_read(reply, &c->epoch, &own))
        inquiry_pass(c->inquiry, &own);
}

static void on_slots(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct cluster *c = ctx;
    struct err own;
    if (!is_answer(c, err))
        return;
    if (slot_map_read(reply, inquiry_node(c->inquiry), &c->reading, &own))
        inquiry_pass(c->inquiry, &own);
    else
        take(c);
}

static void on_ask(void *ctx, struct redis *node)
{
    struct cluster *c = ctx;
    struct err err;
    const struct slice info[] = {SLICE_LIT("CLUSTER"), SLICE_LIT("INFO")};
    const struct slice slots[] = {SLICE_LIT("CLUSTER"), SLICE_LIT("SLOTS")};
    if (redis_command(node, info, ARRAY_LEN(info), 0, on_info, c, &err) ||
        redis_command(node, slots, ARRAY_LEN(slots), 0, on_slots, c, &err))
        inquiry_pass(c->inquiry, &err);
}

static void on_none(void *ctx, bool sought, const struct err *why)
{
    struct cluster *c = ctx;
    struct err err = *why;
    (void)sought;
    if (err_class(err.code) != ERR_CLASS_STOP)
        err_prefix(&err, "no node tells who has which slot");
    c->opts.on_none(c->opts.ctx, &err);
}

/* ---- life cycle ---- */

void cluster_hint(struct cluster *c)
{
    inquiry_hint(c->inquiry);
}

const struct slot_map *cluster_map(const struct cluster *c)
{
    return c->known ? &c->map : NULL;
}

struct cluster *cluster_new(struct event_base *base, const struct redis_url *url,
                            const struct cluster_options *opts)
{
    struct cluster *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->opts = *opts;
    c->url = url;
    c->inquiry = inquiry_new(base, &(struct inquiry_options){.kind = "node",
                                                             .tls = url->tls,
                                                             .user = url->user,
                                                             .password = url->password,
                                                             .ca_file = opts->ca_file,
                                                             .on_ask = on_ask,
                                                             .on_none = on_none,
                                                             .ctx = c});
    if (!c->inquiry) {
        cluster_free(c);
        return NULL;
    }
    set_nodes(c);
    inquiry_seek(c->inquiry);
    return c;
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    inquiry_free(c->inquiry);
    free(c);
}
