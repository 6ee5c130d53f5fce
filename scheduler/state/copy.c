/*
 * Copies of the store. Reads: the last commit of a store that another process may be writing.
 * Writes: a new file. A crash here: a part of a copy, which nobody takes for one without its
 * rename.
 */
#include "scheduler/state/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum err_code state_copy(const char *from, const char *to, struct err *err)
{
    struct state_options o = {.read_only = true};
    struct state *s = NULL;
    char path[PATH_MAX], part[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/state.lmdb", to) >= sizeof path ||
        (size_t)snprintf(part, sizeof part, "%s/state.part", to) >= sizeof part)
        return err_set(err, ERR_CONFIG, "state: the path %s is too long", to);
    enum err_code code = state_open(from, &o, &s, err);
    if (code)
        return code;
    /* Any other copy waits for the writer's transaction, and a run under way always has one. */
    int rc = mdb_env_copy2(s->env, part, MDB_CP_COMPACT);
    if (!rc && rename(part, path) != 0)
        rc = errno;
    if (rc)
        unlink(part);
    code = store_error(NULL, rc, err, "copying");
    state_close(s);
    return code;
}
