#include "protocol/config/merge.h"

#include <stdlib.h>

static void merge_map(struct reader *rd, const struct node *map, size_t rank, struct buf *met)
{
    for (size_t i = 0; i < map->count; i++) {
        struct met_pair pair = {map->pairs[i], rank};
        enum err_code rc = buf_put(met, &pair, sizeof pair);
        if (rc)
            rd->failed = rc;
    }
}

void merge_pairs(struct reader *rd, const struct node *value, struct buf *met)
{
    if (value->kind == NODE_MAP) {
        merge_map(rd, value, 1, met);
        return;
    }
    bool good = value->kind == NODE_LIST;
    for (size_t i = 0; good && i < value->count; i++)
        good = value->items[i]->kind == NODE_MAP;
    if (!good) {
        mistake(
            rd, value->at,
            "`<<` merges a map or a list of maps, but this is %s: write *name of an anchored map",
            node_kind_name(value));
        return;
    }
    for (size_t i = 0; i < value->count; i++)
        merge_map(rd, value->items[i], i + 1, met);
}

/* Order: key, written before merged, first before later. */
static int by_key(const void *left, const void *right)
{
    const struct met_pair *a = *(const struct met_pair *const *)left;
    const struct met_pair *b = *(const struct met_pair *const *)right;
    int order = strcmp(a->pair.key, b->pair.key);
    if (!order)
        order = (a->rank > b->rank) - (a->rank < b->rank);
    return order ? order : (a > b) - (a < b);
}

static int by_position(const void *left, const void *right)
{
    const struct met_pair *a = *(const struct met_pair *const *)left;
    const struct met_pair *b = *(const struct met_pair *const *)right;
    return (a > b) - (a < b);
}

static size_t keep_first(struct reader *rd, const struct met_pair **sorted, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct met_pair *first = kept ? sorted[kept - 1] : NULL;
        if (!first || strcmp(first->pair.key, sorted[i]->pair.key) != 0) {
            sorted[kept++] = sorted[i];
            continue;
        }
        if (sorted[i]->rank == 0)
            mistake(rd, sorted[i]->pair.at,
                    "%s is defined twice in this map, first in line %u: remove or rename one",
                    shown_text(rd, first->pair.key), first->pair.at.line);
    }
    return kept;
}

void merge_finish(struct reader *rd, struct node *map, const struct buf *met)
{
    size_t n = met->len / sizeof(struct met_pair);
    if (n == 0)
        return;
    const struct met_pair *items = (const void *)met->p;
    const struct met_pair **sorted = reader_alloc(rd, n * sizeof *sorted);
    map->pairs = reader_alloc(rd, n * sizeof *map->pairs);
    if (!sorted || !map->pairs)
        return;
    for (size_t i = 0; i < n; i++)
        sorted[i] = &items[i];
    qsort(sorted, n, sizeof *sorted, by_key);
    n = keep_first(rd, sorted, n);
    qsort(sorted, n, sizeof *sorted, by_position);
    for (size_t i = 0; i < n; i++)
        map->pairs[i] = sorted[i]->pair;
    map->count = n;
}
