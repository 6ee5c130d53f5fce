/*
 * The slots of a Redis cluster: which one a key has, and which primary has it.
 *
 * Reads keys and answers to CLUSTER INFO and CLUSTER SLOTS. Pure: no connection, no clock.
 * Invariant: primaries are numbered by their lowest slot, so that equal answers give equal maps,
 * byte by byte.
 */
#ifndef SLUICE_REDIS_SLOTS_H
#define SLUICE_REDIS_SLOTS_H

#include "protocol/base/slice.h"
#include "protocol/redis/url.h"

struct redisReply;

enum {
    REDIS_SLOTS = 16384,
    REDIS_PRIMARIES_MAX = 128,
    REDIS_TAG_BYTES = 8, /* of a tag that slot_tag makes, with its end */
};

struct slot_map {
    struct redis_node nodes[REDIS_PRIMARIES_MAX]; /* primaries that have slots */
    uint16_t first[REDIS_PRIMARIES_MAX];          /* the lowest slot of each */
    size_t count;
    struct redis_node replicas[REDIS_NODES_MAX]; /* some; who may be asked as well */
    size_t replica_count;
    uint8_t owner[REDIS_SLOTS]; /* 1 + index in nodes; 0: nobody */
};

/** The slot of a key: of what stands between its first '{' and the next '}', where that is
 * something, else of the whole (Redis Cluster Specification, "Hash tags"). */
uint16_t slot_of(struct slice key);
/** A short word whose slot this is. */
void slot_tag(uint16_t slot, char out[REDIS_TAG_BYTES]);
/** NULL: nobody has it. */
const struct redis_node *slot_owner(const struct slot_map *map, uint16_t slot);

/**
 * Reads the answer to CLUSTER SLOTS; asked is whom it came from, for a node that the answer gives
 * no address of. ret_map is untouched by an error. Errors: ERR_REMOTE (it is no such answer, there
 * are too many primaries, or none).
 */
enum err_code slot_map_read(const struct redisReply *reply, const struct redis_node *asked,
                            struct slot_map *ret_map, struct err *err) MUST_CHECK;

/** Reads the answer to CLUSTER INFO: its epoch, which grows with each failover and move of a slot.
 * Errors: ERR_UNREACHABLE (its state is not ok), ERR_REMOTE (it is no such answer). */
enum err_code slot_epoch_read(const struct redisReply *reply, uint64_t *ret_epoch,
                              struct err *err) MUST_CHECK;

/** The words of a reply whose slot is on its way from one node to another: what was asked was not
 * carried out, and the keys of the slot may lie at both. */
bool slot_is_moving(const struct err *err);
/** The words of a reply by a node that does not have the slot, or not yet, or not any more. */
bool slot_is_elsewhere(const struct err *err);

#endif
