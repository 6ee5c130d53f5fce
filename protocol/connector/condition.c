/* What must hold of an answer for a rule to decide. */
#include "protocol/connector/parts.h"

#include <strings.h>

const char *const condition_words[9] = {"status",  "header", "json",    "body", "no_answer",
                                        "records", "op",     "session", NULL};

static const char *const body_words[] = {"not_json", "empty", "json", NULL};
static const char *const records_words[] = {"one", "many", NULL};
static const char *const session_words[] = {"first", "last", NULL};

/* ---- status ---- */

static bool parse_status(const char *text, struct status_range *out)
{
    unsigned n[2] = {0};
    const char *p = text;
    for (int i = 0; i < 2; i++) {
        size_t digits = strspn(p, "0123456789");
        if (digits == 1 && i == 0 && strcmp(p + 1, "xx") == 0 && *p >= '1' && *p <= '5') {
            uint16_t from = (uint16_t)((*p - '0') * 100);
            *out = (struct status_range){from, (uint16_t)(from + 99)};
            return true;
        }
        if (digits != 3)
            return false;
        n[i] = (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
        p += digits;
        if (i == 0 && !*p)
            n[1] = n[0];
        if (i == 0 && !*p)
            break;
        if (i == 0 && *p++ != '-')
            return false;
    }
    *out = (struct status_range){(uint16_t)n[0], (uint16_t)n[1]};
    return !*p && n[0] >= 100 && n[1] <= 599 && n[0] <= n[1];
}

static bool read_statuses(struct scope *s, const struct node *node, struct condition *out)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    struct status_range *list = reader_alloc(s->rd, count * sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        const struct node *v = items[i];
        if (v->kind == NODE_SCALAR && parse_status(v->text, &list[kept]))
            kept++;
        else if (!v->broken)
            mistake(s->rd, v->at,
                    "`status` must be a number such as 429, a class such as \"4xx\" or a range "
                    "such as \"500-599\"");
    }
    out->statuses = list;
    out->status_count = kept;
    return kept == count && count > 0;
}

/* ---- headers and bodies ---- */

static bool read_header(struct scope *s, const struct node *node, struct header_test *out)
{
    static const char *const known[] = {"name",   "equals",   "in",      "matches",
                                        "exists", "at_least", "at_most", NULL};
    if (node->broken)
        return false;
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "header", "a map such as {name: X-Error, equals: quota}");
        return false;
    }
    for (size_t i = 0; i < node->count; i++) {
        size_t k = 0;
        while (known[k] && strcmp(known[k], node->pairs[i].key) != 0)
            k++;
        if (!known[k])
            form_unknown(s->rd, "`header` map", &node->pairs[i], known);
    }
    const struct pair *name = node_get(node, "name");
    if (!name)
        mistake(s->rd, node->at, "`header` has no `name`: add it");
    out->name = name ? text_of(s->rd, name->value, "name") : NULL;
    return test_of(s, node, "header", &out->test) && out->name;
}

static bool read_headers(struct scope *s, const struct node *node, struct condition *out)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    struct header_test *list = reader_alloc(s->rd, count * sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        kept += read_header(s, items[i], &list[kept]);
    out->headers = list;
    out->header_count = kept;
    return kept == count;
}

static bool read_json(struct scope *s, const struct node *node, struct condition *out)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    struct json_test *list = reader_alloc(s->rd, count * sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        kept += json_test_of(s, items[i], "json", &list[kept]);
    out->json = list;
    out->json_count = kept;
    return kept == count;
}

static bool read_no_answer(struct scope *s, const struct node *node, struct condition *out)
{
    if (node_is_word(node, "unsent"))
        out->answer = ANSWER_UNSENT;
    else if (node_is_core(node, CORE_BOOL) && node_is_true(node))
        out->answer = ANSWER_NONE;
    else
        wrong_type(s->rd, node, "no_answer", "true or unsent");
    return out->answer != ANSWER_CAME;
}

static bool read_body(struct scope *s, const struct node *node, struct condition *out)
{
    if (node->kind == NODE_MAP && node->count == 1 && node_get(node, "matches")) {
        out->body_matches = pattern_of(s, node_get(node, "matches")->value, "matches", 0);
        return out->body_matches != NULL;
    }
    int word = word_of(s->rd, node, "body", body_words);
    out->body = (enum body_test)(word + 1);
    return word >= 0;
}

