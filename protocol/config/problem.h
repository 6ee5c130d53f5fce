/* Inside of a list of mistakes: adding, sorting, and forgetting those of a file that turned out not
 * to be ours. */
#ifndef SLUICE_CONFIG_PROBLEM_H
#define SLUICE_CONFIG_PROBLEM_H

#include "protocol/config/config.h"

enum { PROBLEM_LIMIT = 1000 }; /* more are counted, not kept */

/** Copies place and text. Errors: ERR_NOMEM. */
enum err_code problem_add(struct problem_list *list, enum problem_kind kind, struct config_place at,
                          const char *text) MUST_CHECK;
/** Brings them in file, line, column order and drops repetitions (an alias shows the same text
 * twice). */
void problem_sort(struct problem_list *list);
void problem_forget_file(struct problem_list *list, const char *file);

#endif
