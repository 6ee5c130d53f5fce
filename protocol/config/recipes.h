/*
 * Named recipes: lists of transforms that bring a field into the form a vendor wants.
 *
 * They are written in protocol/connector/recipes.yaml in the grammar of a mapping's `transform:`,
 * are part of the program, and are read by the same code, once per load, when one is first asked
 * for. A recipe cannot name another. One thread.
 */
#ifndef SLUICE_CONFIG_RECIPES_H
#define SLUICE_CONFIG_RECIPES_H

#include "protocol/config/reader.h"

/**
 * The transforms of a recipe, NULL where there is none of this name. They live as long as the
 * project; their places are in recipes.yaml. Mistakes in that file go to the reader's problems.
 */
const struct transform *recipe_transforms(struct reader *rd, const char *name, size_t *ret_count);

/** Names of all recipes, NULL ends them. Never NULL. */
const char *const *recipe_names(struct reader *rd, size_t *ret_count);

#endif
