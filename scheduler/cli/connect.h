/*
 * `sluice check --connect`: whether everything outside the project is there, one line for each.
 *
 * Reads the project, asks servers, changes nothing anywhere: models are described and planned, not
 * run; destinations are reached, not written to. One thread; waits.
 */
#ifndef SLUICE_CLI_CONNECT_H
#define SLUICE_CLI_CONNECT_H

#include "protocol/base/err.h"
#include "protocol/config/config.h"
#include "scheduler/cli/check_print.h"

#include <libpq-fe.h>

struct connect_report {
    enum check_form form;
    bool wrong;       /* something the project or its secrets have to mend */
    bool unreachable; /* a server was not reached */
};

/** One line: err NULL is well, text says with what; else what is wrong. */
void connect_say(struct connect_report *r, const char *kind, const char *name,
                 const struct err *err, const char *text);

/** Sources, models and the columns that their syncs want. */
void connect_sources(struct connect_report *r, const struct project *p);
/** What the streams of this source need there. conn: to the source. */
void connect_streams(struct connect_report *r, const struct project *p, const struct source *source,
                     PGconn *conn);
void connect_redis(struct connect_report *r, const struct project *p);
/** A source of type redis answers; name: of its server, for people. */
enum err_code connect_redis_source(const struct source *source, char *name, size_t n,
                                   struct err *err) MUST_CHECK;
void connect_destinations(struct connect_report *r, const struct project *p);

#endif
