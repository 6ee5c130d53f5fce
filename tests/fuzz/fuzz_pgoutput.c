/* Replication frames and pgoutput messages of any bytes: no crash, and whatever is accepted lies
 * inside the message. */
#include "scheduler/stream/pgoutput.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the feed does: the value and the byte behind it are written. */
static void touch(const struct pgoutput_tuple *tuple, const char *message, size_t n)
{
    for (uint16_t i = 0; i < tuple->count; i++) {
        const struct pgoutput_cell *cell = &tuple->cells[i];
        if (cell->kind != PGOUTPUT_TEXT)
            continue;
        ensure(cell->p >= message && cell->p + cell->n <= message + n);
        memset(cell->p, 'x', cell->n + 1);
    }
}

static void walk(const struct pgoutput_message *m, const char *message, size_t n)
{
    size_t names = 0;
    for (uint32_t i = 0; i < m->truncated_count; i++)
        names += pgoutput_truncated(m, i);
    if (m->kind == PGOUTPUT_RELATION) {
        names += strlen(m->schema) + strlen(m->table);
        for (uint16_t i = 0; i < m->column_count; i++)
            names += strlen(m->columns[i].name);
        ensure(names <= n + sizeof "pg_catalog");
    }
    touch(&m->before, message, n);
    touch(&m->after, message, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pgoutput *decoder;
    struct pgoutput_message m;
    struct pgoutput_frame frame;
    struct err err;
    if (!decoder)
        decoder = pgoutput_new();
    char *bytes = malloc(size + 1);
    if (!decoder || !bytes)
        abort();
    memcpy(bytes, data, size);
    bytes[size] = '\0';
    if (pgoutput_frame(bytes, size, &frame, &err) == ERR_OK && !frame.keepalive) {
        ensure(frame.payload + frame.n == bytes + size);
        if (pgoutput_decode(decoder, frame.payload, frame.n, &m, &err) == ERR_OK)
            walk(&m, frame.payload, frame.n);
    } else if (pgoutput_decode(decoder, bytes, size, &m, &err) == ERR_OK) {
        walk(&m, bytes, size);
    }
    free(bytes);
    return 0;
}
