/*
 * The requests that a batch would begin with, as text for people and for `sluice plan`: nothing is
 * sent, no Redis is needed, secrets are starred out.
 */
#ifndef SLUICE_WORKER_PREVIEW_H
#define SLUICE_WORKER_PREVIEW_H

#include "worker/options.h"

/**
 * Reads a sealed batch (wire/batch.h) from stdin; writes one line per request to stdout:
 * {"for":"token"|"ensure"|"records","method":…,"url":…,"headers":{…},"body":…}. A body that is JSON
 * is a value, another one text. What must be known first stands first, and is empty in what
 * follows. Exit status: 0; 65 the batch cannot be read; 78 the project or the batch's destination
 * is wrong.
 */
int preview_run(const struct worker_options *options);

#endif
