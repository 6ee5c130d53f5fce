/* What `sluice capacity` says of a survey: a table and sentences for people, JSON lines for
 * programs.
 */
#ifndef SLUICE_CLI_CAPACITY_PRINT_H
#define SLUICE_CLI_CAPACITY_PRINT_H

#include "protocol/base/buf.h"
#include "scheduler/capacity/survey.h"

enum { CAPACITY_TEXT_BYTES = 64 << 20 };

enum err_code capacity_put_text(struct buf *b, const struct capacity_survey *s) MUST_CHECK;
/** One object per target (one for all where they are alike), then one with "needs", and one with
 * the "costs" that it was reckoned with. */
enum err_code capacity_put_json(struct buf *b, const struct capacity_survey *s) MUST_CHECK;

#endif
