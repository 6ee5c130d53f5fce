/*
 * What changes between two versions of a project, said: in words for people, as Markdown, as JSON.
 *
 * Pure. What comes from the project is shown as text in any of them.
 */
#ifndef SLUICE_CLI_PLAN_CHANGE_H
#define SLUICE_CLI_PLAN_CHANGE_H

#include "protocol/base/buf.h"
#include "scheduler/plan/compare.h"

enum change_form { CHANGE_WORDS, CHANGE_MARKDOWN, CHANGE_JSON };

/** One line with its end. */
enum err_code change_put(struct buf *b, enum change_form form,
                         const struct sync_change *c) MUST_CHECK;
/** The same of the settings; nothing where they are as they were. */
enum err_code change_put_settings(struct buf *b, enum change_form form,
                                  const struct comparison *c) MUST_CHECK;
/** The rows of a sync could not be read to the end with the earlier version, for this reason. */
enum err_code change_put_unread(struct buf *b, enum change_form form, const char *sync,
                                const char *reason) MUST_CHECK;

#endif
