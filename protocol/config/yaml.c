#include "protocol/config/yaml.h"

#include "protocol/config/merge.h"

#include <stdlib.h>
#include <yaml.h>

struct anchor {
    const char *name;
    struct node *node;
    struct anchor *next;
};

struct composer {
    yaml_parser_t parser;
    struct reader *rd;
    const char *file;
    struct slice bytes;
    struct anchor *anchors; /* newest first: a later one of the same name counts */
    uint32_t anchor_count;
    uint32_t weight;
    bool failed; /* the file is given up; a mistake was reported */
};

static struct node *compose(struct composer *c, const yaml_event_t *event, uint32_t depth);

static struct config_place place_of(const struct composer *c, yaml_mark_t mark)
{
    return (struct config_place){c->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static struct node *give_up(struct composer *c, struct config_place at, const char *why)
{
    if (!c->failed)
        mistake(c->rd, at, "%s", why);
    c->failed = true;
    return NULL;
}

/* Bytes that are no UTF-8 have an offset, but no mark. */
static struct config_place place_of_offset(const struct composer *c, size_t offset)
{
    struct config_place at = {c->file, 1, 1};
    for (size_t i = 0; i < offset && i < c->bytes.n; i++) {
        at.col++;
        if (c->bytes.p[i] == '\n') {
            at.line++;
            at.col = 1;
        }
    }
    return at;
}

static void syntax_mistake(struct composer *c)
{
    const yaml_parser_t *p = &c->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";
    if (p->error == YAML_MEMORY_ERROR) {
        c->rd->failed = ERR_NOMEM;
        c->failed = true;
        return;
    }
    struct config_place at = p->error == YAML_READER_ERROR ? place_of_offset(c, p->problem_offset)
                                                           : place_of(c, p->problem_mark);
    char text[256];
    snprintf(text, sizeof text, "this is not YAML: %s%s%s; mind indentation, colons and quotes",
             problem, p->context ? ", " : "", p->context ? p->context : "");
    give_up(c, at, text);
}

static bool next_event(struct composer *c, yaml_event_t *event)
{
    if (c->failed)
        return false;
    if (yaml_parser_parse(&c->parser, event))
        return true;
    syntax_mistake(c);
    return false;
}

static const char *tag_of(const yaml_char_t *tag)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *text = (const char *)tag;
    if (!text || strcmp(text, "!") == 0)
        return text;
    return strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : "?";
}

static void check_collection_tag(struct composer *c, const struct node *node,
                                 const yaml_char_t *tag)
{
    const char *name = tag_of(tag);
    if (name && strcmp(name, "!") != 0 && strcmp(name, node->kind == NODE_MAP ? "map" : "seq") != 0)
        mistake(c->rd, node->at, "this tag (!) is not known here: remove it");
}

static void set_core_type(struct composer *c, struct node *node, const yaml_event_t *event)
{
    const char *tag = tag_of(event->data.scalar.tag);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    enum core_type plain_type = core_type_of(node->text);
    node->type = CORE_TEXT;
    if (!tag && plain)
        node->type = plain_type;
    if (!tag || strcmp(tag, "!") == 0 || strcmp(tag, "str") == 0)
        return;
    bool fits = (strcmp(tag, "null") == 0 && plain_type == CORE_NULL) ||
                (strcmp(tag, "bool") == 0 && plain_type == CORE_BOOL) ||
                (strcmp(tag, "int") == 0 && plain_type == CORE_INT) ||
                (strcmp(tag, "float") == 0 && (plain_type == CORE_INT || plain_type == CORE_FLOAT));
    node->type = plain_type;
    if (!fits)
        mistake(c->rd, node->at,
                "this tag (!) is not known here, or does not fit its value: remove it");
    node->broken = !fits;
}

static struct node *new_node(struct composer *c, enum node_kind kind, const yaml_event_t *event)
{
    struct node *node = reader_alloc(c->rd, sizeof *node);
    if (!node)
        return give_up(c, place_of(c, event->start_mark),
                       "this file needs too much memory: split it");
    node->kind = kind;
    node->at = place_of(c, event->start_mark);
    node->weight = 1;
    node->height = 1;
    if (++c->weight > YAML_NODES)
        return give_up(c, node->at,
                       "this file has too many values (aliases are counted in full): split it");
    return node;
}

static bool register_anchor(struct composer *c, const yaml_char_t *name, struct node *node)
{
    if (!name)
        return true;
    struct anchor *a = reader_alloc(c->rd, sizeof *a);
    char *copy = reader_str(c->rd, slice_str((const char *)name));
    if (!a || !copy || ++c->anchor_count > YAML_ANCHORS) {
        give_up(c, node->at, "this file has too many anchors: use fewer");
        return false;
    }
    *a = (struct anchor){copy, node, c->anchors};
    c->anchors = a;
    return true;
}

static struct node *compose_scalar(struct composer *c, const yaml_event_t *event)
{
    struct node *node = new_node(c, NODE_SCALAR, event);
    if (!node)
        return NULL;
    struct slice text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (memchr(text.p, '\0', text.n)) {
        mistake(c->rd, node->at, "this text holds a NUL character (\\0): remove it");
        node->broken = true;
    }
    node->text = reader_str(c->rd, text);
    if (!node->text)
        return give_up(c, node->at, "this file needs too much memory: split it");
    if (!node->broken)
        set_core_type(c, node, event);
    else
        node->type = CORE_TEXT;
    return register_anchor(c, event->data.scalar.anchor, node) ? node : NULL;
}

static struct node *compose_alias(struct composer *c, const yaml_event_t *event, uint32_t depth)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct config_place at = place_of(c, event->start_mark);
    const struct anchor *a = c->anchors;
    while (a && strcmp(a->name, name) != 0)
        a = a->next;
    if (!a)
        return give_up(c, at,
                       "this alias has no anchor before it: write &name at what it stands for");
    if (a->node->open)
        return give_up(c, at, "this alias stands for something that contains it: break the circle");
    if (depth + a->node->height > YAML_DEPTH)
        return give_up(c, at, "this is nested too deeply: flatten it");
    if (a->node->weight > YAML_NODES - c->weight)
        return give_up(c, at,
                       "this file has too many values (aliases are counted in full): split it");
    c->weight += a->node->weight;
    return a->node;
}

