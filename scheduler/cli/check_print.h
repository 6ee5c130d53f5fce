/*
 * What `sluice check` found, in the form that was asked for: for people, as JSON lines, as
 * annotations of a GitHub workflow, as a Code Quality report for GitLab.
 *
 * Paths are those of the project folder for people and in JSON, and those of the current folder in
 * the other two, which is where a job of theirs looks for them. One thread.
 */
#ifndef SLUICE_CLI_CHECK_PRINT_H
#define SLUICE_CLI_CHECK_PRINT_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"

enum check_form { CHECK_TEXT, CHECK_JSON, CHECK_GITHUB, CHECK_GITLAB };

/** name: github or gitlab. False: it is another. */
bool check_form_read(const char *name, enum check_form *ret);

/** Appends one for people: file:line:col: text. */
enum err_code check_put_problem(struct buf *b, const struct problem *p) MUST_CHECK;
/** Appends all of them. folder: the project's, as it was named; here: the current one, absolute. */
enum err_code check_put_problems(struct buf *b, enum check_form form,
                                 const struct problem_list *problems, const char *folder,
                                 const char *here) MUST_CHECK;
/** Appends what is not there, for --connect. */
enum err_code check_put_absence(struct buf *b, enum check_form form, const char *kind,
                                const char *name, const char *text) MUST_CHECK;

#endif
