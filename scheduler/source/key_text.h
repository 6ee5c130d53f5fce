/*
 * The text of a question for keys: the model's rows, as a batch read gives them, under a condition
 * on the primary key; and the keys as the arrays that its parameters take.
 *
 * The condition is one that PostgreSQL moves into the model: past its projection and joins, and
 * into groups by the key. One thread.
 */
#ifndef SLUICE_SOURCE_KEY_TEXT_H
#define SLUICE_SOURCE_KEY_TEXT_H

#include "protocol/base/value.h"
#include "scheduler/source/model_text.h"

/* What is asked. */
struct key_text {
    struct model_read read;  /* copy: false */
    struct slice statement;  /* of the model */
    const char *const *keys; /* names of the primary key's columns */
    size_t key_count;
    bool plain; /* the model's rows are those of a table: its index serves whole keys */
};

/** Appends a statement that shows, once prepared, as what each key is compared. */
enum err_code key_text_probe(const struct key_text *k, struct buf *out, struct err *err) MUST_CHECK;
/** Appends the statement of the rows: one array parameter for each column of the key.
 * *ret_chars_before as of model_text_read. */
enum err_code key_text_rows(const struct key_text *k, struct buf *out, size_t *ret_chars_before,
                            struct err *err) MUST_CHECK;

/* What decides how a column's values are written. */
struct key_kind {
    enum column_type type;
    bool is_uuid;
};

/** Can v be read as a value of such a column? Another text is the key of no row, and would fail the
 * question. */
bool key_text_fits(struct key_kind kind, struct value v);
/** Appends v as the next element to the array in out (empty: its beginning). The caller closes it
 * with key_text_close. Errors: ERR_NOMEM, ERR_FULL; ERR_INVALID: not a value of a key. */
enum err_code key_text_element(struct key_kind kind, struct value v, struct buf *out) MUST_CHECK;
enum err_code key_text_close(struct buf *out) MUST_CHECK;

#endif
