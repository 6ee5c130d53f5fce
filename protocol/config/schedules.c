/*
 * When a sync runs by itself: `schedule` of a sync into plain data.
 *
 * One key says the way (every, cron, after, on_change, dbt, stream); the others belong to some of
 * the ways. Which syncs `after` names is found out when all are read (after.c). What a stream is,
 * is stream_schedule.c's.
 */
#include "protocol/config/schedule.h"

#include "protocol/config/form.h"
#include "protocol/config/parts.h"

enum {
    DAY_MS = 86400000,
    EVERY_LEAST_MS = 1000,
    ON_CHANGE_EVERY_MS = 30000,
    DBT_EVERY_MS = 10000,
};

struct schedule_form {
    struct schedule s;
    const struct node *cron;
    const struct node *timezone;
    const struct node *after;
    const struct node *on_change;
    const struct node *dbt;
    const struct node *stream;
    int on;
    int missed;
    int overlap;
};

static const char *const ons[] = {"success", "warning", "any", NULL};
static const char *const misseds[] = {"run_once", "skip", NULL};
static const char *const overlaps[] = {"queue", "skip", NULL};

#define MEMBER(m) .offset = offsetof(struct schedule_form, m)
static const struct field fields[] = {
    {"every", FIELD_DURATION, MEMBER(s.every_ms), .min = EVERY_LEAST_MS, .max = 366ull * DAY_MS},
    {"offset", FIELD_DURATION, MEMBER(s.offset_ms), .max = 366ull * DAY_MS},
    {"jitter", FIELD_DURATION, MEMBER(s.jitter_ms), .max = DAY_MS},
    {"cron", FIELD_NODE, MEMBER(cron)},
    {"timezone", FIELD_NODE, MEMBER(timezone)},
    {"after", FIELD_NODE, MEMBER(after)},
    {"on", FIELD_WORD, MEMBER(on), .words = ons},
    {"on_change", FIELD_NODE, MEMBER(on_change)},
    {"dbt", FIELD_NODE, MEMBER(dbt)},
    {"stream", FIELD_NODE, MEMBER(stream)},
    {"missed", FIELD_WORD, MEMBER(missed), .words = misseds},
    {"overlap", FIELD_WORD, MEMBER(overlap), .words = overlaps},
};
static const struct form form = {"schedule", fields, ARRAY_LEN(fields), false};

struct dbt_form {
    const char *run_results;
    const char *model;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct dbt_form, m)
static const struct field dbt_fields[] = {
    {"run_results", FIELD_TEXT, MEMBER(run_results)},
    {"model", FIELD_TEXT, MEMBER(model)},
};
static const struct form dbt_form = {"`dbt` schedule", dbt_fields, ARRAY_LEN(dbt_fields), false};

static void read_cron(struct reader *rd, const struct schedule_form *f, struct schedule *s)
{
    s->line = text_of(rd, f->cron, "cron");
    const char *problem = s->line ? cron_read(s->line, &s->cron) : NULL;
    if (problem)
        mistake(rd, f->cron->at,
                "%s is no cron schedule: %s; write minute hour day month weekday, such as "
                "\"0 6 * * 1-5\"",
                shown(rd, f->cron), problem);
    s->timezone = f->timezone ? text_of(rd, f->timezone, "timezone") : NULL;
    if (s->timezone) {
        timezone_check(rd, f->timezone);
        timezone_check_database(rd, f->timezone);
    }
}

static void read_on_change(struct reader *rd, const struct schedule_form *f, struct schedule *s)
{
    s->query = text_of(rd, f->on_change, "on_change");
    if (s->query && !s->query[strspn(s->query, " \t\r\n;")])
        mistake(rd, f->on_change->at, "`on_change` holds no statement: write a SELECT");
    if (!s->every_ms)
        s->every_ms = ON_CHANGE_EVERY_MS;
}

/* dbt writes run_results.json beside the manifest. */
static const char *beside(struct reader *rd, const char *manifest)
{
    const char *slash = strrchr(manifest, '/');
    int folder = slash ? (int)(slash - manifest) + 1 : 0;
    return reader_printf(rd, "%.*srun_results.json", folder, manifest);
}

static void read_dbt(struct reader *rd, const struct schedule_form *f, const struct model *model,
                     struct schedule *s)
{
    struct dbt_form d = {0};
    struct entry of = {NULL, f->dbt->at, f->dbt};
    bool known = model && model->dbt_manifest && model->dbt_model;
    if (!s->every_ms)
        s->every_ms = DBT_EVERY_MS;
    if (!form_read(rd, &dbt_form, &of, &d))
        return;
    s->run_results = d.run_results ? reader_path(rd, d.run_results) : NULL;
    s->dbt_model = d.model;
    if (known && !s->run_results)
        s->run_results = beside(rd, model->dbt_manifest);
    if (known && !s->dbt_model)
        s->dbt_model = model->dbt_model;
    /* A reference that is no model's has its own mistake, and so has a value that is wrong. */
    if (!model)
        return;
    if (!s->run_results && !node_get(f->dbt, "run_results"))
        mistake(rd, f->dbt->at,
                "the `dbt` schedule has no `run_results`: write the path, such as "
                "target/run_results.json (the sync's model has no `dbt` with a manifest to find it "
                "beside)");
    if (!s->dbt_model && !node_get(f->dbt, "model"))
        mistake(rd, f->dbt->at,
                "the `dbt` schedule has no `model`: write the name of the dbt model to wait for");
}

