/*
 * A JSON body as a connector describes it: literals, templates, and the places where records and
 * their fields go.
 */
#ifndef SLUICE_CONNECTOR_TREE_DATA_H
#define SLUICE_CONNECTOR_TREE_DATA_H

#include "protocol/connector/template_data.h"

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
struct tree;
struct field_choice {
    enum render_as as;
    const struct tree *merge; /* $fields: the form of a list that is added; NULL: as others */
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

#endif
