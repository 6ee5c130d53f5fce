/* Workers read the project folder themselves. Whoever edits it while a run is under way may leave
 * its batches without a worker that knows their destination: when nothing moves, the engine looks
 * and says so. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"

#include <stdio.h>

enum { STALL_MS = 3000 };

static uint64_t count_verdicts(const struct engine *e)
{
    uint64_t n = 0;
    for (size_t i = 0; i < e->run_count; i++) {
        const struct run_counts *c = &sync_run_record(e->runs[i].run)->counts;
        n += c->succeeded + c->rejected + c->failed + c->cancelled + c->requests;
    }
    return n;
}

static bool waits_for_workers(const struct engine_run_slot *slot)
{
    return !slot->ended && slot->quota && !sync_run_reads(slot->run) && sync_run_sync(slot->run);
}

static void compare(struct engine *e, const struct project *now)
{
    for (size_t i = 0; i < e->run_count; i++) {
        if (!waits_for_workers(&e->runs[i]))
            continue;
        const struct destination *was = sync_run_sync(e->runs[i].run)->destination;
        const struct destination *is = project_destination(now, was->name);
        char why[RUN_TEXT_MAX];
        if (is && strcmp(is->fingerprint, was->fingerprint) == 0)
            continue;
        snprintf(
            why, sizeof why,
            "the project folder was edited during the run and destination %s is no longer what it "
            "was: run the sync again",
            was->name);
        sync_run_stop(e->runs[i].run, RUN_STOP_FAIL, why);
    }
}

void engine_watch_project(struct engine *e)
{
    struct project *now = NULL;
    struct problem_list problems;
    struct err err;
    uint64_t verdicts = count_verdicts(e);
    int64_t at = clock_mono_ms();
    bool waits = false;
    for (size_t i = 0; i < e->run_count; i++)
        waits |= waits_for_workers(&e->runs[i]);
    if (!waits || verdicts != e->verdicts) {
        e->verdicts = verdicts;
        e->moved_ms = at;
    }
    if (!waits || e->opts.watched || at - e->moved_ms < STALL_MS)
        return;
    e->moved_ms = at;
    problem_list_init(&problems);
    /* A folder that cannot be read now is left alone: workers go on with what they know. */
    if (!project_load(e->project->named, &now, &problems, &err))
        compare(e, now);
    problem_list_done(&problems);
    project_free(now);
}