bool condition_read(struct scope *s, const struct node *map, struct condition *out)
{
    const struct pair *p;
    bool good = true;
    int word;
    *out = (struct condition){.step = -1};
    if ((p = node_get(map, "status")))
        good = read_statuses(s, p->value, out) && good;
    if ((p = node_get(map, "header")))
        good = read_headers(s, p->value, out) && good;
    if ((p = node_get(map, "json")))
        good = read_json(s, p->value, out) && good;
    if ((p = node_get(map, "body")))
        good = read_body(s, p->value, out) && good;
    if ((p = node_get(map, "no_answer")))
        good = read_no_answer(s, p->value, out) && good;
    if ((p = node_get(map, "records"))) {
        word = word_of(s->rd, p->value, "records", records_words);
        out->records = (enum records_test)(word + 1);
        good = good && word >= 0;
    }
    if ((p = node_get(map, "op"))) {
        out->ops = ops_of(s, p->value, "op");
        good = good && out->ops;
    }
    if ((p = node_get(map, "session"))) {
        word = word_of(s->rd, p->value, "session", session_words);
        out->session = (enum session_test)(word + 1);
        good = good && word >= 0;
    }
    bool needs_answer =
        out->status_count || out->header_count || out->json_count || out->body || out->body_matches;
    if (out->answer && needs_answer)
        mistake(s->rd, node_get(map, "no_answer")->at,
                "this rule can never hold: without an answer there is no status, header or body");
    return good;
}

/* ---- whether one condition is the wider one ---- */

static bool same_texts(const struct test *a, const struct test *b)
{
    for (size_t i = 0; i < b->text_count; i++) {
        size_t k = 0;
        while (k < a->text_count && strcmp(a->texts[k], b->texts[i]) != 0)
            k++;
        if (k == a->text_count)
            return false;
    }
    return true;
}

/* Whatever passes b passes a. */
static bool test_covers(const struct test *a, const struct test *b)
{
    if (a->kind == TEST_EXISTS && a->flag && (b->kind != TEST_EXISTS || b->flag))
        return true;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case TEST_EXISTS:
        return a->flag == b->flag;
    case TEST_IN:
        return same_texts(a, b);
    case TEST_MATCHES:
        return strcmp(a->pattern, b->pattern) == 0;
    case TEST_AT_LEAST:
        return a->number <= b->number;
    case TEST_AT_MOST:
        return a->number >= b->number;
    }
    return false;
}

static bool same_pointer(const struct pointer *a, const struct pointer *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->levels[i].kind != b->levels[i].kind ||
            strcmp(a->levels[i].name, b->levels[i].name) != 0)
            return false;
    return true;
}

static bool json_covers(const struct condition *a, const struct condition *b)
{
    for (size_t i = 0; i < a->json_count; i++) {
        size_t k = 0;
        while (k < b->json_count && !(same_pointer(&a->json[i].at, &b->json[k].at) &&
                                      test_covers(&a->json[i].test, &b->json[k].test)))
            k++;
        if (k == b->json_count)
            return false;
    }
    return true;
}

static bool headers_cover(const struct condition *a, const struct condition *b)
{
    for (size_t i = 0; i < a->header_count; i++) {
        size_t k = 0;
        while (k < b->header_count && !(strcasecmp(a->headers[i].name, b->headers[k].name) == 0 &&
                                        test_covers(&a->headers[i].test, &b->headers[k].test)))
            k++;
        if (k == b->header_count)
            return false;
    }
    return true;
}

static bool has_status(const struct condition *c, unsigned status)
{
    for (size_t i = 0; i < c->status_count; i++)
        if (status >= c->statuses[i].from && status <= c->statuses[i].to)
            return true;
    return c->status_count == 0;
}

static bool statuses_cover(const struct condition *a, const struct condition *b)
{
    for (unsigned status = 100; status < 600; status++)
        if (has_status(b, status) && !has_status(a, status))
            return false;
    return true;
}

bool condition_covers(const struct condition *a, const struct condition *b)
{
    if (a->answer != b->answer && !(a->answer == ANSWER_NONE && b->answer == ANSWER_UNSENT))
        return false;
    if (a->body != BODY_ANY && a->body != b->body)
        return false;
    if (a->body_matches && (!b->body_matches || strcmp(a->body_matches, b->body_matches) != 0))
        return false;
    if (a->records != RECORDS_ANY && a->records != b->records)
        return false;
    if (a->session != SESSION_ANY && a->session != b->session)
        return false;
    if (a->ops && (!b->ops || (b->ops & ~a->ops)))
        return false;
    if (a->step >= 0 && a->step != b->step)
        return false;
    return statuses_cover(a, b) && headers_cover(a, b) && json_covers(a, b);
}
