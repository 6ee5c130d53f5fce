/*
 * A driver: how one kind of destination is delivered to. All of HTTP is one driver, which carries
 * out connectors; a database is another.
 *
 * It renders a batch's next request and reads an answer into an outcome. It never waits, retries
 * or limits: the engine around it does. One thread; nothing here blocks.
 */
#ifndef SLUICE_DELIVER_DRIVER_H
#define SLUICE_DELIVER_DRIVER_H

#include "protocol/config/config.h"
#include "protocol/wire/batch.h"
#include "worker/deliver/http.h"
#include "worker/deliver/outcome.h"
#include "worker/deliver/rendered.h"

/* What is to be delivered. */
struct delivery {
    struct batch_reader *reader; /* open, at its first record */
    struct slice part;           /* names exactly these records: the idempotency key */
    uint32_t attempt;            /* from 1 */
    struct slice progress;       /* what earlier requests of this batch left; empty: it begins */
    int64_t now_ms;              /* wall clock */
};

struct prelude;

struct driver {
    const char *type;
    /** Prepares what is the same for every request to this destination, which must outlive the
     * state, as must settings. */
    enum err_code (*open)(const struct destination *destination, const struct settings *settings,
                          void **ret_state, struct err *err);
    void (*close)(void *state);
    /** What the batch's next request needs and is not known yet, the first to be got first
     * (prelude.h); NULL: nothing, render. The member is NULL where nothing is ever needed. Errors:
     * as render. */
    enum err_code (*prelude)(void *state, const struct delivery *d, struct prelude **ret_prelude,
                             struct err *err);
    /** After a prelude's answer: fills in what the batch's next request costs, with o's progress.
     */
    enum err_code (*next)(void *state, const struct delivery *d, struct outcome *o,
                          struct err *err);
    /** ERR_FULL: the request would be larger than RENDERED_BODY_MAX; ERR_INVALID: the batch cannot
     * be read. */
    enum err_code (*render)(void *state, const struct delivery *d, struct rendered *out,
                            struct err *err);
    /** Sends what was rendered, where that does not go over HTTP; NULL: http_send. r is borrowed
     * until cb, which is called exactly once, later, unless this fails. */
    enum err_code (*send)(void *state, struct event_base *base, const struct rendered *r,
                          uint64_t timeout_ms, http_cb cb, void *ctx, struct err *err);
    /** r is what was rendered for d and is answered; the outcome lives in r's arena, or as long as
     * d. */
    enum err_code (*classify)(void *state, const struct delivery *d, struct rendered *r,
                              const struct http_answer *answer, struct outcome *ret_outcome,
                              struct err *err);
};

/** The driver that the destination's connector names; NULL when there is none of that name. */
const struct driver *driver_find(const struct destination *destination);

#endif
