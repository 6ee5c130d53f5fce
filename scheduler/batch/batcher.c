/* Reads: decisions of diff. Writes: frames to the spool. Invariant: caps hold, lanes keep order, no
 * batch holds records of two groups.
 * A crash here: open batches vanish with the run's unsynced tail; nothing of them was published. */
#include "scheduler/batch/batcher.h"

#include "protocol/wire/ordset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* {"op":"upsert","key":{},"fields":{}}, and per name its quotes, colon and comma */
enum { RECORD_FRAME_BYTES = 40, NAME_FRAME_BYTES = 4, BODY_FRAME_BYTES = 1024 };

struct batcher {
    struct batcher_options opts;
    struct spool *spool;
    uint64_t next_number;
    uint64_t record_bytes; /* what every record costs before its values */
    struct buf sealed;
    struct open_batch unordered[BATCHER_GROUPS];
    struct open_batch lanes[BATCHER_LANES];
    struct open_batch held;        /* cut, and perhaps the run's last */
    struct shared_batches *shared; /* instead of these, where records share values */
    uint64_t shared_bytes;         /* of the records in them */
};

static uint64_t frame_bytes_of(const struct batcher_options *o)
{
    uint64_t n = RECORD_FRAME_BYTES;
    for (size_t i = 0; i < o->key_count; i++)
        n += o->key_names[i].n + NAME_FRAME_BYTES;
    for (size_t i = 0; i < o->field_count; i++)
        for (size_t level = 0; level < o->fields[i].count; level++)
            n += o->fields[i].names[level].n + NAME_FRAME_BYTES;
    return n;
}

/* Groups without maximums of their own have those of the options. */
static void fill_groups(struct batcher_options *o)
{
    for (size_t i = 0; i < BATCHER_GROUPS; i++) {
        struct batch_group *g = &o->groups[i];
        g->max_records = g->max_records ? g->max_records : o->max_records;
        g->max_bytes = g->max_bytes ? g->max_bytes : o->max_bytes;
    }
    for (size_t i = 0; i < BATCHER_OPS; i++)
        ensure(o->group_of[i] < BATCHER_GROUPS);
}

enum err_code batcher_new(const struct batcher_options *opts, struct spool *spool,
                          struct batcher **ret_batcher, struct err *err)
{
    struct batcher *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(err, ERR_NOMEM, "batch: no memory");
    ensure(opts->shared_count <= BATCH_SHARED_MAX && !(opts->shared_count && opts->hold_last));
    b->opts = *opts;
    if (opts->shared_count && !(b->shared = shared_batches_new(BATCHER_OPEN))) {
        free(b);
        return err_set(err, ERR_NOMEM, "batch: no memory");
    }
    fill_groups(&b->opts);
    b->spool = spool;
    b->next_number = spool_count(spool);
    b->record_bytes = frame_bytes_of(opts);
    buf_init(&b->sealed, FRAME_BYTES_MAX);
    for (uint8_t i = 0; i < BATCHER_GROUPS; i++)
        open_batch_init(&b->unordered[i], -1, i);
    for (int i = 0; i < BATCHER_LANES; i++)
        open_batch_init(&b->lanes[i], i, 0);
    open_batch_init(&b->held, -1, 0);
    *ret_batcher = b;
    return ERR_OK;
}

void batcher_free(struct batcher *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < BATCHER_GROUPS; i++)
        open_batch_done(&b->unordered[i]);
    for (size_t i = 0; i < BATCHER_LANES; i++)
        open_batch_done(&b->lanes[i]);
    open_batch_done(&b->held);
    shared_batches_free(b->shared);
    buf_done(&b->sealed);
    free(b);
}

static const struct batch_group *group_of(const struct batcher *b, enum record_op op)
{
    return &b->opts.groups[b->opts.group_of[op]];
}

static uint64_t less(uint64_t n, uint64_t taken)
{
    return n > taken ? n - taken : 0;
}

uint64_t batcher_values_max(const struct batcher *b, enum record_op op)
{
    uint64_t most = less(group_of(b, op)->max_bytes, b->record_bytes + BODY_FRAME_BYTES);
    uint64_t item = less(b->opts.item_bytes, b->record_bytes);
    return b->opts.item_bytes && item < most ? item : most;
}

/* What a record counts against max_values. */
static uint32_t values_of(const struct batcher *b, struct slice values)
{
    if (!b->opts.max_values)
        return 0;
    return values.n ? batch_values_set(values) : (uint32_t)b->opts.key_count;
}

const char *batcher_refuses(const struct batcher *b, enum record_op op, struct slice values)
{
    uint64_t most = batcher_values_max(b, op);
    if (values.n > most)
        return b->opts.item_bytes && most == less(b->opts.item_bytes, b->record_bytes)
                   ? "the row is larger than the destination takes of one record"
                   : "the row is larger than the batch_bytes of the destination";
    if (b->opts.max_values && values_of(b, values) > b->opts.max_values)
        return "the row has more values than the destination takes in one request";
    return NULL;
}

