/*
 * The remote's own words: what an answer says about a failure, in a form that can be kept and
 * shown.
 *
 * Takes foreign bytes, gives valid UTF-8 without control characters and of at most
 * RESULT_MESSAGE_MAX bytes, in an arena. No state.
 */
#ifndef SLUICE_DELIVER_WORDS_H
#define SLUICE_DELIVER_WORDS_H

#include "protocol/base/arena.h"
#include "protocol/base/slice.h"

/** Copies text: trimmed, white space and control characters as single spaces, bad UTF-8 as '?',
 * cut. Empty when memory is out. */
struct slice words_clean(struct arena *a, struct slice text) MUST_CHECK;

/** The sentence inside an answer's body: the usual places of a JSON object, otherwise the text
 * itself. */
struct slice words_of_body(struct arena *a, struct slice body) MUST_CHECK;

/** "HTTP status: words", or "HTTP status" where there are none. */
struct slice words_with_status(struct arena *a, unsigned status, struct slice words) MUST_CHECK;

#endif
