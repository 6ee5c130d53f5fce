/*
 * When a sync runs by itself. This version checks and keeps schedules, and says once that it runs
 * syncs by `sluice run` only; changes and streams need what it does not have.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/quantity.h"

#include <stdlib.h>

struct schedule_form {
    uint64_t every_ms;
    const struct node *cron;
    const struct node *timezone;
    const struct node *after;
    const struct node *on_change;
    const struct node *stream;
};

enum { YEAR_MS_DAYS = 366 };

#define MEMBER(m) .offset = offsetof(struct schedule_form, m)
static const struct field fields[] = {
    {"every", FIELD_DURATION, MEMBER(every_ms), .min = 1000, .max = YEAR_MS_DAYS * 86400000ull},
    {"cron", FIELD_NODE, MEMBER(cron)},
    {"timezone", FIELD_NODE, MEMBER(timezone)},
    {"after", FIELD_NODE, MEMBER(after)},
    {"on_change", FIELD_NODE, MEMBER(on_change)},
    {"stream", FIELD_NODE, MEMBER(stream)},
};
static const struct form form = {"schedule", fields, ARRAY_LEN(fields), false};

static void read_stream(struct reader *rd, const struct node *node)
{
    static const char *const origins[] = {"cdc", "keys", "poll", "events", NULL};
    const struct pair *from = node_get(node, "from");
    if (node->kind != NODE_MAP) {
        wrong_type(rd, node, "stream", "a map: {from: cdc}");
        return;
    }
    if (!from)
        mistake(rd, node->at, "`stream` has no `from`: write one of %s", listed(rd, origins));
    else
        word_of(rd, from->value, "from", origins);
    unsupported(
        rd, node->at,
        "a `stream` schedule is not supported by this version: use every, cron, after or manual");
}

static void read_cron(struct reader *rd, const struct schedule_form *f, struct sync *sync)
{
    sync->cron = text_of(rd, f->cron, "cron");
    const char *problem = sync->cron ? cron_problem(sync->cron) : NULL;
    if (problem)
        mistake(rd, f->cron->at,
                "%s is no cron schedule: %s; write minute hour day month weekday, such as "
                "\"0 6 * * 1-5\"",
                shown(rd, f->cron), problem);
}

static enum schedule_kind read_kind(struct reader *rd, const struct schedule_form *f,
                                    const struct pair *way, struct sync *sync)
{
    if (f->stream) {
        read_stream(rd, f->stream);
        return SCHEDULE_STREAM;
    }
    if (f->on_change) {
        unsupported(
            rd, way->at,
            "an `on_change` schedule is not supported by this version: use every, cron, after "
            "or manual");
        return SCHEDULE_ON_CHANGE;
    }
    if (f->cron) {
        read_cron(rd, f, sync);
        return SCHEDULE_CRON;
    }
    return f->after ? SCHEDULE_AFTER : SCHEDULE_EVERY;
}

/* Exactly one of the ways; returns the first. */
static const struct pair *find_way(struct reader *rd, const struct node *node)
{
    static const char *const ways[] = {"every", "cron", "after", "on_change", "stream", NULL};
    const struct pair *first = only_one_of(rd, node, ways);
    if (!first)
        mistake(rd, node->at,
                "this schedule says no time: add one of every, cron, after, on_change and stream");
    return first;
}

static void read_timezone(struct reader *rd, const struct node *node, struct sync *sync)
{
    if (sync->schedule != SCHEDULE_CRON)
        mistake(rd, node->at, "`timezone` belongs to `cron`: remove it");
    sync->cron_timezone = text_of(rd, node, "timezone");
    if (sync->cron_timezone)
        timezone_check(rd, node);
}

void schedule_read(struct reader *rd, const struct node *node, struct sync *sync)
{
    struct schedule_form f = {0};
    struct entry of = {NULL, node->at, node};
    if (node->broken || node_is_word(node, "manual"))
        return;
    if (node_is_word(node, "on_change")) {
        unsupported(
            rd, node->at,
            "an `on_change` schedule is not supported by this version: use every, cron, after "
            "or manual");
        return;
    }
    if (node->kind != NODE_MAP) {
        wrong_type(rd, node, "schedule", "manual or a map: {every: 15m}");
        return;
    }
    form_read(rd, &form, &of, &f);
    const struct pair *way = find_way(rd, node);
    if (!way)
        return;
    sync->schedule = read_kind(rd, &f, way, sync);
    sync->every_ms = f.every_ms;
    if (f.timezone)
        read_timezone(rd, f.timezone, sync);
}

