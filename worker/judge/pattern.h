/*
 * A regular expression of a connector (PCRE2), matched against foreign bytes.
 *
 * Compiled once. What a match may cost is limited, and so is how often an answer may meet that
 * limit; a text is looked at up to PATTERN_TEXT_MAX bytes. Where a limit is met there is no match.
 * Bytes need not be UTF-8. One thread.
 */
#ifndef SLUICE_JUDGE_PATTERN_H
#define SLUICE_JUDGE_PATTERN_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

enum { PATTERN_TEXT_MAX = 16 << 10 };

struct pattern;

/** Owned: pattern_free. Errors: ERR_CONFIG, ERR_NOMEM. */
enum err_code pattern_new(const char *text, struct pattern **ret_pattern,
                          struct err *err) MUST_CHECK;
void pattern_free(struct pattern *p);

/** Before another answer: its limits are unused again. */
void pattern_reset(struct pattern *p);

/** Whether it is found anywhere in text. ret_group (may be NULL) gets its first group, p NULL where
 * that took no part; the whole match where it has no group. Borrowed from text. */
bool pattern_match(struct pattern *p, struct slice text, struct slice *ret_group);

#endif
