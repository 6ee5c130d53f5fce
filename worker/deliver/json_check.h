/* Whether a text is one JSON value (RFC 8259): for text that a template embeds in a body as it is.
 * Allocates nothing; any thread. */
#ifndef SLUICE_DELIVER_JSON_CHECK_H
#define SLUICE_DELIVER_JSON_CHECK_H

#include "protocol/base/slice.h"

enum { JSON_CHECK_DEPTH_MAX = 64 };

/** False also where it is nested deeper than JSON_CHECK_DEPTH_MAX. */
bool json_check(struct slice text);

#endif
