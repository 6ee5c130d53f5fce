/*
 * A connector: how one vendor's API is spoken to, as plain data read from YAML (README.md here is
 * the grammar).
 *
 * connector_read (read.h) makes it and reports every mistake; a connector that was read without one
 * has no dangling name: steps, joins, options, variables and placeholders are resolved to indexes.
 * The worker turns it into flat programs; the scheduler and `sluice check` read its capabilities.
 * Lives in the project's arena. Read-only; any thread.
 */
#ifndef SLUICE_CONNECTOR_CONNECTOR_H
#define SLUICE_CONNECTOR_CONNECTOR_H

#include "protocol/config/config.h"
#include "protocol/wire/batch.h"

enum {
    CONNECTOR_OPTIONS_MAX = 64,
    CONNECTOR_VARS_MAX = 32,  /* captured names of one connector, those of auth apart */
    CONNECTOR_STEPS_MAX = 16, /* of one request */
    CONNECTOR_RULES_MAX = 64, /* of one list */
    CONNECTOR_GROUPS_MAX = 8, /* limit groups; 1 is main */
    CONNECTOR_FILTERS_MAX = 4,
};

/* ---- templates ---- */

enum piece_kind {
    PIECE_TEXT,   /* text */
    PIECE_OPTION, /* index: in connector->options */
    PIECE_SYNC,
    PIECE_RUN,
    PIECE_BATCH,
    PIECE_PART,
    PIECE_ATTEMPT,
    PIECE_OBJECT,
    PIECE_IDENTIFY_BY,
    PIECE_CONFLICT_FIELDS, /* names of the fields with a conflict policy, and of newest_wins' */
    PIECE_KEY_AS,
    PIECE_RECORDS,
    PIECE_NOW,
    PIECE_NOW_MS,
    PIECE_SESSION_ID,
    PIECE_SESSION_SEQ,
    PIECE_SESSION_LAST,
    PIECE_AUTH, /* index: in connector->auth_vars; 0 is always `token` */
    PIECE_VAR,  /* index: in connector->vars */
    PIECE_JOIN, /* index: in step->joins */
    /* only where a record is: */
    PIECE_OP,
    PIECE_KEY,
    PIECE_KEY_NAMED, /* text: the key field */
    PIECE_FIELD,     /* text: the field as in `to:`, dots between levels */
    PIECE_INDEX,
    PIECE_TRACE,
    PIECE_UID,
    PIECE_FOUND,
    /* only below $row's cell: */
    PIECE_CELL,
    PIECE_COLUMN,
};

enum filter_kind {
    FILTER_RAW, /* in a url: not percent-encoded */
    FILTER_LOWER,
    FILTER_UPPER,
    FILTER_MD5,
    FILTER_SHA1,
    FILTER_SHA256,
    FILTER_BASE64,
    FILTER_URL,
    FILTER_JSON,
    FILTER_AS_TEXT,
    FILTER_AS_NUMBER,
    FILTER_ULID,
};

struct piece {
    enum piece_kind kind;
    const char *text;
    uint32_t index;
    uint8_t filter_count;
    enum filter_kind filters[CONNECTOR_FILTERS_MAX];
};

/* Pieces one behind the other. count 0: an empty text. */
struct template
{
    const struct piece *pieces;
    size_t count;
    struct config_place place; /* line 0: not given */
};

struct named_template {
    const char *name;
    struct template value;
};

/* A JSON pointer split at its slashes, unescaped; "*" as a whole level is a wildcard,
 * {{identify_by}} as a whole level stands for the sync's key field. */
enum pointer_level_kind { LEVEL_NAME, LEVEL_ANY, LEVEL_IDENTIFY_BY };
struct pointer_level {
    enum pointer_level_kind kind;
    const char *name;
    int64_t index; /* the name as an array index; -1: it is none */
};
struct pointer {
    bool given;
    const struct pointer_level *levels;
    size_t count; /* 0: the whole value */
};
struct pointer_list {
    const struct pointer *items;
    size_t count;
};

/* ---- trees ---- */

