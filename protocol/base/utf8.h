/* UTF-8 (RFC 3629): validation of foreign bytes, with a fast path for ASCII. */
#ifndef SLUICE_BASE_UTF8_H
#define SLUICE_BASE_UTF8_H

#include "protocol/base/buf.h"

/** True when s is well-formed UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF. */
bool utf8_valid(struct slice s);

/** How many bytes the character at the beginning of s has; 0: it is malformed, or s is empty. */
size_t utf8_character(struct slice s);

/** The longest prefix of s that has at most max bytes and does not cut a character. */
struct slice utf8_prefix(struct slice s, size_t max);

/** Appends s; what is malformed, and NUL, becomes U+FFFD. For words of others. */
enum err_code utf8_put(struct buf *b, struct slice s) MUST_CHECK;

#endif
