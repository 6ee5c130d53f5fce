/* What the parts of the double share. */
#ifndef SLUICE_TESTS_API_DOUBLE_PRIVATE_H
#define SLUICE_TESTS_API_DOUBLE_PRIVATE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "double.h"

enum { RUNS_MAX = 32, PAUSED_MAX = 16, LISTENERS_MAX = 4, AUDIT_MAX = 64 };

struct under_way {
    struct run_record record;
    enum control_phase phase;
};

struct audit_line {
    int64_t time_ms;
    char actor[100], action[32], target[250], outcome[ERR_TEXT_BYTES];
};

struct control {
    struct folder *folder;
    struct state *state;
    int64_t started_ms;
    const char *why_not_ready;
    char reload_error[ERR_TEXT_BYTES];
    struct under_way runs[RUNS_MAX];
    struct control_run_view views[RUNS_MAX];
    size_t run_count;
    unsigned next_run;
    char paused[PAUSED_MAX][256]; /* "sync:name", "destination:name"; empty: free */
    struct {
        control_event_cb cb;
        void *ctx;
    } listeners[LISTENERS_MAX];
    size_t listener_count;
    struct audit_line audit[AUDIT_MAX];
    size_t audit_count;
    uint64_t used[16];
    char streams[STATE_NAME_MAX + 1]; /* the sync that does; empty: none */
    struct stream_view stream;
};

#define must(call)                                                                                 \
    do {                                                                                           \
        struct err err;                                                                            \
        if (call)                                                                                  \
            fail_msg("%s", err.text);                                                              \
    } while (0)

/** Under way or queued; NULL. */
struct under_way *double_find(struct control *c, const char *run);
struct under_way *double_of_sync(struct control *c, const char *sync, bool queued);
/** Where "kind:name" is kept as paused; NULL: it is not. */
char *double_pause_of(struct control *c, const char *kind, const char *name);
/** Writes the audit log. */
void double_note(struct control *c, const struct control_actor *who, const char *action,
                 const char *target, const char *outcome);

#endif
