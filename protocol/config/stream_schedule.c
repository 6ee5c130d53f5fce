/*
 * What a stream follows, and how: `stream` of a sync's schedule into plain data.
 *
 * `from` says the way; the other keys belong to some of the ways. The sync's model, mode and target
 * are there, so what cannot stream is refused here.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/connector/connector.h"

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    DAY_MS = 86400 * SECOND_MS,
    NAME_MAX_BYTES = 63, /* of Postgres' names */
};

struct stream_form {
    struct schedule_stream s;
    int from; /* -1: not given */
    const struct node *keys;
    const struct node *reconcile;
};

static const char *const origins[] = {[STREAM_CDC] = "cdc",
                                      [STREAM_KEYS] = "keys",
                                      [STREAM_POLL] = "poll",
                                      [STREAM_EVENTS] = "events",
                                      NULL};

const char *stream_from_name(enum stream_from from)
{
    return origins[from];
}

#define MEMBER(m) .offset = offsetof(struct stream_form, m)
static const struct field fields[] = {
    {"from", FIELD_WORD, MEMBER(from), .words = origins},
    {"create", FIELD_FLAG, MEMBER(s.create)},
    {"slot", FIELD_TEXT, MEMBER(s.slot)},
    {"publication", FIELD_TEXT, MEMBER(s.publication)},
    {"max_slot_lag", FIELD_SIZE, MEMBER(s.max_slot_bytes), .min = 1 << 20, .max = 1ull << 50},
    {"keys", FIELD_NODE, MEMBER(keys)},
    {"every", FIELD_DURATION, MEMBER(s.poll_ms), .min = 100, .max = DAY_MS},
    {"cursor", FIELD_TEXT, MEMBER(s.cursor)},
    {"overlap", FIELD_DURATION, MEMBER(s.overlap_ms), .max = DAY_MS},
    {"notify", FIELD_TEXT, MEMBER(s.notify)},
    {"group", FIELD_TEXT, MEMBER(s.group)},
    {"roll", FIELD_DURATION, MEMBER(s.roll_ms), .min = SECOND_MS, .max = DAY_MS},
    {"linger", FIELD_DURATION, MEMBER(s.linger_ms), .max = MINUTE_MS},
    {"reconcile", FIELD_NODE, MEMBER(reconcile)},
};
static const struct form form = {"`stream` schedule", fields, ARRAY_LEN(fields), false};

#define FROM(f) (1u << STREAM_##f)

/* Keys of another way do nothing: somebody expects that they do. */
static void check_belonging(struct reader *rd, const struct node *node, enum stream_from from)
{
    static const struct {
        const char *key;
        unsigned froms;
        const char *to;
    } keys[] = {
        {"create", FROM(CDC) | FROM(KEYS), "cdc and keys"},
        {"slot", FROM(CDC) | FROM(KEYS), "cdc and keys"},
        {"publication", FROM(CDC) | FROM(KEYS), "cdc and keys"},
        {"max_slot_lag", FROM(CDC) | FROM(KEYS), "cdc and keys"},
        {"keys", FROM(KEYS), "keys"},
        {"every", FROM(POLL), "poll"},
        {"cursor", FROM(POLL), "poll"},
        {"overlap", FROM(POLL), "poll"},
        {"notify", FROM(POLL), "poll"},
        {"group", FROM(EVENTS), "events"},
        {"reconcile", FROM(CDC) | FROM(KEYS) | FROM(POLL), "cdc, keys and poll"},
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct pair *pair = node_get(node, keys[i].key);
        if (pair && !(keys[i].froms & 1u << from))
            mistake(rd, pair->value->at, "`%s` belongs to `from` %s: remove it", pair->key,
                    keys[i].to);
    }
}

/* ---- what is read anew ---- */

static void read_reconcile(struct reader *rd, const struct node *node, struct schedule_stream *s)
{
    static const struct field every[] = {
        {"every", FIELD_DURATION, .offset = 0, .min = SECOND_MS, .max = 366ull * DAY_MS},
    };
    static const struct form reconcile = {"`reconcile` map", every, ARRAY_LEN(every), false};
    struct entry of = {NULL, node->at, node};
    if (node->broken)
        return;
    if (node_is_word(node, "off"))
        s->reconcile_ms = 0;
    else if (node->kind != NODE_MAP)
        wrong_type(rd, node, "reconcile", "off or a map: {every: 1d}");
    else if (!node_get(node, "every"))
        mistake(rd, node->at, "`reconcile` has no `every`: write {every: 1d}, or off");
    else
        form_read(rd, &reconcile, &of, &s->reconcile_ms);
}

/* ---- tables that lead to keys ---- */

