#include "protocol/config/definitions.h"

#include "protocol/config/parts.h"

#include <stdlib.h>
#include <xxhash.h>

static uint64_t text_digest(const char *text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text, strlen(text), seed);
}

/* A map's pairs are added up, as their order means nothing. Trees are 32 levels deep at most. */
static uint64_t node_digest(const struct node *node)
{
    uint64_t sum = (uint64_t)node->kind + 1;
    if (node->kind == NODE_SCALAR)
        return text_digest(node->text ? node->text : "", 16 + (uint64_t)node->type);
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == NODE_MAP) {
            sum += text_digest(node->pairs[i].key, node_digest(node->pairs[i].value));
        } else {
            uint64_t both[2] = {sum, node_digest(node->items[i])};
            sum = XXH3_64bits(both, sizeof both);
        }
    }
    return sum;
}

static void note_one(struct reader *rd, const char *noun, const char *name, const struct node *node,
                     struct definition *out)
{
    size_t count = node->kind == NODE_MAP ? node->count : 0;
    struct definition_key *keys = reader_alloc(rd, count * sizeof *keys);
    if (!keys)
        return;
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct definition_key){node->pairs[i].key, node_digest(node->pairs[i].value)};
    *out = (struct definition){noun, name, keys, count};
}

static int by_noun_then_name(const void *left, const void *right)
{
    const struct definition *a = left, *b = right;
    int order = strcmp(a->noun, b->noun);
    return order ? order : strcmp(a->name, b->name);
}

void definitions_note(struct reader *rd)
{
    size_t count = rd->settings != NULL;
    for (int id = 0; id < SECTION_COUNT; id++)
        count += rd->sections[id].count;
    struct definition *all = reader_alloc(rd, count * sizeof *all);
    size_t n = 0;
    if (!all)
        return;
    if (rd->settings)
        note_one(rd, "settings", "", rd->settings, &all[n++]);
    for (int id = 0; id < SECTION_COUNT; id++)
        for (size_t i = 0; i < rd->sections[id].count && !rd->failed; i++)
            note_one(rd, rd->sections[id].noun, rd->sections[id].entries[i].name,
                     rd->sections[id].entries[i].node, &all[n++]);
    if (rd->failed)
        return;
    qsort(all, n, sizeof *all, by_noun_then_name);
    rd->project->definitions = all;
    rd->project->definition_count = n;
}

const struct definition *definition_of(const struct project *project, const char *noun,
                                       const char *name)
{
    const struct definition wanted = {.noun = noun, .name = name};
    return project->definition_count
               ? bsearch(&wanted, project->definitions, project->definition_count, sizeof wanted,
                         by_noun_then_name)
               : NULL;
}

static const struct definition_key *key_of(const struct definition *d, const char *key)
{
    for (size_t i = 0; d && i < d->key_count; i++)
        if (strcmp(d->keys[i].key, key) == 0)
            return &d->keys[i];
    return NULL;
}

size_t definition_differs(const struct definition *a, const struct definition *b,
                          void (*each)(void *ctx, const char *key), void *ctx)
{
    size_t n = 0;
    for (size_t i = 0; a && i < a->key_count; i++) {
        const struct definition_key *other = key_of(b, a->keys[i].key);
        if (other && other->digest == a->keys[i].digest)
            continue;
        each(ctx, a->keys[i].key);
        n++;
    }
    for (size_t i = 0; b && i < b->key_count; i++) {
        if (key_of(a, b->keys[i].key))
            continue;
        each(ctx, b->keys[i].key);
        n++;
    }
    return n;
}
