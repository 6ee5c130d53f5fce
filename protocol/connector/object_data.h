/*
 * What a destination holds, as a connector describes it: keys, fields, modes, maximums, and the
 * requests that write it. The capabilities that `sluice check` goes by.
 */
#ifndef SLUICE_CONNECTOR_OBJECT_DATA_H
#define SLUICE_CONNECTOR_OBJECT_DATA_H

#include "protocol/connector/step_data.h"

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

enum { OBJECT_GROUP_MAX = 8 }; /* fields of `group_by` */

struct object_field {
    const char *name; /* "*": any other */
    enum field_type type;
    bool required;
    const char *recipe; /* NULL: none */
    struct config_place recipe_at;
    const char *as; /* keys: its name in the API; NULL: the same */
    bool keeps;     /* keys: `remove: false`: not to delete by */
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
    const uint32_t *needs; /* options that a destination must have for it */
    size_t need_count;
    uint32_t modes;    /* bit per sync_mode */
    uint32_t removals; /* bit per on_removed; ignore is always among them */
    enum object_conflict set_if_empty, create_only, newest_wins, merge_arrays;
    enum repeat_kind repeat;
    uint32_t max_records;
    uint32_t batch_records; /* the default */
    uint64_t max_bytes;
    uint64_t batch_bytes;        /* the default; 0: max_bytes */
    uint64_t max_item_bytes;     /* 0: none */
    uint32_t max_values;         /* 0: none */
    const char *const *group_by; /* fields whose values all records of a batch share */
    size_t group_count;
    const char *order_by;  /* field by which the records of a batch are sorted; "{{identify_by}}":
                              the one that names the record; NULL: as they come */
    const char *unique_by; /* field of which no value comes twice in a batch; NULL: none */
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

#endif
