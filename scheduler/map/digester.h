/*
 * Digests by OpenSSL, for a row's values.
 *
 * An algorithm is fetched when a program is compiled that needs it, and its context is used for
 * every value from then on: looking one up by name costs more than hashing an address. One thread.
 */
#ifndef SLUICE_MAP_DIGESTER_H
#define SLUICE_MAP_DIGESTER_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

enum digest_algorithm { DIGEST_SHA256, DIGEST_SHA1, DIGEST_SHA512, DIGEST_MD5, DIGEST_COUNT };

enum { DIGEST_BYTES_MAX = 64, DIGEST_BLOCK_BYTES_MAX = 128 };

struct digester;

void digester_free(struct digester *d);
/** Makes the digester when *d is NULL, and the algorithm ready. Errors: ERR_CONFIG where OpenSSL
 * does not offer it, ERR_NOMEM. */
enum err_code digester_need(struct digester **d, enum digest_algorithm algorithm,
                            struct err *err) MUST_CHECK;

size_t digest_bytes(enum digest_algorithm algorithm);
size_t digest_block_bytes(enum digest_algorithm algorithm);

/**
 * Digest of first and second, one after the other, into out (DIGEST_BYTES_MAX); the algorithm was
 * made ready. Errors: ERR_NOMEM.
 */
enum err_code digester_run(struct digester *d, enum digest_algorithm algorithm, struct slice first,
                           struct slice second, unsigned char *out, struct err *err) MUST_CHECK;

/** Writes n bytes as 2n lower-case hex digits. */
void digest_put_hex(char *out, const unsigned char *p, size_t n);

#endif
