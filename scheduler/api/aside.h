/*
 * Answers that take longer than a turn of the loop: a child process reads files for them.
 *
 * The child is a fork that keeps nothing of its parent open and touches none of its connections; it
 * writes its answer into a pipe. The client waits meanwhile, the loop does not. A client that
 * leaves, and a child that takes too long, end the child. At most ASIDE_MAX at a time.
 */
#ifndef SLUICE_API_ASIDE_H
#define SLUICE_API_ASIDE_H

#include "scheduler/api/call.h"

enum { ASIDE_MAX = 4, ASIDE_SECONDS = 20, ASIDE_BYTES_MAX = 32 << 20 };

struct asides;

enum err_code asides_new(struct event_base *base, struct asides **ret, struct err *err) MUST_CHECK;
/** Ends the children. After evhttp_free. Accepts NULL. */
void asides_free(struct asides *a);

/** Writes the whole answer into o. In the child: what ctx points to is a copy, and the state of the
 * control is not to be touched. */
typedef enum err_code aside_work(void *ctx, struct output *o, struct err *err);

/** Answers the call by what work writes, once it has: 200, or the status of its error; 503 where
 * too many are under way. */
void call_aside(struct api_call *c, aside_work *work, void *ctx);

#endif
