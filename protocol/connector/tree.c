/* Trees: any YAML as the form of a JSON body, in which texts are templates and words that begin
 * with $ stand for records and their fields. */
#include "protocol/connector/parts.h"

enum { LITERAL_BYTES = 1 << 20 };

/* Words that give a whole tree; at most one of them stands in a map. */
enum whole { W_RECORDS, W_RECORD, W_COLUMNS, W_ROW, W_OP, W_VALUE, W_JSON, WHOLE_COUNT };
static const char *const whole_words[] = {"$records", "$record", "$columns", "$row",
                                          "$op",      "$value",  "$json",    NULL};
static const char *const all_words[] = {"$records", "$record", "$columns", "$row",  "$op", "$value",
                                        "$json",    "$fields", "$keys",    "$null", "$if", NULL};

static struct tree *tree_new(struct scope *s, const struct node *node, enum tree_kind kind)
{
    struct tree *t = reader_alloc(s->rd, sizeof *t);
    if (t)
        *t = (struct tree){.kind = kind, .place = node->at};
    return t;
}

static const struct tree *literal(struct scope *s, const struct node *node, struct slice text)
{
    struct tree *t = tree_new(s, node, TREE_LITERAL);
    if (t)
        t->literal = reader_str(s->rd, text);
    return t && t->literal ? t : NULL;
}

static const struct tree *literal_of(struct scope *s, const struct node *node)
{
    struct buf b CLEANUP(buf_done);
    buf_init(&b, LITERAL_BYTES);
    enum err_code rc = node_put_json(&b, node);
    if (rc == ERR_NOMEM)
        s->rd->failed = rc;
    else if (rc)
        mistake(s->rd, node->at, "this number cannot be written in JSON: write another");
    return rc ? NULL : literal(s, node, buf_slice(&b));
}

static const struct tree *scalar(struct scope *s, const struct node *node)
{
    if (node->broken)
        return NULL;
    if (node->type != CORE_TEXT || !strstr(node->text, "{{"))
        return literal_of(s, node);
    struct tree *t = tree_new(s, node, TREE_VALUE);
    return t && template_of(s, node, "value", &t->text) ? t : NULL;
}

/* ---- words ---- */

const struct tree *tree_of_record(struct scope *s, const struct node *node)
{
    bool record = s->record;
    s->record = true;
    const struct tree *t = tree_of(s, node);
    s->record = record;
    return t;
}

static bool needs_record(struct scope *s, struct config_place at, const char *word)
{
    s->uses = true;
    if (s->record)
        return true;
    mistake(s->rd, at,
            "%s needs a record: use it below $records, or in a request with `max_records: 1`",
            word);
    return false;
}

static void read_only(struct scope *s, const struct node *node, struct record_filter *out)
{
    struct only_form {
        const struct node *op, *in;
        const char *field;
    } f = {0};
    static const struct field fields[] = {
        {"op", FIELD_NODE, .offset = offsetof(struct only_form, op)},
        {"field", FIELD_TEXT, .offset = offsetof(struct only_form, field)},
        {"in", FIELD_NODE, .offset = offsetof(struct only_form, in)},
    };
    static const struct form form = {"`only` map", fields, ARRAY_LEN(fields), false};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &form, &of, &f))
        return;
    if (f.op)
        out->ops = ops_of(s, f.op, "op");
    if (!f.field != !f.in)
        mistake(s->rd, node->at,
                "`only` must have `field` and `in` together: {field: kind, in: [a]}");
    if (f.field)
        field_check(s, f.field, node->at, false);
    out->field = f.field;
    if (f.in)
        (void)scalars_of(s, f.in, "in", &out->in, &out->in_count);
}

static struct tree *with_items(struct scope *s, const struct node *node, enum tree_kind kind,
                               size_t count, const struct tree ***ret_items)
{
    struct tree *t = tree_new(s, node, kind);
    const struct tree **items = reader_alloc(s->rd, count * sizeof *items);
    if (!t || !items)
        return NULL;
    t->items = items;
    t->count = count;
    *ret_items = items;
    return t;
}

static const struct tree *records(struct scope *s, const struct node *map, const struct pair *word)
{
    const struct tree **items;
    struct tree *t = with_items(s, map, TREE_RECORDS, 1, &items);
    const struct pair *only = node_get(map, "only");
    if (!t)
        return NULL;
    if (!s->ops)
        mistake(s->rd, word->at, "$records has no meaning here: there are no records");
    if (only)
        read_only(s, only->value, &t->only);
    items[0] = tree_of_record(s, word->value);
    return items[0] ? t : NULL;
}

