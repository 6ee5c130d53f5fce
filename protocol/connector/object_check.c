/* Whether an object can do what it says: modes and removals against the ops that have requests. */
#include "protocol/connector/parts.h"

/* The ops that a mode sends. A record of `full` is an upsert (every row, every run): what appends
 * it would be doubled by each run. */
static const struct {
    enum sync_mode mode;
    uint32_t ops;
} mode_ops[] = {
    {MODE_UPSERT, 1u << OP_UPSERT}, {MODE_INSERT, 1u << OP_INSERT},
    {MODE_UPDATE, 1u << OP_UPDATE}, {MODE_APPEND, 1u << OP_APPEND},
    {MODE_FULL, 1u << OP_UPSERT},   {MODE_MIRROR, 1u << OP_UPSERT | 1u << OP_DELETE},
};

static uint32_t ops_with_requests(const struct object *o)
{
    uint32_t ops = 0;
    for (int op = 0; op < OPS; op++)
        ops |= o->request_of[op] >= 0 ? 1u << op : 0;
    return ops;
}

static void check_mode(struct scope *s, const struct node *node, const struct object *o, size_t i)
{
    uint32_t missing = mode_ops[i].ops & ~ops_with_requests(o);
    const struct pair *modes = node_get(node, "modes");
    for (int op = 0; op < OPS; op++)
        if (missing & 1u << op)
            mistake(s->rd, modes ? modes->value->at : node->at,
                    "the mode %s needs a request for %s: add it under `requests`, or remove the "
                    "mode",
                    mode_words[mode_ops[i].mode], op_words[op]);
}

static void check_removal(struct scope *s, const struct node *node, const struct object *o,
                          enum on_removed removal, enum record_op op)
{
    const struct pair *remove = node_get(node, "remove");
    if (o->removals & 1u << removal && o->request_of[op] < 0)
        mistake(s->rd, remove ? remove->value->at : node->at,
                "removal by %s needs a request for it: add it under `requests`, or remove it here",
                op_words[op]);
}

static void fill_defaults(const struct node *node, struct object *o)
{
    uint32_t ops = ops_with_requests(o);
    for (size_t i = 0; !node_get(node, "modes") && i < ARRAY_LEN(mode_ops); i++)
        if ((mode_ops[i].ops & ~ops) == 0)
            o->modes |= 1u << mode_ops[i].mode;
    if (!node_get(node, "remove") && o->request_of[OP_DELETE] >= 0)
        o->removals |= 1u << REMOVED_DELETE;
    if (!node_get(node, "remove") && o->request_of[OP_CLEAR] >= 0)
        o->removals |= 1u << REMOVED_CLEAR;
    o->removals |= 1u << REMOVED_IGNORE;
}

static bool has_lookup(const struct object *o)
{
    for (size_t i = 0; i < o->request_count; i++)
        for (size_t k = 0; k < o->requests[i].step_count; k++)
            if (o->requests[i].steps && o->requests[i].steps[k].lookup)
                return true;
    return false;
}

static void check_conflicts(struct scope *s, const struct node *node, const struct object *o)
{
    bool looks_up = o->set_if_empty == CONFLICT_LOOKUP || o->create_only == CONFLICT_LOOKUP ||
                    o->newest_wins == CONFLICT_LOOKUP;
    if (looks_up && !has_lookup(o))
        mistake(s->rd, node_get(node, "conflicts")->at,
                "`conflicts` by lookup need a step with `lookup` in `requests`: add it");
    if (o->merge_arrays && !s->merges)
        mistake(s->rd, node_get(node, "conflicts")->at,
                "`merge_arrays: native` needs a place in `requests` for what is added: write "
                "`merge` or `policy: merge` in a `$fields` there");
}

void object_check(struct scope *s, const struct node *node, struct object *o)
{
    if (strcmp(s->c->driver, "http") != 0) {
        const struct pair *requests = node_get(node, "requests");
        if (requests)
            mistake(s->rd, requests->at,
                    "a connector with a driver of its own has no `requests`: remove them");
        o->removals |= 1u << REMOVED_IGNORE;
        return;
    }
    if (o->request_count == 0 && !node_get(node, "requests"))
        mistake(s->rd, node->at, "the object has no `requests`: add one for each op it can do");
    if (o->request_count == 0)
        return;
    fill_defaults(node, o);
    for (size_t i = 0; i < ARRAY_LEN(mode_ops); i++)
        if (o->modes & 1u << mode_ops[i].mode)
            check_mode(s, node, o, i);
    check_removal(s, node, o, REMOVED_DELETE, OP_DELETE);
    check_removal(s, node, o, REMOVED_CLEAR, OP_CLEAR);
    check_conflicts(s, node, o);
}
