/* The order in which records of a batch are sent: of any two values, which goes first. */
#ifndef SLUICE_BATCH_VALUE_ORDER_H
#define SLUICE_BATCH_VALUE_ORDER_H

#include "protocol/base/value.h"

/** Below, above or 0. Null and absent, false, true, numbers (exactly, whatever their digits), text
 * by its bytes, but RFC 3339 timestamps in UTC by time; JSON by its bytes. */
int value_compare(const struct value *a, const struct value *b);

#endif
