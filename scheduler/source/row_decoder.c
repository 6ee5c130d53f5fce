#include "scheduler/source/row_decoder.h"

#include <stdlib.h>

enum {
    SCRATCH_LIMIT_BYTES = 2 * ROW_LIMIT_BYTES,
    LINE_LIMIT_BYTES = ROW_LIMIT_BYTES + 4096,
    KEPT_BYTES = 1 << 20,
};

enum err_code row_decoder_init(struct row_decoder *d, struct types *types, const Oid *oids,
                               size_t count, struct err *err)
{
    *d = (struct row_decoder){.cells = {.count = count}};
    buf_init(&d->scratch, SCRATCH_LIMIT_BYTES);
    buf_init(&d->line, LINE_LIMIT_BYTES);
    d->converters = calloc(count, sizeof *d->converters);
    d->values = calloc(count, sizeof *d->values);
    d->cells.items = calloc(count, sizeof *d->cells.items);
    d->arrays = calloc(count, sizeof *d->arrays);
    if (!d->converters || !d->values || !d->cells.items || !d->arrays)
        return err_set(err, ERR_NOMEM, "no memory for %zu columns", count);
    for (size_t i = 0; i < count; i++) {
        d->converters[i] = types_converter(types, oids[i]);
        if (!d->converters[i])
            return err_set(err, ERR_INVALID, "column %zu has a type that nests too deeply", i + 1);
        if (d->converters[i]->kind == CONVERT_ARRAY)
            d->arrays[d->array_count++] = (uint16_t)i;
    }
    return ERR_OK;
}

void row_decoder_done(struct row_decoder *d)
{
    free(d->converters);
    free(d->values);
    free(d->cells.items);
    free(d->arrays);
    buf_done(&d->scratch);
    buf_done(&d->line);
    *d = (struct row_decoder){0};
}

/* While the row is being decoded scratch may move: the value says only how long it is there. */
static struct value decode_array(struct row_decoder *d, size_t column)
{
    size_t start = d->scratch.len;
    const char *why =
        convert_array(d->converters[column], d->cells.items[column], d->cells.ascii, &d->scratch);
    if (why)
        return value_bad(why);
    return (struct value){VALUE_JSON, (uint32_t)(d->scratch.len - start), NULL};
}

static void place_arrays(struct row_decoder *d)
{
    const char *p = d->scratch.p;
    for (size_t i = 0; i < d->array_count; i++) {
        struct value *v = &d->values[d->arrays[i]];
        if (v->kind != VALUE_JSON)
            continue;
        v->p = p;
        p += v->n;
    }
}

struct row row_decoder_run(struct row_decoder *d)
{
    const struct cell *cells = d->cells.items;
    bool ascii = d->cells.ascii;
    buf_reset(&d->scratch);
    for (size_t i = 0; i < d->cells.count; i++) {
        if (!cells[i].p)
            d->values[i] = (struct value){VALUE_NULL, 0, NULL};
        else if (UNLIKELY(d->converters[i]->kind == CONVERT_ARRAY))
            d->values[i] = decode_array(d, i);
        else
            d->values[i] = convert_cell(d->converters[i], cells[i], ascii);
    }
    if (d->array_count)
        place_arrays(d);
    return (struct row){d->values, (uint16_t)d->cells.count};
}

void row_decoder_trim(struct row_decoder *d)
{
    if (UNLIKELY(d->line.cap > KEPT_BYTES))
        buf_done(&d->line);
    if (UNLIKELY(d->scratch.cap > KEPT_BYTES))
        buf_done(&d->scratch);
}
