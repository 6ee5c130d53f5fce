/* The bytes of protocol/connector/recipes.yaml, put into the program when it is built. */
#ifndef SLUICE_CONFIG_RECIPES_YAML_H
#define SLUICE_CONFIG_RECIPES_YAML_H

#include <stddef.h>

extern const unsigned char recipes_yaml[];
extern const size_t recipes_yaml_bytes;

#endif
