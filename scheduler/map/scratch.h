/*
 * Memory for the values of one row: taken in pieces, forgotten all at once by the next row.
 *
 * Pieces never move. After a few rows one block holds them all and nothing is allocated any more.
 * One thread.
 */
#ifndef SLUICE_MAP_SCRATCH_H
#define SLUICE_MAP_SCRATCH_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

enum { SCRATCH_BYTES_MAX = 64 << 20 };

struct scratch_block;

struct scratch {
    struct scratch_block *head;
    size_t total; /* bytes in all blocks */
};

void scratch_done(struct scratch *s);
/** Forgets all pieces. */
void scratch_reset(struct scratch *s);
/**
 * Gives room for n bytes; the part that was used is kept with scratch_keep, before anything else is
 * taken. Errors: ERR_INVALID where one row needs more than SCRATCH_BYTES_MAX, ERR_NOMEM.
 */
enum err_code scratch_room(struct scratch *s, size_t n, char **ret, struct err *err) MUST_CHECK;
void scratch_keep(struct scratch *s, size_t n);

#endif
