/*
 * Events: a source that is Redis, models that are streams in it, and the syncs of those.
 *
 * A field of an entry is text; `columns` names the fields that are columns, and what their text
 * must be. Such a model has no rows that could be read again, so its syncs stream.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

enum { EVENT_COLUMNS_MAX = 500, GROUP_MAX = 200 };

/* ---- the source ---- */

#define MEMBER(m) .offset = offsetof(struct source, m)
static const struct field source_fields[] = {
    {"type", FIELD_TEXT, MEMBER(type)},
    {"url", FIELD_TEXT, MEMBER(redis)},
    {"ca", FIELD_TEXT, MEMBER(redis_ca), .may_be_empty = true},
};
static const struct form source_form = {"redis source", source_fields, ARRAY_LEN(source_fields),
                                        false};

void source_redis_read(struct reader *rd, const struct entry *of, struct source *s)
{
    const struct pair *url = node_get(of->node, "url");
    if (!form_read(rd, &source_form, of, s))
        return;
    if (!url)
        mistake(rd, of->at, "the source %s has no `url`: add redis://host:port",
                shown_text(rd, of->name));
    else if (s->redis && (!is_redis_url(s->redis) || is_redis_cluster(s->redis)))
        mistake(rd, url->value->at,
                "`url` must be redis://host:port, rediss://host:port, unix:///path or "
                "redis+sentinel://host:port/NAME; a cluster cannot be a source");
    if (s->redis_ca)
        s->redis_ca = reader_path(rd, s->redis_ca);
}

bool source_is_redis(const struct source *source)
{
    return strcmp(source->type, "redis") == 0;
}

/* ---- the model ---- */

static const char *const types[] = {
    [EVENT_TEXT] = "text", [EVENT_NUMBER] = "number",       [EVENT_BOOL] = "bool",
    [EVENT_JSON] = "json", [EVENT_TIMESTAMP] = "timestamp", NULL};

/* What the entry itself gives has a type of its own. */
static void check_own(struct reader *rd, const struct pair *pair, enum event_type type)
{
    if (strcmp(pair->key, EVENT_ID) == 0 && type != EVENT_TEXT)
        mistake(rd, pair->value->at, "`" EVENT_ID "` is the entry's id: write text");
    if (strcmp(pair->key, EVENT_TIME) == 0 && type != EVENT_TIMESTAMP)
        mistake(rd, pair->value->at, "`" EVENT_TIME "` is the entry's time: write timestamp");
}

static void read_columns(struct reader *rd, const struct node *map, struct model *m)
{
    if (map->kind != NODE_MAP) {
        wrong_type(rd, map, "columns", "a map of fields and their types: {id: text}");
        return;
    }
    if (map->count == 0 || map->count > EVENT_COLUMNS_MAX) {
        mistake(rd, map->at, "`columns` must name 1 to %d fields of the events", EVENT_COLUMNS_MAX);
        return;
    }
    struct event_column *columns = reader_alloc(rd, map->count * sizeof *columns);
    if (!columns)
        return;
    for (size_t i = 0; i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        int type = word_of(rd, pair->value, pair->key, types);
        columns[i] =
            (struct event_column){pair->key, type < 0 ? EVENT_TEXT : (enum event_type)type};
        if (type >= 0)
            check_own(rd, pair, columns[i].type);
    }
    m->event_columns = columns;
    m->event_column_count = map->count;
}

static bool has_column(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->event_column_count; i++)
        if (strcmp(m->event_columns[i].name, name) == 0)
            return true;
    return strcmp(name, EVENT_ID) == 0 || strcmp(name, EVENT_TIME) == 0;
}

static void check_key(struct reader *rd, const struct entry *of, const struct model *m)
{
    const char **known = reader_alloc(rd, (m->event_column_count + 1) * sizeof *known);
    for (size_t i = 0; known && i < m->event_column_count; i++)
        known[i] = m->event_columns[i].name;
    for (size_t i = 0; known && m->event_columns && i < m->primary_key_count; i++)
        if (!has_column(m, m->primary_key[i]))
            mistake(rd, node_get(of->node, "primary_key")->value->at,
                    "`primary_key` names %s, which is not among `columns`: %s",
                    shown_text(rd, m->primary_key[i]),
                    did_you_mean(rd, m->primary_key[i], known, m->event_column_count,
                                 "add it there, or write " EVENT_ID ", the entry's own id"));
}

