/* Ordered rules: what an answer means. Behind each list stand the default rules. */
#include "protocol/connector/parts.h"

static const char *const do_words[] = {
    "ok",        "throttle", "retry", "auth",    "split",   "drop", "reject",
    "not_found", "fail",     "halt",  "pending", "restart", "goto", NULL,
};

struct rule_form {
    const struct node *conditions[ARRAY_LEN(condition_words) - 1];
    const struct node *step;
    const struct node *act;
    const struct node *to; /* `goto` */
    const struct node *wait;
    const struct node *message;
    const char *text;
    const struct node *unsure;
    const struct node *verdicts;
};

#define MEMBER(m) .offset = offsetof(struct rule_form, m)
static const struct field fields[] = {
    {"status", FIELD_NODE, MEMBER(conditions[0])},
    {"header", FIELD_NODE, MEMBER(conditions[1])},
    {"json", FIELD_NODE, MEMBER(conditions[2])},
    {"body", FIELD_NODE, MEMBER(conditions[3])},
    {"no_answer", FIELD_NODE, MEMBER(conditions[4])},
    {"records", FIELD_NODE, MEMBER(conditions[5])},
    {"op", FIELD_NODE, MEMBER(conditions[6])},
    {"session", FIELD_NODE, MEMBER(conditions[7])},
    {"step", FIELD_NODE, MEMBER(step)},
    {"do", FIELD_NODE, MEMBER(act)},
    {"goto", FIELD_NODE, MEMBER(to)},
    {"wait", FIELD_NODE, MEMBER(wait)},
    {"message", FIELD_NODE, MEMBER(message)},
    {"text", FIELD_TEXT, MEMBER(text)},
    {"unsure", FIELD_NODE, MEMBER(unsure)},
    {"verdicts", FIELD_NODE, MEMBER(verdicts)},
};
static const struct form rule_form = {"rule", fields, ARRAY_LEN(fields), false};

/* ---- steps that a rule speaks of ---- */

/* -1: there is no such step here. A list of `answers:` may speak of steps that only some requests
 * have; by itself it knows none. */
static int32_t find_step(struct scope *s, const struct node *node, const char *key, bool must)
{
    const char *name = text_of(s->rd, node, key);
    int32_t step = name ? names_find(&s->steps, name) : -1;
    s->of_steps = true;
    if (name && s->any_step)
        return names_add(&s->steps, name);
    if (!name || step >= 0)
        return step;
    if (must)
        mistake(s->rd, node->at, "there is no step %s here; %s", shown(s->rd, node),
                did_you_mean(s->rd, node->substituted ? "" : name, s->steps.items, s->steps.count,
                             "write the `name` of a step of this request"));
    return -1;
}

static void read_goto(struct scope *s, const struct node *node, struct rule *out)
{
    int32_t step = find_step(s, node, "goto", true);
    out->act = DO_GOTO;
    out->step = step >= 0 ? (uint32_t)step : 0;
}

/* ---- what is done ---- */

static void read_do(struct scope *s, const struct node *map, const struct rule_form *f,
                    struct rule *out)
{
    const struct node *act = f->act;
    if (!act && !f->to) {
        mistake(s->rd, map->at, "the rule has no `do`: add it");
        return;
    }
    if (act && act->kind == NODE_MAP && act->count == 1 && node_get(act, "goto")) {
        read_goto(s, node_get(act, "goto")->value, out);
        return;
    }
    int word = act ? word_of(s->rd, act, "do", do_words) : DO_GOTO;
    if (word < 0)
        return;
    out->act = (enum rule_do)word;
    if (out->act == DO_GOTO && !f->to)
        mistake(s->rd, act->at, "`goto` does not say where to: write do: {goto: STEP}");
    else if (out->act != DO_GOTO && f->to)
        mistake(s->rd, f->to->at, "`do` and `goto` exclude each other: keep one");
    else if (f->to)
        read_goto(s, f->to, out);
}

static void read_extras(struct scope *s, const struct node *map, const struct rule_form *f,
                        struct rule *out)
{
    bool waits = out->act == DO_THROTTLE || out->act == DO_RETRY || out->act == DO_PENDING ||
                 out->act == DO_RESTART;
    if (f->wait)
        delays_of(s, f->wait, "wait", &out->wait);
    else if (out->act == DO_THROTTLE)
        out->wait = default_rules[3].wait;
    if (f->wait && !waits)
        mistake(s->rd, node_get(map, "wait")->at,
                "`wait` belongs to throttle, retry, restart and pending only: remove it");
    if (f->message)
        pointers_of(s, f->message, "message", &out->message);
    if (f->verdicts)
        out->verdicts = verdicts_of(s, f->verdicts);
    if (f->verdicts && out->act != DO_OK && out->act != DO_DROP)
        mistake(s->rd, node_get(map, "verdicts")->at,
                "`verdicts` are read only by ok and drop: remove them");
    if (f->unsure && node_is_core(f->unsure, CORE_BOOL)) {
        out->unsure_set = true;
        out->unsure = node_is_true(f->unsure);
    } else if (f->unsure) {
        wrong_type(s->rd, f->unsure, "unsure", "true or false");
    }
    out->text = f->text;
}

/* False where it does not apply here, or has a mistake that leaves nothing to go on with. */
static bool read_rule(struct scope *s, const struct node *map, bool in_place, struct rule *out)
{
    struct rule_form f = {0};
    struct entry of = {NULL, map->at, map};
    *out = (struct rule){.place = map->at};
    if (!form_read(s->rd, &rule_form, &of, &f))
        return false;
    bool good = condition_read(s, map, &out->when);
    read_do(s, map, &f, out);
    read_extras(s, map, &f, out);
    if (f.step)
        out->when.step = find_step(s, f.step, "step", in_place);
    return good && (!f.step || out->when.step >= 0);
}

