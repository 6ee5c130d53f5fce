/*
 * Ids of a stream's entries, and the ring of those that were delivered and not acknowledged yet.
 *
 * Ids grow; the ring keeps them in order, each with its size, so that both can be limited. Pure.
 * One thread.
 */
#ifndef SLUICE_STREAM_EVENT_IDS_H
#define SLUICE_STREAM_EVENT_IDS_H

#include "protocol/base/attr.h"
#include "protocol/base/slice.h"

#include <stdint.h>

struct event_id {
    uint64_t ms;
    uint64_t seq;
};

enum { EVENT_ID_BYTES = 48 }; /* its text with a NUL */

/** False where text is no id of the form 1526919030474-55. */
bool event_id_parse(struct slice text, struct event_id *ret) MUST_CHECK;
/** Writes it to out (EVENT_ID_BYTES); returns out. */
const char *event_id_text(struct event_id id, char *out);
/** Below 0: a is before b. */
int event_id_compare(struct event_id a, struct event_id b);

struct event_ids {
    struct event_ring_item {
        struct event_id id;
        uint64_t bytes;
    } * items;
    size_t cap, first, count;
    uint64_t bytes; /* of all */
};

/** False where memory is out. */
bool event_ids_init(struct event_ids *ids, size_t cap) MUST_CHECK;
void event_ids_done(struct event_ids *ids);
/** Behind all others; not when count is cap. */
void event_ids_push(struct event_ids *ids, struct event_id id, uint64_t bytes);
/** The n-th from the front. */
struct event_id event_ids_at(const struct event_ids *ids, size_t n);
/** Forgets the first n. */
void event_ids_pop(struct event_ids *ids, size_t n);
void event_ids_clear(struct event_ids *ids);

#endif
