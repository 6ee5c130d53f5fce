/* Reads: decisions of diff. Writes: frames to the spool. Invariant: caps hold, lanes keep order.
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
};

struct batcher {
    struct batcher_options opts;
    struct spool *spool;
    uint64_t next_number;
    uint64_t record_bytes; /* what every record costs before its values */
    struct buf sealed;
    struct open_batch open[BATCHER_LANES + 1]; /* 0: unordered, n: lane n - 1 */
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

enum err_code batcher_new(const struct batcher_options *opts, struct spool *spool,
                          struct batcher **ret_batcher, struct err *err)
{
    struct batcher *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(err, ERR_NOMEM, "batch: no memory");
    b->opts = *opts;
    b->spool = spool;
    b->next_number = spool_count(spool);
    b->record_bytes = frame_bytes_of(opts);
    buf_init(&b->sealed, FRAME_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(b->open); i++) {
        buf_init(&b->open[i].rows, BATCH_BYTES_MAX);
        buf_init(&b->open[i].manifest, FRAME_BYTES_MAX);
    }
    *ret_batcher = b;
    return ERR_OK;
}

void batcher_free(struct batcher *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < ARRAY_LEN(b->open); i++) {
        buf_done(&b->open[i].rows);
        buf_done(&b->open[i].manifest);
    }
    buf_done(&b->sealed);
    free(b);
}

uint64_t batcher_values_max(const struct batcher *b)
{
    uint64_t taken = b->record_bytes + BODY_FRAME_BYTES;
    return b->opts.max_bytes > taken ? b->opts.max_bytes - taken : 0;
}

const char *batch_id(const char *run, uint64_t number, char *out)
{
    snprintf(out, BATCH_PART_ID_BYTES, "%s.%" PRIu64, run, number);
    return out;
}

static enum err_code cut(struct batcher *b, size_t which, const struct frame_counts *counts,
                         struct err *err)
{
    struct open_batch *o = &b->open[which];
    if (!o->records)
        return ERR_OK;
    char id[BATCH_PART_ID_BYTES], lane[24] = "";
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
        .policies = b->opts.policies,
        .newest_field = b->opts.newest_field,
    };
    buf_reset(&b->sealed);
    enum err_code rc = batch_seal(&b->sealed, &head, o->records, buf_slice(&o->rows), true, err);
    if (rc)
        return rc;
    if (which)
        snprintf(lane, sizeof lane, "%zu", which - 1);
    struct frame f = {
        .kind = FRAME_BATCH,
        .number = b->next_number,
        .records = o->records,
        .lane = slice_str(lane),
        .counts = *counts,
        .manifest = buf_slice(&o->manifest),
        .payload = buf_slice(&b->sealed),
    };
    rc = spool_append(b->spool, &f, err);
    if (rc && rc != ERR_FULL)
        return rc;
    b->next_number++;
    buf_reset(&o->rows);
    buf_reset(&o->manifest);
    o->records = 0;
    o->bytes = 0;
    return rc;
}

enum err_code batcher_add(struct batcher *b, int lane, const struct manifest_entry *entry,
                          const struct value *keys, struct slice values,
                          const struct frame_counts *counts, struct err *err)
{
    size_t which = (size_t)(lane + 1);
    struct open_batch *o = &b->open[which];
    size_t name_bytes = entry->identity.n ? entry->identity.n : entry->key.n;
    uint64_t bytes = b->record_bytes + name_bytes + values.n;
    enum err_code full = ERR_OK;
    if (o->records && o->bytes + bytes + BODY_FRAME_BYTES > b->opts.max_bytes)
        full = cut(b, which, counts, err);
    if (full && full != ERR_FULL)
        return full;
    if (batch_put_record_raw(&o->rows, o->records, entry->op, keys, b->opts.key_count, values) ||
        manifest_put(&o->manifest, entry))
        return err_set(err, ERR_NOMEM, "batch: no room for a record of %zu bytes", values.n);
    o->records++;
    o->bytes += bytes;
    if (o->records < b->opts.max_records)
        return full;
    enum err_code rc = cut(b, which, counts, err);
    return rc ? rc : full;
}

enum err_code batcher_flush(struct batcher *b, const struct frame_counts *counts, struct err *err)
{
    enum err_code full = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(b->open); i++) {
        enum err_code rc = cut(b, i, counts, err);
        if (rc && rc != ERR_FULL)
            return rc;
        if (rc)
            full = rc;
    }
    return full;
}