static void check_reached(struct scope *s, const struct rule *rules, size_t count)
{
    const struct rule *last = &rules[count - 1];
    for (size_t i = 0; i + 1 < count; i++) {
        if (!condition_covers(&rules[i].when, &last->when))
            continue;
        mistake(s->rd, last->place,
                "this rule is never reached: the one in line %u holds for all of its answers; move "
                "or remove one",
                rules[i].place.line);
        return;
    }
}

static const struct rule_list *read_list(struct scope *s, const char *name, const struct node *node)
{
    if (node->kind != NODE_LIST) {
        wrong_type(s->rd, node, name ? name : "answers", "a list of rules");
        return &default_rule_list;
    }
    if (node->count > CONNECTOR_RULES_MAX) {
        mistake(s->rd, node->at, "there are more than %d rules: use fewer", CONNECTOR_RULES_MAX);
        return &default_rule_list;
    }
    struct rule *rules = reader_alloc(s->rd, (node->count + default_rule_count) * sizeof *rules);
    struct rule_list *list = reader_alloc(s->rd, sizeof *list);
    if (!rules || !list)
        return &default_rule_list;
    size_t n = 0;
    for (size_t i = 0; i < node->count; i++) {
        if (!read_rule(s, node->items[i], !name, &rules[n]))
            continue;
        n++;
        if (!name || s->any_step)
            check_reached(s, rules, n);
    }
    memcpy(rules + n, default_rules, default_rule_count * sizeof *rules);
    *list = (struct rule_list){name, rules, n + default_rule_count};
    return list;
}

/* ---- lists by name ---- */

void answers_read(struct scope *s, const struct node *node)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "answers", "a map of names to lists of rules");
        return;
    }
    struct rule_list *lists = reader_alloc(s->rd, node->count * sizeof *lists);
    s->answers = reader_alloc(s->rd, node->count * sizeof *s->answers);
    if (!lists || !s->answers)
        return;
    struct scope own = *s;
    own.any_step = true;
    if (!names_init(s, &own.steps, 2 * CONNECTOR_RULES_MAX))
        return;
    for (size_t i = 0; i < node->count; i++) {
        const struct pair *pair = &node->pairs[i];
        own.of_steps = false;
        own.steps.count = 0;
        const struct rule_list *list = read_list(&own, pair->key, pair->value);
        s->answers[i] = (struct named_answers){
            .name = pair->key, .node = pair->value, .list = list, .of_steps = own.of_steps};
        lists[i] = *list;
        lists[i].name = pair->key;
    }
    s->answer_count = node->count;
    s->c->answers = lists;
    s->c->answer_count = node->count;
}

/* One that speaks of steps is read once more for each request. */
static const struct rule_list *named_list(struct scope *s, struct named_answers *a)
{
    if (!a->of_steps)
        return a->list;
    if (a->request != s->request)
        a->of_request = read_list(s, a->name, a->node);
    a->request = s->request;
    return a->of_request;
}

static const struct rule_list *find_list(struct scope *s, const char *name)
{
    for (size_t i = 0; i < s->answer_count; i++)
        if (strcmp(s->answers[i].name, name) == 0)
            return named_list(s, &s->answers[i]);
    return NULL;
}

static void unknown_list(struct scope *s, const struct node *node)
{
    const char **known = reader_alloc(s->rd, (s->answer_count + 1) * sizeof *known);
    for (size_t i = 0; known && i < s->answer_count; i++)
        known[i] = s->answers[i].name;
    if (known)
        mistake(s->rd, node->at, "there is no list %s under `answers`; %s", shown(s->rd, node),
                did_you_mean(s->rd, node->substituted ? "" : node->text, known, s->answer_count,
                             "add it, or write the rules here"));
}

/* Rules of other steps never hold here. */
static void check_pending(struct scope *s, const struct rule_list *list)
{
    for (size_t i = 0; i < list->count && !s->polls; i++) {
        const struct rule *r = &list->rules[i];
        if (r->act == DO_PENDING && (r->when.step < 0 || r->when.step == (int32_t)s->step))
            mistake(s->rd, r->place,
                    "`pending` needs a step that asks again: add `wait` to the step %s",
                    shown_text(s->rd, s->steps.items[s->step]));
    }
}

const struct rule_list *rules_of(struct scope *s, const struct node *node)
{
    const struct rule_list *list = NULL;
    if (node && node->kind == NODE_LIST) {
        list = read_list(s, NULL, node);
    } else {
        const char *name = node ? text_of(s->rd, node, "answers") : "default";
        list = name ? find_list(s, name) : NULL;
        if (name && node && !list)
            unknown_list(s, node);
    }
    if (list)
        check_pending(s, list);
    return list ? list : &default_rule_list;
}

void answers_check(struct scope *s)
{
    for (size_t i = 0; i < s->answer_count && s->all_steps.count < s->all_steps.max; i++) {
        const struct node *list = s->answers[i].node;
        for (size_t k = 0; list->kind == NODE_LIST && k < list->count; k++) {
            const struct pair *step = node_get(list->items[k], "step");
            if (!step || !node_is_text(step->value) || !*step->value->text ||
                names_find(&s->all_steps, step->value->text) >= 0)
                continue;
            mistake(s->rd, step->value->at, "no request has a step %s; %s",
                    shown(s->rd, step->value),
                    did_you_mean(s->rd, step->value->substituted ? "" : step->value->text,
                                 s->all_steps.items, s->all_steps.count, "remove the rule"));
        }
    }
}
