/*
 * What tests of quotas and runs have in common: the loop, the project and the state around them,
 * and an engine that has nothing to say. cmocka asserts inside.
 */
#ifndef SLUICE_TESTS_RUN_AROUND_H
#define SLUICE_TESTS_RUN_AROUND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/clock.h"
#include "protocol/config/config.h"
#include "scheduler/run/quota.h"
#include "scheduler/state/state.h"

enum { AROUND_DEADLINE_MS = 60000, AROUND_PATH_BYTES = 128 };

#define check(code, err)                                                                           \
    do {                                                                                           \
        if (code)                                                                                  \
            fail_msg("%s", (err)->text);                                                           \
    } while (0)

/* Turns the loop of w->base until the condition holds; a deadline fails the test. */
#define UNTIL(w, condition)                                                                        \
    do {                                                                                           \
        int64_t since_ms = clock_mono_ms();                                                        \
        while (!(condition)) {                                                                     \
            around_turn((w)->base);                                                                \
            if (clock_mono_ms() - since_ms > AROUND_DEADLINE_MS)                                   \
                fail_msg("not in time: " #condition);                                              \
        }                                                                                          \
    } while (0)

/** Tells nobody anything. */
extern const struct log around_quiet;

/** Once around the loop. */
void around_turn(struct event_base *base);
/** A host with nothing to say: no other workers, every term is right, nothing is noted. The caller
 * sets what it works with, and what it wants to hear. */
struct quota_host around_host(void);
/** A folder of its own, by a template as mkdtemp has it. */
void around_folder(char *dir);
/** The project of this text, as sluice.yaml of the folder. */
struct project *around_project(const char *dir, const char *text);
/** The state in a folder of that one, which is made where it is missing. */
struct state *around_state(const char *dir, const char *name);
void around_remove(const char *dir);

#endif
