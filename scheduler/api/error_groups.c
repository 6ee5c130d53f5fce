#include "scheduler/api/error_groups.h"

#include <stdlib.h>
#include <xxhash.h>

enum { TABLE_SIZE = 4 * ERROR_GROUPS_MAX };

struct error_groups {
    struct error_group groups[ERROR_GROUPS_MAX];
    size_t count;
    uint64_t other;
    uint16_t table[TABLE_SIZE]; /* of hashes: index of a group and 1; 0: free */
};

struct error_groups *error_groups_new(void)
{
    return calloc(1, sizeof(struct error_groups));
}

void error_groups_free(struct error_groups *g)
{
    for (size_t i = 0; g && i < g->count; i++) {
        free(g->groups[i].message);
        for (size_t j = 0; j < g->groups[i].sample_count; j++)
            free(g->groups[i].samples[j]);
    }
    free(g);
}

static char *copy(struct slice s)
{
    return strndup(s.p ? s.p : "", s.n);
}

/* The place in the table of that group, or the free one where it belongs. */
static uint16_t *find(struct error_groups *g, const char *sync, const char *kind,
                      struct slice message)
{
    uint64_t hash = XXH3_64bits_withSeed(message.p, message.n,
                                         XXH3_64bits(sync, strlen(sync)) ^ (uint64_t)kind[0]);
    for (size_t i = hash % TABLE_SIZE;; i = (i + 1) % TABLE_SIZE) {
        const struct error_group *at = g->table[i] ? &g->groups[g->table[i] - 1] : NULL;
        if (!at || (strcmp(at->sync, sync) == 0 && strcmp(at->kind, kind) == 0 &&
                    slice_eq_str(message, at->message)))
            return &g->table[i];
    }
}

static struct error_group *make(struct error_groups *g, const char *sync, const char *kind,
                                struct slice message)
{
    struct error_group *new = &g->groups[g->count];
    *new = (struct error_group){.sync = sync, .kind = kind, .message = copy(message)};
    if (!new->message)
        return NULL;
    g->count++;
    return new;
}

enum err_code error_groups_add(struct error_groups *g, const char *sync, const struct rejected *r)
{
    const char *kind = rejected_kind_name(r->kind);
    uint16_t *at = find(g, sync, kind, r->message);
    if (!*at && g->count == ERROR_GROUPS_MAX) {
        g->other++;
        return ERR_OK;
    }
    struct error_group *group = *at ? &g->groups[*at - 1] : make(g, sync, kind, r->message);
    if (!group)
        return ERR_NOMEM;
    *at = (uint16_t)(group - g->groups + 1);
    if (!group->count++ || r->time_ms < group->first_ms)
        group->first_ms = r->time_ms;
    if (r->time_ms > group->last_ms)
        group->last_ms = r->time_ms;
    if (group->sample_count < ERROR_SAMPLES_MAX) {
        char *sample = copy(r->text);
        if (!sample)
            return ERR_NOMEM;
        group->samples[group->sample_count++] = sample;
    }
    return ERR_OK;
}

static int larger_first(const void *a, const void *b)
{
    const struct error_group *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->last_ms < y->last_ms ? 1 : x->last_ms > y->last_ms ? -1 : 0;
}

const struct error_group *error_groups_list(struct error_groups *g, size_t *ret_count,
                                            uint64_t *ret_other)
{
    qsort(g->groups, g->count, sizeof *g->groups, larger_first);
    memset(g->table, 0, sizeof g->table);
    for (size_t i = 0; i < g->count; i++) {
        const struct error_group *at = &g->groups[i];
        *find(g, at->sync, at->kind, slice_str(at->message)) = (uint16_t)(i + 1);
    }
    *ret_count = g->count;
    *ret_other = g->other;
    return g->groups;
}
