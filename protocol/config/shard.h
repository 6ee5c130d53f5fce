/*
 * Shards: which scheduler a quota belongs to, and with it all syncs to its destinations.
 *
 * By rendezvous hashing of the quota's name over the shards 0 to N - 1: one more shard takes about
 * one in N + 1 of the quotas and moves no other. Pure.
 */
#ifndef SLUICE_CONFIG_SHARD_H
#define SLUICE_CONFIG_SHARD_H

#include "protocol/base/err.h"

#include <stdint.h>

enum { SHARDS_MAX = 256 };

/* Names the shard of a process: a number, or `hostname`. Processes started by it inherit it. */
#define SHARD_VARIABLE "SLUICE_SHARD"

/** 0 <= result < shards. */
uint32_t shard_of_quota(const char *quota, uint32_t shards);

/** text: a number, or `hostname` for the number at the end of host (NULL: of this host). Errors:
 * ERR_CONFIG, with words about text. */
enum err_code shard_parse(const char *text, const char *host, uint32_t *ret,
                          struct err *err) MUST_CHECK;

#endif