static void read_columns(struct reader *rd, const struct pair *pair, const struct model *model,
                         struct stream_table *out)
{
    const struct node *v = pair->value;
    size_t count = v->kind == NODE_LIST ? v->count : 1;
    const char **columns = reader_alloc(rd, (count + 1) * sizeof *columns);
    if (!columns || v->broken)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct node *name = v->kind == NODE_LIST ? v->items[i] : v;
        columns[i] = text_of(rd, name, pair->key);
        for (size_t j = 0; columns[i] && j < i; j++)
            if (columns[j] && strcmp(columns[j], columns[i]) == 0)
                mistake(rd, name->at, "%s is twice among the columns of %s: remove one",
                        shown(rd, name), shown_text(rd, pair->key));
    }
    if (model->primary_key_count && count != model->primary_key_count)
        mistake(rd, v->at,
                "%s has %zu column%s here, and the primary key of %s has %zu: name the column for "
                "each of them, in their order",
                shown_text(rd, pair->key), count, count == 1 ? "" : "s",
                shown_text(rd, model->name), model->primary_key_count);
    *out = (struct stream_table){pair->key, columns};
}

static void read_keys(struct reader *rd, const struct node *node, const struct model *model,
                      struct schedule_stream *s)
{
    if (node->broken)
        return;
    if (node->kind != NODE_MAP || node->count == 0) {
        wrong_type(rd, node, "keys",
                   "a map of tables and their columns with the model's key: {orders: customer_id}");
        return;
    }
    if (node->count > STREAM_TABLES_MAX) {
        mistake(rd, node->at, "`keys` names more than %d tables: use fewer", STREAM_TABLES_MAX);
        return;
    }
    struct stream_table *tables = reader_alloc(rd, node->count * sizeof *tables);
    if (!tables)
        return;
    for (size_t i = 0; i < node->count; i++)
        read_columns(rd, &node->pairs[i], model, &tables[i]);
    s->tables = tables;
    s->table_count = node->count;
}

/* ---- slots ---- */

