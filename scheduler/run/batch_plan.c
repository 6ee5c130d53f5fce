/* How the batches of a run are cut: by what its object and requests take. */
#include "scheduler/run/sync_run_private.h"

#include "protocol/connector/connector.h"
#include "scheduler/map/map.h"

static bool holds_job(const struct request *r)
{
    for (size_t i = 0; i < r->step_count; i++)
        if (r->steps[i].opens)
            return true;
    return false;
}

static bool is_set(const struct destination *d, int32_t option)
{
    const char *value = option < 0 ? NULL : d->options[option];
    return value && *value && strcmp(value, "false") != 0;
}

/* The one that a batch begins with, as the worker sees it before anything is captured. */
static const struct step *first_step(const struct sync *sync, const struct request *r,
                                     uint32_t conflicts)
{
    for (size_t i = 0; i < r->step_count; i++) {
        const struct step *s = &r->steps[i];
        bool skipped = (s->if_conflicts && !(s->if_conflicts & conflicts)) ||
                       (s->if_option >= 0 && !is_set(sync->destination, s->if_option)) ||
                       is_set(sync->destination, s->unless_option) ||
                       (s->if_var >= 0 && !sync->target->ensure_count);
        if (!skipped)
            return s;
    }
    return &r->steps[0];
}

/* Operations that share a request share batches, which are as large as it admits. */
static void group_ops(const struct sync *sync, struct batcher_options *o)
{
    const struct object *target = sync->target;
    uint32_t conflicts = batch_conflicts(o->policies, o->field_count, o->newest_field);
    for (size_t op = 0; op < BATCHER_OPS; op++)
        o->group_of[op] = target->request_of[op] > 0 ? (uint8_t)target->request_of[op] : 0;
    for (size_t i = 0; i < target->request_count && i < BATCHER_GROUPS; i++) {
        const struct request *r = &target->requests[i];
        struct batch_group *g = &o->groups[i];
        if (r->max_records && r->max_records < o->max_records)
            g->max_records = r->max_records;
        if (r->max_bytes && r->max_bytes < o->max_bytes)
            g->max_bytes = r->max_bytes;
        const struct step *first = first_step(sync, r, conflicts);
        g->cost.group = (uint16_t)first->group;
        g->cost.records = first->carries ? 0 : QUEUE_NO_RECORDS;
        g->cost.jobless = !holds_job(r);
    }
}

static struct value_place place_of(const struct map_program *map, const char *name)
{
    size_t keys;
    const struct slice *names = map_key_names(map, &keys);
    if (!name)
        return (struct value_place){0};
    if (strcmp(name, "{{identify_by}}") == 0)
        return (struct value_place){.key = 1};
    struct value_place at = {.field = (uint16_t)(map_find_field(map, name) + 1)};
    for (size_t i = 0; i < keys && !at.key; i++)
        at.key = slice_eq_str(names[i], name) ? (uint16_t)(i + 1) : 0;
    return at;
}

/* What no mapping fills is the same in all records. */
static void share_batches(const struct sync_run *run, struct batcher_options *o)
{
    const struct object *target = run->sync->target;
    _Static_assert((int)OBJECT_GROUP_MAX <= (int)BATCH_SHARED_MAX,
                   "each field of group_by has its place");
    o->order = place_of(run->map, target->order_by);
    o->unique = place_of(run->map, target->unique_by);
    for (size_t i = 0; i < target->group_count; i++)
        o->shared[o->shared_count++] = place_of(run->map, target->group_by[i]);
}

enum err_code run_start_batches(struct sync_run *run, struct err *err)
{
    const struct sync *sync = run->sync;
    struct batcher_options o = {
        .sync = sync->name,
        .run = run->record.id,
        .destination = sync->destination->name,
        .fingerprint = sync->destination->fingerprint,
        .object = sync->object,
        .max_records = sync->batch_size,
        .max_bytes = sync->batch_bytes,
        .policies = map_policies(run->map),
        .newest_field = map_newest_field(run->map),
        .item_bytes = sync->target->max_item_bytes,
        .max_values = sync->target->max_values,
        .hold_last = sync->target->session,
    };
    o.key_names = map_key_names(run->map, &o.key_count);
    o.fields = map_fields(run->map, &o.field_count);
    group_ops(sync, &o);
    share_batches(run, &o);
    return batcher_new(&o, run->spool, &run->batcher, err);
}
