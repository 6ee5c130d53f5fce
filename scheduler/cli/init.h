/*
 * What `sluice init` is going to write: a table's columns matched to an object's fields, and the
 * text of the project's file.
 *
 * command_init.c fills the plan; matching and writing are pure. Borrows everything. One thread.
 */
#ifndef SLUICE_CLI_INIT_H
#define SLUICE_CLI_INIT_H

#include "protocol/base/buf.h"
#include "protocol/connector/connector.h"

/* What becomes of a column. */
struct init_match {
    const char *column;
    const char *field; /* where it goes; NULL: nowhere known */
};

struct init_option {
    const struct option *option;
    const char *value; /* as given; NULL: from the environment */
    const char *variable;
};

struct init_plan {
    const char *variable; /* of the database's URL */
    const char *model;    /* its name in the project */
    const char *table;    /* or query */
    const char *query;
    const char *const *key;
    size_t key_count;
    bool key_guessed;
    const struct connector *connector;
    const struct object *object;
    const char *object_name; /* NULL: the only one */
    const char *identify_by; /* NULL: the primary key */
    enum sync_mode mode;
    const struct init_match *matches;
    size_t match_count;
    const struct init_option *options;
    size_t option_count;
};

/**
 * Gives each column the field of plan's object whose name is its own: the same letters, else a
 * common synonym. A field takes one column. Where the object takes any field, and its vendor does
 * not want them made before, what is left over goes to a field of its own name. Every match has its
 * column set; one that has a field already keeps it. Errors: ERR_NOMEM (the arena, which names may
 * live in).
 */
enum err_code init_match(struct arena *arena, const struct init_plan *plan,
                         struct init_match *matches, size_t count) MUST_CHECK;
/** The first of the object's keys that a column is matched to; NULL: none, or the object names
 * none.
 */
const char *init_key(const struct object *o, const struct init_match *matches, size_t count);
/** The object's records can be named by any field, and so by the primary key's columns. */
bool init_takes_any_key(const struct init_plan *plan);

/** Appends the project's file. */
enum err_code init_yaml(struct buf *out, const struct init_plan *plan) MUST_CHECK;

/**
 * Writes sluice.yaml and .gitignore to dir, which is made where it is missing, if the project is
 * right (variables that are not set count as set). Returns the exit status; says what is wrong.
 */
int init_write(const char *dir, const struct init_plan *plan);
/** ERR_USAGE, naming what is there, where dir is no empty folder. */
enum err_code init_folder_free(const char *dir, struct err *err) MUST_CHECK;

#endif
