/*
 * The project as this worker delivers it: every destination with its connector, ready to render.
 *
 * Reads the project folder; secrets stay in here. Counted: a batch in flight keeps the setup under
 * which it was claimed, while a reload puts another one in place. One thread.
 */
#ifndef SLUICE_CLAIM_SETUP_H
#define SLUICE_CLAIM_SETUP_H

#include "protocol/base/log.h"
#include "protocol/config/config.h"
#include "worker/deliver/driver.h"

struct target {
    const struct destination *destination;
    const struct driver *driver;
    void *state;        /* the connector's */
    uint32_t throttled; /* throttling answers in a row */
    /* failed attempts in the log: so many since that moment (monotonic), and those kept back */
    int64_t told_ms;
    uint32_t told;
    uint64_t untold;
};

struct setup {
    unsigned refs;
    struct project *project;
    struct target *targets;
    size_t target_count;
};

/** Loads the project; its mistakes are logged one by one. ret_refused: what was read where nothing
 * came of it; may be NULL. Owned: setup_release. Errors: ERR_CONFIG, ERR_IO, ERR_NOMEM. */
enum err_code setup_load(const char *dir, const struct log *log, struct setup **ret_setup,
                         struct inputs *ret_refused, struct err *err) MUST_CHECK;
struct setup *setup_hold(struct setup *s);
/** Accepts NULL. */
void setup_release(struct setup *s);

/** NULL when this project has no such destination, or has it with another configuration. */
struct target *setup_target(struct setup *s, struct slice destination, struct slice fingerprint);

#endif
