/*
 * Slots and publications at PostgreSQL: looked at, made when told to, dropped.
 *
 * For commands: waits for the server, on a connection of its own. Any thread. The feed does the
 * same on its own connections without waiting; the SQL of both is in slots.c.
 */
#ifndef SLUICE_STREAM_SLOTS_H
#define SLUICE_STREAM_SLOTS_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"

#include <libpq-fe.h>

enum { SLOT_NAME_BYTES = 64 };

/* What a sync's stream uses at the source: as configured, or as Sluice names it with `create`. */
struct slot_names {
    char slot[SLOT_NAME_BYTES];
    char publication[SLOT_NAME_BYTES];
};
void slot_names_of(const struct sync *sync, const char *state_id, struct slot_names *ret);

struct slot_look {
    bool slot_exists;
    bool slot_active;
    bool slot_lost; /* wal_status is lost, or it is invalidated */
    bool publication_exists;
    int64_t held_bytes; /* of WAL behind the confirmed position; -1: not known */
    char confirmed[32]; /* LSN; empty: none */
};
enum err_code slot_look(PGconn *conn, const struct slot_names *names, struct slot_look *ret,
                        struct err *err) MUST_CHECK;
/** Drops both, as far as they are there; what was dropped is said in *ret. ERR_BUSY: the slot is in
 * use. */
struct slot_dropped {
    bool slot, publication;
};
enum err_code slot_drop(PGconn *conn, const struct slot_names *names, struct slot_dropped *ret,
                        struct err *err) MUST_CHECK;
/** The statements that make what the stream needs, for people to run: one per line, with comments.
 * Also says what is wrong at the source as it is now (wal_level, privileges, replica identity).
 */
enum err_code slot_sql(PGconn *conn, const struct sync *sync, const struct slot_names *names,
                       struct buf *out, struct err *err) MUST_CHECK;
/** Whether the stream has what it needs, as far as it is not Sluice's to make. Errors: ERR_CONFIG
 * with what is missing or wrong, and the cure. */
enum err_code slot_check(PGconn *conn, const struct sync *sync, const struct slot_names *names,
                         struct err *err) MUST_CHECK;

#endif
