/*
 * A mapping program: turns a model's row into the record that a sync sends.
 *
 * Compiled once per run from the sync's mappings and the model's columns into a flat program;
 * running it allocates nothing per row beyond a scratch buffer that is used again. Pure: the same
 * row gives the same record. One thread per program.
 */
#ifndef SLUICE_MAP_MAP_H
#define SLUICE_MAP_MAP_H

#include "protocol/base/err.h"
#include "protocol/base/value.h"
#include "protocol/config/config.h"
#include "protocol/wire/batch.h"

struct map_program;

/**
 * Compiles. Borrows sync; columns may go afterwards. Errors: ERR_CONFIG with file:line:col (a
 * column that the model does not have, with the nearest name; a transform that never suits its
 * column …).
 */
enum err_code map_compile(const struct sync *sync, const struct column *columns, size_t count,
                          struct map_program **ret_program, struct err *err) MUST_CHECK;
void map_free(struct map_program *p);

/** Target fields, in the order of map_run's values: sorted by path, so that the order in the YAML
 * changes nothing. */
const struct field_path *map_fields(const struct map_program *p, size_t *ret_count);
/** Index of the field with this dotted name; -1: none, or name is NULL. */
int32_t map_find_field(const struct map_program *p, const char *name);
/** Names of the fields of a record's key: identify_by, or the primary key's columns. */
const struct slice *map_key_names(const struct map_program *p, size_t *ret_count);
/** True where the record's key is not simply the primary key, so that state must keep identities.
 */
bool map_has_identity(const struct map_program *p);
/** Index of the lane_by column, -1: none. */
int map_lane_column(const struct map_program *p);
/** Index of the field whose equal values go one at a time, -1: none. */
int32_t map_lane_field(const struct map_program *p);
/** Index of the field with the record's timestamp, by which the newest wins; -1: none. */
int32_t map_newest_field(const struct map_program *p);
/** enum field_policy, one per field; NULL: all overwrite. */
const uint8_t *map_policies(const struct map_program *p);

/** True where the column (of those it was compiled for) is read by a field, the key or a lane. */
bool map_uses_column(const struct map_program *p, size_t column);

/* 128 bits, hex by map_digest_text where people see them. */
struct map_digest {
    uint8_t bytes[16];
};
enum { MAP_DIGEST_TEXT_BYTES = 33 };
/** Writes 32 lower-case hex digits and a NUL into out (MAP_DIGEST_TEXT_BYTES). */
void map_digest_text(const struct map_digest *d, char *out);
/** Of the target names: the seed of every row hash. */
struct map_digest map_names_digest(const struct map_program *p);
/** Of the whole mapping (names, sources, transforms, mode): quarantined rows are tried again when
 * it changes. */
struct map_digest map_fingerprint(const struct map_program *p);

struct mapped {
    const struct value *fields;  /* map_fields order; borrowed until the next map_run */
    const struct value *primary; /* primary key values, borrowed from the row */
    const struct value *keys;    /* map_key_names order: what names the record at the destination */
};

/**
 * Runs the program. Returns ERR_OK, or ERR_INVALID with the reason (it names column or field, never
 * their content). ret->primary is set in either case; a NULL in it is not an error here.
 */
enum err_code map_run(struct map_program *p, const struct row *row, struct mapped *ret,
                      struct err *err) MUST_CHECK;

#endif
