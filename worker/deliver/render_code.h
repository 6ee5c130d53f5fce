/*
 * What a render plan is made of: instructions, and the expressions that say where a value is.
 *
 * An instruction appends to a buffer or jumps; an expression names a value and the filters it goes
 * through. Everything constant is folded into text while compiling. Plain data.
 */
#ifndef SLUICE_DELIVER_RENDER_CODE_H
#define SLUICE_DELIVER_RENDER_CODE_H

#include "protocol/base/value.h"
#include "protocol/connector/connector.h"

/* ---- expressions ---- */

enum origin {
    FROM_CONSTANT,
    FROM_REQUEST, /* index: enum request_value */
    FROM_AUTH,    /* index: in auth_vars */
    FROM_VAR,     /* index: in vars */
    FROM_JOIN,    /* index: in the step's joins */
    FROM_GROUP,   /* index: in the object's group_by; all records have the same */
    /* of the present record: */
    FROM_OP,
    FROM_KEY,   /* index: in the batch's keys */
    FROM_FIELD, /* index: in the batch's fields */
    FROM_INDEX,
    FROM_TRACE,
    FROM_UID,
    FROM_FOUND,
};

/* Texts that are the same for the whole request. */
enum request_value {
    REQUEST_RUN,
    REQUEST_BATCH,
    REQUEST_PART,
    REQUEST_ATTEMPT,
    REQUEST_RECORDS,
    REQUEST_NOW,
    REQUEST_NOW_MS,
    REQUEST_SESSION_ID,
    REQUEST_SESSION_SEQ,
    REQUEST_SESSION_LAST,
    REQUEST_VALUES,
};

struct expr {
    enum origin origin;
    uint32_t index;
    struct value constant; /* CONSTANT: filters are applied already */
    uint32_t filter_count;
    enum filter_kind filters[CONNECTOR_FILTERS_MAX];
};

/* ---- instructions ---- */

enum code {
    CODE_END,
    CODE_TEXT,     /* text */
    CODE_COMMA,    /* a comma, unless a JSON object or array has just been opened */
    CODE_FIELD,    /* a: field, text: ,"name": null_text: what stands for null */
    CODE_OPEN,     /* text: ,"name":{ */
    CODE_CLOSE,    /* ends the object; one without members is taken back, its name too */
    CODE_VALUE,    /* a: expression as JSON; null_text */
    CODE_ESCAPED,  /* a: expression as the inside of a JSON string */
    CODE_RAW,      /* a: expression as text */
    CODE_ENCODED,  /* a: expression percent-encoded */
    CODE_SEGMENT,  /* likewise, in the path of a URL, where it must name something */
    CODE_CELL,     /* a: expression as a CSV field, b: delimiter; null_text */
    CODE_JOINED,   /* a: expression with the escapes of join b */
    CODE_BETWEEN,  /* text, unless nothing has been written yet */
    CODE_QUERY,    /* & or ?, whichever the url needs now */
    CODE_EMBED,    /* embedded JSON begins */
    CODE_EMBEDDED, /* and ends: null where it is empty, a string where it is no JSON */
    CODE_FORM,     /* what follows until FORMED is percent-encoded as a whole */
    CODE_FORMED,
    /* those that go elsewhere */
    CODE_JUMP,    /* a: target */
    CODE_IF_NULL, /* a: target, b: expression */
    CODE_IF_SET,  /* likewise */
    CODE_BY_OP,   /* a: index of six targets */
    CODE_RECORDS, /* begins a loop over the records */
    CODE_NEXT,    /* the next record that filter b admits, or a: where to go without one */
};

enum {
    FLAG_AS_TEXT = 1,       /* numbers and booleans as strings, JSON as a string that holds it */
    FLAG_OMIT_NULL = 2,     /* a null is left out */
    FLAG_EMPTY_AS_NULL = 4, /* a cell of CSV: empty text is written as null is */
};

struct ins {
    uint16_t code;
    uint16_t flags;
    uint32_t a;
    uint32_t b;
    struct slice text;
    struct slice null_text;
};

/* Which records a loop takes. */
struct admission {
    uint32_t ops;
    uint32_t expr; /* NO_EXPR: any */
    const struct record_filter *filter;
};

#endif
