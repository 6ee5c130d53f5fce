/*
 * The remote's own words within a JSON document, in a form that can be kept and shown (words.h).
 *
 * No state.
 */
#ifndef SLUICE_JUDGE_DOC_WORDS_H
#define SLUICE_JUDGE_DOC_WORDS_H

#include "worker/judge/doc.h"

/** The sentence in a value: itself when it is text, otherwise what the usual members hold; n 0:
 * there is none. */
struct slice words_usual(const struct doc *d, uint32_t node, struct arena *a) MUST_CHECK;

/** What stands at the first of these places that has something; n 0: none has. */
struct slice words_at(const struct doc_place *place, const struct pointer_list *where,
                      struct arena *arena) MUST_CHECK;

#endif
