/* Looking at one entry for a person, also while a run has the sync's entries open. Writes nothing
 * of its own. */
#include "scheduler/state/sync.h"

static struct state_sync *find_open(struct state *s, const char *sync)
{
    for (struct state_sync *ss = s->syncs; ss; ss = ss->next)
        if (!ss->fresh && strcmp(ss->name, sync) == 0)
            return ss;
    return NULL;
}

static enum err_code look(struct state_sync *ss, struct slice key, struct entry_view *ret,
                          struct err *err)
{
    uint32_t slot = SLOT_NONE;
    struct entry e;
    struct refusal r;
    enum err_code code = state_key_find(ss, key, &slot, err);
    if (!code && slot == SLOT_NONE)
        code = ERR_NOTFOUND;
    if (!code)
        code = state_entry_get(ss, slot, &e, err);
    if (code)
        return code;
    ret->flags = e.flags;
    enum refusal_kind kind = e.flags & ENTRY_REFUSED ? REFUSAL_ROW : REFUSAL_REMOVAL;
    if (!(e.flags & (ENTRY_REFUSED | ENTRY_REMOVAL_REFUSED)))
        return ERR_OK;
    code = state_refusal_get(ss, slot, kind, &r, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    ret->refused_due_ms = r.due_ms;
    memcpy(ret->refused, r.reason.p, r.reason.n);
    ret->refused[r.reason.n] = '\0';
    return ERR_OK;
}

enum err_code state_entry_look(struct state *s, const char *sync, struct slice key,
                               struct entry_view *ret, struct err *err)
{
    struct state_counts counts;
    struct state_sync *ss = find_open(s, sync), *own = NULL;
    *ret = (struct entry_view){0};
    if (!ss) { /* opening would make entries where there are none */
        enum err_code code = state_sync_look(s, sync, &counts, err);
        code = code ? code : state_sync_open(s, sync, &own, err);
        if (code)
            return code;
        ss = own;
    }
    enum err_code code = look(ss, key, ret, err);
    state_sync_close(own);
    return code == ERR_NOTFOUND ? err_set(err, code, "%s knows no such key", sync) : code;
}
