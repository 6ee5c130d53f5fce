/*
 * Reading connectors: YAML in, the plain data of connector.h out.
 *
 * Every mistake is reported with its place, not only the first. What is read lives in the reader's
 * project. A connector that had a mistake is given all the same, so that what refers to it can be
 * checked; it must not be used.
 */
#ifndef SLUICE_CONNECTOR_READ_H
#define SLUICE_CONNECTOR_READ_H

#include "protocol/config/reader.h"
#include "protocol/connector/connector.h"

/** at: the place of the name. NULL where node is no map or memory ran out. */
const struct connector *connector_read(struct reader *rd, const char *name, const struct node *node,
                                       struct config_place at) MUST_CHECK;
/** A destination of type http: a map of its common keys (which are passed over here) and of
 * connector keys. Without `objects` the map itself is its only object, of any name. */
const struct connector *connector_read_inline(struct reader *rd, const char *name,
                                              const struct node *node,
                                              struct config_place at) MUST_CHECK;

/** The one that is built in under this name, read at its first use. NULL: there is none, or memory
 * ran out. */
const struct connector *connector_builtin(struct reader *rd, const char *name) MUST_CHECK;
/** In alphabetical order. */
const char *const *connector_builtin_names(size_t *ret_count);
/** The YAML that is built in under this name; n 0: there is none. */
struct slice connector_builtin_text(const char *name);

#endif
