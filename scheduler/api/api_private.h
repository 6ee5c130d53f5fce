/* What the parts of the API share. Internal to scheduler/api. */
#ifndef SLUICE_API_API_PRIVATE_H
#define SLUICE_API_API_PRIVATE_H

#include "scheduler/api/api.h"
#include "scheduler/api/auth.h"
#include "scheduler/api/connections.h"
#include "scheduler/api/streams.h"
#include "scheduler/api/rate.h"

enum { API_URL_BYTES = 320 };

struct asides;
struct evhttp;

/* A place that is listened at. */
struct endpoint {
    struct api *api;
    struct evhttp *http; /* NULL: not listened at */
    struct connections *connections;
    bool local;
    bool loopback;
};

struct api {
    struct api_options options;
    struct endpoint tcp, unix_socket;
    struct auth auth;
    struct rate rate;
    struct streams *streams;
    struct asides *asides;
    char url[API_URL_BYTES];
    char *worker_program;
    char *socket_path; /* of the file that is ours */
    uint64_t socket_device, socket_inode;
};

#endif
