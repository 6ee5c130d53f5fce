/* Looks into a connector that was read from text, for tests: what is missing fails the test. */
#ifndef SLUICE_TESTS_CONNECTOR_WORDS_H
#define SLUICE_TESTS_CONNECTOR_WORDS_H

#include "tests/unit/connector/connector_text.h"

/** Reads a text without mistakes. Returns the connector, which t owns. */
const struct connector *read_good(struct connector_text *t, const char *text);
/** The request that the object has for the operation. */
const struct request *request_of(const struct object *o, enum record_op op);
/** text: NULL for any. */
void assert_piece(const struct template *t, size_t i, enum piece_kind kind, const char *text);
/** The member of a tree of kind TREE_OBJECT that has this name. */
const struct member *member_of(const struct tree *t, const char *name);

#endif
