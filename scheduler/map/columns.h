/* Finding a model's columns by name, with errors that help; used when compiling only. */
#ifndef SLUICE_MAP_COLUMNS_H
#define SLUICE_MAP_COLUMNS_H

#include "protocol/base/value.h"
#include "protocol/config/config.h"

struct columns {
    const struct column *items;
    size_t count;
    const char *const *names;
    const char *model;
    uint8_t *used; /* one per column, set once it was found by name */
};

/** Puts "file:line:col" before the sentence in err and returns its code. */
enum err_code place_prefix(struct err *err, const struct config_place *place);

/**
 * Index of the column called name. user says what wants it ("primary_key"). Errors: ERR_CONFIG with
 * the place, the nearest name and the model's columns; also where two columns have that name.
 */
enum err_code columns_find(const struct columns *c, struct slice name, const char *user,
                           const struct config_place *place, uint16_t *ret,
                           struct err *err) MUST_CHECK;

/** Appends the list of names to the sentence in err, as far as it fits. */
void list_names(struct err *err, const char *intro, const char *const *names, size_t count);

#endif
