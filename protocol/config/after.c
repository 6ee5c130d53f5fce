/*
 * Which syncs start after which: names become pointers, and circles are refused.
 *
 * Reads the sections' `after`, writes the schedules of syncs that are all there.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

/* The value of a sync's `after`, NULL without one. */
static const struct node *after_of(const struct reader *rd, size_t i)
{
    const struct pair *schedule = node_get(rd->sections[SECTION_SYNCS].entries[i].node, "schedule");
    const struct pair *after = schedule ? node_get(schedule->value, "after") : NULL;
    return after && !after->value->broken ? after->value : NULL;
}

static void add_after(struct reader *rd, struct schedule *s, const struct node *name)
{
    const struct entry *found = reader_find(rd, SECTION_SYNCS, name);
    if (!found)
        return;
    const struct sync *sync = &rd->project->syncs[entry_index(rd, SECTION_SYNCS, found)];
    for (size_t i = 0; i < s->after_count; i++) {
        if (s->after[i] != sync)
            continue;
        mistake(rd, name->at, "%s is twice in `after`: remove one", shown(rd, name));
        return;
    }
    s->after[s->after_count++] = sync;
}

static void link_sync(struct reader *rd, struct schedule *s, const struct node *after)
{
    size_t count = after->kind == NODE_LIST ? after->count : 1;
    if (count > SCHEDULE_AFTER_MAX) {
        mistake(rd, after->at, "`after` names more than %d syncs: use fewer", SCHEDULE_AFTER_MAX);
        return;
    }
    s->after = reader_alloc(rd, count * sizeof *s->after);
    if (!s->after)
        return;
    if (count == 0)
        mistake(rd, after->at, "`after` is empty: name a sync");
    for (size_t i = 0; i < count; i++)
        add_after(rd, s, after->kind == NODE_LIST ? after->items[i] : after);
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
    if (w->next[w->depth - 1] == syncs[here].schedule.after_count) {
        w->mark[here] = 2;
        w->depth--;
        return;
    }
    size_t to = (size_t)(syncs[here].schedule.after[w->next[w->depth - 1]++] - syncs);
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

void after_link(struct reader *rd)
{
    for (size_t i = 0; i < rd->project->sync_count && !rd->failed; i++) {
        const struct node *after = after_of(rd, i);
        if (after)
            link_sync(rd, &rd->project->syncs[i].schedule, after);
    }
    if (!rd->failed)
        find_circles(rd);
}
