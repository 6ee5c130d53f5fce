/* The OpenAPI document of the program, and whether an answer is what it promises. */
#ifndef SLUICE_TESTS_API_SCHEMA_H
#define SLUICE_TESTS_API_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

/** Owned by the caller. */
json_t *schema_document(void);
/** The operation of a method ("GET") and of a path with or without a query; borrowed; NULL. */
const json_t *schema_operation(const json_t *document, const char *method, const char *path);
/** Fails the test where the status, or the JSON of the answer, is not among what the document says.
 * json NULL: the answer is not JSON. */
void schema_check(const json_t *document, const char *method, const char *path, int status,
                  const json_t *json);

#endif
