#include "scheduler/run/drift.h"

#include "protocol/base/buf.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>

enum { DRIFT_VERSION = 1, MEMORY_BYTES_MAX = 1 << 20, NAME_BYTES = 256, TEXT_BYTES = 256 };

static const char *memory_name(const char *kind, const char *sync, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s:%s", kind, sync);
    return out;
}

/* version, then (type, name, word)* of the columns that the sync uses. */
static enum err_code put_columns(struct buf *b, const struct map_program *map,
                                 const struct column *columns, size_t count)
{
    uint8_t bytes[2 * TEXT_BYTES + 16];
    enum err_code rc = buf_putc(b, DRIFT_VERSION);
    for (size_t i = 0; i < count && !rc; i++) {
        char name[TEXT_BYTES], word[TEXT_BYTES];
        struct pack k = {.p = bytes, .cap = sizeof bytes};
        if (!map_uses_column(map, i))
            continue;
        snprintf(name, sizeof name, "%s", columns[i].name);
        snprintf(word, sizeof word, "%s", columns[i].type_name ? columns[i].type_name : "");
        pack_u8(&k, (uint8_t)columns[i].type);
        pack_str(&k, name);
        pack_str(&k, word);
        rc = buf_put(b, (const char *)bytes, k.n);
    }
    return rc;
}

/* One column on the other side; false where nothing is wrong with it. */
static bool compare(const struct sync *sync, const struct map_program *map,
                    const struct column *columns, size_t count, enum column_type type,
                    const char *name, const char *word, char *why, size_t why_bytes)
{
    size_t i = 0;
    while (i < count && strncmp(columns[i].name, name, TEXT_BYTES - 1) != 0)
        i++;
    if (i == count) {
        if (map && !sync->map_all)
            return false; /* the mapping no longer wants it */
        snprintf(why, why_bytes,
                 "guard columns: column %s, which this sync uses, is gone from model "
                 "%s",
                 name, sync->model->name);
        return true;
    }
    bool same = columns[i].type == type &&
                (type != COLUMN_OTHER || strcmp(columns[i].type_name, word) == 0);
    if (same || !map || !map_uses_column(map, i))
        return false;
    snprintf(why, why_bytes,
             "guard columns: column %s of model %s was %s and is %s now; approval sends what "
             "changes by that",
             name, sync->model->name, word, columns[i].type_name);
    return true;
}

static void compare_all(const struct sync *sync, const struct map_program *map,
                        const struct column *columns, size_t count, struct slice known, char *why,
                        size_t why_bytes)
{
    struct unpack u = {(const uint8_t *)known.p, known.n};
    *why = '\0';
    if (unpack_u8(&u) != DRIFT_VERSION)
        return;
    while (u.n) {
        char name[TEXT_BYTES], word[TEXT_BYTES];
        enum column_type type = (enum column_type)unpack_u8(&u);
        unpack_str(&u, name, sizeof name);
        unpack_str(&u, word, sizeof word);
        if (compare(sync, map, columns, count, type, name, word, why, why_bytes))
            return;
    }
}

enum err_code drift_look(struct state *state, const struct sync *sync,
                         const struct map_program *map, const struct column *columns, size_t count,
                         char *why, size_t why_bytes, struct err *err)
{
    char name[NAME_BYTES];
    CLEANUP(buf_done) struct buf known;
    CLEANUP(buf_done) struct buf now;
    buf_init(&known, MEMORY_BYTES_MAX);
    buf_init(&now, MEMORY_BYTES_MAX);
    *why = '\0';
    enum err_code rc = state_misc_get(state, memory_name("columns", sync->name, name), &known, err);
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    if (!rc)
        compare_all(sync, map, columns, count, buf_slice(&known), why, why_bytes);
    if (!*why) /* what an earlier run was held for says nothing about this one */
        rc = state_misc_put(state, memory_name("columns-held", sync->name, name), (struct slice){0},
                            err);
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    if (!map)
        return ERR_OK;
    if (put_columns(&now, map, columns, count))
        return err_set(err, ERR_NOMEM, "sync %s: no memory for its columns", sync->name);
    if (slice_eq(buf_slice(&known), buf_slice(&now)))
        return ERR_OK;
    memory_name(*why ? "columns-held" : "columns", sync->name, name);
    return state_misc_put(state, name, buf_slice(&now), err);
}

enum err_code drift_accept(struct state *state, const char *sync, struct err *err)
{
    char name[NAME_BYTES];
    CLEANUP(buf_done) struct buf held;
    buf_init(&held, MEMORY_BYTES_MAX);
    enum err_code rc = state_misc_get(state, memory_name("columns-held", sync, name), &held, err);
    if (rc)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    rc = state_misc_put(state, name, (struct slice){0}, err);
    return rc ? rc
              : state_misc_put(state, memory_name("columns", sync, name), buf_slice(&held), err);
}
