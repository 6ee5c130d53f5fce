/*
 * Messages of PostgreSQL's pgoutput plugin, protocol version 1, taken apart in place.
 *
 * Reads the bytes of one message (documentation of PostgreSQL, "Logical Replication Message
 * Formats"), gives what it says; names and values borrow from the message. Invariant: nothing
 * outside the message is read, whatever its bytes. Allocates nothing per message. One thread.
 */
#ifndef SLUICE_STREAM_PGOUTPUT_H
#define SLUICE_STREAM_PGOUTPUT_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"
#include "protocol/base/value.h"

enum pgoutput_kind {
    PGOUTPUT_BEGIN,
    PGOUTPUT_COMMIT,
    PGOUTPUT_RELATION,
    PGOUTPUT_INSERT,
    PGOUTPUT_UPDATE,
    PGOUTPUT_DELETE,
    PGOUTPUT_TRUNCATE,
    PGOUTPUT_OTHER, /* origin, type, logical message: says nothing about rows */
};

enum pgoutput_cell_kind {
    PGOUTPUT_NULL,
    PGOUTPUT_TEXT,
    PGOUTPUT_UNCHANGED, /* a value kept out of line (TOAST) that did not change: it is not told */
};

/* The byte behind the value is writable once the message has been decoded. */
struct pgoutput_cell {
    char *p;
    uint32_t n;
    enum pgoutput_cell_kind kind;
};

struct pgoutput_tuple {
    const struct pgoutput_cell *cells;
    uint16_t count; /* 0: there is none */
};

struct pgoutput_column {
    const char *name;
    uint32_t type; /* oid */
    bool key;      /* part of the replica identity */
};

struct pgoutput_message {
    enum pgoutput_kind kind;
    /* BEGIN, COMMIT */
    uint64_t lsn;      /* of the commit record */
    uint64_t end_lsn;  /* COMMIT: behind the transaction */
    int64_t commit_ms; /* wall clock of the server, since 1970 */
    uint32_t xid;      /* BEGIN */
    /* RELATION, INSERT, UPDATE, DELETE */
    uint32_t relation;
    const char *schema, *table; /* RELATION */
    char identity;              /* RELATION: pg_class.relreplident */
    const struct pgoutput_column *columns;
    uint16_t column_count;
    /* UPDATE, DELETE: the row before; `whole` where all of it is told (REPLICA IDENTITY FULL), else
     * only the columns of the identity are */
    struct pgoutput_tuple before;
    bool whole;
    struct pgoutput_tuple after; /* INSERT, UPDATE */
    /* TRUNCATE */
    const char *truncated; /* oids, pgoutput_truncated reads them */
    uint32_t truncated_count;
};

struct pgoutput;

/** ERR_NOMEM as NULL. */
struct pgoutput *pgoutput_new(void);
/** Accepts NULL. */
void pgoutput_free(struct pgoutput *d);

/** What *ret points to is valid until the next message. Errors: ERR_INVALID (not such a message, or
 * one of a kind that was not asked for). */
enum err_code pgoutput_decode(struct pgoutput *d, char *bytes, size_t n,
                              struct pgoutput_message *ret, struct err *err) MUST_CHECK;
/** The i-th table of a TRUNCATE. */
uint32_t pgoutput_truncated(const struct pgoutput_message *m, uint32_t i);

/* ---- what surrounds them on a replication connection ---- */

enum { PGOUTPUT_STATUS_BYTES = 34 };

/* XLogData ('w'), or a keepalive ('k'). */
struct pgoutput_frame {
    bool keepalive;
    bool reply;       /* keepalive: an answer is wanted at once */
    uint64_t lsn;     /* XLogData: where it begins. Keepalive: the server has read its log up to */
    int64_t clock_ms; /* of the server when it sent this */
    char *payload;    /* XLogData: the message */
    size_t n;
};
enum err_code pgoutput_frame(char *bytes, size_t n, struct pgoutput_frame *ret,
                             struct err *err) MUST_CHECK;

/** A Standby Status Update: received up to, safely kept up to. */
void pgoutput_status(uint64_t received, uint64_t kept, int64_t wall_ms,
                     char out[PGOUTPUT_STATUS_BYTES]);

#endif
