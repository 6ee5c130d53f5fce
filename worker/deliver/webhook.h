/*
 * The webhook connector: one POST of compact JSON per batch, to any HTTP API that speaks this form.
 *
 *   {"sync":"…","run":"…","batch":"…","attempt":1,
 *    "records":[{"op":"upsert","key":{"id":1},"fields":{"email":"a@b.c"}}]}
 *
 * Headers: Content-Type, Idempotency-Key (the part's id), the configured ones, Authorization, and
 * X-Sluice-Signature: sha256=<hex HMAC-SHA256 of the JSON before compression>. Answers: classify.h.
 */
#ifndef SLUICE_DELIVER_WEBHOOK_H
#define SLUICE_DELIVER_WEBHOOK_H

#include "worker/deliver/driver.h"

extern const struct driver webhook_driver;

#endif
