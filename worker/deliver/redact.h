/*
 * Keeping secrets out of a destination's words: an answer may repeat the token it refuses.
 *
 * Takes an answer's body, gives the body with every secret of the destination's configuration
 * starred out. What is kept in results, state and output is made of the latter only. No state.
 */
#ifndef SLUICE_DELIVER_REDACT_H
#define SLUICE_DELIVER_REDACT_H

#include "protocol/base/arena.h"
#include "protocol/config/config.h"

/** Returns body itself where it holds no secret, a starred copy in the arena otherwise; empty when
 * memory is out. */
struct slice redact_secrets(struct arena *a, const struct destination *d,
                            struct slice body) MUST_CHECK;

/** The same of what people are shown of a request of ours: also secrets as short as a word, where
 * they are one. */
struct slice redact_shown(struct arena *a, const struct destination *d,
                          struct slice text) MUST_CHECK;

/** The same with these texts; p NULL: none. */
struct slice redact_texts(struct arena *a, const struct slice *texts, size_t count,
                          struct slice body) MUST_CHECK;

#endif
