/*
 * What a stream asks PostgreSQL about its slot, publication and tables, as SQL, and what the
 * answers mean.
 *
 * Shared by the commands (slots.h), which wait, and the feed, which does not. Pure: writes texts,
 * reads results. Any thread.
 */
#ifndef SLUICE_STREAM_SLOTS_SQL_H
#define SLUICE_STREAM_SLOTS_SQL_H

#include "scheduler/stream/slots.h"

/* The server, and the slot and publication by their names. */
struct slot_server {
    bool logical;       /* wal_level */
    bool may_replicate; /* the role */
    bool standby;
    bool synchronous; /* commits may wait for standbys before others see them */
    char wal_level[16], role[64];
    uint64_t end; /* of the log; 0: not known */
    bool slot_exists;
    bool slot_fits; /* logical, pgoutput, of this database */
    bool slot_active;
    bool slot_lost;
    int slot_pid; /* of who uses it; 0: nobody */
    uint64_t confirmed;
    int64_t held_bytes; /* of the log behind the confirmed position; -1: not known */
    bool publication_exists;
    bool all_tables, via_root;
    bool inserts, updates, deletes;
};
enum err_code slot_sql_server(struct buf *out, const struct slot_names *names) MUST_CHECK;
/** Errors: ERR_INVALID. */
enum err_code slot_read_server(const PGresult *answer, struct slot_server *ret,
                               struct err *err) MUST_CHECK;
/** What is wrong with the server whatever its tables, with the cure. Errors: ERR_CONFIG. */
enum err_code slot_fit_server(const struct slot_server *s, struct err *err) MUST_CHECK;

/* One table of the stream. Texts borrow from the answer. */
struct slot_table {
    size_t number; /* among the stream's tables */
    Oid oid;       /* 0: there is none */
    const char *schema, *name;
    char kind; /* pg_class.relkind */
    bool covered;
    Oid cover;                /* what covers it: another one once it was taken out and in again */
    const char *missing;      /* key column that it lacks; NULL */
    const char *without;      /* the relation, or partition of it, without a replica identity */
    const char *not_covering; /* the one whose identity lacks a key column */
    const char *filter;       /* row filter of the publication; NULL */
    bool inherited;           /* other tables inherit from it, and have changes of their own */
    const char *leaves;       /* partitions that hold rows, and their files: oid:file,… */
    bool guarded;             /* row security hides rows of it from the role */
};

size_t slot_table_count(const struct sync *sync);
const char *slot_table_name(const struct sync *sync, size_t i);
/** Columns of it that name a record of the model; primary_key_count of them. */
const char *const *slot_table_keys(const struct sync *sync, size_t i);

/** Errors: ERR_CONFIG (a name that is none), ERR_NOMEM. */
enum err_code slot_sql_tables(struct buf *out, const struct sync *sync,
                              const struct slot_names *names, struct err *err) MUST_CHECK;
/** Errors: ERR_INVALID. */
enum err_code slot_read_table(const PGresult *answer, int row, struct slot_table *ret,
                              struct err *err) MUST_CHECK;
/**
 * What is wrong with a table, with the statement that cures it. A publication that is not there yet
 * is judged as Sluice would make it. Errors: ERR_CONFIG.
 */
enum err_code slot_fit_table(const struct slot_server *s, const struct slot_table *t,
                             const struct sync *sync, const struct slot_names *names,
                             struct err *err) MUST_CHECK;
/** Its publication tells what happens in it, as far as the publication goes. */
bool slot_table_told(const struct slot_server *s, const struct slot_table *t);

enum err_code slot_sql_publication(struct buf *out, const struct sync *sync,
                                   const struct slot_names *names) MUST_CHECK;
enum err_code slot_sql_add(struct buf *out, const struct slot_names *names,
                           const char *table) MUST_CHECK;
/** For people: the slot made by hand. */
enum err_code slot_sql_slot(struct buf *out, const struct slot_names *names) MUST_CHECK;
enum err_code slot_sql_drop_slot(struct buf *out, const struct slot_names *names) MUST_CHECK;

#endif
