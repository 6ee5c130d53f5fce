/* One step: an HTTP request, and what its answer means. Steps are read in the order in which they
 * run, so that each knows what those before it captured. */
#include "protocol/connector/parts.h"

enum { HOUR_MS = 3600000 };

static const char *const method_words[] = {"POST", "GET", "PUT", "PATCH", "DELETE", NULL};

struct step_form {
    const char *name;
    const char *idempotency;
    const char *group;
    int method;
    const struct node *url, *query, *headers, *body, *gzip, *joins;
    const struct node *if_, *unless, *capture, *lookup, *wait, *pages, *answers, *verdicts;
    const struct node *max_records, *max_bytes, *carries;
    uint64_t timeout_ms;
    bool opens;
};

#define MEMBER(m) .offset = offsetof(struct step_form, m)
static const struct field fields[] = {
    {"name", FIELD_TEXT, MEMBER(name)},
    {"method", FIELD_WORD, MEMBER(method), .words = method_words},
    {"url", FIELD_NODE, MEMBER(url), .required = true},
    {"query", FIELD_NODE, MEMBER(query)},
    {"headers", FIELD_NODE, MEMBER(headers)},
    {"body", FIELD_NODE, MEMBER(body)},
    {"gzip", FIELD_NODE, MEMBER(gzip)},
    {"idempotency", FIELD_TEXT, MEMBER(idempotency)},
    {"joins", FIELD_NODE, MEMBER(joins)},
    {"group", FIELD_TEXT, MEMBER(group)},
    {"timeout", FIELD_DURATION, MEMBER(timeout_ms), .min = 1, .max = HOUR_MS},
    {"if", FIELD_NODE, MEMBER(if_)},
    {"unless", FIELD_NODE, MEMBER(unless)},
    {"capture", FIELD_NODE, MEMBER(capture)},
    {"lookup", FIELD_NODE, MEMBER(lookup)},
    {"wait", FIELD_NODE, MEMBER(wait)},
    {"pages", FIELD_NODE, MEMBER(pages)},
    {"opens", FIELD_FLAG, MEMBER(opens)},
    {"carries", FIELD_NODE, MEMBER(carries)},
    {"answers", FIELD_NODE, MEMBER(answers)},
    {"verdicts", FIELD_NODE, MEMBER(verdicts)},
    {"max_records", FIELD_NODE, MEMBER(max_records)},
    {"max_bytes", FIELD_NODE, MEMBER(max_bytes)},
};
enum { SIZE_FIELDS = 2 }; /* the last ones: of a request with one step */
static const struct form sized_form = {"request", fields, ARRAY_LEN(fields), false};
static const struct form step_form = {"step", fields, ARRAY_LEN(fields) - SIZE_FIELDS, false};

/* ---- joins ---- */

struct join_form {
    const struct node *each, *escape;
    const char *by, *refuse;
    bool skip_absent;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct join_form, m)
static const struct field join_fields[] = {
    {"each", FIELD_NODE, MEMBER(each), .required = true},
    {"by", FIELD_TEXT, MEMBER(by), .may_be_empty = true},
    {"escape", FIELD_NODE, MEMBER(escape)},
    {"refuse", FIELD_TEXT, MEMBER(refuse)},
    {"skip_absent", FIELD_FLAG, MEMBER(skip_absent)},
};
static const struct form join_form = {"join", join_fields, ARRAY_LEN(join_fields), false};

static void read_escapes(struct scope *s, const struct node *node, struct join *out)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "escape", "a map of characters to what is written for them");
        return;
    }
    struct param *list = reader_alloc(s->rd, node->count * sizeof *list);
    for (size_t i = 0; list && i < node->count; i++) {
        const struct pair *pair = &node->pairs[i];
        if (strlen(pair->key) != 1 || !node_is_text(pair->value)) {
            mistake(s->rd, pair->at, "`escape` must name one ASCII character and a text for it");
            continue;
        }
        list[out->escape_count++] = (struct param){pair->key, pair->value->text};
    }
    out->escapes = list;
}

static bool read_join(struct scope *s, const struct pair *pair, struct join *out)
{
    struct join_form f = {.by = ""};
    struct entry of = {pair->key, pair->at, pair->value};
    *out = (struct join){.name = pair->key};
    if (!form_read(s->rd, &join_form, &of, &f) || !f.each)
        return false;
    bool record = s->record;
    s->record = true;
    bool good = template_of(s, f.each, "each", &out->each);
    s->record = record;
    if (f.escape)
        read_escapes(s, f.escape, out);
    out->by = f.by;
    out->refuse = f.refuse;
    out->skip_absent = f.skip_absent;
    return good;
}