static void add_child(struct node *parent, const struct node *child)
{
    parent->weight += child->weight;
    if (parent->height <= child->height)
        parent->height = child->height + 1;
}

/* Takes the event over: it is deleted in any case. */
static struct node *compose_taken(struct composer *c, yaml_event_t *event, uint32_t depth)
{
    struct node *node = compose(c, event, depth);
    yaml_event_delete(event);
    return node;
}

static void compose_items(struct composer *c, struct node *list, struct buf *items, uint32_t depth)
{
    yaml_event_t event;
    while (next_event(c, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        struct node *item = compose_taken(c, &event, depth + 1);
        if (!item)
            return;
        add_child(list, item);
        enum err_code rc = buf_put(items, &item, sizeof item);
        if (rc)
            c->rd->failed = rc;
    }
    list->items = reader_alloc(c->rd, items->len);
    if (!list->items)
        return;
    if (items->len)
        memcpy(list->items, items->p, items->len);
    list->count = items->len / sizeof(struct node *);
}

static bool is_merge_key(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)event->data.scalar.value, "<<") == 0;
}

/* Reads one value and keeps it under key, or merges it. */
static bool compose_pair(struct composer *c, struct node *map, yaml_event_t *key_event,
                         struct buf *met, uint32_t depth)
{
    bool merge = is_merge_key(key_event);
    struct node *key = compose_taken(c, key_event, depth + 1);
    yaml_event_t event;
    if (!key || !next_event(c, &event))
        return false;
    struct node *value = compose_taken(c, &event, depth + 1);
    if (!value)
        return false;
    map->weight += key->weight + value->weight;
    if (merge) {
        merge_pairs(c->rd, value, met);
    } else if (key->kind != NODE_SCALAR) {
        mistake(c->rd, key->at, "a key must be text, but this is %s: mind braces and brackets",
                node_kind_name(key));
    } else {
        struct met_pair pair = {{key->text, key->at, value}, 0};
        enum err_code rc = buf_put(met, &pair, sizeof pair);
        if (rc)
            c->rd->failed = rc;
    }
    return true;
}

