/*
 * One request while it is answered: what it asks, who asks, and the ways to answer.
 *
 * A handler answers exactly once, before it returns; only the event stream goes on afterwards.
 * Internal to scheduler/api.
 */
#ifndef SLUICE_API_CALL_H
#define SLUICE_API_CALL_H

#include "scheduler/api/auth.h"
#include "scheduler/api/output.h"
#include "scheduler/api/request.h"
#include "scheduler/service/control.h"

#include <event2/http.h>
#include <jansson.h>

struct api;

enum { CALL_ARGUMENTS_MAX = 2, CALL_BODY_MAX = 64 << 10 };

struct api_call {
    struct api *api;
    struct control *control;
    struct evhttp_request *req;
    enum evhttp_cmd_type method;
    bool local; /* through the unix socket */
    struct request_target target;
    const char *arguments[CALL_ARGUMENTS_MAX]; /* what stands for {…} in the route's path */
    struct auth_facts facts;
    struct caller who;
    json_t *body; /* an object; NULL: none was sent */
};

static inline struct control_actor call_actor(const struct api_call *c)
{
    return (struct control_actor){c->who.name, role_name(c->who.role)};
}

/* ---- what was sent ---- */

/** Answers 400 and returns false where the body has a member that is not among names (NULL ends
 * them). */
bool call_members(struct api_call *c, const char *const *names);
/** A member; *ret stays where it is not given. Answers 400 and returns false where it is something
 * else. */
bool call_flag(struct api_call *c, const char *name, bool *ret);
bool call_text(struct api_call *c, const char *name, const char **ret);
/** `limit` of the query, 100 by default. Answers 400 and returns false where it is none. */
bool call_limit(struct api_call *c, size_t *ret);
/** The sync or destination of that name; answers 404 and returns NULL where there is none. */
const struct sync *call_sync(struct api_call *c, const char *name);
const struct destination *call_destination(struct api_call *c, const char *name);

/* ---- answers ---- */

void call_header(struct api_call *c, const char *name, const char *value);
/** Takes what was written into o. */
void call_answer(struct api_call *c, int status, struct output *o);
/** Bytes of another type; they are copied. */
void call_answer_bytes(struct api_call *c, int status, const char *type, struct slice bytes);
void call_answer_empty(struct api_call *c, int status);
void call_refuse(struct api_call *c, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/** The status that fits the error. */
void call_fail(struct api_call *c, const struct err *err);
/** 400. */
void call_invalid(struct api_call *c, const struct err *err);

#endif
