/*
 * Reading foreign JSON text (RFC 8259) without building a tree, so that every digit of a number
 * survives.
 *
 * Checks the grammar strictly and finds where values end. Input is valid UTF-8. Allocates nothing.
 */
#ifndef SLUICE_MAP_JSON_SCAN_H
#define SLUICE_MAP_JSON_SCAN_H

#include "protocol/base/attr.h"
#include "protocol/base/slice.h"

enum { JSON_DEPTH_MAX = 128 };

struct json_scan {
    const char *p;
    const char *end;
    const char *reason; /* why the last call failed; static text */
};

/** True when text is exactly one JSON value, with white space around it or not. */
bool json_scan_document(struct slice text, const char **ret_reason) MUST_CHECK;
/** Moves over white space and one value; *ret_value is the value without the space before it. */
bool json_scan_value(struct json_scan *s, struct slice *ret_value) MUST_CHECK;
/** Moves over white space and over c, where c comes next. */
bool json_scan_char(struct json_scan *s, char c) MUST_CHECK;

/**
 * Writes what a scanned string literal (with its quotes) means into out, which has literal.n bytes.
 * Returns NULL, or why it cannot be text.
 */
const char *json_unescape(struct slice literal, char *out, size_t *ret_n) MUST_CHECK;

#endif
