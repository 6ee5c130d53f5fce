/*
 * A transaction's changes may come before others can see them: the server sends what its log holds,
 * and only then lets snapshots see it (with synchronous standbys, a long time later). A row that is
 * asked for too early would be the old one, and nothing would tell of the new one again; and so
 * would one of a model that is read as a whole.
 */
#include "scheduler/stream/cdc_private.h"

#include <stdlib.h>

const char cdc_seen_sql[] = "SELECT pg_catalog.txid_current_snapshot()";

/* `xmin:xmax:xip,xip…`, with an epoch in the upper half of each. */
void cdc_seen_read(struct cdc_seen *seen, const char *text)
{
    char *p;
    seen->min = (uint32_t)strtoull(text, &p, 10);
    seen->known = *p == ':';
    if (seen->known) {
        seen->max = (uint32_t)strtoull(p + 1, &p, 10);
        seen->known = *p == ':';
    }
    seen->count = 0;
    while (seen->known && p[1]) {
        if (seen->count == CDC_SEEN_MAX) {
            seen->max = seen->min; /* too many to keep: those before the first only */
            seen->count = 0;
            return;
        }
        char *digits = p + 1;
        seen->running[seen->count++] = (uint32_t)strtoull(digits, &p, 10);
        if (p == digits || (*p && *p != ','))
            seen->known = false;
        if (!*p)
            return;
    }
}

/* Ids go round: compared by their distance. */
bool cdc_seen_has(const struct cdc_seen *seen, uint32_t xid)
{
    if (!seen->known || (int32_t)(xid - seen->max) >= 0)
        return false;
    if ((int32_t)(xid - seen->min) < 0)
        return true;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->running[i] == xid)
            return false;
    return true;
}

void cdc_given_add(struct cdc_given *given, uint32_t xid)
{
    if (given->count && given->xid[(given->count - 1) % CDC_GIVEN_MAX] == xid)
        return;
    given->xid[given->count++ % CDC_GIVEN_MAX] = xid;
    if (given->count - given->seen > CDC_GIVEN_MAX)
        given->seen = given->count - CDC_GIVEN_MAX;
}

uint64_t cdc_given_look(struct cdc_given *given, const struct cdc_seen *seen)
{
    while (given->seen < given->count &&
           cdc_seen_has(seen, given->xid[given->seen % CDC_GIVEN_MAX]))
        given->seen++;
    return given->seen;
}
