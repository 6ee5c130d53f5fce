/*
 * The texts that name a request's records, to be found by what an answer calls them.
 *
 * A hash table in an arena, made once per answer. Several records may have one text.
 */
#ifndef SLUICE_JUDGE_KEYS_H
#define SLUICE_JUDGE_KEYS_H

#include "protocol/connector/connector.h"
#include "worker/deliver/filter.h"
#include "worker/deliver/rendered.h"

#define KEYS_NONE UINT32_MAX

struct keys {
    const struct slice *texts; /* one per record, in the form that is compared; empty: none */
    uint32_t *slots;           /* a record, or KEYS_NONE */
    uint32_t *next;            /* per record: another one with the same text, or KEYS_NONE */
    uint32_t mask;
    enum key_form form;
    struct filters *filters;
};

/** filters is used until the last keys_find. Errors: ERR_NOMEM; ERR_BUG where the request was
 * rendered without keys. */
enum err_code keys_init(struct keys *k, struct arena *a, const struct rendered *request,
                        enum key_form form, struct filters *filters) MUST_CHECK;

/** The first record that has this text; keys_next gives those after it. */
uint32_t keys_find(const struct keys *k, struct slice text);
static inline uint32_t keys_next(const struct keys *k, uint32_t record)
{
    return k->next[record];
}

#endif
