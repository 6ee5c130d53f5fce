/*
 * What a sync's object at the destination admits.
 *
 * Loading asks when the fields are written down; with `mappings: all` they are known only when the
 * warehouse has named its columns, and the same is asked then. Pure; any thread.
 */
#ifndef SLUICE_CONFIG_TARGET_H
#define SLUICE_CONFIG_TARGET_H

#include "protocol/config/config.h"

enum { TARGET_NAME_BYTES = 160 };
/** "hubspot contacts", or "webhook" where the object may have any name. Returns out. */
const char *target_name(const struct connector *c, const struct object *o,
                        char out[TARGET_NAME_BYTES]);
/** True where the object takes the field, as written in `to:` (dots between levels). */
bool target_takes(const struct object *o, const char *field);
/** A field that the object needs in this mode and that none of these is; NULL: none is missing. */
const char *target_lacks(const struct object *o, enum sync_mode mode, const char *const *fields,
                         size_t count);
/** Fields of which a record must have one; NULL: it need not. */
const char *const *target_any_of(const struct object *o, size_t *ret_count);
/** True where one of these fields is among them, or where none need be. */
bool target_has_any(const struct object *o, const char *const *fields, size_t count);

#endif
