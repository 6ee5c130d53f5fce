/* The keys of a map put in order: each once, merged ones (`<<`) only where nobody wrote them. */
#ifndef SLUICE_CONFIG_MERGE_H
#define SLUICE_CONFIG_MERGE_H

#include "protocol/config/reader.h"

/* A pair as it was met; rank 0 for a written one, then 1, 2 … for each merged map. */
struct met_pair {
    struct pair pair;
    size_t rank;
};

/** Adds the pairs of value (a map or a list of maps) to met. */
void merge_pairs(struct reader *rd, const struct node *value, struct buf *met);
/** Fills map->pairs from met (struct met_pair); a key written twice is a mistake. */
void merge_finish(struct reader *rd, struct node *map, const struct buf *met);

#endif
