/* An object's requests, one per op; ops that name another one share its request. */
#include "protocol/connector/parts.h"

struct request_form {
    const struct node *steps, *max_records, *max_bytes;
};

#define MEMBER(m) .offset = offsetof(struct request_form, m)
static const struct field fields[] = {
    {"steps", FIELD_NODE, MEMBER(steps)},
    {"max_records", FIELD_NODE, MEMBER(max_records)},
    {"max_bytes", FIELD_NODE, MEMBER(max_bytes)},
};
static const struct form steps_form = {"request with steps", fields, ARRAY_LEN(fields), false};

/* The op whose request this one shares, itself; -1: a mistake was reported. */
static int shared_op(struct scope *s, const struct node *requests, int op, const struct pair *pair)
{
    if (pair->value->kind == NODE_MAP)
        return op;
    int other = word_of(s->rd, pair->value, op_words[op], op_words);
    const struct pair *target = other >= 0 ? node_get(requests, op_words[other]) : NULL;
    if (other >= 0 && (!target || target->value->kind != NODE_MAP)) {
        mistake(s->rd, pair->value->at,
                "`%s` cannot share the request of %s, which has none of its own: write it there",
                pair->key, op_words[other]);
        return -1;
    }
    return other;
}

struct size_form {
    uint32_t max_records;
    uint64_t max_bytes;
};

/* A request may be smaller than its object says, never larger. */
static void read_sizes(struct scope *s, const struct node *map, struct request *out)
{
    const struct field size_fields[] = {
        {"max_records", FIELD_COUNT, .offset = offsetof(struct size_form, max_records), .min = 1,
         .max = s->object->max_records},
        {"max_bytes", FIELD_SIZE, .offset = offsetof(struct size_form, max_bytes), .min = 1024,
         .max = s->object->max_bytes},
    };
    struct form form = {"request", size_fields, ARRAY_LEN(size_fields), true};
    struct size_form f = {0};
    struct entry of = {NULL, map->at, map};
    if (!form_read(s->rd, &form, &of, &f))
        return;
    out->max_records = f.max_records;
    out->max_bytes = f.max_bytes;
}

static void check_session(struct scope *s, const struct node *map, const struct request *r)
{
    if (s->object->session && r->max_records && r->max_records < s->object->max_records)
        mistake(s->rd, node_get(map, "max_records")->at,
                "the batches of a session are never split: `max_records` belongs to the object");
}

static bool read_steps(struct scope *s, const struct entry *of, struct request *out)
{
    const struct pair *list = node_get(of->node, "steps");
    struct request_form f = {0};
    struct entry unnamed = {NULL, of->at, of->node};
    if (list)
        return form_read(s->rd, &steps_form, &unnamed, &f) &&
               steps_read(s, f.steps, "steps", &out->steps, &out->step_count);
    struct step *step = reader_alloc(s->rd, sizeof *step);
    const struct pair *name = node_get(of->node, "name");
    bool has_name = name && node_is_text(name->value) && *name->value->text;
    if (!step || !names_init(s, &s->steps, 1))
        return false;
    s->request++;
    (void)names_add(&s->steps, has_name ? name->value->text : of->name);
    out->steps = step;
    out->step_count = 1;
    s->step = 0;
    return step_read(s, of, true, step);
}

static bool read_request(struct scope *s, const struct entry *of, struct request *out)
{
    uint32_t known = s->vars_known;
    s->ops = out->ops;
    s->found = false;
    if (of->node->kind == NODE_MAP)
        read_sizes(s, of->node, out);
    check_session(s, of->node, out);
    uint32_t records = out->max_records ? out->max_records : s->object->max_records;
    s->record = records == 1;
    s->shared = 0;
    bool good = read_steps(s, of, out);
    out->groups = s->shared;
    s->record = false;
    s->ops = 0;
    s->vars_known = known;
    return good;
}

static void check_ops(struct scope *s, const struct node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        int op = 0;
        while (op < OPS && strcmp(op_words[op], node->pairs[i].key) != 0)
            op++;
        if (op == OPS)
            form_unknown(s->rd, "`requests` map", &node->pairs[i], op_words);
    }
}

void requests_read(struct scope *s, const struct node *node, struct object *o)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "requests", "a map of ops to requests");
        return;
    }
    check_ops(s, node);
    uint32_t shares[OPS] = {0};
    for (int op = 0; op < OPS; op++) {
        const struct pair *pair = node_get(node, op_words[op]);
        int of = pair && !pair->value->broken ? shared_op(s, node, op, pair) : -1;
        if (of >= 0)
            shares[of] |= 1u << op;
    }
    struct request *list = reader_alloc(s->rd, OPS * sizeof *list);
    for (int op = 0; list && op < OPS; op++) {
        const struct pair *pair = node_get(node, op_words[op]);
        if (!shares[op] || !pair)
            continue;
        struct entry of = {op_words[op], pair->at, pair->value};
        struct request *r = &list[o->request_count];
        r->ops = shares[op];
        (void)read_request(s, &of, r);
        for (int k = 0; k < OPS; k++)
            if (shares[op] & 1u << k)
                o->request_of[k] = (int8_t)o->request_count;
        o->request_count++;
    }
    o->requests = list;
}
