/* The line that `sluice run` keeps up to date on a terminal. Reads views, writes to standard error.
 */
#ifndef SLUICE_CLI_PROGRESS_H
#define SLUICE_CLI_PROGRESS_H

#include "scheduler/run/engine.h"

struct progress {
    bool shown; /* a line stands on the terminal */
    int64_t started_ms, drawn_ms;
    uint64_t rate_records; /* at the last measurement */
    int64_t rate_ms;
    double rate; /* records with a verdict per second */
};

void progress_init(struct progress *p);
void progress_draw(struct progress *p, const struct engine_view *views, size_t count);
/** Takes the line away, so that something else can be printed. */
void progress_clear(struct progress *p);

#endif
