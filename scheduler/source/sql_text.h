/*
 * SQL as text: just enough of PostgreSQL's lexical rules to find where a statement ends.
 *
 * Knows quotes, E'' strings, dollar quotes, quoted identifiers and nested comments. Pure; never
 * decides what is safe: the server parses the same bytes as one statement before they are used. Any
 * thread.
 */
#ifndef SLUICE_SOURCE_SQL_TEXT_H
#define SLUICE_SOURCE_SQL_TEXT_H

#include "protocol/base/slice.h"

#include <stdint.h>

/** text without the white space, comments and semicolons at its end; what stands before them is
 * untouched. */
struct slice sql_text_statement(struct slice text);

/** True when the first word is one that begins a query: SELECT, WITH, VALUES, TABLE or a
 * parenthesis. */
bool sql_text_is_query(struct slice text);

/** True when text can stand in parentheses without changing what stands around them: its own
 * parentheses pair, outside of quotes and comments, and no semicolon parts it. */
bool sql_text_is_enclosed(struct slice text);

/* Both from 1, in characters. */
struct sql_place {
    uint32_t line;
    uint32_t col;
};

/** Where the n-th character (from 0) of the UTF-8 text stands. */
struct sql_place sql_text_place(struct slice text, size_t n);

/** Characters of the UTF-8 text. */
size_t sql_text_chars(struct slice text);

/**
 * The next part of a name such as `schema."my table"`: the part with its quotes undone goes to out
 * (at least name->n bytes). Moves *name behind the part and its dot. False at a malformed name.
 */
bool sql_text_name_part(struct slice *name, char *out, size_t *ret_n);

#endif
