/*
 * A real PostgreSQL for a C test: a cluster of its own on a unix socket, stopped by its pid.
 *
 * It dies with the test (PR_SET_PDEATHSIG). Run as root, the server becomes the user postgres,
 * since it refuses root. Every function aborts the test with a sentence on stderr when it cannot do
 * what is asked. Blocking; one thread.
 */
#ifndef SLUICE_TESTS_POSTGRES_SERVER_H
#define SLUICE_TESTS_POSTGRES_SERVER_H

#include <libpq-fe.h>
#include <sys/types.h>

enum { POSTGRES_SERVER_DIR_BYTES = 64 };

struct postgres_server {
    pid_t pid; /* 0: not running */
    char
        dir[POSTGRES_SERVER_DIR_BYTES]; /* socket folder and parent of the data; the log: DIR/log */
};

/** Makes and starts a cluster (UTF8, superuser postgres, everyone trusted); returns when it
 * answers. */
void postgres_server_start(struct postgres_server *s);
/** Kills it and removes its folder. Accepts one that is not running. */
void postgres_server_stop(struct postgres_server *s);

/** Stops it as `pg_ctl stop -m fast` does, or, with immediate, without a shutdown; waits for its
 * end. postgres_server_go_on starts it again with the same data. */
void postgres_server_halt(struct postgres_server *s, int immediate);
void postgres_server_go_on(struct postgres_server *s);

/** A blocking connection as postgres; database NULL: postgres. PQfinish by the caller. */
PGconn *postgres_server_connect(const struct postgres_server *s, const char *database);
/** Runs SQL (several statements allowed) in database (NULL: postgres). */
void postgres_server_run(const struct postgres_server *s, const char *database, const char *sql);
/** The first value of a query's first row as a number. */
long postgres_server_number(const struct postgres_server *s, const char *database, const char *sql);

#endif
