/* Where an answer says what became of each record. */
#include "protocol/connector/parts.h"

const char *const key_form_words[4] = {"plain", "lower", "md5_lower", NULL};
static const char *const format_words[] = {"json", "csv", "ndjson", NULL};
static const char *const unmentioned_words[] = {"accept", "open", "reject", NULL};
static const char *const then_words[] = {"accept", "split", NULL};
static const char *const by_words[] = {"position", "column", NULL};
static const char *const by_keys[] = {"by",  "index", "indexes", "pointer",
                                      "key", "trace", "column",  NULL};

struct source_form {
    const struct node *at;
    const struct node *by[ARRAY_LEN(by_keys) - 1];
    int format;
    uint32_t base;
    int key_as;
    const struct node *in, *ok, *retryable, *accept, *not_found, *throttle;
    const struct node *message, *code;
    int unmentioned;
    const struct node *counts;
    const struct node *assert_;
};

#define MEMBER(m) .offset = offsetof(struct source_form, m)
static const struct field fields[] = {
    {"at", FIELD_NODE, MEMBER(at)},
    {"by", FIELD_NODE, MEMBER(by[0])},
    {"index", FIELD_NODE, MEMBER(by[1])},
    {"indexes", FIELD_NODE, MEMBER(by[2])},
    {"pointer", FIELD_NODE, MEMBER(by[3])},
    {"key", FIELD_NODE, MEMBER(by[4])},
    {"trace", FIELD_NODE, MEMBER(by[5])},
    {"column", FIELD_NODE, MEMBER(by[6])},
    {"format", FIELD_WORD, MEMBER(format), .words = format_words},
    {"base", FIELD_COUNT, MEMBER(base), .min = 0, .max = 1},
    {"key_as", FIELD_WORD, MEMBER(key_as), .words = key_form_words},
    {"in", FIELD_NODE, MEMBER(in)},
    {"ok", FIELD_NODE, MEMBER(ok)},
    {"retryable", FIELD_NODE, MEMBER(retryable)},
    {"accept", FIELD_NODE, MEMBER(accept)},
    {"not_found", FIELD_NODE, MEMBER(not_found)},
    {"throttle", FIELD_NODE, MEMBER(throttle)},
    {"message", FIELD_NODE, MEMBER(message)},
    {"code", FIELD_NODE, MEMBER(code)},
    {"unmentioned", FIELD_WORD, MEMBER(unmentioned), .words = unmentioned_words},
    {"counts", FIELD_NODE, MEMBER(counts)},
    {"assert", FIELD_NODE, MEMBER(assert_)},
};
static const struct form source_form = {"`verdicts` map", fields, ARRAY_LEN(fields), false};

/* ---- what an entry is about ---- */

static bool read_pattern_pointer(struct scope *s, const struct node *node,
                                 struct verdict_source *out)
{
    static const struct field pointer_fields[] = {
        {"at", FIELD_NODE, 0, .required = true},
        {"matches", FIELD_NODE, sizeof(void *), .required = true},
    };
    static const struct form form = {"`pointer` map", pointer_fields, ARRAY_LEN(pointer_fields),
                                     false};
    const struct node *nodes[2] = {0};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &form, &of, nodes))
        return false;
    bool good = nodes[0] && pointer_of(s, nodes[0], "at", &out->value);
    out->matches = nodes[1] ? pattern_of(s, nodes[1], "matches", 1) : NULL;
    return good && out->matches;
}

static bool read_column(struct scope *s, const struct node *node, struct verdict_source *out)
{
    if (out->format == FORMAT_JSON)
        mistake(s->rd, node->at, "`column` needs `format: csv`: add it");
    out->column = text_of(s->rd, node, "column");
    if (out->column && strcmp(out->column, "{{identify_by}}") == 0)
        out->column = NULL;
    return true;
}

