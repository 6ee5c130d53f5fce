/*
 * A template: text with {{column}} in it, as a list of pieces.
 *
 * `\{{` stands for two braces. Gives NULL when it names columns and all of them are NULL, text
 * otherwise.
 */
#ifndef SLUICE_MAP_TEMPLATE_H
#define SLUICE_MAP_TEMPLATE_H

#include "protocol/base/arena.h"
#include "protocol/base/value.h"
#include "scheduler/map/scratch.h"

enum { TEMPLATE_NO_COLUMN = UINT16_MAX };

struct template_piece {
    struct slice text; /* literal, or the column's name */
    uint16_t
        column; /* TEMPLATE_NO_COLUMN: a literal; set by the caller of template_parse for names */
    bool is_column;
};

struct template
{
    struct template_piece *pieces;
    size_t count;
};

/** Splits text; borrows it. Errors: ERR_CONFIG without a place, ERR_NOMEM. */
enum err_code template_parse(struct template *t, const char *text, struct arena *arena,
                             struct err *err) MUST_CHECK;
/** Puts the row's values in. The columns hold no VALUE_BAD. Errors: as scratch_room. */
enum err_code template_run(const struct template *t, const struct row *row, struct scratch *scratch,
                           struct value *ret, struct err *err) MUST_CHECK;

#endif