/* The value of a sync's `after`, NULL without one. */
static const struct node *after_of(const struct reader *rd, size_t i)
{
    const struct pair *schedule = node_get(rd->sections[SECTION_SYNCS].entries[i].node, "schedule");
    const struct pair *after = schedule ? node_get(schedule->value, "after") : NULL;
    return after && !after->value->broken ? after->value : NULL;
}

static void add_after(struct reader *rd, struct sync *sync, const struct node *name)
{
    const struct entry *found = reader_find(rd, SECTION_SYNCS, name);
    if (found)
        sync->after[sync->after_count++] =
            &rd->project->syncs[entry_index(rd, SECTION_SYNCS, found)];
}

static void link_after(struct reader *rd, struct sync *sync, const struct node *after)
{
    size_t count = after->kind == NODE_LIST ? after->count : 1;
    sync->after = reader_alloc(rd, count * sizeof *sync->after);
    if (!sync->after)
        return;
    if (count == 0)
        mistake(rd, after->at, "`after` is empty: name a sync");
    for (size_t i = 0; i < count; i++)
        add_after(rd, sync, after->kind == NODE_LIST ? after->items[i] : after);
}

/* A walk along `after`, one frame per sync on the way. */
struct walk {
    struct reader *rd;
    size_t *path; /* syncs on the way */
    size_t *next; /* for each of them: which of its `after` comes next */
    size_t depth;
    char *mark; /* per sync: 0 new, 1 on the way, 2 done */
};

static void report_circle(struct walk *w, size_t to)
{
    const struct sync *syncs = w->rd->project->syncs;
    size_t last = w->path[w->depth - 1];
    const char *way = shown_text(w->rd, syncs[to].name);
    size_t shown_count = 0;
    size_t start = w->depth;
    while (start > 0 && w->path[start - 1] != to)
        start--;
    for (size_t i = start; i < w->depth && shown_count < 10; i++, shown_count++)
        way = reader_printf(w->rd, "%s, then %s", way, shown_text(w->rd, syncs[w->path[i]].name));
    mistake(w->rd, after_of(w->rd, last)->at,
            "syncs wait for each other in a circle (%s): remove one `after`", way);
}

static void step(struct walk *w)
{
    const struct sync *syncs = w->rd->project->syncs;
    size_t here = w->path[w->depth - 1];
    if (w->next[w->depth - 1] == syncs[here].after_count) {
        w->mark[here] = 2;
        w->depth--;
        return;
    }
    size_t to = (size_t)(syncs[here].after[w->next[w->depth - 1]++] - syncs);
    if (w->mark[to] == 1) {
        report_circle(w, to);
    } else if (w->mark[to] == 0) {
        w->mark[to] = 1;
        w->path[w->depth] = to;
        w->next[w->depth++] = 0;
    }
}

static void find_circles(struct reader *rd)
{
    size_t n = rd->project->sync_count;
    struct walk w = {
        .rd = rd,
        .path = reader_alloc(rd, n * sizeof *w.path),
        .next = reader_alloc(rd, n * sizeof *w.next),
        .mark = reader_alloc(rd, n),
    };
    for (size_t i = 0; i < n && !rd->failed; i++) {
        if (w.mark[i])
            continue;
        w.mark[i] = 1;
        w.path[0] = i;
        w.next[0] = 0;
        w.depth = 1;
        while (w.depth > 0)
            step(&w);
    }
}

/* One note for the whole project: nothing is wrong, but somebody may wait for a run that does not
 * come. */
static void note_schedules(struct reader *rd)
{
    for (size_t i = 0; i < rd->project->sync_count; i++) {
        const struct sync *s = &rd->project->syncs[i];
        if (s->schedule == SCHEDULE_MANUAL || s->schedule >= SCHEDULE_ON_CHANGE)
            continue;
        note(rd, node_get(rd->sections[SECTION_SYNCS].entries[i].node, "schedule")->at,
             "this version starts no sync by itself: let cron or a timer call `sluice run` for the "
             "syncs with a schedule");
        return;
    }
}

void schedules_link(struct reader *rd)
{
    for (size_t i = 0; i < rd->project->sync_count && !rd->failed; i++) {
        const struct node *after = after_of(rd, i);
        if (after)
            link_after(rd, &rd->project->syncs[i], after);
    }
    if (!rd->failed)
        find_circles(rd);
    note_schedules(rd);
}