/* `by: column` is the column that is called like the key. */
static bool read_by_word(struct scope *s, const struct node *node, struct verdict_source *out)
{
    int word = word_of(s->rd, node, "by", by_words);
    if (word == 1 && out->format == FORMAT_JSON)
        mistake(s->rd, node->at, "`column` needs `format: csv`: add it");
    out->by = word == 1 ? BY_COLUMN : BY_POSITION;
    return word >= 0;
}

static bool read_by(struct scope *s, const struct pair *by, struct verdict_source *out)
{
    size_t which = 0;
    while (strcmp(by_keys[which], by->key) != 0)
        which++;
    out->by = (enum verdict_by)(which + 1);
    switch (out->by) {
    case BY_POSITION:
        return read_by_word(s, by->value, out);
    case BY_POINTER:
        return read_pattern_pointer(s, by->value, out);
    case BY_COLUMN:
        return read_column(s, by->value, out);
    case BY_NOTHING:
    case BY_INDEX:
    case BY_INDEXES:
    case BY_KEY:
    case BY_TRACE:
        break;
    }
    return pointer_of(s, by->value, by->key, &out->value);
}

/* ---- one source ---- */

static void check_source(struct scope *s, const struct node *map, const struct source_form *f,
                         const struct verdict_source *v)
{
    if (f->base && v->by != BY_INDEX && v->by != BY_INDEXES && v->by != BY_POINTER)
        mistake(s->rd, node_get(map, "base")->at, "`base` belongs to index, indexes and pointer");
    if (f->key_as && v->by != BY_KEY && v->by != BY_COLUMN)
        mistake(s->rd, node_get(map, "key_as")->at, "`key_as` belongs to key and column");
    if (v->by == BY_POSITION && !v->ok.at.given)
        mistake(s->rd, map->at,
                "entries by position are there for every record: say with `ok` which of them are "
                "good, {at: /status, equals: ok}");
}

static void read_test(struct scope *s, const struct node *node, const char *key,
                      struct json_test *out)
{
    if (node)
        (void)json_test_of(s, node, key, out);
}

static bool read_source(struct scope *s, const struct node *map, const struct source_form *f,
                        struct verdict_source *out)
{
    const struct pair *by = only_one_of(s->rd, map, by_keys);
    bool says = f->at || f->ok || f->retryable || f->accept || f->not_found || f->throttle || f->in;
    if (!by && says)
        mistake(s->rd, map->at,
                "`verdicts` do not say whose an entry is: add `by: position`, index, indexes, "
                "pointer, key, trace or column");
    if (!by)
        return false;
    *out = (struct verdict_source){.at = {.given = true},
                                   .format = (enum verdict_format)f->format,
                                   .base = f->base,
                                   .key_form = (enum key_form)f->key_as};
    bool good = !f->at || pointer_of(s, f->at, "at", &out->at);
    good = read_by(s, by, out) && good;
    read_test(s, f->in, "in", &out->in);
    read_test(s, f->ok, "ok", &out->ok);
    read_test(s, f->retryable, "retryable", &out->retryable);
    read_test(s, f->accept, "accept", &out->accept);
    read_test(s, f->not_found, "not_found", &out->not_found);
    read_test(s, f->throttle, "throttle", &out->throttle);
    if (f->message)
        pointers_of(s, f->message, "message", &out->message);
    if (f->code)
        (void)pointer_of(s, f->code, "code", &out->code);
    if (good)
        check_source(s, map, f, out);
    return good;
}

/* ---- counts and sums ---- */

static void read_counts(struct scope *s, const struct node *node, struct verdicts *v)
{
    struct counts_form {
        const struct node *failed, *reasons;
        int then;
    } f = {0};
    static const struct field counts_fields[] = {
        {"failed", FIELD_NODE, .offset = offsetof(struct counts_form, failed), .required = true},
        {"reasons", FIELD_NODE, .offset = offsetof(struct counts_form, reasons)},
        {"then", FIELD_WORD, .offset = offsetof(struct counts_form, then), .words = then_words},
    };
    static const struct form form = {"`counts` map", counts_fields, ARRAY_LEN(counts_fields),
                                     false};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &form, &of, &f))
        return;
    if (f.failed)
        (void)pointer_of(s, f.failed, "failed", &v->failed);
    if (f.reasons)
        (void)pointer_of(s, f.reasons, "reasons", &v->reasons);
    v->then = (enum counts_then)f.then;
}

