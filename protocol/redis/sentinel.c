#include "protocol/redis/sentinel.h"

#include "protocol/redis/inquiry.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sentinel {
    struct sentinel_options opts;
    const struct redis_url *url;
    struct inquiry *inquiry;
    struct redis_node primary; /* of the latest answer; port 0: none yet */
    struct redis_node heard;   /* the answer's first half */
    size_t strangers;          /* of the round: sentinels that do not know the name */
};

/* ---- an answer ---- */

static void take(struct sentinel *s, uint64_t epoch)
{
    bool sought;
    if (!inquiry_take(s->inquiry, epoch, &sought))
        return;
    bool news = strcmp(s->heard.host, s->primary.host) != 0 || s->heard.port != s->primary.port;
    s->primary = s->heard;
    s->strangers = 0;
    if (news || sought)
        s->opts.on_primary(s->opts.ctx, &s->primary);
}

static void stranger(struct sentinel *s)
{
    struct err err;
    s->strangers++;
    err_set(&err, ERR_UNREACHABLE, "it knows no primary of the name %s", s->url->primary);
    inquiry_pass(s->inquiry, &err);
}

static void foreign(struct sentinel *s)
{
    struct err err;
    err_set(&err, ERR_UNREACHABLE, "its answer is not that of a sentinel");
    inquiry_pass(s->inquiry, &err);
}

/* An error of the connection, or of the sentinel: a server that is none does not know the command.
 */
static void failed(struct sentinel *s, const struct err *err)
{
    if (strncmp(err->text, "ERR No such master", 18) == 0)
        stranger(s);
    else
        inquiry_pass(s->inquiry, err);
}

/* [host, port], or nil. */
static void on_address(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct sentinel *s = ctx;
    if (!inquiry_awaits(s->inquiry))
        return;
    if (err) {
        failed(s, err);
        return;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        stranger(s);
        return;
    }
    bool pair = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                reply->element[0]->type == REDIS_REPLY_STRING &&
                reply->element[1]->type == REDIS_REPLY_STRING;
    long port = pair ? strtol(reply->element[1]->str, NULL, 10) : 0;
    int n = pair ? snprintf(s->heard.host, sizeof s->heard.host, "%s", reply->element[0]->str) : 0;
    if (n <= 0 || (size_t)n >= sizeof s->heard.host || port < 1 || port > 65535)
        foreign(s);
    else
        s->heard.port = (uint16_t)port;
}

/* [name, value, name, value …], of which the epoch counts. */
static void on_epoch(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct sentinel *s = ctx;
    if (!inquiry_awaits(s->inquiry))
        return;
    if (err) {
        failed(s, err);
        return;
    }
    size_t n = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        const struct redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            strcmp(name->str, "config-epoch") == 0) {
            take(s, strtoull(value->str, NULL, 10));
            return;
        }
    }
    foreign(s);
}

/* ---- asking ---- */

static void on_ask(void *ctx, struct redis *node)
{
    struct sentinel *s = ctx;
    struct err err;
    const struct slice name = slice_str(s->url->primary);
    const struct slice address[] = {SLICE_LIT("SENTINEL"), SLICE_LIT("GET-MASTER-ADDR-BY-NAME"),
                                    name};
    const struct slice about[] = {SLICE_LIT("SENTINEL"), SLICE_LIT("MASTER"), name};
    if (redis_command(node, address, ARRAY_LEN(address), 0, on_address, s, &err) ||
        redis_command(node, about, ARRAY_LEN(about), 0, on_epoch, s, &err))
        inquiry_pass(s->inquiry, &err);
}

/* Where nobody sought, the present primary is as good as before. */
static void on_none(void *ctx, bool sought, const struct err *why)
{
    struct sentinel *s = ctx;
    struct err err = *why;
    bool unknown = s->strangers == s->url->node_count;
    s->strangers = 0;
    if (!sought)
        return;
    if (unknown)
        err_set(&err, ERR_CONFIG, "none of its sentinels knows a primary of the name %s",
                s->url->primary);
    else if (err_class(err.code) != ERR_CLASS_STOP)
        err_prefix(&err, "no sentinel names the primary");
    s->opts.on_none(s->opts.ctx, &err);
}

void sentinel_seek(struct sentinel *s)
{
    inquiry_seek(s->inquiry);
}

/* ---- life cycle ---- */

struct sentinel *sentinel_new(struct event_base *base, const struct redis_url *url,
                              const struct sentinel_options *opts)
{
    struct sentinel *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->opts = *opts;
    s->url = url;
    s->inquiry = inquiry_new(base, &(struct inquiry_options){.kind = "sentinel",
                                                             .tls = url->tls,
                                                             .user = url->sentinel_user,
                                                             .password = url->sentinel_password,
                                                             .ca_file = opts->ca_file,
                                                             .on_ask = on_ask,
                                                             .on_none = on_none,
                                                             .ctx = s});
    if (!s->inquiry) {
        sentinel_free(s);
        return NULL;
    }
    inquiry_set(s->inquiry, url->nodes, url->node_count);
    return s;
}

void sentinel_free(struct sentinel *s)
{
    if (!s)
        return;
    inquiry_free(s->inquiry);
    free(s);
}
