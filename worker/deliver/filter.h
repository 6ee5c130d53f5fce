/*
 * A template's filters: what stands behind the | in {{key | lower | md5}}.
 *
 * Each turns a value into another; null and what is absent stay what they are. The bytes of a
 * result live in the filters' own buffers until the next call. One thread.
 */
#ifndef SLUICE_DELIVER_FILTER_H
#define SLUICE_DELIVER_FILTER_H

#include "protocol/base/value.h"
#include "protocol/connector/connector.h"

enum { FILTER_BYTES_MAX = 64 << 20, FILTER_DIGESTS = 3 };

struct filters {
    struct buf out[2]; /* taken in turn: one filter reads what the one before it wrote */
    void *digests[FILTER_DIGESTS]; /* EVP_MD, fetched when first needed */
    void *digest;                  /* EVP_MD_CTX */
};

void filters_init(struct filters *f);
void filters_done(struct filters *f);
/** Errors: ERR_FULL, ERR_NOMEM; *v is then undefined. */
enum err_code filters_apply(struct filters *f, const enum filter_kind *kinds, size_t count,
                            struct value *v) MUST_CHECK;

/** A value as text: numbers, booleans and JSON as they are written, null and absent empty. */
struct slice text_of_value(const struct value *v);

#endif
