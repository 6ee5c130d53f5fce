/*
 * Partitions that come and go.
 *
 * PostgreSQL tells of a partitioned table's rows, but not that a partition was dropped, detached or
 * truncated by itself: its rows are gone without a word. So partitions and their files are looked
 * at with the tables. A partition that is new is empty, unless it was attached with rows.
 */
#include "scheduler/stream/cdc_private.h"

#include <stdlib.h>

static struct slice next(const char **list)
{
    struct slice entry = slice_of(*list, strcspn(*list, ","));
    *list += entry.n + ((*list)[entry.n] == ',');
    return entry;
}

static int order(struct slice a, struct slice b)
{
    int o = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return o ? o : (a.n > b.n) - (a.n < b.n);
}

/* Both lists, oid:file,…, are in the order of their bytes. */
static bool lacks_some(const char *before, const char *now)
{
    while (*before) {
        struct slice wanted = next(&before), found = {0};
        int o = 1;
        while (*now && (o = order(wanted, found = next(&now))) > 0)
            continue;
        if (o != 0)
            return true;
    }
    return false;
}

/* FNV-1a; 0 where no table has partitions. */
static uint64_t digest(const struct cdc_feed *f)
{
    uint64_t h = 0;
    for (size_t i = 0; i < f->table_count; i++)
        for (const char *p = f->tables[i].leaves; p && *p; p++)
            h = ((h ? h : UINT64_C(14695981039346656037)) ^ (uint8_t)*p) * UINT64_C(1099511628211);
    return h;
}

enum err_code cdc_parts_keep(struct cdc_feed *f, size_t i, const char *leaves, bool *ret_less,
                             struct err *err)
{
    struct cdc_table *t = &f->tables[i];
    *ret_less = t->leaves && lacks_some(t->leaves, leaves);
    if (t->leaves && strcmp(t->leaves, leaves) == 0)
        return ERR_OK;
    char *copy = strdup(leaves);
    if (!copy)
        return err_set(err, ERR_NOMEM, "no memory for the partitions of a table");
    free(t->leaves);
    t->leaves = copy;
    f->parts = digest(f);
    return ERR_OK;
}
