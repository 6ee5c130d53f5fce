/* The steps of `sluice init` and what they know; each fills a part of the plan, asking where it
 * must. */
#ifndef SLUICE_CLI_INIT_PRIVATE_H
#define SLUICE_CLI_INIT_PRIVATE_H

#include "scheduler/cli/cli.h"
#include "scheduler/cli/init.h"
#include "scheduler/source/pg_shape.h"

struct init {
    const struct cli_options *opts;
    const char *dir;
    bool asks;  /* there is somebody to ask */
    bool known; /* the URL came from the environment */
    struct arena arena;
    struct param url;
    struct source source;
    struct model model;
    PGconn *conn;
    struct pg_shape shape;
    struct project *connectors;
    struct init_match *matches;
    struct init_plan plan;
};

/** An answer; NULL at the end of input, or without a terminal: then err says which option to give.
 */
const char *init_ask(struct init *in, const char *question, const char *option, struct err *err);
/** A URL, as opposed to the name of a variable. */
bool init_is_url(const char *text);

enum err_code init_find_url(struct init *in, struct err *err) MUST_CHECK;
enum err_code init_find_table(struct init *in, struct err *err) MUST_CHECK;
/** Columns, privilege and key. */
enum err_code init_find_rows(struct init *in, struct err *err) MUST_CHECK;
enum err_code init_find_connector(struct init *in, struct err *err) MUST_CHECK;
enum err_code init_find_object(struct init *in, struct err *err) MUST_CHECK;
enum err_code init_find_options(struct init *in, struct err *err) MUST_CHECK;
enum err_code init_find_fields(struct init *in, struct err *err) MUST_CHECK;
/** ERR_USAGE: an option names a column that is not there. */
enum err_code init_no_column(const struct init *in, struct slice name, const char *option,
                             struct err *err);

#endif