static void read_joins(struct scope *s, const struct node *node, struct step *out)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "joins", "a map of names to joins");
        return;
    }
    if (!s->ops) {
        mistake(s->rd, node->at, "`joins` have no meaning here: there are no records");
        return;
    }
    struct join *list = reader_alloc(s->rd, node->count * sizeof *list);
    size_t kept = 0;
    for (size_t i = 0; list && i < node->count; i++) {
        (void)read_join(s, &node->pairs[i], &list[kept]);
        kept += list[kept].name != NULL;
    }
    out->joins = s->joins = list;
    out->join_count = s->join_count = kept;
}

/* ---- when it is carried out ---- */

static void read_when(struct scope *s, const struct node *node, const char *key, int32_t *ret_var,
                      int32_t *ret_option)
{
    struct piece piece;
    if (!node || !piece_of(s, node, key, &piece))
        return;
    if (piece.kind == PIECE_VAR)
        *ret_var = (int32_t)piece.index;
    else if (piece.kind == PIECE_OPTION)
        *ret_option = (int32_t)piece.index;
    else
        mistake(s->rd, node->at, "`%s` must name one of vars or options: vars.NAME", key);
}

/* ---- the request ---- */

static void read_gzip(struct scope *s, const struct node *node, struct step *out)
{
    struct template t = {0};
    if (node_is_core(node, CORE_BOOL) && !node->substituted) {
        out->gzip = node_is_true(node);
        return;
    }
    if (!template_of(s, node, "gzip", &t))
        return;
    if (t.count == 1 && t.pieces[0].kind == PIECE_OPTION && !t.pieces[0].filter_count)
        out->gzip_option = (int32_t)t.pieces[0].index;
    else
        mistake(s->rd, node->at, "`gzip` must be true, false or one option: \"{{options.gzip}}\"");
}

static void read_group(struct scope *s, const char *group, struct config_place at, struct step *out)
{
    int32_t n = group ? names_find(&s->groups, group) : 0;
    if (n < 0)
        mistake(s->rd, at, "no entry of `limits` has the group %s: %s", shown_text(s->rd, group),
                did_you_mean(s->rd, group, s->groups.items, s->groups.count,
                             "add a limit with that group, or remove it here"));
    out->group = n < 0 ? 1 : (uint32_t)n + 1;
}

static void read_request(struct scope *s, const struct node *map, const struct step_form *f,
                         struct step *out)
{
    const struct pair *group = node_get(map, "group");
    out->method = method_words[f->method];
    out->idempotency = f->idempotency;
    out->timeout_ms = f->timeout_ms;
    read_group(s, f->group, group ? group->value->at : map->at, out);
    if (f->joins)
        read_joins(s, f->joins, out);
    if (f->url)
        (void)url_of(s, f->url, &out->url);
    if (f->query)
        templates_of(s, f->query, "query", &out->query, &out->query_count);
    if (f->headers)
        templates_of(s, f->headers, "headers", &out->headers, &out->header_count);
    if (f->body)
        body_read(s, f->body, out);
    if (f->body && strcmp(out->method, "GET") == 0)
        mistake(s->rd, node_get(map, "body")->at, "a GET has no body: remove it, or use POST");
    if (f->gzip)
        read_gzip(s, f->gzip, out);
}

/* ---- the answer ---- */

static void read_answer(struct scope *s, const struct step_form *f, struct step *out)
{
    s->polls = f->wait != NULL;
    if (f->wait)
        poll_read(s, f->wait, out);
    out->answers = rules_of(s, f->answers);
    s->polls = false;
    struct verdicts *verdicts = f->verdicts ? verdicts_of(s, f->verdicts) : NULL;
    if (verdicts)
        verdicts_link(verdicts, out->json);
    out->verdicts = verdicts;
    if (f->verdicts && !s->ops)
        mistake(s->rd, f->verdicts->at, "`verdicts` have no meaning here: there are no records");
    if (f->lookup && !s->ops)
        mistake(s->rd, f->lookup->at, "`lookup` has no meaning here: there are no records");
    else if (f->lookup)
        lookup_read(s, f->lookup, out);
    if (f->capture)
        captures_read(s, f->capture, &s->vars, false, &out->captures, &out->capture_count);
}

