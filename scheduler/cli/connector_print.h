/*
 * What a connector can do, in words: as Markdown for people (a terminal and
 * worker/connectors/README.md show the same text) and as one JSON object.
 */
#ifndef SLUICE_CLI_CONNECTOR_PRINT_H
#define SLUICE_CLI_CONNECTOR_PRINT_H

#include "protocol/base/buf.h"
#include "protocol/connector/connector.h"
#include "scheduler/cli/print.h"

enum { CONNECTOR_TEXT_BYTES = 1 << 20 };

/** A section that begins with "## NAME". */
enum err_code connector_put_markdown(struct buf *b, const struct connector *c) MUST_CHECK;
/** One object without a line end; whole: with everything there is, else what a list shows. */
enum err_code connector_put_json(struct buf *b, const struct connector *c, bool whole) MUST_CHECK;

/* Words that both use. */
extern const char *const connector_mode_words[6];
extern const char *const connector_removal_words[3];
extern const char *const connector_type_words[8];
/** "at least once; a repeat has no effect": what may happen around a crash. */
const char *connector_repeat_words(enum repeat_kind repeat);

#endif
