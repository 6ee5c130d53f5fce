/*
 * The requests that a sealed batch would begin with, from `sluice-worker render`: rendering is the
 * worker's, and secrets are starred out there.
 */
#ifndef SLUICE_PLAN_FIRST_REQUEST_H
#define SLUICE_PLAN_FIRST_REQUEST_H

#include "protocol/base/buf.h"

/** Appends its lines (worker/preview.h) to out. Waits for the program. Errors: ERR_IO and what it
 * says on standard error. */
enum err_code first_request(const char *worker_program, const char *project_dir, struct slice batch,
                            struct buf *out, struct err *err) MUST_CHECK;

#endif
