/* The files that are part of the program: the dashboard's pages and the OpenAPI document. Written
 * by embed.cmake. */
#ifndef SLUICE_API_PAGES_H
#define SLUICE_API_PAGES_H

#include <stddef.h>

struct page {
    const char *name;
    const unsigned char *bytes;
    size_t size;
    const char *tag; /* changes with the bytes */
};

extern const struct page pages[];
extern const size_t page_count;

#endif