const char *batch_id(const char *run, uint64_t number, char *out)
{
    snprintf(out, BATCH_PART_ID_BYTES, "%s.%" PRIu64, run, number);
    return out;
}

static enum err_code append(struct batcher *b, const struct open_batch *o,
                            const struct frame_counts *counts, struct err *err)
{
    char lane[24] = "";
    if (o->lane >= 0)
        snprintf(lane, sizeof lane, "%d", o->lane);
    struct frame f = {
        .kind = FRAME_BATCH,
        .number = b->next_number,
        .records = o->records,
        .lane = slice_str(lane),
        .cost = b->opts.groups[o->group].cost,
        .counts = *counts,
        .manifest = buf_slice(&o->manifest),
        .payload = buf_slice(&b->sealed),
    };
    enum err_code rc = spool_append(b->spool, &f, err);
    if (!rc || rc == ERR_FULL)
        b->next_number++;
    return rc;
}

/* Writes a batch to the spool and empties it. */
static enum err_code seal(struct batcher *b, struct open_batch *o, bool last,
                          const struct frame_counts *counts, struct err *err)
{
    char id[BATCH_PART_ID_BYTES];
    struct batch_head head = {
        .sync = slice_str(b->opts.sync),
        .run = slice_str(b->opts.run),
        .id = slice_str(batch_id(b->opts.run, b->next_number, id)),
        .destination = slice_str(b->opts.destination),
        .fingerprint = slice_str(b->opts.fingerprint),
        .object = slice_str(b->opts.object),
        .planned = o->records,
        .key_names = b->opts.key_names,
        .key_count = b->opts.key_count,
        .fields = b->opts.fields,
        .field_count = b->opts.field_count,
        .sequence = (uint32_t)b->next_number + 1,
        .last = last,
        .policies = b->opts.policies,
        .newest_field = b->opts.newest_field,
    };
    buf_reset(&b->sealed);
    if (open_batch_sort(o))
        return err_set(err, ERR_NOMEM, "batch: no memory to sort %u records", o->records);
    enum err_code rc = batch_seal(&b->sealed, &head, o->records, buf_slice(&o->rows), true, err);
    rc = rc ? rc : append(b, o, counts, err);
    if (!rc || rc == ERR_FULL)
        open_batch_reset(o);
    return rc;
}

/* Ends a batch. Where the last must be told apart it waits until another one shows that it is not.
 */
static enum err_code cut(struct batcher *b, struct open_batch *o, const struct frame_counts *counts,
                         struct err *err)
{
    if (!o->records)
        return ERR_OK;
    if (!b->opts.hold_last)
        return seal(b, o, false, counts, err);
    enum err_code rc = b->held.records ? seal(b, &b->held, false, counts, err) : ERR_OK;
    if (rc && rc != ERR_FULL)
        return rc;
    struct open_batch empty = b->held;
    b->held = *o;
    empty.lane = o->lane;
    empty.group = o->group;
    *o = empty;
    return rc;
}

static bool takes(const struct batcher *b, const struct open_batch *o, const struct batch_record *r)
{
    const struct batch_group *g = &b->opts.groups[o->group];
    if (o->bytes + r->bytes + BODY_FRAME_BYTES > g->max_bytes)
        return false;
    if (b->opts.max_values && o->values + r->set > b->opts.max_values)
        return false;
    return !open_batch_has(o, r->unique);
}

static bool is_given(const struct value_place *at)
{
    return at->field || at->key;
}

static struct value value_at(const struct value_place *at, const struct batch_record *r)
{
    if (at->field && r->values.n)
        return batch_values_at(r->values, at->field - 1U);
    return at->key ? r->keys[at->key - 1] : (struct value){.kind = VALUE_ABSENT};
}

/* ---- records that share values ---- */

static struct share_key share_key(const struct batcher *b, int lane, uint8_t group,
                                  const struct batch_record *r)
{
    struct value values[BATCH_SHARED_MAX];
    for (size_t i = 0; i < b->opts.shared_count; i++)
        values[i] = value_at(&b->opts.shared[i], r);
    return share_key_of(lane, lane < 0 ? group : 0, values, b->opts.shared_count);
}

static void note_shared(struct batcher *b, struct open_batch *o, uint64_t bytes)
{
    const struct batch_group *g = &b->opts.groups[o->group];
    uint64_t records = o->records * 1000ULL / g->max_records, size = o->bytes * 1000 / g->max_bytes;
    shared_batches_filled(b->shared, o, (uint32_t)(records > size ? records : size));
    b->shared_bytes += bytes;
}

static enum err_code cut_shared(struct batcher *b, struct open_batch *o,
                                const struct frame_counts *counts, struct err *err)
{
    uint64_t bytes = o->bytes;
    enum err_code rc = cut(b, o, counts, err);
    if (rc && rc != ERR_FULL)
        return rc;
    b->shared_bytes -= bytes;
    open_batch_trim(o);
    shared_batches_emptied(b->shared, o);
    return rc;
}

