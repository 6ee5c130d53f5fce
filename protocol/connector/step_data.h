/*
 * Requests as a connector describes them: each a list of steps, each step one HTTP request with
 * what is taken from its answer.
 */
#ifndef SLUICE_CONNECTOR_STEP_DATA_H
#define SLUICE_CONNECTOR_STEP_DATA_H

#include "protocol/connector/rules_data.h"

enum body_kind { BODY_NONE, BODY_JSON_TREE, BODY_NDJSON, BODY_FORM, BODY_CSV, BODY_TEXT };

struct form_member {
    const char *name;
    struct template text;
    const struct tree *json; /* set: the member is this tree's JSON text */
};

struct csv_form {
    struct field_choice fields;
    bool header;
    char delimiter;
    const char *line;
    bool key_first;     /* the key fields come first, unless they are fields already */
    bool empty_as_null; /* the destination leaves a field as it is where a cell is empty */
};

struct join {
    const char *name;
    struct template each;
    const char *by;
    const struct param *escapes;
    size_t escape_count;
    const char *refuse; /* characters that no value may hold; NULL: none */
    bool skip_absent;
};

enum capture_from { CAPTURE_JSON, CAPTURE_HEADER };
struct capture {
    uint32_t var; /* in connector->vars, or in auth_vars for a token */
    enum capture_from from;
    struct pointer at;
    const char *header;
    const char *matches; /* PCRE2; its first group is taken; NULL: all */
    struct pointer named; /* given: `at` is a list; of its entry whose value here is {{object}} … */
    struct pointer take; /* … this is taken */
};

enum lookup_missing {
    MISSING_ACCEPT,
    MISSING_NOT_FOUND,
    MISSING_REJECT,
    MISSING_KEEP, /* goes on without `found` */
};
struct lookup_value {
    const char *field; /* destination field; NULL: whichever the policies name ("*") */
    struct pointer at;
};
struct lookup {
    bool single; /* the answer is about the one record */
    struct pointer entries;
    struct pointer key;
    enum key_form key_form;
    struct pointer id;
    enum lookup_missing missing;
    const struct lookup_value *values;
    size_t value_count;
    struct pointer updated;
};

struct poll {
    bool given;
    uint64_t first_ms, every_ms, max_ms, deadline_ms;
    int32_t first_option, every_option; /* -1: none; an option that holds the duration instead */
    double factor;
};

struct pages {
    bool given;
    struct pointer next;
    const char *next_header;
    const char *matches; /* PCRE2; its first group is taken; NULL: all */
    struct pointer of;   /* given: next is the answer's own number, and this the last one's */
    uint32_t var;        /* where the next page's address, cursor or number goes */
    int32_t until;       /* no further page where this var is captured; -1: all are read */
};

struct step {
    const char *name;
    const char *method;
    struct template url;
    const struct named_template *query;
    size_t query_count;
    const struct named_template *headers;
    size_t header_count;
    enum body_kind body;
    const struct tree *json; /* JSON_TREE, NDJSON (of one line) */
    const struct form_member *form;
    size_t form_count;
    struct csv_form csv;
    struct template text;
    bool gzip;               /* always */
    int32_t gzip_option;     /* -1: none; where this option is set and not false */
    const char *idempotency; /* header; NULL: none */
    const struct join *joins;
    size_t join_count;
    uint32_t group; /* of limits; from 1 */
    bool carries;   /* it sends records' fields or keys for writing: costs record limits, and an
                       answer that never came leaves them in doubt */
    uint64_t timeout_ms; /* 0: the destination's */
    int32_t if_var;      /* -1: none; only carried out where this var is known */
    int32_t unless_var;
    uint32_t if_conflicts; /* 0: none; only where the sync has one of these, as batch_conflicts */
    int32_t if_option;     /* -1: none; only carried out where this option is set and not false */
    int32_t unless_option;
    const struct capture *captures;
    size_t capture_count;
    const struct lookup *lookup; /* NULL: none */
    struct poll poll;
    struct pages pages;
    bool opens;
    const struct rule_list *answers; /* never NULL */
    const struct verdicts *verdicts; /* NULL: all accepted */
    struct config_place place;
};

struct request {
    uint32_t ops; /* bit per record_op that shares it */
    const struct step *steps;
    size_t step_count;
    uint32_t max_records; /* 0: the object's */
    uint64_t max_bytes;
    uint32_t groups; /* bit per field of the object's group_by that it uses */
};

#endif