static uint32_t tallest(const struct buf *met)
{
    const struct met_pair *items = (const void *)met->p;
    uint32_t height = 0;
    for (size_t i = 0; i < met->len / sizeof *items; i++)
        if (items[i].pair.value->height > height)
            height = items[i].pair.value->height;
    return height;
}

static void compose_pairs(struct composer *c, struct node *map, struct buf *met, uint32_t depth)
{
    yaml_event_t event;
    while (next_event(c, &event)) {
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        if (!compose_pair(c, map, &event, met, depth))
            return;
    }
    map->height = tallest(met) + 1;
    merge_finish(c->rd, map, met);
}

static struct node *compose_collection(struct composer *c, const yaml_event_t *event,
                                       uint32_t depth)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    struct node *node = new_node(c, is_map ? NODE_MAP : NODE_LIST, event);
    if (!node)
        return NULL;
    if (depth >= YAML_DEPTH)
        return give_up(c, node->at, "this is nested too deeply: flatten it");
    check_collection_tag(c, node,
                         is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (!register_anchor(
            c, is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor, node))
        return NULL;
    struct buf children CLEANUP(buf_done);
    buf_init(&children, YAML_NODES * sizeof(struct met_pair));
    node->open = true;
    if (is_map)
        compose_pairs(c, node, &children, depth);
    else
        compose_items(c, node, &children, depth);
    node->open = false;
    return c->failed ? NULL : node;
}

static struct node *compose(struct composer *c, const yaml_event_t *event, uint32_t depth)
{
    if (event->type == YAML_SCALAR_EVENT)
        return compose_scalar(c, event);
    if (event->type == YAML_ALIAS_EVENT)
        return compose_alias(c, event, depth);
    return compose_collection(c, event, depth);
}

/* Up to the next event of type wanted or the end of the stream; true where one was found. */
static bool skip_to(struct composer *c, yaml_event_type_t wanted, struct config_place *ret_at)
{
    yaml_event_t event;
    while (next_event(c, &event)) {
        yaml_event_type_t type = event.type;
        *ret_at = place_of(c, event.start_mark);
        yaml_event_delete(&event);
        if (type == wanted)
            return true;
        if (type == YAML_STREAM_END_EVENT)
            break;
    }
    return false;
}

struct node *yaml_read(struct reader *rd, const char *file, struct slice bytes,
                       struct config_place *ret_second)
{
    struct composer c = {.rd = rd, .file = file, .bytes = bytes};
    struct node *root = NULL;
    struct config_place at;
    yaml_event_t event;
    *ret_second = (struct config_place){.file = file};
    if (!yaml_parser_initialize(&c.parser)) {
        rd->failed = ERR_NOMEM;
        return NULL;
    }
    yaml_parser_set_input_string(&c.parser, (const unsigned char *)(bytes.n ? bytes.p : ""),
                                 bytes.n);
    if (skip_to(&c, YAML_DOCUMENT_START_EVENT, &at) && next_event(&c, &event))
        root = compose_taken(&c, &event, 1);
    if (root && skip_to(&c, YAML_DOCUMENT_START_EVENT, &at))
        *ret_second = at;
    yaml_parser_delete(&c.parser);
    return c.failed ? NULL : root;
}