enum tree_kind {
    TREE_LITERAL, /* literal: compact JSON */
    TREE_VALUE,   /* text: a template; one piece alone keeps its type */
    TREE_JSON,    /* text: a template that gives JSON */
    TREE_OBJECT,  /* members */
    TREE_ARRAY,   /* items */
    TREE_RECORDS, /* items[0] once per record that `only` admits */
    TREE_RECORD,  /* items[0] with the request's one record, or below further guards */
    TREE_COLUMNS, /* names */
    TREE_ROW,     /* items[0]: a cell, NULL: the value itself; items[1]: the filler */
    TREE_BY_OP,   /* ops[op]; NULL: null */
};

enum member_kind { MEMBER_NAMED, MEMBER_FIELDS, MEMBER_KEYS };
enum null_kind { NULL_DEFAULT, NULL_SEND, NULL_OMIT, NULL_TEXT };
enum render_as { AS_DEFAULT, AS_NATIVE, AS_TEXT };

struct null_policy {
    enum null_kind kind;
    const char *text; /* NULL_TEXT */
};

enum { CHOICE_ANY = -1, CHOICE_CONFLICTS = 100 };

/* Which fields $fields, $columns and csv give, and how. */
struct field_choice {
    enum render_as as;
    struct null_policy null;
    bool flat;  /* nested: false */
    int policy; /* enum field_policy of the fields that are meant; CHOICE_ANY; CHOICE_CONFLICTS: all
                   that have one, and newest_wins' */
    const char *const *except; /* names; "{{identify_by}}": the field that names the record */
    size_t except_count;
    const char *const *only; /* count 0: all */
    size_t only_count;
    const struct param *names; /* `as:` of $columns: field → name */
    size_t name_count;
};

struct member {
    enum member_kind kind;
    struct template name;     /* NAMED */
    const struct tree *value; /* NAMED */
    struct field_choice fields;
};

/* Which records an array holds. */
struct record_filter {
    uint32_t ops;      /* bit per record_op; 0: all */
    const char *field; /* and this field's text is one of in; NULL: any */
    const char *const *in;
    size_t in_count;
};

struct tree {
    enum tree_kind kind;
    const char *literal;
    struct template text;
    const struct member *members;
    const struct tree *const *items;
    size_t count;               /* members or items */
    const struct tree *ops[6];  /* BY_OP; by record_op */
    struct record_filter only;  /* RECORDS */
    struct field_choice fields; /* COLUMNS, ROW */
    bool omit_null;             /* OBJECT with `$null: omit`: null members are left out */
    const struct piece *guards; /* $if: present where any of these is neither null nor absent */
    size_t guard_count;
    struct config_place place;
};

/* ---- classification ---- */

enum test_kind {
    TEST_EXISTS, /* flag */
    TEST_IN,     /* texts: scalars as JSON would print them, without quotes */
    TEST_MATCHES,
    TEST_AT_LEAST,
    TEST_AT_MOST,
};

struct test {
    enum test_kind kind;
    bool flag;
    const char *const *texts;
    size_t text_count;
    const char *pattern; /* PCRE2, checked */
    double number;
};

/* Something in an entry or an answer: the value at any place the pointer names passes the test. */
struct json_test {
    struct pointer at;
    struct test test;
};

struct status_range {
    uint16_t from, to;
};

enum body_test { BODY_ANY, BODY_NOT_JSON, BODY_EMPTY, BODY_JSON };
enum answer_test { ANSWER_CAME, ANSWER_NONE, ANSWER_UNSENT };
enum records_test { RECORDS_ANY, RECORDS_ONE, RECORDS_MANY };

struct header_test {
    const char *name;
    struct test test;
};

struct condition {
    const struct status_range *statuses;
    size_t status_count; /* 0: any */
    const struct header_test *headers;
    size_t header_count;
    const struct json_test *json;
    size_t json_count;
    enum body_test body;
    enum answer_test answer;
    enum records_test records;
    uint32_t ops; /* bit per record_op of which the request holds one; 0: any */
    int32_t step; /* -1: any */
};

