/*
 * A connector: how one kind of destination is spoken to. The only place that knows a vendor's wire
 * form.
 *
 * It renders a batch into one request and reads an answer into an outcome. It never sends, waits,
 * retries or limits: the engine around it does. One thread; nothing here blocks.
 */
#ifndef SLUICE_DELIVER_CONNECTOR_H
#define SLUICE_DELIVER_CONNECTOR_H

#include "protocol/base/arena.h"
#include "protocol/base/buf.h"
#include "protocol/config/config.h"
#include "protocol/wire/batch.h"
#include "worker/deliver/classify.h"
#include "worker/deliver/http.h"

enum { CONNECTOR_BODY_MAX = 256 << 20 };

/* What is to be delivered. */
struct delivery {
    struct batch_reader *reader; /* open, at its first record */
    struct slice part;           /* names exactly these records: the idempotency key */
    uint32_t attempt;            /* from 1 */
};

/* A rendered request. Its memory is used again by the next one. */
struct rendered {
    const char *url;      /* borrowed from the connector */
    const char **headers; /* "Name: value", in arena */
    size_t header_count;
    struct slice body;
    struct buf text;   /* the body before compression */
    struct buf packed; /* and after it */
    struct arena arena;
    uint32_t *ordinals;  /* one per record, in arena */
    enum record_op *ops; /* one per record, in arena */
    uint32_t records;
};

void rendered_init(struct rendered *r);
void rendered_done(struct rendered *r);
void rendered_reset(struct rendered *r);

struct connector {
    const char *type;
    /** Prepares what is the same for every request to this destination, which must outlive the
     * state. */
    enum err_code (*open)(const struct destination *destination, void **ret_state, struct err *err);
    void (*close)(void *state);
    /** ERR_FULL: the request would be larger than CONNECTOR_BODY_MAX; ERR_INVALID: the batch cannot
     * be read. */
    enum err_code (*render)(void *state, const struct delivery *d, struct rendered *out,
                            struct err *err);
    /** r is what the answer answers; the outcome lives in r's arena. */
    enum err_code (*classify)(void *state, struct rendered *r, const struct http_answer *answer,
                              struct outcome *ret_outcome, struct err *err);
};

/** NULL when there is no connector of that type. */
const struct connector *connector_find(const char *type);

#endif