static const struct tree *record(struct scope *s, const struct node *map, const struct pair *word)
{
    const struct tree **items;
    struct tree *t = with_items(s, map, TREE_RECORD, 1, &items);
    if (!t || !needs_record(s, word->at, "$record"))
        return NULL;
    items[0] = tree_of(s, word->value);
    return items[0] ? t : NULL;
}

static const struct tree *columns(struct scope *s, const struct node *map, const struct pair *word)
{
    struct tree *t = tree_new(s, map, TREE_COLUMNS);
    if (t)
        choice_read(s, word->value, CHOICE_COLUMNS, &t->fields);
    if (!s->ops)
        mistake(s->rd, word->at, "$columns has no meaning here: there are no records");
    s->uses = true;
    return t;
}

static const struct tree *row(struct scope *s, const struct node *map, const struct pair *word)
{
    const struct tree **items;
    struct tree *t = with_items(s, map, TREE_ROW, 2, &items);
    const struct pair *cell = node_get(word->value, "cell");
    const struct pair *filler = node_get(word->value, "filler");
    bool within = s->cell;
    if (!t || !needs_record(s, word->at, "$row"))
        return NULL;
    choice_read(s, word->value, CHOICE_ROW, &t->fields);
    s->cell = true;
    items[0] = cell ? tree_of(s, cell->value) : NULL;
    s->cell = within;
    items[1] = filler ? tree_of(s, filler->value) : literal(s, map, SLICE_LIT("null"));
    return (!cell || items[0]) && items[1] ? t : NULL;
}

/* ---- $op ---- */

/* Outside of a record the op must be known from the request alone. */
static const struct tree *op_of_request(struct scope *s, const struct pair *word)
{
    const struct pair *chosen = NULL;
    for (int op = 0; op < OPS; op++) {
        if (!(s->ops & 1u << op))
            continue;
        const struct pair *p = node_get(word->value, op_words[op]);
        if (!p)
            p = node_get(word->value, "default");
        if (!p || (chosen && chosen->value != p->value)) {
            mistake(s->rd, word->at,
                    "$op stands outside of a record, in a request of several ops: give these ops "
                    "requests of their own");
            return NULL;
        }
        chosen = p;
    }
    if (!chosen)
        (void)needs_record(s, word->at, "$op");
    return chosen ? tree_of(s, chosen->value) : NULL;
}

static const struct tree *by_op(struct scope *s, const struct node *map, const struct pair *word)
{
    const struct node *cases = word->value;
    const struct tree *by[OPS] = {0}, *otherwise = NULL;
    bool good = true;
    if (cases->kind != NODE_MAP) {
        wrong_type(s->rd, cases, "$op", "a map of ops to trees");
        return NULL;
    }
    for (size_t i = 0; i < cases->count; i++) {
        const struct pair *p = &cases->pairs[i];
        static const char *const known[] = {"upsert", "insert", "update",  "delete",
                                            "clear",  "append", "default", NULL};
        int op = 0;
        while (known[op] && strcmp(known[op], p->key) != 0)
            op++;
        if (!known[op]) {
            form_unknown(s->rd, "`$op` map", p, known);
            continue;
        }
        if (!s->record)
            continue;
        const struct tree *t = tree_of(s, p->value);
        good = good && t;
        if (op == OPS)
            otherwise = t;
        else
            by[op] = t;
    }
    if (!s->record)
        return op_of_request(s, word);
    struct tree *t = tree_new(s, map, TREE_BY_OP);
    for (int op = 0; t && op < OPS; op++)
        t->ops[op] = by[op] ? by[op] : otherwise;
    s->uses = true;
    return good ? t : NULL;
}

static const struct tree *json(struct scope *s, const struct node *map, const struct pair *word)
{
    struct tree *t = tree_new(s, map, TREE_JSON);
    return t && template_of(s, word->value, "$json", &t->text) ? t : NULL;
}

/* An array of one is not what was meant, so the value is copied to take the guards. */
static const struct tree *value(struct scope *s, const struct node *map, const struct pair *word)
{
    const struct tree *inner = tree_of(s, word->value);
    struct tree *t = inner ? tree_new(s, map, inner->kind) : NULL;
    if (t)
        *t = *inner;
    return t;
}

/* ---- objects ---- */

