/*
 * A slot: one batch on its way through claim, request and settle, and then the next.
 *
 *            claim          got               missing, another gets it
 *     FREE ────────▶ CLAIMING ───────▶ · ────────────────────────────▶ AWAITING
 *      ▲               │ nothing       │ ◀──────────── known ───────────┤
 *      │               ▼               │ rendered      own request ◀────┘ locked
 *      ├──────────── FREE              ├──────(lease short)──▶ RENEWING
 *      │                               ▼                          │ renewed
 *      │                            SENDING ◀─────────────────────┘
 *      │                               │ answer            answer of what was missing
 *      │                               ├─────────────────────────────▶ SHARING
 *      │      settled, no claim        ▼                                  │ put for the fleet
 *      └────────────────────────── SETTLING ◀─────────────────────────────┘
 *                                   settled + claim: CLAIMING with the next token
 *
 * Invariants: a request is on its way only in SENDING, and only when it must end before the lease
 * does; what must be known first (deliver/prelude.h) is got in the turn of a batch, and what was
 * got is put for the fleet before that batch is settled; a claim or settle whose reply was lost is
 * sent again with the same token; the batch is dropped, and left to the queue's own care, only when
 * its lease has surely ended. A crash in any state leaves a lease that ends.
 */
#ifndef SLUICE_WORKER_SLOT_H
#define SLUICE_WORKER_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/attr.h"

struct engine;
struct quota;
struct slot;

struct slot *slot_new(struct engine *e) MUST_CHECK;
/** Drops what it does. Accepts NULL. */
void slot_free(struct slot *s);

/** A free slot asks q for work. */
void slot_claim(struct slot *s, struct quota *q);

/* The free list is threaded through the slots. */
struct slot *slot_next_free(const struct slot *s);
void slot_set_next_free(struct slot *s, struct slot *next);

/** The lease of q's request in this slot, when there is one to be kept alive by a beat now: most
 * requests end within the first half of their lease and need none. */
bool slot_beats(const struct slot *s, const struct quota *q, int64_t now_ms, uint64_t *ret_token);
/** The lease of this token holds until then. */
void slot_renewed(struct slot *s, const struct quota *q, uint64_t token, int64_t lease_end_ms);

#endif
