#include "worker/drive/marks.h"

enum err_code marks_make(struct marks *m, const struct rendered *request,
                         const struct progress *progress, struct arena *a)
{
    *m =
        (struct marks){arena_alloc(a, (request->records + 1) * sizeof *m->items), request->records};
    if (!m->items)
        return ERR_NOMEM;
    uint32_t k = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        while (k < progress->record_count && progress->records[k].ordinal < request->ordinals[i])
            k++;
        if (k == progress->record_count || progress->records[k].ordinal != request->ordinals[i])
            continue;
        const struct progress_record *known = &progress->records[k];
        m->items[i] = (struct mark){.known = known->has_verdict,
                                    .looked_up = known->id.p || known->left_out,
                                    .verdict = known->verdict,
                                    .message = known->message,
                                    .id = known->id,
                                    .left_out = known->left_out};
    }
    return ERR_OK;
}

static bool is_final(const struct mark *m)
{
    return m->known && m->verdict != VERDICT_OPEN;
}

void marks_set(struct marks *m, uint32_t index, enum verdict verdict, struct slice message)
{
    struct mark *mark = &m->items[index];
    if (is_final(mark))
        return;
    mark->known = true;
    mark->verdict = verdict;
    mark->message = message;
}

void marks_entries(struct marks *m, const struct judged *judged)
{
    for (size_t i = 0; i < judged->entry_count; i++) {
        const struct outcome_entry *e = &judged->entries[i];
        marks_set(m, e->index, e->verdict, e->message);
    }
}

static void set_missing(struct marks *m, uint32_t i, enum lookup_missing missing)
{
    static const char words[] = "the destination has no such record";
    switch (missing) {
    case MISSING_ACCEPT:
        marks_set(m, i, VERDICT_OK, (struct slice){0});
        return;
    case MISSING_NOT_FOUND:
        marks_set(m, i, VERDICT_NOT_FOUND, SLICE_LIT(words));
        return;
    case MISSING_REJECT:
        marks_set(m, i, VERDICT_REJECTED, SLICE_LIT(words));
        return;
    case MISSING_KEEP:
        return;
    }
}

void marks_lookup(struct marks *m, const struct lookup *lookup, const struct looked_up *found,
                  bool more)
{
    for (uint32_t i = 0; i < m->count; i++) {
        struct mark *mark = &m->items[i];
        if (found[i].exists) {
            mark->looked_up = true;
            mark->id = found[i].id;
            mark->left_out = found[i].left_out;
        }
        if (found[i].skip)
            marks_set(m, i, VERDICT_OK, (struct slice){0});
        else if (!mark->looked_up && !more)
            set_missing(m, i, lookup->missing);
    }
}

uint32_t marks_open(const struct marks *m, enum verdict others)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < m->count; i++)
        open += (m->items[i].known ? m->items[i].verdict : others) == VERDICT_OPEN;
    return open;
}

enum err_code marks_keep(const struct marks *m, const struct rendered *request, bool collecting,
                         struct arena *a, struct progress *p)
{
    struct progress_record *kept = arena_alloc(a, (m->count + 1) * sizeof *kept);
    if (!kept)
        return ERR_NOMEM;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct mark *mark = &m->items[i];
        if (is_final(mark) && !collecting)
            continue;
        if (!mark->known && !mark->id.p && !mark->left_out)
            continue;
        kept[n++] = (struct progress_record){.ordinal = request->ordinals[i],
                                             .id = mark->id,
                                             .left_out = mark->left_out,
                                             .has_verdict = mark->known,
                                             .verdict = mark->verdict,
                                             .message = mark->message};
    }
    p->records = kept;
    p->record_count = n;
    return ERR_OK;
}

enum err_code marks_tell(const struct marks *m, struct marks_told told, struct arena *a,
                         struct outcome *o)
{
    struct outcome_entry *entries = arena_alloc(a, (m->count + 1) * sizeof *entries);
    if (!entries)
        return ERR_NOMEM;
    size_t n = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct mark *mark = &m->items[i];
        if (!mark->known && !told.all)
            continue;
        enum verdict verdict = mark->known ? mark->verdict : told.others;
        if (verdict != VERDICT_OPEN || told.open)
            entries[n++] = (struct outcome_entry){i, verdict, mark->message};
    }
    o->entries = entries;
    o->entry_count = n;
    return ERR_OK;
}