static bool is_short(const struct batcher *b, const struct batch_record *r, bool slot)
{
    return slot || (b->shared_bytes && b->shared_bytes + r->bytes > BATCHER_OPEN_BYTES);
}

/* Where room is short the fullest goes, which wastes least of a request. */
static enum err_code open_shared(struct batcher *b, int lane, const struct batch_record *r,
                                 const struct frame_counts *counts, struct open_batch **ret,
                                 struct err *err)
{
    uint8_t group = b->opts.group_of[r->entry->op];
    struct share_key key = share_key(b, lane, group, r);
    enum err_code full = ERR_OK;
    struct open_batch *o = shared_batches_find(b->shared, key);
    if (!o)
        o = shared_batches_take(b->shared, key, lane, group);
    while (is_short(b, r, !o)) {
        enum err_code rc = cut_shared(b, shared_batches_fullest(b->shared), counts, err);
        if (rc && rc != ERR_FULL)
            return rc;
        full = rc ? rc : full;
        if (!o)
            o = shared_batches_take(b->shared, key, lane, group);
    }
    *ret = o;
    return full;
}

/* ---- adding ---- */

/* In an ordered lane another group's record ends the batch, so that none overtakes it. */
static enum err_code find_open(struct batcher *b, int lane, const struct batch_record *r,
                               const struct frame_counts *counts, struct open_batch **ret,
                               struct err *err)
{
    uint8_t group = b->opts.group_of[r->entry->op];
    enum err_code full = ERR_OK;
    if (b->shared)
        full = open_shared(b, lane, r, counts, ret, err);
    else
        *ret = lane < 0 ? &b->unordered[group] : &b->lanes[lane];
    if (full && full != ERR_FULL)
        return full;
    struct open_batch *o = *ret;
    if (o->records && (o->group != group || !takes(b, o, r))) {
        enum err_code rc = b->shared ? cut_shared(b, o, counts, err) : cut(b, o, counts, err);
        if (rc && rc != ERR_FULL)
            return rc;
        full = rc ? rc : full;
    }
    o->group = group;
    return full;
}

enum err_code batcher_add(struct batcher *b, int lane, const struct manifest_entry *entry,
                          const struct value *keys, struct slice values,
                          const struct frame_counts *counts, struct err *err)
{
    size_t name_bytes = entry->identity.n ? entry->identity.n : entry->key.n;
    struct batch_record r = {.entry = entry,
                             .keys = keys,
                             .key_count = b->opts.key_count,
                             .values = values,
                             .bytes = b->record_bytes + name_bytes + values.n,
                             .set = values_of(b, values)};
    struct value order = value_at(&b->opts.order, &r), unique = value_at(&b->opts.unique, &r);
    r.order = is_given(&b->opts.order) ? &order : NULL;
    r.unique = is_given(&b->opts.unique) ? &unique : NULL;
    struct open_batch *o;
    enum err_code full = find_open(b, lane, &r, counts, &o, err);
    if (full && full != ERR_FULL)
        return full;
    if (open_batch_add(o, &r))
        return err_set(err, ERR_NOMEM, "batch: no room for a record of %zu bytes", values.n);
    if (b->shared)
        note_shared(b, o, r.bytes);
    if (o->records < b->opts.groups[o->group].max_records)
        return full;
    enum err_code rc = b->shared ? cut_shared(b, o, counts, err) : cut(b, o, counts, err);
    return rc ? rc : full;
}

static enum err_code flush_all(struct batcher *b, struct open_batch *all, size_t count,
                               const struct frame_counts *counts, struct err *err)
{
    enum err_code full = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        enum err_code rc = cut(b, &all[i], counts, err);
        if (rc && rc != ERR_FULL)
            return rc;
        full = rc ? rc : full;
    }
    return full;
}

static enum err_code flush_shared(struct batcher *b, const struct frame_counts *counts,
                                  struct err *err)
{
    enum err_code full = ERR_OK;
    struct open_batch *o;
    for (uint32_t i = 0; (o = shared_batches_at(b->shared, i)); i++) {
        enum err_code rc = o->records ? cut_shared(b, o, counts, err) : ERR_OK;
        if (rc && rc != ERR_FULL)
            return rc;
        full = rc ? rc : full;
    }
    return full;
}

enum err_code batcher_flush(struct batcher *b, bool complete, const struct frame_counts *counts,
                            struct err *err)
{
    enum err_code full = b->shared ? flush_shared(b, counts, err)
                                   : flush_all(b, b->unordered, BATCHER_GROUPS, counts, err);
    if (full && full != ERR_FULL)
        return full;
    enum err_code rc = flush_all(b, b->lanes, BATCHER_LANES, counts, err);
    if (rc && rc != ERR_FULL)
        return rc;
    full = rc ? rc : full;
    rc = b->held.records ? seal(b, &b->held, complete, counts, err) : ERR_OK;
    return rc ? rc : full;
}
