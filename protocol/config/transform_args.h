/*
 * The arguments of transforms: `{first: 3}`, `{phone: {country: "49"}}`.
 *
 * Reads the node after a transform's name into the transform, reports what is wrong with it. Lists
 * of further transforms (unless_hashed) are transforms.c's own.
 */
#ifndef SLUICE_CONFIG_TRANSFORM_ARGS_H
#define SLUICE_CONFIG_TRANSFORM_ARGS_H

#include "protocol/config/reader.h"

/** t->kind is set; name is its word. */
void transform_argument(struct reader *rd, const struct node *arg, const char *name,
                        struct transform *t);

/** How a transform that needs an argument is written; NULL where its name alone is enough. */
const char *transform_argument_example(enum transform_kind kind);

#endif
