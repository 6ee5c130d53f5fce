/* Which of a request's records an entry of its answer is about. */
#include "worker/judge/entries.h"
#include "worker/deliver/render.h"

static const char outside[] = "the answer names a record that was not in the request";

/* ---- positions ---- */

static bool note_position(struct entries *e, double position, uint32_t list)
{
    uint32_t count = e->among ? e->among_count : e->j->in->request->records;
    double d = position - (double)e->source->as->base;
    if (!(d >= 0 && d < count) || (double)(uint32_t)d < d)
        return entries_bug(e, outside);
    uint32_t i = (uint32_t)d;
    return entries_note(e, e->among ? e->among[i] : i, list);
}

/* What is found below the entry, in turn; named: whether anything was. */
struct naming {
    struct entries *e;
    bool named;
};

static bool take_index(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct naming *n = ctx;
    double d;
    if (doc_kind(n->e->at.doc, node) != DOC_NUMBER || !doc_number(n->e->at.doc, node, &d))
        return entries_bug(n->e, outside);
    n->named = true;
    return note_position(n->e, d, DOC_NONE);
}

/* A position, a list of them, or lists as members, of which list is one. */
static bool read_indexes(struct naming *n, uint32_t node, uint32_t list)
{
    const struct doc *d = n->e->at.doc;
    double position;
    switch (doc_kind(d, node)) {
    case DOC_NUMBER:
        n->named = true;
        return doc_number(d, node, &position) ? note_position(n->e, position, list)
                                              : entries_bug(n->e, outside);
    case DOC_ARRAY:
    case DOC_OBJECT: {
        bool members = doc_kind(d, node) == DOC_OBJECT;
        uint32_t c = doc_first(d, node);
        n->named = n->named || c == DOC_NONE; /* an empty list says that there is none */
        for (; c != DOC_NONE; c = doc_next(d, node, c))
            if (!read_indexes(n, members ? c + 1 : c, members ? c : list))
                return false;
        return true;
    }
    case DOC_NULL:
    case DOC_FALSE:
    case DOC_TRUE:
    case DOC_STRING:
        break;
    }
    return entries_bug(n->e, outside);
}

static bool take_indexes(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    return read_indexes(ctx, node, DOC_NONE);
}

static bool take_pointer(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct naming *n = ctx;
    struct slice text = doc_text(n->e->at.doc, node, n->e->scratch), group;
    double position;
    if (!doc_is_scalar(n->e->at.doc, node) || !text.p ||
        !pattern_match(n->e->source->matches, text, &group) || !group.n)
        return true;
    for (size_t i = 0; i < group.n; i++)
        if (group.p[i] < '0' || group.p[i] > '9')
            return entries_bug(n->e, outside);
    n->named = true;
    if (!check_number(group, &position))
        return entries_bug(n->e, outside);
    return note_position(n->e, position, DOC_NONE);
}

/* ---- names ---- */

static bool take_key(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct naming *n = ctx;
    struct entries *e = n->e;
    if (!doc_is_scalar(e->at.doc, node) || doc_kind(e->at.doc, node) == DOC_NULL)
        return true;
    struct slice text = doc_text(e->at.doc, node, e->scratch);
    if (!text.p) {
        e->j->no_memory = true;
        return false;
    }
    uint32_t record = keys_find(&e->keys, text);
    /* What is accepted may be told of others as well: nothing depends on it. */
    if (record == KEYS_NONE && e->verdict != VERDICT_OK)
        return entries_bug(e, outside);
    n->named = true;
    for (; record != KEYS_NONE; record = keys_next(&e->keys, record))
        if (!entries_note(e, record, DOC_NONE))
            return false;
    return true;
}

static bool take_trace(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct naming *n = ctx;
    const struct rendered *r = n->e->j->in->request;
    struct slice text = doc_text(n->e->at.doc, node, n->e->scratch);
    uint32_t ordinal, low = 0, high = r->records;
    if (doc_kind(n->e->at.doc, node) == DOC_NULL)
        return true;
    if (!doc_is_scalar(n->e->at.doc, node) || !text.p || !render_trace_parse(text, &ordinal))
        return entries_bug(n->e, outside);
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (r->ordinals[mid] < ordinal)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == r->records || r->ordinals[low] != ordinal)
        return entries_bug(n->e, outside);
    n->named = true;
    return entries_note(n->e, low, DOC_NONE);
}

static bool walk(struct naming *n, doc_visit visit)
{
    doc_walk(&n->e->at, &n->e->source->as->value, visit, n);
    return !n->e->bug && !n->e->j->no_memory;
}

static bool take_column(struct naming *n)
{
    const char *column = n->e->source->as->column;
    if (!column)
        column = n->e->at.identify_by;
    uint32_t cell = column ? doc_member(n->e->at.doc, n->e->at.node, column) : DOC_NONE;
    return cell == DOC_NONE || take_key(n, cell, DOC_NONE);
}

static bool take_position(struct naming *n)
{
    uint32_t i = n->e->position - 1;
    n->named = true;
    if (i >= n->e->j->in->request->records)
        return entries_bug(n->e, "the answer has more entries than the request had records");
    return entries_note(n->e, i, DOC_NONE);
}

bool entries_name_records(struct entries *e)
{
    struct naming n = {.e = e};
    bool good = true;
    switch (e->source->as->by) {
    case BY_NOTHING:
        return true;
    case BY_POSITION:
        good = take_position(&n);
        break;
    case BY_INDEX:
        good = walk(&n, take_index);
        break;
    case BY_INDEXES:
        good = walk(&n, take_indexes);
        break;
    case BY_POINTER:
        good = walk(&n, take_pointer);
        break;
    case BY_KEY:
        good = walk(&n, take_key);
        break;
    case BY_TRACE:
        good = walk(&n, take_trace);
        break;
    case BY_COLUMN:
        good = take_column(&n);
        break;
    }
    if (!good || n.named || e->drop || e->verdict == VERDICT_OK)
        return good;
    return entries_bug(e, "an entry of the answer does not say which record it is about");
}
