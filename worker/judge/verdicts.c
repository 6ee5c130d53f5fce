/* From what an answer lists to a verdict for every record of its request. */
#include <stdio.h>

#include "worker/judge/entries.h"
#include "worker/judge/rows.h"
#include "worker/deliver/words.h"

enum { SCRATCH_BYTES_MAX = 128 << 20 };

static bool has_wildcard(const struct pointer *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->levels[i].kind == LEVEL_ANY)
            return true;
    return false;
}

/* ---- reading sources ---- */

/* Texts of one entry are not needed for the next. */
static bool read_entry(struct entries *e, const struct doc *doc, uint32_t node, uint32_t name)
{
    arena_reset(e->scratch);
    return entries_read(e, doc, node, name);
}

static bool visit_entry(void *ctx, uint32_t node, uint32_t name)
{
    struct entries *e = ctx;
    return read_entry(e, &e->j->doc, node, name);
}

static bool visit_list(void *ctx, uint32_t node, uint32_t name)
{
    struct entries *e = ctx;
    const struct doc *d = &e->j->doc;
    enum doc_kind kind = doc_kind(d, node);
    if (kind == DOC_OBJECT && e->source->as->by == BY_INDEXES)
        return read_entry(e, d, node, name);
    if (kind != DOC_ARRAY)
        return true;
    for (uint32_t c = doc_first(d, node); c != DOC_NONE; c = doc_next(d, node, c))
        if (!read_entry(e, d, c, name))
            return false;
    return true;
}

static void read_json_source(struct entries *e)
{
    const struct pointer *at = &e->source->as->at;
    const struct doc_place *root = judge_lacks(e->j, at) ? NULL : judge_json(e->j);
    if (root)
        doc_walk(root, at, has_wildcard(at) ? visit_entry : visit_list, e);
}

static void read_row_source(struct entries *e, struct arena *row)
{
    struct rows rows;
    struct doc doc;
    struct slice body = e->j->in->answer->body;
    bool csv = e->source->as->format == FORMAT_CSV;
    enum rows_read rc = rows_open(&rows, body, csv, e->j->arena, row);
    while (rc == ROWS_ROW && (rc = rows_next(&rows, &doc)) == ROWS_ROW)
        if (!read_entry(e, &doc, 0, DOC_NONE))
            break;
    if (rc == ROWS_NO_MEMORY)
        e->j->no_memory = true;
    if (rc == ROWS_BROKEN)
        entries_bug(e, csv ? "the answer is no CSV that can be read"
                           : "the answer has a line that is no JSON");
    rows_done(&rows);
}

/* Whether the part of the body that was cut off may have held something of it. */
static bool misses_cut(const struct judge *j, const struct listing *s)
{
    const struct verdict_source *as = s->as;
    return as->format != FORMAT_JSON || as->by == BY_POSITION || !judge_lacks(j, &as->at);
}

static void read_source(struct entries *e, const struct listing *s)
{
    struct arena scratch CLEANUP(arena_done), row CLEANUP(arena_done);
    arena_init(&scratch, SCRATCH_BYTES_MAX);
    arena_init(&row, SCRATCH_BYTES_MAX);
    const struct verdict_source *as = s->as;
    if (as->by == BY_NOTHING)
        return;
    if (e->j->in->answer->body_cut && misses_cut(e->j, s)) {
        entries_bug(e, "the answer's verdicts are longer than what is kept of an answer");
        return;
    }
    if (as->format == FORMAT_JSON && as->by != BY_POSITION && judge_lacks(e->j, &as->at))
        return;
    entries_begin(e, s, &scratch);
    if (e->bug || e->j->no_memory)
        return;
    if (as->format == FORMAT_JSON)
        read_json_source(e);
    else
        read_row_source(e, &row);
    entries_end(e);
}

/* ---- counts ---- */

struct sum {
    const struct doc *doc;
    double total;
};

static bool add_count(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct sum *s = ctx;
    double number;
    if (doc_kind(s->doc, node) == DOC_ARRAY)
        s->total += doc_length(s->doc, node);
    else if (doc_number(s->doc, node, &number))
        s->total += number;
    return true;
}

static double count_at(struct judge *j, const struct pointer *at)
{
    const struct doc_place *root = judge_lacks(j, at) ? NULL : judge_json(j);
    struct sum s = {.doc = &j->doc};
    if (root)
        doc_walk(root, at, add_count, &s);
    return s.total;
}

static struct slice printed(struct judge *j, const char *text, int n)
{
    return n < 0 ? (struct slice){0} : words_clean(j->arena, slice_of(text, strlen(text)));
}

