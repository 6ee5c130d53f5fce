#include "worker/judge/entries.h"

#include "protocol/base/utf8.h"
#include "worker/deliver/words.h"
#include "worker/judge/doc_words.h"

/* ---- one source ---- */

static bool admits(const struct record_filter *f, const struct rendered *r, uint32_t i)
{
    if (f->ops && !(f->ops & 1u << r->ops[i]))
        return false;
    for (size_t k = 0; f->field && k < f->in_count; k++)
        if (r->chosen[i].p && slice_eq_str(r->chosen[i], f->in[k]))
            return true;
    return !f->field;
}

/* Positions in one of several arrays count only the records that were put there. */
static void count_among(struct entries *e, const struct record_filter *f)
{
    const struct rendered *r = e->j->in->request;
    if (!f->ops && !f->field)
        return;
    if (f->field && !r->chosen) {
        entries_bug(e, "the request was rendered without what its answer counts by");
        return;
    }
    uint32_t *among = arena_alloc(e->j->arena, r->records * sizeof *among);
    if (!among) {
        e->j->no_memory = true;
        return;
    }
    for (uint32_t i = 0; i < r->records; i++)
        if (admits(f, r, i))
            among[e->among_count++] = i;
    e->among = among;
}

void entries_begin(struct entries *e, const struct listing *source, struct arena *scratch)
{
    const struct verdict_source *as = source->as;
    e->source = source;
    e->scratch = scratch;
    e->position = 0;
    e->among = NULL;
    e->among_count = 0;
    count_among(e, &as->among);
    if (as->by != BY_KEY && as->by != BY_COLUMN)
        return;
    enum err_code rc =
        keys_init(&e->keys, e->j->arena, e->j->in->request, as->key_form, e->j->rules->filters);
    if (rc == ERR_NOMEM)
        e->j->no_memory = true;
    else if (rc)
        entries_bug(e, "the request was rendered without the keys that its answer names");
}

void entries_end(struct entries *e)
{
    if (e->source->as->by == BY_POSITION && !e->bug && e->position != e->j->in->request->records)
        entries_bug(e, "the answer has fewer entries than the request had records");
}

bool entries_bug(struct entries *e, const char *what)
{
    e->bug = what;
    return false;
}

/* ---- one entry ---- */

static bool passes(struct entries *e, const struct check *c)
{
    return check_given(c) && check_json(c, &e->at, e->scratch);
}

static void read_verdict(struct entries *e)
{
    const struct listing *s = e->source;
    e->not_found = false;
    e->verdict = VERDICT_REJECTED;
    if (passes(e, &s->ok) || passes(e, &s->accept)) {
        e->verdict = VERDICT_OK;
    } else if (passes(e, &s->throttle)) {
        e->verdict = VERDICT_OPEN;
        e->throttles = true;
    } else if (passes(e, &s->retryable)) {
        e->verdict = VERDICT_OPEN;
    } else {
        e->not_found = passes(e, &s->not_found);
    }
}

/* "place: words" in the arena. */
static struct slice joined(struct entries *e, struct slice before, struct slice words)
{
    if (!before.n || !words.n)
        return words.n ? words : before;
    char *text = arena_alloc(e->j->arena, before.n + 2 + words.n);
    if (!text)
        return words;
    memcpy(text, before.p, before.n);
    memcpy(text + before.n, ": ", 2);
    memcpy(text + before.n + 2, words.p, words.n);
    return utf8_prefix(slice_of(text, before.n + 2 + words.n), RESULT_MESSAGE_MAX);
}

static struct slice clean_text(struct entries *e, uint32_t node)
{
    if (node == DOC_NONE)
        return (struct slice){0};
    return words_clean(e->j->arena, doc_text(e->at.doc, node, e->scratch));
}