static void check_until(struct scope *s, const struct node *pages, const struct step *step)
{
    if (!step->pages.given || step->pages.until < 0)
        return;
    for (size_t i = 0; i < step->capture_count; i++)
        if (step->captures[i].var == (uint32_t)step->pages.until)
            return;
    mistake(s->rd, node_get(pages, "until")->value->at,
            "`until` must be a name that this step captures: add it to `capture`");
}

static void set_carries(struct scope *s, const struct step_form *f, struct step *out)
{
    out->carries = s->uses && !f->lookup && !f->wait && strcmp(out->method, "GET") != 0;
    if (!f->carries)
        return;
    if (node_is_core(f->carries, CORE_BOOL))
        out->carries = node_is_true(f->carries);
    else
        wrong_type(s->rd, f->carries, "carries", "true or false");
}

/* 0: it speaks of something else. */
static uint32_t read_conflicts(const struct node *node)
{
    static const char start[] = "conflicts.";
    if (!node || !node_is_text(node))
        return 0;
    if (strcmp(node->text, "conflicts") == 0)
        return CONFLICTS_ALL;
    bool begins = strncmp(node->text, start, sizeof start - 1) == 0;
    return begins ? conflict_bits(node->text + sizeof start - 1) : 0;
}

bool step_read(struct scope *s, const struct entry *of, bool sized, struct step *out)
{
    struct step_form f = {0};
    *out = (struct step){.name = of->name,
                         .if_var = -1,
                         .unless_var = -1,
                         .if_option = -1,
                         .unless_option = -1,
                         .gzip_option = -1,
                         .answers = &default_rule_list,
                         .place = of->node->at};
    struct entry unnamed = {NULL, of->at, of->node};
    if (!form_read(s->rd, sized ? &sized_form : &step_form, &unnamed, &f))
        return false;
    if (f.name)
        out->name = f.name;
    (void)names_add(&s->all_steps, out->name);
    out->if_conflicts = read_conflicts(f.if_);
    if (!out->if_conflicts)
        read_when(s, f.if_, "if", &out->if_var, &out->if_option);
    read_when(s, f.unless, "unless", &out->unless_var, &out->unless_option);
    s->uses = false;
    s->joins = NULL;
    s->join_count = 0;
    if (f.pages)
        pages_read(s, f.pages, out);
    read_request(s, of->node, &f, out);
    set_carries(s, &f, out);
    read_answer(s, &f, out);
    check_until(s, f.pages, out);
    out->opens = f.opens;
    return true;
}

/* ---- several ---- */

/* Names come first: a rule may go to any step. */
static bool gather_names(struct scope *s, const struct node *list)
{
    if (!names_init(s, &s->steps, CONNECTOR_STEPS_MAX))
        return false;
    s->request++;
    for (size_t i = 0; i < list->count; i++) {
        const struct pair *name = node_get(list->items[i], "name");
        const char *text = name && node_is_text(name->value) && *name->value->text
                               ? name->value->text
                               : reader_printf(s->rd, "%zu", i + 1);
        if (names_find(&s->steps, text) >= 0) {
            mistake(s->rd, name ? name->value->at : list->items[i]->at,
                    "an earlier step is called %s as well: give each a name of its own",
                    shown_text(s->rd, text));
            text = reader_printf(s->rd, "#%zu", i + 1);
        }
        s->steps.items[s->steps.count++] = text;
    }
    return true;
}

bool steps_read(struct scope *s, const struct node *list, const char *key,
                const struct step **ret_steps, size_t *ret_count)
{
    if (list->kind != NODE_LIST || list->count == 0) {
        wrong_type(s->rd, list, key, "a list of at least one step");
        return false;
    }
    if (list->count > CONNECTOR_STEPS_MAX) {
        mistake(s->rd, list->at, "there are more than %d steps: use fewer", CONNECTOR_STEPS_MAX);
        return false;
    }
    struct step *steps = reader_alloc(s->rd, list->count * sizeof *steps);
    if (!steps || !gather_names(s, list))
        return false;
    bool good = true;
    for (size_t i = 0; i < list->count; i++) {
        struct entry of = {s->steps.items[i], list->items[i]->at, list->items[i]};
        s->step = (uint32_t)i;
        good = step_read(s, &of, false, &steps[i]) && good;
    }
    *ret_steps = steps;
    *ret_count = list->count;
    return good;
}
