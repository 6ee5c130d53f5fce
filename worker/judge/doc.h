/*
 * A JSON document that somebody else wrote: parsed once, then looked at by pointers.
 *
 * The text stays where it is; each value becomes 12 bytes in the given arena, in the order of the
 * text, so that values below one stand right behind it. Takes what RFC 8259 allows, and besides a
 * byte order mark, control characters in strings and bytes that are no UTF-8 (read as '?'): a list
 * of refusals must not be missed for a blemish. Numbers keep their digits; of members with the same
 * name the last counts. No state; any thread.
 */
#ifndef SLUICE_JUDGE_DOC_H
#define SLUICE_JUDGE_DOC_H

#include <stdint.h>

#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/connector/connector.h"

enum {
    DOC_DEPTH_MAX = 512,
    DOC_NODES_MAX = 6 << 20, /* values of a document */
};
#define DOC_BYTES_MAX ((size_t)UINT32_MAX - 1)
#define DOC_NONE UINT32_MAX

enum doc_kind { DOC_NULL, DOC_FALSE, DOC_TRUE, DOC_NUMBER, DOC_STRING, DOC_ARRAY, DOC_OBJECT };

struct doc_node {
    uint32_t at;    /* of the first byte in the text */
    uint32_t bytes; /* of the value as it is written */
    uint32_t next;  /* the node behind everything below this one */
};

struct doc {
    const char *text;
    const struct doc_node *nodes; /* [0] is the root */
    uint32_t count;
};

/** The document's text is borrowed, or a repaired copy in the arena. *ret_is gets whether it is
 * JSON; only then *ret_doc is set. Errors: ERR_NOMEM; ERR_FULL: it is deeper or longer than what is
 * looked at. */
enum err_code doc_parse(struct arena *a, struct slice text, struct doc *ret_doc,
                        bool *ret_is) MUST_CHECK;

enum doc_kind doc_kind(const struct doc *d, uint32_t node);
static inline bool doc_is_scalar(const struct doc *d, uint32_t node)
{
    return doc_kind(d, node) < DOC_ARRAY;
}
/** As it is written. */
static inline struct slice doc_raw(const struct doc *d, uint32_t node)
{
    return (struct slice){d->text + d->nodes[node].at, d->nodes[node].bytes};
}
/** A scalar without quotes and escapes, as valid UTF-8: borrowed or in the arena. Of anything else
 * its raw text. p NULL: memory is out. */
struct slice doc_text(const struct doc *d, uint32_t node, struct arena *a);
/** A number, or a string that holds nothing but one. */
bool doc_number(const struct doc *d, uint32_t node, double *ret);
/** How many items an array, or members an object has. */
uint32_t doc_length(const struct doc *d, uint32_t node);

/** The first value below an array or object, or DOC_NONE; and the one behind a value. Of objects
 * these are the names; the value of a name is the node right behind it. */
uint32_t doc_first(const struct doc *d, uint32_t parent);
uint32_t doc_next(const struct doc *d, uint32_t parent, uint32_t child);
/** The value of a member, DOC_NONE where there is none. */
uint32_t doc_member(const struct doc *d, uint32_t object, const char *name);

/* Where a pointer is looked up. */
struct doc_place {
    const struct doc *doc;
    uint32_t node;
    const char *identify_by; /* what {{identify_by}} stands for */
};

/** name: of the member on the way that was met last, or DOC_NONE. Returns false to stop. */
typedef bool (*doc_visit)(void *ctx, uint32_t node, uint32_t name);
/** Visits every value that the pointer names, in the order of the text. False: it was stopped. */
bool doc_walk(const struct doc_place *place, const struct pointer *pointer, doc_visit visit,
              void *ctx);
/** The first of them, or DOC_NONE. */
uint32_t doc_at(const struct doc_place *place, const struct pointer *pointer);

#endif
