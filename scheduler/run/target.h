/*
 * What a sync's accepted records are accepted by: a digest of account, object, identity and key.
 *
 * Where it differs from that of the records in state, these mean nothing for the sync any more.
 * Pure.
 */
#ifndef SLUICE_RUN_TARGET_H
#define SLUICE_RUN_TARGET_H

#include "protocol/config/config.h"

enum { RUN_TARGET_BYTES = 16 };

/** Into RUN_TARGET_BYTES. Errors: ERR_NOMEM. */
enum err_code run_target(const struct sync *sync, uint8_t *out) MUST_CHECK;

#endif