/* Exactly one of the ways; returns its pair. `every` also says how often the others look. */
static const struct pair *find_way(struct reader *rd, const struct node *node)
{
    static const char *const all[] = {"every", "cron", "after", "stream", NULL};
    static const char *const looking[] = {"cron", "after", "on_change", "dbt", "stream", NULL};
    bool looks = node_get(node, "on_change") || node_get(node, "dbt");
    const struct pair *way = only_one_of(rd, node, looks ? looking : all);
    if (!way)
        mistake(rd, node->at,
                "this schedule says no time: add one of every, cron, after, on_change, dbt and "
                "stream");
    return way;
}

static enum schedule_kind kind_of(const struct pair *way)
{
    static const struct {
        const char *key;
        enum schedule_kind kind;
    } kinds[] = {{"every", SCHEDULE_EVERY},         {"cron", SCHEDULE_CRON},
                 {"after", SCHEDULE_AFTER},         {"dbt", SCHEDULE_DBT},
                 {"on_change", SCHEDULE_ON_CHANGE}, {"stream", SCHEDULE_STREAM}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].key, way->key) == 0)
            return kinds[i].kind;
    return SCHEDULE_MANUAL;
}

#define KIND(k) (1u << SCHEDULE_##k)

/* Keys of another way do nothing: somebody expects that they do. */
static void check_belonging(struct reader *rd, const struct node *node, enum schedule_kind kind)
{
    static const struct {
        const char *key;
        unsigned kinds;
        const char *to;
    } keys[] = {
        {"offset", KIND(EVERY), "`every`"},
        {"jitter", KIND(EVERY) | KIND(CRON), "`every` and `cron`"},
        {"timezone", KIND(CRON), "`cron`"},
        {"on", KIND(AFTER), "`after`"},
        {"missed", KIND(EVERY) | KIND(CRON), "`every` and `cron`"},
        {"overlap", KIND(EVERY) | KIND(CRON), "`every` and `cron`"},
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct pair *pair = node_get(node, keys[i].key);
        if (pair && !(keys[i].kinds & 1u << kind))
            mistake(rd, pair->value->at, "`%s` belongs to %s: remove it", pair->key, keys[i].to);
    }
}

/* Shifts by an interval or more would only hide which times are meant. */
static void check_shift(struct reader *rd, const struct node *node, const char *key,
                        uint64_t shift_ms, uint64_t every_ms)
{
    const struct pair *pair = node_get(node, key);
    if (pair && every_ms && shift_ms >= every_ms)
        mistake(rd, pair->value->at, "`%s` must be less than `every`: shorten it", key);
}

static void read_way(struct reader *rd, const struct node *node, struct schedule_form *f,
                     struct sync *sync)
{
    switch (f->s.kind) {
    case SCHEDULE_EVERY:
        check_shift(rd, node, "offset", f->s.offset_ms, f->s.every_ms);
        check_shift(rd, node, "jitter", f->s.jitter_ms, f->s.every_ms);
        break;
    case SCHEDULE_CRON:
        read_cron(rd, f, &f->s);
        break;
    case SCHEDULE_ON_CHANGE:
        read_on_change(rd, f, &f->s);
        break;
    case SCHEDULE_DBT:
        read_dbt(rd, f, sync->model, &f->s);
        break;
    case SCHEDULE_STREAM:
        stream_schedule_read(rd, f->stream, sync, &f->s.stream);
        break;
    case SCHEDULE_AFTER:
    case SCHEDULE_MANUAL:
        break;
    }
}

static const struct schedule manual = {.kind = SCHEDULE_MANUAL, .after_on = AFTER_ON_WARNING};

static void read_map(struct reader *rd, const struct node *node, struct sync *sync)
{
    struct schedule_form f = {.s = manual, .on = AFTER_ON_WARNING};
    struct entry of = {NULL, node->at, node};
    form_read(rd, &form, &of, &f);
    const struct pair *way = find_way(rd, node);
    if (!way)
        return;
    f.s.kind = kind_of(way);
    f.s.after_on = (enum after_on)f.on;
    f.s.missed = (enum schedule_missed)f.missed;
    f.s.overlap = (enum schedule_overlap)f.overlap;
    check_belonging(rd, node, f.s.kind);
    read_way(rd, node, &f, sync);
    sync->schedule = f.s;
}

void schedule_read(struct reader *rd, const struct node *node, struct sync *sync)
{
    sync->schedule = manual;
    if (!node || node->broken || node_is_word(node, "manual"))
        return;
    if (node->kind == NODE_MAP)
        read_map(rd, node, sync);
    else
        wrong_type(rd, node, "schedule", "manual or a map: {every: 15m}");
}