static bool adds_up(struct judge *j, const struct verdicts *as, struct judged *v)
{
    uint32_t records = j->in->request->records;
    double total = 0;
    for (size_t i = 0; i < as->assert_count; i++)
        total += count_at(j, &as->assert_sum[i]);
    if (as->assert_least ? total >= as->assert_least : total == records)
        return true;
    char text[96];
    int n =
        snprintf(text, sizeof text, "the answer accounts for %.15g of %u records", total, records);
    judge_instead(v, DO_RETRY, printed(j, text, n));
    return false;
}

static struct slice reasons_of(struct judge *j, const struct verdicts *as)
{
    const struct doc_place *root = as->reasons.given ? judge_json(j) : NULL;
    uint32_t node = root ? doc_at(root, &as->reasons) : DOC_NONE;
    if (node == DOC_NONE || doc_kind(&j->doc, node) == DOC_NULL)
        return (struct slice){0};
    return words_clean(j->arena, doc_text(&j->doc, node, j->arena));
}

static void read_counts(struct judge *j, const struct verdicts *as, struct judged *v)
{
    double failed = count_at(j, &as->failed);
    if (!(failed > 0))
        return;
    char text[RESULT_MESSAGE_MAX + 128];
    struct slice reasons = reasons_of(j, as);
    int n = snprintf(text, sizeof text, "%.15g of %u records were not taken%s%.*s", failed,
                     j->in->request->records, reasons.n ? ": " : "", (int)reasons.n,
                     reasons.n ? reasons.p : "");
    struct slice words = printed(j, text, n);
    if (as->then == COUNTS_ACCEPT) {
        v->warning = words;
        return;
    }
    judge_instead(v, DO_SPLIT, words);
}

/* ---- the whole ---- */

static void take_entries(struct entries *e, struct judged *v)
{
    uint32_t records = e->j->in->request->records;
    size_t n = 0;
    for (uint32_t i = 0; e->by_record && i < records; i++)
        if (e->by_record[i].index != records)
            e->by_record[n++] = e->by_record[i];
    v->entries = e->by_record;
    v->entry_count = n;
    v->entry_throttles = e->throttles;
    if (e->throttles && v->wait_ms < 0)
        v->wait_ms = e->j->in->answer->retry_after_ms;
}

/* Nothing was taken. Where none is named for good there is nothing to leave out: the whole is sent
 * again later, or, if none is named at all, halved. */
static void settle_drop(struct judged *v)
{
    bool final = false;
    for (size_t i = 0; i < v->entry_count; i++)
        final = final || v->entries[i].verdict != VERDICT_OPEN;
    if (final)
        return;
    v->act = v->entry_throttles ? DO_THROTTLE : v->entry_count ? DO_RETRY : DO_SPLIT;
    if (v->entry_count)
        v->message = v->entries[0].message;
    v->entries = NULL;
    v->entry_count = 0;
    v->entry_throttles = false;
}

static enum verdict unmentioned_of(const struct verdicts *as)
{
    if (as->unmentioned == UNMENTIONED_OPEN)
        return VERDICT_OPEN;
    return as->unmentioned == UNMENTIONED_REJECT ? VERDICT_REJECTED : VERDICT_OK;
}

void judge_verdicts(struct judge *j, const struct verdict_plan *plan, struct judged *v)
{
    const struct verdicts *as = plan->as;
    const struct http_answer *a = j->in->answer;
    struct entries e = {.j = j, .drop = v->act == DO_DROP};
    e.keeps_ok = e.drop || as->unmentioned != UNMENTIONED_ACCEPT;
    if (a->error) {
        judge_instead(v, DO_RETRY, words_clean(j->arena, slice_str(a->error)));
        return;
    }
    for (size_t i = 0; i < as->source_count && !e.bug && !j->no_memory; i++)
        read_source(&e, &plan->sources[i]);
    if (!e.bug && a->body_cut && (as->assert_count || as->failed.given))
        entries_bug(&e, "the answer's counts are longer than what is kept of an answer");
    if (!e.bug && j->too_much)
        entries_bug(&e, "the answer is deeper or longer than what is looked at");
    if (e.bug) {
        judge_bug(v, e.bug);
        return;
    }
    if (as->assert_count && !e.drop && !adds_up(j, as, v))
        return;
    take_entries(&e, v);
    if (e.drop) {
        settle_drop(v);
        return;
    }
    v->unmentioned = unmentioned_of(as);
    if (v->unmentioned != VERDICT_OK)
        v->message = SLICE_LIT("the answer does not mention it");
    if (as->failed.given)
        read_counts(j, as, v);
}