enum rule_do {
    DO_OK,
    DO_THROTTLE,
    DO_RETRY,
    DO_AUTH,
    DO_SPLIT,
    DO_DROP,
    DO_REJECT,
    DO_NOT_FOUND,
    DO_FAIL,
    DO_HALT,
    DO_PENDING,
    DO_RESTART,
    DO_GOTO,
};

enum reader_kind { READ_FIXED, READ_HEADER, READ_JSON, READ_CLOCK };
enum reader_unit {
    UNIT_RETRY_AFTER, /* seconds or an HTTP date */
    UNIT_SECONDS,
    UNIT_MS,
    UNIT_MINUTES,
    UNIT_EPOCH, /* seconds since 1970 */
};
enum clock_edge {
    EDGE_UTC_MIDNIGHT,
    EDGE_CENTRAL_MIDNIGHT,
    EDGE_PACIFIC_MIDNIGHT,
    EDGE_NEXT_HOUR,
    EDGE_NEXT_SECOND
};

/* How long to leave a destination alone. */
struct delay_reader {
    enum reader_kind kind;
    uint64_t fixed_ms;
    const char *header;
    struct pointer at;
    enum reader_unit unit;
    enum clock_edge edge;
};
struct delay_readers {
    const struct delay_reader *items;
    size_t count;
};

enum verdict_by {
    BY_NOTHING, /* counts only, or no entries at all */
    BY_POSITION,
    BY_INDEX,
    BY_INDEXES,
    BY_POINTER,
    BY_KEY,
    BY_TRACE,
    BY_COLUMN,
};
enum verdict_format { FORMAT_JSON, FORMAT_CSV, FORMAT_NDJSON };
enum key_form { KEY_PLAIN, KEY_LOWER, KEY_MD5_LOWER };

struct verdict_source {
    struct pointer at;
    enum verdict_by by;
    enum verdict_format format;
    struct pointer value; /* of index, indexes, pointer, key, trace */
    int64_t base;
    const char *matches; /* BY_POINTER: PCRE2 with one group */
    const char *column;  /* BY_COLUMN; NULL: the key's */
    enum key_form key_form;
    struct json_test in;        /* at.given false: none; else: only entries that hold it … */
    struct record_filter among; /* … and BY_INDEX: they count only these records: those of the
                                   step's $records array that `in` names */
    struct json_test ok;        /* likewise; given: entries that hold it are accepted */
    struct json_test retryable, accept, not_found, throttle;
    struct pointer_list message;
    struct pointer code;
};

enum counts_then { COUNTS_ACCEPT, COUNTS_SPLIT };

struct verdicts {
    const struct verdict_source *sources;
    size_t source_count;
    enum { UNMENTIONED_ACCEPT, UNMENTIONED_OPEN, UNMENTIONED_REJECT } unmentioned;
    struct pointer failed; /* counts; given: they are told */
    struct pointer reasons;
    enum counts_then then;
    const struct pointer *assert_sum; /* their sum must be the number of records */
    size_t assert_count;
    uint32_t assert_least; /* or at least this; 0: exactly the number of records */
};

struct rule {
    struct condition when;
    enum rule_do act;
    uint32_t step; /* GOTO */
    struct delay_readers wait;
    struct pointer_list message;
    const char *text; /* words of the connector's own; NULL: the destination's */
    bool unsure_set, unsure;
    const struct verdicts *verdicts; /* NULL: the step's */
    struct config_place place;
};

struct rule_list {
    const char *name; /* NULL: written in place */
    const struct rule *rules;
    size_t count;
};

struct signal {
    const char *header;
    struct pointer json;                     /* given: the header's value is JSON */
    enum { SIGNAL_NUMBER, SIGNAL_RATIO } as; /* RATIO: "used/total", also behind "name=" */
    struct test test;
    struct delay_readers pause; /* READ_JSON: within this header's JSON */
};

/* ---- requests ---- */

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
    uint32_t var;        /* where the next page's address or cursor goes */
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
    bool if_conflicts; /* only where the sync has conflict policies or newest_wins */
    int32_t if_option; /* -1: none; only carried out where this option is set and not false */
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
};

