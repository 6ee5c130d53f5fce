/*
 * Asking the scheduler that runs for this project: its API, through control.sock in the state
 * directory.
 *
 * Waits for each answer. Whoever may open the socket is admin there; no token is needed.
 */
#ifndef SLUICE_CLI_REMOTE_H
#define SLUICE_CLI_REMOTE_H

#include "protocol/config/config.h"

#include <jansson.h>

enum { REMOTE_PATH_MAX = 2048 };

/** Somebody listens at the project's socket. */
bool remote_is_running(const struct project *project);

/** "/api/v1/syncs/", name percent-encoded, and then rest, into out, which it returns. */
const char *remote_path(char out[REMOTE_PATH_MAX], const char *before, const char *name,
                        const char *rest);

/**
 * *ret: the answer, also where it is that of an error; NULL where there is none. Owned by the
 * caller: json_decref. Errors: ERR_UNREACHABLE (no scheduler, or one that cannot do it now),
 * ERR_USAGE (no such thing, or not in this state), ERR_BUSY, ERR_CONFIG, others; with the
 * scheduler's words.
 */
enum err_code remote_get(const struct project *project, const char *path, json_t **ret,
                         struct err *err) MUST_CHECK;
/** body: an object, borrowed; NULL: none. */
enum err_code remote_post(const struct project *project, const char *path, const json_t *body,
                          json_t **ret, struct err *err) MUST_CHECK;

/** Returns false to stop. data is borrowed. */
typedef bool (*remote_event_cb)(void *ctx, const char *event, const json_t *data);
/**
 * Reads the event stream until cb says stop (ERR_OK) or the scheduler ends it (ERR_UNREACHABLE).
 * The first call has event "open" and no data: what happens from then on is told.
 */
enum err_code remote_events(const struct project *project, remote_event_cb cb, void *ctx,
                            struct err *err) MUST_CHECK;

#endif