/* The member that the list stands in; where a wildcard found it, behind what holds it. */
static struct slice list_name(struct entries *e)
{
    const struct pointer *at = &e->source->as->at;
    struct slice name = clean_text(e, e->name), place = {0};
    for (size_t i = 0; i < at->count; i++)
        if (at->levels[i].kind == LEVEL_NAME && at->levels[i].index < 0)
            place = words_clean(e->j->arena, slice_str(at->levels[i].name));
    return slice_eq(place, name) ? name : joined(e, place, name);
}

static struct slice read_words(struct entries *e)
{
    const struct verdict_source *as = e->source->as;
    struct slice words = words_at(&e->at, &as->message, e->j->arena);
    bool object = doc_kind(e->at.doc, e->at.node) == DOC_OBJECT;
    if (!words.n && object)
        words = words_usual(e->at.doc, e->at.node, e->j->arena);
    if (as->code.given) {
        uint32_t node = doc_at(&e->at, &as->code);
        struct slice code = {0};
        if (node != DOC_NONE && doc_is_scalar(e->at.doc, node) &&
            doc_kind(e->at.doc, node) != DOC_NULL)
            code = clean_text(e, node);
        if (code.n && (code.n > words.n || memcmp(words.p, code.p, code.n) != 0))
            words = joined(e, code, words);
    }
    if (words.n)
        return words;
    /* A list of keys or positions: what it is called, not what is in it. */
    bool lists = !object || as->by == BY_INDEXES;
    if (lists && e->name != DOC_NONE)
        return list_name(e);
    if (as->format != FORMAT_JSON) /* a row is what was sent: that is not shown */
        return SLICE_LIT("listed without words");
    return words_clean(e->j->arena, doc_raw(e->at.doc, e->at.node));
}

static int rank(enum verdict v)
{
    return v == VERDICT_OK ? 0 : v == VERDICT_OPEN ? 1 : 2;
}

static bool make_table(struct entries *e)
{
    uint32_t records = e->j->in->request->records;
    e->by_record = arena_alloc(e->j->arena, records * sizeof *e->by_record);
    if (!e->by_record) {
        e->j->no_memory = true;
        return false;
    }
    for (uint32_t i = 0; i < records; i++)
        e->by_record[i].index = records;
    return true;
}

bool entries_note(struct entries *e, uint32_t record, uint32_t list)
{
    const struct rendered *r = e->j->in->request;
    if (e->verdict == VERDICT_OK && !e->keeps_ok)
        return true;
    if (!e->by_record && !make_table(e))
        return false;
    struct outcome_entry *known = &e->by_record[record];
    bool again = known->index != r->records;
    if (again && rank(known->verdict) >= rank(e->verdict))
        return true;
    /* "Not found" is a verdict of its own for updates only. */
    enum verdict verdict = e->verdict;
    if (e->not_found && r->ops[record] == OP_UPDATE)
        verdict = VERDICT_NOT_FOUND;
    if (verdict != VERDICT_OK && !e->worded) {
        e->words = read_words(e);
        e->worded = true;
    }
    struct slice words = verdict == VERDICT_OK ? (struct slice){0} : e->words;
    if (list != DOC_NONE && list != e->name)
        words = joined(e, words, clean_text(e, list));
    *known = (struct outcome_entry){record, verdict, words};
    e->noted += !again;
    return true;
}

/* An entry that does not say which array it is about counts as one of this, unless it is asked for
 * whether it says so. */
static bool is_of_another(struct entries *e)
{
    const struct check *in = &e->source->in;
    return check_given(in) && !check_json(in, &e->at, e->scratch) &&
           (in->test->kind == TEST_EXISTS || doc_at(&e->at, in->at) != DOC_NONE);
}

bool entries_read(struct entries *e, const struct doc *doc, uint32_t node, uint32_t name)
{
    e->at = (struct doc_place){doc, node, e->j->rules->identify_by};
    e->name = name;
    e->worded = false;
    if (is_of_another(e))
        return true;
    e->position++;
    /* In an answer that took nothing, what looks good was not taken either. */
    if (e->drop && passes(e, &e->source->ok))
        return true;
    read_verdict(e);
    return entries_name_records(e);
}
