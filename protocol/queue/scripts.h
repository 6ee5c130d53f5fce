/* The assembled Lua scripts with their digests, one per operation; made at build time from
 * scripts/. */
#ifndef SLUICE_QUEUE_SCRIPTS_H
#define SLUICE_QUEUE_SCRIPTS_H

#include "protocol/redis/redis.h"

enum queue_script {
    QUEUE_SCRIPT_LOOK,
    QUEUE_SCRIPT_FENCE,
    QUEUE_SCRIPT_CLEAR,
    QUEUE_SCRIPT_OPEN,
    QUEUE_SCRIPT_PERMIT,
    QUEUE_SCRIPT_ENQUEUE,
    QUEUE_SCRIPT_CLAIM,
    QUEUE_SCRIPT_SETTLE,
    QUEUE_SCRIPT_BEAT,
    QUEUE_SCRIPT_REAP,
    QUEUE_SCRIPT_CONTROL,
    QUEUE_SCRIPT_TRIM,
    QUEUE_SCRIPT_AUDIT,
    QUEUE_SCRIPT_SHARED,
    QUEUE_SCRIPT_WIPE,
    QUEUE_SCRIPTS
};

extern const struct redis_script queue_scripts[QUEUE_SCRIPTS];

#endif
