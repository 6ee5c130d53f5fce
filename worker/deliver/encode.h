/*
 * Writing bytes in the forms that requests need: percent-encoded, quoted, in hex, in base64.
 *
 * Every function appends to a buffer and leaves it as it was when it fails (ERR_FULL, ERR_NOMEM).
 * No state; any thread.
 */
#ifndef SLUICE_DELIVER_ENCODE_H
#define SLUICE_DELIVER_ENCODE_H

#include "protocol/base/buf.h"

/** Everything but RFC 3986's unreserved characters as %XX. */
enum err_code encode_url(struct buf *out, struct slice s) MUST_CHECK;
/** Only what may stand nowhere in a URL (RFC 3986 section 2) as %XX: for text that is a URL. */
enum err_code encode_url_text(struct buf *out, struct slice s) MUST_CHECK;
/** The inside of a JSON string, without its quotes. */
enum err_code encode_json(struct buf *out, struct slice s) MUST_CHECK;
/** A CSV field (RFC 4180), quoted where it must be. */
enum err_code encode_csv(struct buf *out, struct slice s, char delimiter) MUST_CHECK;
/** Lower-case hex. */
enum err_code encode_hex(struct buf *out, struct slice s) MUST_CHECK;
/** The 128 bits of a UUID as a ULID's 26 characters (Crockford's base 32); other text as it is. */
enum err_code encode_ulid(struct buf *out, struct slice uuid) MUST_CHECK;
/** With padding (RFC 4648 section 4). */
enum err_code encode_base64(struct buf *out, struct slice s) MUST_CHECK;

/** Writes a number in decimal; returns the end. out has room for 10 bytes. */
char *encode_u32(char *out, uint32_t n);

#endif
