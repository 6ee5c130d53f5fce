/*
 * The HTTP API of a scheduler that runs, and the dashboard: over TCP for people, over a unix socket
 * in the state directory for `sluice` commands.
 *
 * Reads and acts through scheduler/service/control.h alone. Every request is answered within one
 * turn of the loop; only event streams stay. Everything has a limit: sizes, connections, requests
 * per second, what one answer looks at. One thread, the loop's;
 * the program ignores SIGPIPE.
 */
#ifndef SLUICE_API_API_H
#define SLUICE_API_API_H

#include "protocol/base/buf.h"
#include "protocol/base/log.h"

struct api;
struct control;
struct event_base;

struct api_options {
    struct event_base *base;
    struct control *control;
    const struct log *log;
    const char *listen;      /* "127.0.0.1:8470", port 0: any that is free; NULL: no TCP */
    const char *socket_path; /* made with mode 0600, whoever opens it is admin; NULL: none */
    /** Appends what GET /metrics answers, in Prometheus' text form; NULL: there is no such page. */
    enum err_code (*metrics)(void *ctx, struct buf *out, struct err *err);
    void *metrics_ctx;
    const char *worker_program; /* renders requests that are shown; copied; NULL: none are */
};

/**
 * Listens at once. options is copied; what it points to stays the caller's. A socket file that
 * nobody answers at is replaced. Errors: ERR_UNREACHABLE (the address cannot be listened at),
 * ERR_BUSY (somebody answers at the socket), ERR_CONFIG, ERR_IO.
 */
enum err_code api_start(const struct api_options *options, struct api **ret,
                        struct err *err) MUST_CHECK;
/** Ends every connection, removes the socket file. Accepts NULL. The control still lives. */
void api_free(struct api *api);

/** "http://127.0.0.1:8470", with the real port; empty without TCP. */
const char *api_url(const struct api *api);

#endif
