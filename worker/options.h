/* The command line of sluice-worker, as plain data that points into argv. */
#ifndef SLUICE_WORKER_OPTIONS_H
#define SLUICE_WORKER_OPTIONS_H

#include "protocol/base/log.h"
#include "protocol/redis/fleet.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WORKER_SLOTS_MAX = 1024, WORKER_PREFIX_MAX = 64 };

struct worker_options {
    bool render;                          /* print requests instead of sending them */
    const char *dir;                      /* project folder */
    const char *redis[REDIS_MEMBERS_MAX]; /* URLs */
    size_t redis_count;                   /* 0: the project's */
    const char *prefix;                   /* of the worker's name; NULL: the host's name */
    const char *listen;                   /* host:port of the metrics, "off"; NULL: the project's */
    size_t slots;                         /* 0: the project's */
    bool watch;                           /* the project folder is read again when it changes */
    bool log_format_set;                  /* otherwise the project's */
    enum log_format log_format;
    pid_t parent; /* 0: none; otherwise this process ends with it */
};

enum { OPTIONS_RUN = -1 };
/** OPTIONS_RUN, or the status to exit with: 0 after --help and --version, 64 for bad usage (said on
 * stderr). */
int worker_options_parse(int argc, char **argv, struct worker_options *ret_options);

#endif
