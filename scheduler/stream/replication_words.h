/*
 * The commands of a replication connection as text (documentation of PostgreSQL, "Streaming
 * Replication Protocol"), and the places in its log that are written in them. Pure.
 */
#ifndef SLUICE_STREAM_REPLICATION_WORDS_H
#define SLUICE_STREAM_REPLICATION_WORDS_H

#include "protocol/base/buf.h"

#include <libpq-fe.h>

enum { LSN_TEXT_BYTES = 24 };

/** 0: not one. */
uint64_t replication_lsn(const char *text);
/** As PostgreSQL writes it, 16/B374D848; returns out. */
const char *replication_lsn_text(uint64_t lsn, char out[LSN_TEXT_BYTES]);

/** Values are to be printed as a batch read (scheduler/source/pg_send.c) has them printed. */
enum err_code replication_words_settings(struct buf *out, PGconn *conn) MUST_CHECK;
extern const char replication_words_timeout[];
enum err_code replication_words_create(struct buf *out, const char *slot) MUST_CHECK;
enum err_code replication_words_begin(struct buf *out, const char *slot, const char *publication,
                                      uint64_t lsn) MUST_CHECK;

/** Appends name as an identifier, in double quotes. */
enum err_code sql_put_identifier(struct buf *out, struct slice name) MUST_CHECK;
/** Appends text as a literal, in single quotes (standard_conforming_strings is on). */
enum err_code sql_put_literal(struct buf *out, struct slice text) MUST_CHECK;
/** Appends a table as the configuration writes it, each part as an identifier. Errors: ERR_CONFIG.
 */
enum err_code sql_put_table(struct buf *out, const char *table) MUST_CHECK;

#endif
