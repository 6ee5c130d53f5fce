/*
 * A rendering program: the target fields of a batch, compiled into the pieces of JSON between
 * values.
 *
 * Fields whose paths begin alike are nested in one object, in the order of their first appearance.
 * It is compiled once per set of names and then runs without looking at a name again. Read-only
 * after compiling.
 */
#ifndef SLUICE_DELIVER_PROGRAM_H
#define SLUICE_DELIVER_PROGRAM_H

#include "protocol/base/buf.h"
#include "protocol/wire/batch.h"

struct program;

/** Errors: ERR_CONFIG when one field stands inside another, ERR_INVALID for a senseless head,
 * ERR_NOMEM. Owned: program_free. */
enum err_code program_new(const struct batch_head *head, struct program **ret_program,
                          struct err *err) MUST_CHECK;
void program_free(struct program *p);

/** Appends bytes that are equal for two heads exactly when one program serves both. */
enum err_code program_key(struct buf *out, const struct batch_head *head) MUST_CHECK;

/** Appends {"op":…,"key":{…},"fields":{…}}. Errors: ERR_FULL, ERR_NOMEM, ERR_BUG for a value that
 * cannot be sent. */
enum err_code program_put(const struct program *p, struct buf *out,
                          const struct record *r) MUST_CHECK;

#endif