static void check_slot_name(struct reader *rd, const struct node *map, const char *slot)
{
    if (!slot || (strlen(slot) <= NAME_MAX_BYTES &&
                  !slot[strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_")]))
        return;
    const struct node *v = node_get(map, "slot")->value;
    mistake(rd, v->at,
            "%s is no name of a slot: Postgres takes lower-case letters, digits and _, %d bytes at "
            "most",
            shown(rd, v), NAME_MAX_BYTES);
}

static void check_name(struct reader *rd, const struct node *map, const char *key, const char *name)
{
    if (name && strlen(name) > NAME_MAX_BYTES)
        mistake(rd, node_get(map, key)->value->at, "`%s` is longer than %d bytes: shorten it", key,
                NAME_MAX_BYTES);
}

static void check_slot(struct reader *rd, const struct node *map, const struct schedule_stream *s)
{
    bool named = node_get(map, "slot") && node_get(map, "publication");
    check_slot_name(rd, map, s->slot);
    check_name(rd, map, "publication", s->publication);
    const struct pair *create = node_get(map, "create");
    bool wrong = create && !node_is_core(create->value, CORE_BOOL);
    if (!s->create && !named && !wrong)
        mistake(rd, map->at,
                "this stream may make nothing at the source and names nothing to use: write "
                "`create: true`, or both `slot` and `publication`");
}

/* As written: its struct is that of a source of type postgres. */
static bool is_redshift(const struct reader *rd, const struct source *source)
{
    size_t i = (size_t)(source - rd->project->sources);
    const struct pair *type = node_get(rd->sections[SECTION_SOURCES].entries[i].node, "type");
    return type && node_is_word(type->value, "redshift");
}

/* ---- what the ways need of the model ---- */

static void check_source(struct reader *rd, const struct node *from, const struct model *model)
{
    if (model->source && is_redshift(rd, model->source))
        mistake(
            rd, from->at,
            "`from: %s` needs a postgres source, and %s, the source of the model %s, is redshift",
            from->text, shown_text(rd, model->source->name), shown_text(rd, model->name));
}

static void check_table(struct reader *rd, const struct node *from, const struct model *model)
{
    if (model->table || !(model->sql || model->dbt_manifest))
        return;
    mistake(rd, from->at,
            "`from: cdc` follows a table, and the model %s is %s: name the `table` in the model, "
            "or write `from: keys`, which follows the tables behind it",
            shown_text(rd, model->name), model->dbt_manifest ? "dbt's" : "a query");
}

static void check_events(struct reader *rd, const struct node *from, const struct model *model)
{
    if (model->source && !source_is_redis(model->source))
        mistake(rd, from->at,
                "`from: events` needs a model of a redis source, and %s is of another: write cdc, "
                "keys or poll",
                shown_text(rd, model->name));
}

/* A model may be a choice of its table's columns. */
static void check_cursor(struct reader *rd, const struct node *map, const struct schedule_stream *s,
                         const struct model *model)
{
    const struct pair *cursor = node_get(map, "cursor");
    if (!cursor) {
        mistake(rd, map->at,
                "`from: poll` has no `cursor`: name the column that grows with every change, "
                "such as updated_at");
        return;
    }
    bool read = !s->cursor || !model->table || model->column_count == 0;
    for (size_t i = 0; i < model->column_count && !read; i++)
        read = strcmp(model->columns[i], s->cursor) == 0;
    if (!read)
        mistake(rd, cursor->value->at, "%s is not one of the `columns` of the model %s: add it",
                shown_text(rd, s->cursor), shown_text(rd, model->name));
}

static void check_way(struct reader *rd, const struct node *map, const struct stream_form *f,
                      const struct model *model)
{
    const struct node *from = node_get(map, "from")->value;
    const struct schedule_stream *s = &f->s;
    switch (s->from) {
    case STREAM_CDC:
        check_source(rd, from, model);
        check_table(rd, from, model);
        check_slot(rd, map, s);
        break;
    case STREAM_KEYS:
        check_source(rd, from, model);
        check_slot(rd, map, s);
        if (!f->keys)
            mistake(rd, map->at,
                    "`from: keys` has no `keys`: name for each table behind the model the column "
                    "with its primary key, such as {orders: customer_id}");
        break;
    case STREAM_POLL:
        check_source(rd, from, model);
        check_name(rd, map, "notify", s->notify);
        check_cursor(rd, map, s, model);
        break;
    case STREAM_EVENTS:
        check_events(rd, from, model);
        break;
    }
}

/* What needs all records at once. */
static void check_sync(struct reader *rd, const struct node *map, const struct sync *sync)
{
    if (sync->mode == MODE_FULL)
        mistake(rd, map->at,
                "`mode: full` sends all records each time, so it cannot stream: write another "
                "mode, or another schedule");
    else if (sync->target && sync->target->session)
        mistake(rd, map->at,
                "%s takes all records of a run as one whole, so it cannot stream: write another "
                "schedule",
                shown_text(rd, sync->object ? sync->object : sync->target->name));
}

static const struct schedule_stream defaults = {
    .max_slot_bytes = 10ull << 30,
    .poll_ms = 5 * SECOND_MS,
    .overlap_ms = MINUTE_MS,
    .roll_ms = 5 * MINUTE_MS,
    .reconcile_ms = DAY_MS,
};

void stream_schedule_read(struct reader *rd, const struct node *node, struct sync *sync,
                          struct schedule_stream *ret)
{
    struct stream_form f = {.s = defaults, .from = -1};
    struct entry of = {NULL, node->at, node};
    if (!form_read(rd, &form, &of, &f))
        return;
    if (!node_get(node, "from"))
        mistake(rd, node->at, "`stream` has no `from`: write one of %s", listed(rd, origins));
    if (f.from < 0)
        return;
    f.s.from = (enum stream_from)f.from;
    if (f.s.from == STREAM_EVENTS)
        f.s.reconcile_ms = 0;
    check_belonging(rd, node, f.s.from);
    if (f.reconcile)
        read_reconcile(rd, f.reconcile, &f.s);
    if (sync->model && f.keys)
        read_keys(rd, f.keys, sync->model, &f.s);
    if (sync->model)
        check_way(rd, node, &f, sync->model);
    check_sync(rd, node, sync);
    *ret = f.s;
}

/* ---- all syncs together ---- */

static bool shares_slot(const struct sync *a, const struct sync *b)
{
    return a->schedule.stream.slot && b->schedule.stream.slot && a->model && b->model &&
           a->model->source == b->model->source &&
           strcmp(a->schedule.stream.slot, b->schedule.stream.slot) == 0;
}

static struct config_place slot_place(const struct reader *rd, size_t i)
{
    const struct node *sync = rd->sections[SECTION_SYNCS].entries[i].node;
    const struct node *schedule = node_get(sync, "schedule")->value;
    return node_get(node_get(schedule, "stream")->value, "slot")->value->at;
}

void stream_slots_check(struct reader *rd)
{
    const struct project *p = rd->project;
    for (size_t i = 0; i < p->sync_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!shares_slot(&p->syncs[i], &p->syncs[j]))
                continue;
            mistake(rd, slot_place(rd, i),
                    "the sync %s uses this `slot` already, and a slot gives each change once: name "
                    "another",
                    shown_text(rd, p->syncs[j].name));
            break;
        }
    }
}
