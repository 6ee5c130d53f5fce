/*
 * What answers mean, as plain data: conditions, what to do, how long to wait, where verdicts are.
 */
#ifndef SLUICE_CONNECTOR_RULES_DATA_H
#define SLUICE_CONNECTOR_RULES_DATA_H

#include "protocol/connector/tree_data.h"

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
enum session_test { SESSION_ANY, SESSION_FIRST, SESSION_LAST };

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
    const char *body_matches; /* PCRE2, of its beginning; NULL: any */
    enum answer_test answer;
    enum records_test records;
    enum session_test session; /* whether the batch is the run's first, or its last */
    uint32_t ops;              /* bit per record_op of which the request holds one; 0: any */
    int32_t step;              /* -1: any */
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

#endif
