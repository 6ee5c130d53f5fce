/*
 * Texts with placeholders and pointers into JSON: the smallest parts of a connector, as plain data.
 *
 * Placeholders are resolved to kinds and indexes when a connector is read.
 */
#ifndef SLUICE_CONNECTOR_TEMPLATE_DATA_H
#define SLUICE_CONNECTOR_TEMPLATE_DATA_H

#include "protocol/config/config.h"

enum { CONNECTOR_FILTERS_MAX = 4 };

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
    PIECE_CONFLICTS, /* index: bits of batch_conflicts; true where the sync has one, else absent */
    PIECE_KEY_AS,
    PIECE_RECORDS,
    PIECE_NOW,
    PIECE_NOW_MS,
    PIECE_SESSION_ID,
    PIECE_SESSION_SEQ,
    PIECE_SESSION_LAST,
    PIECE_AUTH,  /* index: in connector->auth_vars; 0 is always `token` */
    PIECE_VAR,   /* index: in connector->vars */
    PIECE_JOIN,  /* index: in step->joins */
    PIECE_GROUP, /* index: in object->group_by */
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

#endif
