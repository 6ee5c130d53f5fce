/*
 * What dbt's run_results.json says of models: which of them its last invocation built.
 *
 * Reads the file at once (when a schedule looks), at most RUN_RESULTS_BYTES of it. dbt writes it
 * over with each invocation, also with those that build nothing (compile, test, docs), which say
 * nothing here. One thread.
 */
#ifndef SLUICE_SCHEDULE_RUN_RESULTS_H
#define SLUICE_SCHEDULE_RUN_RESULTS_H

#include "protocol/base/err.h"

#include <stdint.h>

struct run_results;

enum { RUN_RESULTS_BYTES = 32 << 20, RUN_RESULTS_TOKEN_BYTES = 16 };

/** Errors: ERR_NOTFOUND (no file yet), ERR_IO, ERR_INVALID (not run results, or half written),
 * ERR_FULL (longer), ERR_NOMEM. */
enum err_code run_results_read(const char *path, struct run_results **ret_results,
                               struct err *err) MUST_CHECK;
/** Accepts NULL. */
void run_results_free(struct run_results *results);

/**
 * model: a name, or a unique id such as model.shop.customers. Gives a digest of the invocation that
 * built it with success. Errors: ERR_NOTFOUND (this invocation did not: in words), ERR_CONFIG
 * (several of that name).
 */
enum err_code run_results_built(const struct run_results *results, const char *model,
                                uint8_t ret_token[RUN_RESULTS_TOKEN_BYTES],
                                struct err *err) MUST_CHECK;

#endif
