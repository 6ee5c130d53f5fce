#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/quantity.h"

#include <stdlib.h>

enum { MIRROR_REMOVED_PERCENT = 50 };

struct guard_form {
    const struct node *max_removed;
    const struct node *max_changed;
    const struct node *min_rows;
    const struct node *max_rejected;
    const struct node *columns;
    bool allow_empty;
};

#define MEMBER(m) .offset = offsetof(struct guard_form, m)
static const struct field fields[] = {
    {"max_removed", FIELD_NODE, MEMBER(max_removed)},
    {"max_changed", FIELD_NODE, MEMBER(max_changed)},
    {"min_rows", FIELD_NODE, MEMBER(min_rows)},
    {"max_rejected", FIELD_NODE, MEMBER(max_rejected)},
    {"columns", FIELD_NODE, MEMBER(columns)},
    {"allow_empty", FIELD_FLAG, MEMBER(allow_empty)},
};
static const struct form form = {"`guard` map", fields, ARRAY_LEN(fields), false};

void guard_limit_read(struct reader *rd, const struct node *v, const char *key,
                      struct guard_limit *out)
{
    uint64_t number;
    double percent;
    if (!v || v->broken)
        return;
    if (node_is_word(v, "off"))
        *out = (struct guard_limit){0};
    else if (node_is_core(v, CORE_INT) && core_whole(v->text, &number) && number < 1ull << 52)
        *out = (struct guard_limit){.set = true, .value = (double)number};
    else if (node_is_text(v) && percent_parse(v->text, &percent))
        *out = (struct guard_limit){.set = true, .percent = true, .value = percent};
    else
        mistake(rd, v->at,
                "`%s` must be a number of records, a percentage from 0%% to 100%%, or off, but it "
                "is %s",
                key,
                v->kind == NODE_SCALAR && v->type != CORE_NULL ? shown(rd, v) : node_kind_name(v));
}

/* hold, or off. */
static void read_columns(struct reader *rd, const struct node *v, struct guard *g)
{
    if (!v || v->broken)
        return;
    g->columns_off = node_is_word(v, "off");
    if (!g->columns_off && !node_is_word(v, "hold"))
        mistake(rd, v->at, "`columns` must be hold or off, but it is %s",
                v->kind == NODE_SCALAR && v->type != CORE_NULL ? shown(rd, v) : node_kind_name(v));
}

void guard_read(struct reader *rd, const struct node *node, struct sync *sync)
{
    struct guard *g = &sync->guard;
    bool off = node && node_is_word(node, "off");
    if (sync->mode == MODE_MIRROR && !off)
        g->max_removed =
            (struct guard_limit){.set = true, .percent = true, .value = MIRROR_REMOVED_PERCENT};
    g->columns_off = off;
    if (!node || off || node->broken)
        return;
    if (node->kind != NODE_MAP) {
        wrong_type(rd, node, "guard", "off or a map: {max_removed: 10%}");
        return;
    }
    struct guard_form f = {.allow_empty = g->allow_empty};
    struct entry of = {NULL, node->at, node};
    form_read(rd, &form, &of, &f);
    guard_limit_read(rd, f.max_removed, "max_removed", &g->max_removed);
    guard_limit_read(rd, f.max_changed, "max_changed", &g->max_changed);
    guard_limit_read(rd, f.min_rows, "min_rows", &g->min_rows);
    guard_limit_read(rd, f.max_rejected, "max_rejected", &g->max_rejected);
    read_columns(rd, f.columns, g);
    g->allow_empty = f.allow_empty;
}