static bool read_member(struct scope *s, const struct pair *pair, struct member *out)
{
    *out = (struct member){.kind = MEMBER_NAMED};
    if (strcmp(pair->key, "$fields") == 0 || strcmp(pair->key, "$keys") == 0) {
        out->kind = pair->key[1] == 'f' ? MEMBER_FIELDS : MEMBER_KEYS;
        if (!needs_record(s, pair->at, pair->key))
            return false;
        choice_read(s, pair->value, CHOICE_FIELDS, &out->fields);
        return true;
    }
    const char *name = pair->key;
    if (strncmp(name, "$$", 2) == 0)
        name++;
    else if (*name == '$') {
        const char *otherwise =
            reader_printf(s->rd, "write $%s for a member of that name", shown_text(s->rd, name));
        mistake(s->rd, pair->at, "there is no word %s; %s", shown_text(s->rd, name),
                did_you_mean(s->rd, name, all_words, ARRAY_LEN(all_words) - 1, otherwise));
        return false;
    }
    bool good = template_text(s, name, pair->at, false, &out->name);
    out->value = tree_of(s, pair->value);
    return good && out->value;
}

static const struct tree *object(struct scope *s, const struct node *map)
{
    struct tree *t = tree_new(s, map, TREE_OBJECT);
    struct member *members = reader_alloc(s->rd, map->count * sizeof *members);
    if (!t || !members)
        return NULL;
    bool good = true;
    for (size_t i = 0; i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        if (strcmp(pair->key, "$if") == 0)
            continue;
        if (strcmp(pair->key, "$null") == 0) {
            struct null_policy policy;
            good = null_of(s, pair->value, &policy) && good;
            if (policy.kind == NULL_TEXT)
                mistake(s->rd, pair->value->at, "`$null` of a map must be omit or send");
            t->omit_null = policy.kind == NULL_OMIT;
            continue;
        }
        if (read_member(s, pair, &members[t->count]))
            t->count++;
        else
            good = false;
    }
    t->members = members;
    return good ? t : NULL;
}

/* A word that gives a whole tree takes no other keys but its own. */
static void check_alone(struct scope *s, const struct node *map, const struct pair *word)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct pair *p = &map->pairs[i];
        bool own = strcmp(word->key, "$records") == 0 && strcmp(p->key, "only") == 0;
        if (p != word && strcmp(p->key, "$if") != 0 && !own)
            mistake(s->rd, p->at, "%s cannot stand next to %s: remove it or put it in a map below",
                    shown_text(s->rd, p->key), word->key);
    }
}

static const struct tree *whole(struct scope *s, const struct node *map, const struct pair *word)
{
    static const struct tree *(*const readers[WHOLE_COUNT])(struct scope *, const struct node *,
                                                            const struct pair *) = {
        [W_RECORDS] = records, [W_RECORD] = record, [W_COLUMNS] = columns, [W_ROW] = row,
        [W_OP] = by_op,        [W_VALUE] = value,   [W_JSON] = json,
    };
    size_t which = 0;
    while (strcmp(whole_words[which], word->key) != 0)
        which++;
    check_alone(s, map, word);
    return readers[which](s, map, word);
}

/* What has guards of its own (`$value: {$if: …}`) keeps them below these: all must hold. */
static const struct tree *wrapped(struct scope *s, const struct node *node,
                                  const struct tree *inner)
{
    const struct tree **items;
    struct tree *t = with_items(s, node, TREE_RECORD, 1, &items);
    if (t)
        items[0] = inner;
    return t;
}

static const struct tree *with_guards(struct scope *s, const struct node *node,
                                      const struct tree *inner)
{
    if (inner && inner->guard_count)
        inner = wrapped(s, node, inner);
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items);
    struct piece *guards = reader_alloc(s->rd, count * sizeof *guards);
    struct tree *t = inner ? reader_alloc(s->rd, sizeof *t) : NULL;
    bool good = guards != NULL;
    for (size_t i = 0; guards && i < count; i++)
        good = piece_of(s, items[i], "$if", &guards[i]) && good;
    if (!t || !good)
        return NULL;
    *t = *inner;
    t->guards = guards;
    t->guard_count = count;
    return t;
}

static const struct tree *map_tree(struct scope *s, const struct node *node)
{
    const struct pair *word = only_one_of(s->rd, node, whole_words);
    const struct pair *guard = node_get(node, "$if");
    const struct tree *t = word ? whole(s, node, word) : object(s, node);
    return guard ? with_guards(s, guard->value, t) : t;
}

static const struct tree *list_tree(struct scope *s, const struct node *node)
{
    const struct tree **items;
    struct tree *t = with_items(s, node, TREE_ARRAY, node->count, &items);
    bool good = t != NULL;
    for (size_t i = 0; t && i < node->count; i++) {
        items[i] = tree_of(s, node->items[i]);
        good = good && items[i];
    }
    return good ? t : NULL;
}

const struct tree *tree_of(struct scope *s, const struct node *node)
{
    if (s->rd->failed)
        return NULL;
    if (node->kind == NODE_SCALAR)
        return scalar(s, node);
    return node->kind == NODE_MAP ? map_tree(s, node) : list_tree(s, node);
}
