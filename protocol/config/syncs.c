#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <stdlib.h>

struct sync_form {
    struct sync s;
    const struct node *model;
    const struct node *destination;
    const struct node *mappings;
    const struct node *schedule;
    const struct node *guard;
    int mode;
    int on_removed; /* -1: not given */
    int first_run;
    int priority;
    bool allow_empty;
};

static const char *const modes[] = {"upsert", "insert", "update", "append", "full", "mirror", NULL};
static const char *const removals[] = {"ignore", "delete", "clear", NULL};
static const char *const first_runs[] = {"send", "skip", NULL};
static const char *const priorities[] = {"low", "normal", "high", NULL};

#define MEMBER(m) .offset = offsetof(struct sync_form, m)
static const struct field fields[] = {
    {"model", FIELD_NODE, MEMBER(model), .required = true},
    {"destination", FIELD_NODE, MEMBER(destination), .required = true},
    {"object", FIELD_TEXT, MEMBER(s.object)},
    {"mode", FIELD_WORD, MEMBER(mode), .words = modes},
    {"on_removed", FIELD_WORD, MEMBER(on_removed), .words = removals},
    {"identify_by", FIELD_TEXT, MEMBER(s.identify_by)},
    {"newest_wins", FIELD_TEXT, MEMBER(s.newest_wins)},
    {"mappings", FIELD_NODE, MEMBER(mappings), .required = true},
    {"batch_size", FIELD_COUNT, MEMBER(s.batch_size), .min = 1, .max = UINT32_MAX},
    {"first_run", FIELD_WORD, MEMBER(first_run), .words = first_runs},
    {"schedule", FIELD_NODE, MEMBER(schedule)},
    {"priority", FIELD_WORD, MEMBER(priority), .words = priorities},
    {"lane_by", FIELD_TEXT, MEMBER(s.lane_by)},
    {"guard", FIELD_NODE, MEMBER(guard)},
    {"freshness", FIELD_DURATION, MEMBER(s.freshness_ms), .min = 1000, .max = 366ull * 86400000},
    {"allow_empty", FIELD_FLAG, MEMBER(allow_empty)},
};
static const struct form form = {"sync", fields, ARRAY_LEN(fields), false};

static bool mode_is_known(const struct entry *of)
{
    const struct pair *mode = node_get(of->node, "mode");
    for (size_t i = 0; mode && modes[i]; i++)
        if (node_is_word(mode->value, modes[i]))
            return true;
    return !mode;
}

static void set_removal(struct reader *rd, const struct entry *of, struct sync_form *f)
{
    bool mirror = f->s.mode == MODE_MIRROR;
    if (f->on_removed < 0) {
        f->s.on_removed = mirror ? REMOVED_DELETE : REMOVED_IGNORE;
        return;
    }
    struct config_place at = node_get(of->node, "on_removed")->value->at;
    f->s.on_removed = (enum on_removed)f->on_removed;
    if (mirror && f->s.on_removed == REMOVED_IGNORE)
        mistake(rd, at,
                "`mode: mirror` removes vanished rows, so `on_removed` cannot be ignore: write "
                "mode: upsert");
    if (f->s.mode == MODE_APPEND && f->s.on_removed != REMOVED_IGNORE)
        mistake(rd, at,
                "`mode: append` sends events, which cannot be taken back: remove `on_removed`");
}

static void set_first_run(struct reader *rd, const struct entry *of, struct sync_form *f)
{
    f->s.first_run_set = f->first_run >= 0;
    f->s.first_run = f->s.first_run_set ? (enum first_run)f->first_run : FIRST_SEND;
    if (f->s.mode == MODE_APPEND && !node_get(of->node, "first_run"))
        mistake(rd, of->at,
                "the sync %s appends and has no `first_run`: write send (an event for each present "
                "row) or skip",
                shown_text(rd, of->name));
}

/* Columns of `mappings: all` are known only to the warehouse; those are checked when the run
 * starts. */
static void check_identity(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const char **known = reader_alloc(rd, (s->mapping_count + 1) * sizeof *known);
    const struct pair *given = node_get(of->node, "identify_by");
    if (!known || s->map_all || s->mapping_count == 0)
        return;
    for (size_t i = 0; i < s->mapping_count; i++) {
        known[i] = s->mappings[i].to;
        if (!mapping_is_to(&s->mappings[i], s->identify_by))
            continue;
        if (s->mappings[i].kind == MAPPING_CONSTANT)
            mistake(
                rd, given->value->at,
                "`identify_by` names a field with the same value for all records: name another");
        return;
    }
    mistake(rd, given->value->at, "`identify_by` names the field %s, which no mapping fills: %s",
            shown(rd, given->value),
            did_you_mean(rd, given->value->substituted ? "" : s->identify_by, known,
                         s->mapping_count, "add a mapping to it"));
}

static void link_references(struct reader *rd, struct sync_form *f)
{
    const struct project *p = rd->project;
    const struct entry *model = f->model ? reader_find(rd, SECTION_MODELS, f->model) : NULL;
    const struct entry *destination =
        f->destination ? reader_find(rd, SECTION_DESTINATIONS, f->destination) : NULL;
    if (model)
        f->s.model = &p->models[entry_index(rd, SECTION_MODELS, model)];
    if (destination)
        f->s.destination = &p->destinations[entry_index(rd, SECTION_DESTINATIONS, destination)];
}

static void read_rest(struct reader *rd, const struct entry *of, struct sync_form *f)
{
    link_references(rd, f);
    f->s.mode = (enum sync_mode)f->mode;
    f->s.priority = (enum priority)f->priority;
    f->s.guard.allow_empty = f->allow_empty;
    if (mode_is_known(of)) {
        set_removal(rd, of, f);
        set_first_run(rd, of, f);
    }
    sync_resolve(rd, of, &f->s);
    guard_read(rd, f->guard, &f->s);
    schedule_read(rd, f->schedule, &f->s);
    if (f->mappings && !f->mappings->broken)
        mappings_read(rd, f->mappings, &f->s);
    mappings_check(rd, &f->s);
    if (f->s.identify_by)
        check_identity(rd, of, &f->s);
    if (mode_is_known(of))
        sync_target(rd, of, &f->s);
    sync_events(rd, of, &f->s);
}

static void sync_read(struct reader *rd, const struct entry *of, struct sync *out)
{
    struct sync_form f = {
        .s = {.name = of->name, .place = of->at},
        .mode = MODE_UPSERT,
        .on_removed = -1,
        .first_run = -1,
        .priority = PRIORITY_NORMAL,
    };
    if (form_read(rd, &form, of, &f))
        read_rest(rd, of, &f);
    *out = f.s;
}

void syncs_read(struct reader *rd)
{
    const struct section *s = &rd->sections[SECTION_SYNCS];
    rd->project->syncs = reader_alloc(rd, s->count * sizeof *rd->project->syncs);
    if (!rd->project->syncs)
        return;
    rd->project->sync_count = s->count;
    for (size_t i = 0; i < s->count && !rd->failed; i++)
        sync_read(rd, &s->entries[i], &rd->project->syncs[i]);
    if (!rd->failed)
        after_link(rd);
    if (!rd->failed)
        stream_slots_check(rd);
    if (!rd->failed)
        event_groups_check(rd);
}
