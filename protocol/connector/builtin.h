/* The texts of the connectors that are built in, made from worker/connectors by embed.cmake; in
 * alphabetical order. */
#ifndef SLUICE_CONNECTOR_BUILTIN_H
#define SLUICE_CONNECTOR_BUILTIN_H

#include <stddef.h>

struct builtin_text {
    const char *name;
    const unsigned char *text;
    size_t bytes;
};

extern const struct builtin_text builtin_texts[];
extern const size_t builtin_count;
extern const char *const builtin_names[];

#endif
