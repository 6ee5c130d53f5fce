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

struct open_batch {
    struct buf rows;
    struct buf manifest;
    uint32_t records;
    uint64_t bytes;
    uint64_t values; /* that are set; counted where there is a maximum */
    int lane;        /* -1: unordered */
    uint8_t group;
};

struct batcher {
    struct batcher_options opts;
    struct spool *spool;
    uint64_t next_number;
    uint64_t record_bytes; /* what every record costs before its values */
    struct buf sealed;
    struct open_batch unordered[BATCHER_GROUPS];
    struct open_batch lanes[BATCHER_LANES];
    struct open_batch held; /* cut, and perhaps the run's last */
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

static void open_init(struct open_batch *o, int lane, uint8_t group)
{
    buf_init(&o->rows, BATCH_BYTES_MAX);
    buf_init(&o->manifest, FRAME_BYTES_MAX);
    o->lane = lane;
    o->group = group;
}

static void open_done(struct open_batch *o)
{
    buf_done(&o->rows);
    buf_done(&o->manifest);
}

static void open_reset(struct open_batch *o)
{
    buf_reset(&o->rows);
    buf_reset(&o->manifest);
    o->records = 0;
    o->bytes = o->values = 0;
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
    b->opts = *opts;
    fill_groups(&b->opts);
    b->spool = spool;
    b->next_number = spool_count(spool);
    b->record_bytes = frame_bytes_of(opts);
    buf_init(&b->sealed, FRAME_BYTES_MAX);
    for (uint8_t i = 0; i < BATCHER_GROUPS; i++)
        open_init(&b->unordered[i], -1, i);
    for (int i = 0; i < BATCHER_LANES; i++)
        open_init(&b->lanes[i], i, 0);
    open_init(&b->held, -1, 0);
    *ret_batcher = b;
    return ERR_OK;
}

void batcher_free(struct batcher *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < BATCHER_GROUPS; i++)
        open_done(&b->unordered[i]);
    for (size_t i = 0; i < BATCHER_LANES; i++)
        open_done(&b->lanes[i]);
    open_done(&b->held);
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
    enum err_code rc = batch_seal(&b->sealed, &head, o->records, buf_slice(&o->rows), true, err);
    rc = rc ? rc : append(b, o, counts, err);
    if (!rc || rc == ERR_FULL)
        open_reset(o);
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

static bool is_full_for(const struct batcher *b, const struct open_batch *o, uint64_t bytes,
                        uint32_t values)
{
    const struct batch_group *g = &b->opts.groups[o->group];
    if (o->bytes + bytes + BODY_FRAME_BYTES > g->max_bytes)
        return true;
    return b->opts.max_values && o->values + values > b->opts.max_values;
}

/* The open batch of a lane, and within the unordered of a group. In an ordered lane another group's
 * record ends the batch, so that none overtakes it. */
static struct open_batch *open_for(struct batcher *b, int lane, uint8_t group, bool *ret_other)
{
    struct open_batch *o = lane < 0 ? &b->unordered[group] : &b->lanes[lane];
    *ret_other = o->group != group;
    return o;
}

enum err_code batcher_add(struct batcher *b, int lane, const struct manifest_entry *entry,
                          const struct value *keys, struct slice values,
                          const struct frame_counts *counts, struct err *err)
{
    uint8_t group = b->opts.group_of[entry->op];
    bool other;
    struct open_batch *o = open_for(b, lane, group, &other);
    size_t name_bytes = entry->identity.n ? entry->identity.n : entry->key.n;
    uint64_t bytes = b->record_bytes + name_bytes + values.n;
    uint32_t set = values_of(b, values);
    enum err_code full = ERR_OK;
    if (o->records && (other || is_full_for(b, o, bytes, set)))
        full = cut(b, o, counts, err);
    if (full && full != ERR_FULL)
        return full;
    o->group = group;
    if (batch_put_record_raw(&o->rows, o->records, entry->op, keys, b->opts.key_count, values) ||
        manifest_put(&o->manifest, entry))
        return err_set(err, ERR_NOMEM, "batch: no room for a record of %zu bytes", values.n);
    o->records++;
    o->bytes += bytes;
    o->values += set;
    if (o->records < b->opts.groups[group].max_records)
        return full;
    enum err_code rc = cut(b, o, counts, err);
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

enum err_code batcher_flush(struct batcher *b, bool complete, const struct frame_counts *counts,
                            struct err *err)
{
    enum err_code full = flush_all(b, b->unordered, BATCHER_GROUPS, counts, err);
    if (full && full != ERR_FULL)
        return full;
    enum err_code rc = flush_all(b, b->lanes, BATCHER_LANES, counts, err);
    if (rc && rc != ERR_FULL)
        return rc;
    full = rc ? rc : full;
    rc = b->held.records ? seal(b, &b->held, complete, counts, err) : ERR_OK;
    return rc ? rc : full;
}