static void read_assert(struct scope *s, const struct node *node, struct verdicts *v)
{
    struct assert_form {
        const struct node *sum, *equals;
        uint32_t at_least;
    } f = {0};
    static const struct field assert_fields[] = {
        {"sum", FIELD_NODE, .offset = offsetof(struct assert_form, sum), .required = true},
        {"equals", FIELD_NODE, .offset = offsetof(struct assert_form, equals)},
        {"at_least", FIELD_COUNT, .offset = offsetof(struct assert_form, at_least), .min = 1,
         .max = OBJECT_RECORDS_MAX},
    };
    static const struct form form = {"`assert` map", assert_fields, ARRAY_LEN(assert_fields),
                                     false};
    struct entry of = {NULL, node->at, node};
    struct pointer_list sum = {0};
    if (!form_read(s->rd, &form, &of, &f) || !f.sum)
        return;
    if (f.equals ? f.at_least || !node_is_word(f.equals, "records") : !f.at_least)
        mistake(s->rd, node->at, "`assert` must have one of `equals: records` and `at_least: N`");
    pointers_of(s, f.sum, "sum", &sum);
    v->assert_sum = sum.items;
    v->assert_count = sum.count;
    v->assert_least = f.at_least;
}

/* What belongs to the whole stands in any of the maps, once. */
static void read_whole(struct scope *s, const struct node *map, const struct source_form *f,
                       struct verdicts *v)
{
    if (f->unmentioned)
        v->unmentioned = f->unmentioned == 1 ? UNMENTIONED_OPEN : UNMENTIONED_REJECT;
    if (f->counts && v->failed.given)
        mistake(s->rd, node_get(map, "counts")->at, "`counts` are given twice: remove one");
    if (f->counts)
        read_counts(s, f->counts, v);
    if (f->assert_ && v->assert_count)
        mistake(s->rd, node_get(map, "assert")->at, "`assert` is given twice: remove one");
    if (f->assert_)
        read_assert(s, f->assert_, v);
}

struct verdicts *verdicts_of(struct scope *s, const struct node *node)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items);
    struct verdicts *v = reader_alloc(s->rd, sizeof *v);
    struct verdict_source *list = reader_alloc(s->rd, count * sizeof *list);
    for (size_t i = 0; v && list && i < count; i++) {
        struct source_form f = {0};
        struct entry of = {NULL, items[i]->at, items[i]};
        if (!form_read(s->rd, &source_form, &of, &f))
            continue;
        read_whole(s, items[i], &f, v);
        v->source_count += read_source(s, items[i], &f, &list[v->source_count]);
    }
    if (v)
        v->sources = list;
    return v;
}

/* The $records array that is the member of this name, anywhere in the body. */
static const struct tree *find_array(const struct tree *t, const char *name)
{
    const struct tree *found = NULL;
    for (size_t i = 0; t->kind == TREE_OBJECT && i < t->count && !found; i++) {
        const struct member *m = &t->members[i];
        if (m->kind != MEMBER_NAMED)
            continue;
        bool named = m->name.count == 1 && m->name.pieces[0].kind == PIECE_TEXT &&
                     strcmp(m->name.pieces[0].text, name) == 0;
        found = named && m->value->kind == TREE_RECORDS ? m->value : find_array(m->value, name);
    }
    return found;
}

void verdicts_link(struct verdicts *v, const struct tree *body)
{
    struct verdict_source *list = (struct verdict_source *)(uintptr_t)v->sources;
    for (size_t i = 0; body && i < v->source_count; i++) {
        bool names_one = list[i].by == BY_INDEX && list[i].in.test.kind == TEST_IN &&
                         list[i].in.test.text_count == 1;
        const struct tree *array = names_one ? find_array(body, list[i].in.test.texts[0]) : NULL;
        if (array)
            list[i].among = array->only;
    }
}
