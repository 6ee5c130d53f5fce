/*
 * A record as JSON for people: its key and its fields as one flat object each, the levels of a path
 * joined by dots. What is sent is the connectors' business, not this.
 */
#ifndef SLUICE_WIRE_RECORD_JSON_H
#define SLUICE_WIRE_RECORD_JSON_H

#include "protocol/wire/batch.h"

/** Appends {"name":value,…} of the record's key. Errors: ERR_FULL, ERR_NOMEM, ERR_BUG. */
enum err_code record_key_json(struct buf *out, const struct batch_head *head,
                              const struct record *r) MUST_CHECK;
/** The same of its fields, absent ones left out; nothing where it has none (removals). */
enum err_code record_fields_json(struct buf *out, const struct batch_head *head,
                                 const struct record *r) MUST_CHECK;

#endif
