/*
 * The tree of one YAML file, every node with its place.
 *
 * Scalars carry the type that YAML 1.2's core schema gives them: `no`, `n` and `on` are text.
 * Aliases share the node of their anchor; `weight` counts what a tree would be if they were copied,
 * and is limited, so that nothing that walks a tree can run away. Nodes live in the project's
 * arena; read-only once expand_tree (expand.h) has been over them.
 */
#ifndef SLUICE_CONFIG_NODE_H
#define SLUICE_CONFIG_NODE_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };
enum core_type { CORE_NULL, CORE_BOOL, CORE_INT, CORE_FLOAT, CORE_TEXT };

struct node;

struct pair {
    const char *key;
    struct config_place at; /* of the key */
    struct node *value;
};

struct node {
    enum node_kind kind;
    enum core_type type; /* of a scalar */
    struct config_place at;
    const char *text;    /* of a scalar, without NUL inside */
    struct node **items; /* of a list */
    struct pair *pairs;  /* of a map, in written order, without duplicates */
    size_t count;        /* items or pairs */
    uint32_t weight;     /* nodes in the tree below and with this one, aliases counted in full */
    uint32_t height;     /* 1 for a scalar */
    bool open;           /* its children are still being read: an alias to it would be a circle */
    bool expanded;       /* expand_tree was here */
    bool substituted;    /* text holds a value from outside: never shown */
    bool broken;         /* a mistake was reported for it: no further ones */
};

/** The pair with this key, NULL where there is none or node is not a map. */
const struct pair *node_get(const struct node *node, const char *key);
/** True for a scalar of core type text. */
bool node_is_text(const struct node *node);
/** True for a scalar of core type text that is exactly word. */
bool node_is_word(const struct node *node, const char *word);
/** True for a scalar that can be read as type: it is one, or the environment put in a text that
 * looks so. */
bool node_is_core(const struct node *node, enum core_type type);
bool node_is_true(const struct node *node);
/** "a map", "a list", "a number", …: for messages. */
const char *node_kind_name(const struct node *node);

/** The type of a plain scalar (YAML 1.2.2, 10.3.2). */
enum core_type core_type_of(const char *text);
/** Reads a whole number that is not negative; false where it is none or does not fit. */
bool core_whole(const char *text, uint64_t *ret);

/**
 * Appends node as JSON: text as a string, numbers as written where JSON can spell them so. Errors:
 * ERR_INVALID (a number that JSON does not have), ERR_FULL, ERR_NOMEM.
 */
enum err_code node_put_json(struct buf *b, const struct node *node) MUST_CHECK;

#endif
