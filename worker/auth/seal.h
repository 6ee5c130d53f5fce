/*
 * Sealing: secrets that the workers of a fleet share through Redis and that the scheduler keeps in
 * state, readable only with the project's `settings.seal_key`.
 *
 * AES-256-GCM (NIST SP 800-38D) under a key derived from that text, a random nonce of 96 bits for
 * each sealing; the name of the value is authenticated with it, so that one value cannot be put in
 * the place of another. Form: "SL1", nonce, ciphertext, tag of 16 bytes. No state.
 */
#ifndef SLUICE_AUTH_SEAL_H
#define SLUICE_AUTH_SEAL_H

#include "protocol/base/buf.h"

enum { SEAL_KEY_BYTES = 32, SEAL_OVERHEAD_BYTES = 3 + 12 + 16 };

struct seal_key {
    unsigned char bytes[SEAL_KEY_BYTES];
};

/** text: 64 hex digits are the key itself; any other text goes through SHA-256. */
enum err_code seal_key_of(const char *text, struct seal_key *ret_key) MUST_CHECK;

/** Appends plain, sealed. Errors: ERR_FULL, ERR_NOMEM. */
enum err_code seal_put(struct buf *out, const struct seal_key *key, struct slice name,
                       struct slice plain) MUST_CHECK;

/** Appends what was sealed. ERR_INVALID: not sealed with this key and name, or damaged; then
 * nothing is appended. */
enum err_code seal_open(struct buf *out, const struct seal_key *key, struct slice name,
                        struct slice sealed) MUST_CHECK;

#endif
