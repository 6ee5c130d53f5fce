/* Reads and writes: the entry of one key. A crash here: nothing of the transaction stands. */
#include "scheduler/run/sync_run_private.h"
#include "scheduler/run/sync_stream.h"

enum err_code sync_run_forget(struct sync_run *run, struct slice key, struct err *err)
{
    uint32_t slot;
    struct entry e;
    enum err_code rc = state_key_find(run->entries, key, &slot, err);
    const struct flight *flight =
        rc || slot == SLOT_NONE ? NULL : in_flight_find(&run->stream.in_flight, slot);
    if (rc || slot == SLOT_NONE || (flight && !flight->landed))
        return rc;
    rc = state_entry_get(run->entries, slot, &e, err);
    if (!rc && (e.flags & ENTRY_LISTED)) { /* what is listed of it is for people, and stays */
        e.flags = (uint8_t)(e.flags & ~ENTRY_LISTED);
        rc = state_entry_put(run->entries, slot, &e, err);
    }
    return rc ? rc : state_entry_delete(run->entries, key, slot, err);
}
