#include "protocol/redis/slots.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

/* CRC16 of the polynomial 0x1021, beginning with 0 (XMODEM), four bits at a time. */
static uint16_t crc16(const char *p, size_t n)
{
    static const uint16_t step[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                      0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                      0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    unsigned crc = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = (unsigned char)p[i];
        crc = (crc << 4 & 0xffff) ^ step[(crc >> 12 ^ byte >> 4) & 15];
        crc = (crc << 4 & 0xffff) ^ step[(crc >> 12 ^ byte) & 15];
    }
    return (uint16_t)crc;
}

uint16_t slot_of(struct slice key)
{
    const char *open = memchr(key.p, '{', key.n);
    if (open) {
        size_t left = key.n - (size_t)(open - key.p) - 1;
        const char *close = memchr(open + 1, '}', left);
        if (close && close > open + 1)
            key = slice_of(open + 1, (size_t)(close - open) - 1);
    }
    return crc16(key.p, key.n) % REDIS_SLOTS;
}

/* Numbers from 0 on reach every slot long before they have six digits. */
void slot_tag(uint16_t slot, char out[REDIS_TAG_BYTES])
{
    for (unsigned i = 0; i < 1000000; i++) {
        int n = snprintf(out, REDIS_TAG_BYTES, "%u", i);
        if (slot_of(slice_of(out, (size_t)n)) == slot)
            return;
    }
    ensure(slot >= REDIS_SLOTS);
}

const struct redis_node *slot_owner(const struct slot_map *map, uint16_t slot)
{
    return map->owner[slot] ? &map->nodes[map->owner[slot] - 1] : NULL;
}

/* ---- CLUSTER SLOTS: [[first, last, [host, port, …], replica …] …] ---- */

static enum err_code foreign(struct err *err)
{
    return err_set(err, ERR_REMOTE, "its answer is not that of a cluster");
}

/* A host that the node does not know, or does not tell, is the one that was asked. */
static bool read_node(const struct redisReply *r, const struct redis_node *asked,
                      struct redis_node *out)
{
    *out = (struct redis_node){0};
    if (r->type != REDIS_REPLY_ARRAY || r->elements < 2 ||
        r->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    const struct redisReply *host = r->element[0];
    long long port = r->element[1]->integer;
    if (port < 1 || port > 65535)
        return false;
    out->port = (uint16_t)port;
    if (host->type == REDIS_REPLY_NIL || (host->type == REDIS_REPLY_STRING && host->len == 0)) {
        snprintf(out->host, sizeof out->host, "%s", asked->host);
        return true;
    }
    if (host->type != REDIS_REPLY_STRING || (size_t)host->len >= sizeof out->host ||
        strlen(host->str) != (size_t)host->len || strcmp(host->str, "?") == 0)
        return false;
    memcpy(out->host, host->str, (size_t)host->len);
    return true;
}

static bool same_node(const struct redis_node *a, const struct redis_node *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* The index of a primary in the map; -1: there is no room. */
static int index_of(struct slot_map *m, const struct redis_node *node)
{
    for (size_t i = 0; i < m->count; i++)
        if (same_node(&m->nodes[i], node))
            return (int)i;
    if (m->count == REDIS_PRIMARIES_MAX)
        return -1;
    m->nodes[m->count] = *node;
    return (int)m->count++;
}

/* A replica whose address cannot be read is one less that may be asked, and no more than that. */
static void note_replica(struct slot_map *m, const struct redisReply *r,
                         const struct redis_node *asked)
{
    struct redis_node node;
    if (m->replica_count == REDIS_NODES_MAX || !read_node(r, asked, &node))
        return;
    for (size_t i = 0; i < m->replica_count; i++)
        if (same_node(&m->replicas[i], &node))
            return;
    m->replicas[m->replica_count++] = node;
}

static enum err_code read_range(struct slot_map *m, const struct redisReply *r,
                                const struct redis_node *asked, struct err *err)
{
    struct redis_node primary;
    if (r->type != REDIS_REPLY_ARRAY || r->elements < 3 ||
        r->element[0]->type != REDIS_REPLY_INTEGER || r->element[1]->type != REDIS_REPLY_INTEGER)
        return foreign(err);
    long long first = r->element[0]->integer, last = r->element[1]->integer;
    if (first < 0 || last < first || last >= REDIS_SLOTS ||
        !read_node(r->element[2], asked, &primary))
        return foreign(err);
    int index = index_of(m, &primary);
    if (index < 0)
        return err_set(err, ERR_REMOTE, "the cluster has more than %d primaries",
                       REDIS_PRIMARIES_MAX);
    for (long long slot = first; slot <= last; slot++)
        m->owner[slot] = (uint8_t)(index + 1);
    for (size_t i = 3; i < r->elements; i++)
        note_replica(m, r->element[i], asked);
    return ERR_OK;
}

/* Numbers the primaries by their lowest slots. */
static void put_in_order(const struct slot_map *read, struct slot_map *out)
{
    uint8_t number[REDIS_PRIMARIES_MAX + 1] = {0};
    memset(out, 0, sizeof *out);
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++) {
        uint8_t was = read->owner[slot];
        if (was && !number[was]) {
            out->nodes[out->count] = read->nodes[was - 1];
            out->first[out->count] = (uint16_t)slot;
            number[was] = (uint8_t)++out->count;
        }
        out->owner[slot] = number[was];
    }
    memcpy(out->replicas, read->replicas, sizeof out->replicas);
    out->replica_count = read->replica_count;
}

enum err_code slot_map_read(const struct redisReply *reply, const struct redis_node *asked,
                            struct slot_map *ret_map, struct err *err)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return foreign(err);
    struct slot_map *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(err, ERR_NOMEM, "no memory for the slots of a cluster");
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < reply->elements && !rc; i++)
        rc = read_range(m, reply->element[i], asked, err);
    if (!rc && !m->count)
        rc = err_set(err, ERR_REMOTE, "no node of the cluster has a slot");
    if (!rc)
        put_in_order(m, ret_map);
    free(m);
    return rc;
}

/* ---- CLUSTER INFO: lines of name:value ---- */

static const char *line_of(const char *text, const char *name)
{
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if (at == text || at[-1] == '\n')
            return at + strlen(name);
    return NULL;
}

enum err_code slot_epoch_read(const struct redisReply *reply, uint64_t *ret_epoch, struct err *err)
{
    bool text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
    const char *state = text ? line_of(reply->str, "cluster_state:") : NULL;
    const char *epoch = text ? line_of(reply->str, "cluster_current_epoch:") : NULL;
    if (!state || !epoch || *epoch < '0' || *epoch > '9')
        return foreign(err);
    if (strncmp(state, "ok", 2) != 0)
        return err_set(err, ERR_UNREACHABLE,
                       "it says that the cluster is down: slots are without a primary, or it is "
                       "cut off from most of the others");
    *ret_epoch = strtoull(epoch, NULL, 10);
    return ERR_OK;
}

/* ---- replies ---- */

static bool begins(const struct err *err, const char *word)
{
    return strncmp(err->text, word, strlen(word)) == 0;
}

bool slot_is_moving(const struct err *err)
{
    return begins(err, "ASK ") || begins(err, "TRYAGAIN ");
}

bool slot_is_elsewhere(const struct err *err)
{
    return slot_is_moving(err) || begins(err, "MOVED ") || begins(err, "CLUSTERDOWN ");
}