void model_events_read(struct reader *rd, const struct entry *of, const struct node *columns,
                       struct model *m)
{
    static const char *const rows[] = {"sql", "sql_file", "table", "where", "dbt", "timezone"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct pair *pair = node_get(of->node, rows[i]);
        if (pair)
            mistake(rd, pair->at,
                    "`%s` belongs to a postgres source; a model of a redis source has `stream` and "
                    "`columns`",
                    rows[i]);
    }
    m->sql = m->table = NULL;
    if (!node_get(of->node, "stream"))
        mistake(rd, of->at, "the model %s has no `stream`: add the key of the Redis stream",
                shown_text(rd, of->name));
    if (!columns)
        mistake(rd, of->at,
                "the model %s has no `columns`: name the fields of its events and their types, "
                "such as {id: text, amount: number}",
                shown_text(rd, of->name));
    else if (!columns->broken)
        read_columns(rd, columns, m);
    check_key(rd, of, m);
}

/* ---- the sync ---- */

static struct config_place place_of(const struct entry *of, const char *key)
{
    const struct pair *pair = node_get(of->node, key);
    return pair ? pair->value->at : of->at;
}

static bool streams_events(const struct sync *s)
{
    return s->schedule.kind == SCHEDULE_STREAM && s->schedule.stream.from == STREAM_EVENTS;
}

static void check_model_of_events(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const struct guard *g = &s->guard;
    if (!streams_events(s))
        mistake(rd, place_of(of, "schedule"),
                "the model %s has events, which come as they happen: write `schedule: {stream: "
                "{from: events}}`",
                shown_text(rd, s->model->name));
    if (s->mode != MODE_APPEND && s->mode != MODE_UPSERT)
        mistake(rd, place_of(of, "mode"), "events can be sent with `mode` append or upsert only");
    else if (s->on_removed != REMOVED_IGNORE)
        mistake(rd, place_of(of, "on_removed"),
                "no event says that a record is gone: remove `on_removed`");
    if (g->max_removed.set || g->max_changed.set || g->min_rows.set)
        mistake(rd, place_of(of, "guard"),
                "events are no rows that could be counted beforehand: of the guards, only "
                "`max_rejected` suits them");
}

void sync_events(struct reader *rd, const struct entry *of, struct sync *sync)
{
    struct schedule_stream *stream = &sync->schedule.stream;
    if (!sync->model || !sync->model->source || !source_is_redis(sync->model->source))
        return;
    check_model_of_events(rd, of, sync);
    if (!streams_events(sync))
        return;
    if (!stream->group)
        stream->group = reader_printf(rd, "sluice:%s", sync->name);
    if (strlen(stream->group) > GROUP_MAX)
        mistake(rd, place_of(of, "schedule"), "`group` is longer than %d bytes: shorten it",
                GROUP_MAX);
}

bool sync_only_streams(const struct sync *sync)
{
    return source_is_redis(sync->model->source);
}

static bool shares_group(const struct sync *a, const struct sync *b)
{
    return a->model && b->model && a->model->stream && b->model->stream &&
           a->schedule.stream.group && b->schedule.stream.group &&
           a->model->source == b->model->source &&
           strcmp(a->model->stream, b->model->stream) == 0 &&
           strcmp(a->schedule.stream.group, b->schedule.stream.group) == 0;
}

void event_groups_check(struct reader *rd)
{
    const struct project *p = rd->project;
    for (size_t i = 0; i < p->sync_count; i++) {
        for (size_t j = 0; j < i && p->syncs[i].schedule.stream.group; j++) {
            if (!shares_group(&p->syncs[i], &p->syncs[j]))
                continue;
            mistake(rd, p->syncs[i].place,
                    "the sync %s has the `group` of %s, so each would get only a part of the "
                    "events: give each its own, or leave it out",
                    shown_text(rd, p->syncs[i].name), shown_text(rd, p->syncs[j].name));
            break;
        }
    }
}
