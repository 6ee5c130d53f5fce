/*
 * A connector: how one vendor's API is spoken to, as plain data read from YAML (README.md here is
 * the grammar).
 *
 * connector_read (read.h) makes it and reports every mistake; a connector that was read without one
 * has no dangling name: steps, joins, options, variables and placeholders are resolved to indexes.
 * Its parts are in the …_data.h beside this. The worker turns it into flat programs; the scheduler
 * and `sluice check` read its capabilities. Lives in the project's arena. Read-only; any thread.
 */
#ifndef SLUICE_CONNECTOR_CONNECTOR_H
#define SLUICE_CONNECTOR_CONNECTOR_H

#include "protocol/connector/auth_data.h"
#include "protocol/connector/object_data.h"
#include "protocol/wire/batch.h"

enum {
    CONNECTOR_OPTIONS_MAX = 64,
    CONNECTOR_VARS_MAX = 32,  /* captured names of one connector, those of auth apart */
    CONNECTOR_STEPS_MAX = 16, /* of one request */
    CONNECTOR_RULES_MAX = 64, /* of one list */
    CONNECTOR_GROUPS_MAX = 8, /* limit groups; 1 is main */
};

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_BOOL, OPTION_MAP, OPTION_DIGITS };

struct option {
    const char *name; /* "a.b": key b of the destination's map a */
    enum option_kind kind;
    bool secret;
    bool required;
    const char *preset; /* NULL: none */
    const char *const *one_of;
    size_t one_of_count;
    const char *about;
};

/* Limits by an option's value: the first case whose value is NULL or equal. */
struct limit_case {
    const char *value;
    const struct rate_limit *limits;
    size_t count;
};

struct connector {
    const char *name;
    const char *title;
    const char *docs;
    const char *checked;
    const char *notes;
    const char *driver; /* "http" or "postgres": the latter has no requests */
    bool builtin;
    const struct option *options;
    size_t option_count;
    const struct auth *auths;
    size_t auth_count;
    const char *const *auth_vars; /* token, expires, refresh, assertion, then captured ones */
    size_t auth_var_count;
    const char *const *vars;
    size_t var_count;
    const char *const *groups; /* groups[0] is "main" and has number 1 */
    size_t group_count;
    int32_t limit_option; /* index in options; -1: one case for all */
    const struct limit_case *limit_cases;
    size_t limit_case_count;
    uint32_t open_jobs;   /* 0: no cap */
    uint32_t concurrency; /* 0: the general default */
    uint64_t timeout_ms;
    const struct signal *signals;
    size_t signal_count;
    const struct rule_list *answers;
    size_t answer_count;
    const struct object *objects;
    size_t object_count;
    struct config_place place;
};

/** The object that a sync's `object:` names: an exact name first, then a pattern. NULL object: the
 * only one. ret_star gets what * stood for (or the name). NULL: there is none. */
const struct object *connector_object(const struct connector *c, const char *name,
                                      struct slice *ret_star);
/** The key field, the field itself, or the "*" entry; NULL: it cannot be. */
const struct object_field *object_key(const struct object *o, const char *name);
const struct object_field *object_field(const struct object *o, const char *name);
/** The limits that a destination with these option values has by default. values: one per option,
 * NULL: not set. */
const struct limit_case *connector_limits(const struct connector *c, const char *const *values);
/** The way of authentication that these options choose; NULL: none. */
const struct auth *connector_auth(const struct connector *c, const char *const *values);

#endif