/* ---- auth ---- */

enum hmac_encoding { HMAC_HEX, HMAC_BASE64 };
struct hmac_sign {
    const char *header; /* NULL: none */
    const char *query;  /* NULL: none; else it goes there instead */
    const char *algorithm;
    struct template secret;
    bool of_body;
    struct template of;
    enum hmac_encoding encoding;
    struct template prefix;
};

struct sigv4 {
    bool given;
    struct template service, region, key, secret;
};

enum grant { GRANT_REFRESH, GRANT_CLIENT, GRANT_JWT, GRANT_REQUEST };

/* How a token is got: one request. */
struct token_request {
    enum grant grant;
    struct step step; /* method, url, headers, query, body */
    bool basic;
    struct template user, password;
    struct template refresh; /* the first refresh token; count 0: none */
    bool rotates;
    const struct capture *captures; /* var: in auth_vars */
    size_t capture_count;
    uint64_t lifetime_ms; /* where the answer names none */
    /* JWT */
    const char *jwt_algorithm;
    struct template jwt_key; /* PEM */
    const struct named_template *jwt_headers;
    size_t jwt_header_count;
    const struct named_template *jwt_claims;
    size_t jwt_claim_count;
    uint64_t jwt_ms;
};

enum { AUTH_TOKEN, AUTH_EXPIRES, AUTH_REFRESH, AUTH_ASSERTION, AUTH_VARS_FIXED };

struct auth {
    const uint32_t *when; /* options that must be set */
    size_t when_count;
    const struct named_template *headers;
    size_t header_count;
    const struct named_template *query;
    size_t query_count;
    const struct named_template *body;
    size_t body_count;
    bool basic;
    struct template user, password;
    struct hmac_sign hmac;
    struct sigv4 sigv4;
    const struct token_request *token; /* NULL: none */
    struct config_place place;
};

/* ---- objects ---- */

enum object_conflict { CONFLICT_CANNOT, CONFLICT_NATIVE, CONFLICT_LOOKUP };
enum repeat_kind { REPEAT_SAFE, REPEAT_KEYED, REPEAT_DOUBLE };
enum field_type {
    FIELD_ANY,
    FIELD_IS_TEXT,
    FIELD_IS_NUMBER,
    FIELD_IS_BOOL,
    FIELD_IS_DATE,
    FIELD_IS_TIMESTAMP,
    FIELD_IS_JSON,
    FIELD_IS_LIST,
};

struct object_field {
    const char *name; /* "*": any other */
    enum field_type type;
    bool required;
    const char *recipe; /* NULL: none */
    const char *as;     /* keys: its name in the API; NULL: the same */
    bool keeps;         /* keys: `remove: false`: not for removals */
    const char *about;
};

struct object {
    const char *name; /* as written; at most one "*" */
    const char *about;
    const struct object_field *keys;
    size_t key_count;
    const struct object_field *fields;
    size_t field_count;
    const char *const *any_of;
    size_t any_of_count;
    uint32_t modes;    /* bit per sync_mode */
    uint32_t removals; /* bit per on_removed; ignore is always among them */
    enum object_conflict set_if_empty, create_only, newest_wins, merge_arrays;
    enum repeat_kind repeat;
    uint32_t max_records;
    uint32_t batch_records; /* the default */
    uint64_t max_bytes;
    uint64_t batch_bytes;    /* the default; 0: max_bytes */
    uint64_t max_item_bytes; /* 0: none */
    uint32_t max_values;     /* 0: none */
    bool one_lane;
    const char *lane_field; /* destination field; NULL: none */
    uint64_t hold_ms;
    bool session;
    enum render_as fields_as;
    struct null_policy null;
    const struct step *ensure;
    size_t ensure_count;
    const struct request *requests;
    size_t request_count;
    int8_t request_of[6]; /* by record_op: index in requests, -1: it cannot */
    struct config_place place;
};

/* ---- the whole ---- */

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_BOOL, OPTION_MAP };

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
