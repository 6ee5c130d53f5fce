#include "scheduler/stream/pgoutput.h"

#include <endian.h>
#include <stdlib.h>

/* Timestamps count microseconds from 2000-01-01 00:00 UTC. */
static const int64_t epoch_2000_ms = INT64_C(946684800000);

enum { FRAME_DATA_BYTES = 24, FRAME_KEEPALIVE_BYTES = 17 };

struct pgoutput {
    struct pgoutput_cell before[COLUMN_LIMIT];
    struct pgoutput_cell after[COLUMN_LIMIT];
    struct pgoutput_column columns[COLUMN_LIMIT];
};

/* The rest of the message; ok falls to false at the first read beyond its end. */
struct reader {
    char *p;
    size_t n;
    bool ok;
};

static inline char *take(struct reader *r, size_t n)
{
    if (UNLIKELY(!r->ok || r->n < n)) {
        r->ok = false;
        return NULL;
    }
    char *p = r->p;
    r->p += n;
    r->n -= n;
    return p;
}

static inline uint8_t take_u8(struct reader *r)
{
    const char *p = take(r, 1);
    return p ? (uint8_t)*p : 0;
}

static inline uint16_t take_u16(struct reader *r)
{
    uint16_t v = 0;
    const char *p = take(r, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static inline uint32_t take_u32(struct reader *r)
{
    uint32_t v = 0;
    const char *p = take(r, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint64_t take_u64(struct reader *r)
{
    uint64_t v = 0;
    const char *p = take(r, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static int64_t take_ms(struct reader *r)
{
    return (int64_t)take_u64(r) / 1000 + epoch_2000_ms;
}

/* A string that ends with a NUL; never NULL. */
static const char *take_str(struct reader *r)
{
    const char *end = r->ok && r->n ? memchr(r->p, '\0', r->n) : NULL;
    if (!end) {
        r->ok = false;
        return "";
    }
    return take(r, (size_t)(end - r->p) + 1);
}

static inline void take_cell(struct reader *r, struct pgoutput_cell *cell)
{
    *cell = (struct pgoutput_cell){.kind = PGOUTPUT_NULL};
    switch (take_u8(r)) {
    case 't':
        cell->kind = PGOUTPUT_TEXT;
        cell->n = take_u32(r);
        cell->p = take(r, cell->n);
        break;
    case 'u':
        cell->kind = PGOUTPUT_UNCHANGED;
        break;
    case 'n':
        break;
    default: /* 'b' is sent only where binary was asked for */
        r->ok = false;
    }
}

static struct pgoutput_tuple take_tuple(struct reader *r, struct pgoutput_cell *cells)
{
    uint16_t count = take_u16(r);
    if (count > COLUMN_LIMIT)
        r->ok = false;
    for (uint16_t i = 0; i < count && r->ok; i++)
        take_cell(r, &cells[i]);
    return (struct pgoutput_tuple){cells, r->ok ? count : 0};
}

static void take_begin(struct reader *r, struct pgoutput_message *m)
{
    m->kind = PGOUTPUT_BEGIN;
    m->lsn = take_u64(r);
    m->commit_ms = take_ms(r);
    m->xid = take_u32(r);
}

static void take_commit(struct reader *r, struct pgoutput_message *m)
{
    m->kind = PGOUTPUT_COMMIT;
    take_u8(r); /* flags, none yet */
    m->lsn = take_u64(r);
    m->end_lsn = take_u64(r);
    m->commit_ms = take_ms(r);
}

static void take_relation(struct pgoutput *d, struct reader *r, struct pgoutput_message *m)
{
    m->kind = PGOUTPUT_RELATION;
    m->relation = take_u32(r);
    m->schema = take_str(r);
    if (!*m->schema)
        m->schema = "pg_catalog"; /* which is sent as nothing */
    m->table = take_str(r);
    m->identity = (char)take_u8(r);
    m->column_count = take_u16(r);
    if (m->column_count > COLUMN_LIMIT)
        r->ok = false;
    for (uint16_t i = 0; i < m->column_count && r->ok; i++) {
        bool key = take_u8(r) & 1;
        const char *name = take_str(r);
        d->columns[i] = (struct pgoutput_column){name, take_u32(r), key};
        take_u32(r); /* the type's modifier */
    }
    m->columns = d->columns;
}

/* Which tuple follows. */
static void take_before(struct pgoutput *d, struct reader *r, uint8_t which,
                        struct pgoutput_message *m)
{
    m->whole = which == 'O';
    m->before = take_tuple(r, d->before);
}

static void take_insert(struct pgoutput *d, struct reader *r, struct pgoutput_message *m)
{
    m->kind = PGOUTPUT_INSERT;
    m->relation = take_u32(r);
    r->ok &= take_u8(r) == 'N';
    m->after = take_tuple(r, d->after);
}

static void take_update(struct pgoutput *d, struct reader *r, struct pgoutput_message *m)
{
    m->kind = PGOUTPUT_UPDATE;
    m->relation = take_u32(r);
    uint8_t which = take_u8(r);
    if (which == 'K' || which == 'O') {
        take_before(d, r, which, m);
        which = take_u8(r);
    }
    r->ok &= which == 'N';
    m->after = take_tuple(r, d->after);
}

static void take_delete(struct pgoutput *d, struct reader *r, struct pgoutput_message *m)
{
    m->kind = PGOUTPUT_DELETE;
    m->relation = take_u32(r);
    uint8_t which = take_u8(r);
    r->ok &= which == 'K' || which == 'O';
    take_before(d, r, which, m);
}

static void take_truncate(struct reader *r, struct pgoutput_message *m)
{
    m->kind = PGOUTPUT_TRUNCATE;
    m->truncated_count = take_u32(r);
    take_u8(r); /* CASCADE, RESTART IDENTITY */
    m->truncated = r->p;
    if (!take(r, (size_t)m->truncated_count * sizeof(uint32_t)))
        m->truncated_count = 0;
}

struct pgoutput *pgoutput_new(void)
{
    return calloc(1, sizeof(struct pgoutput));
}

void pgoutput_free(struct pgoutput *d)
{
    free(d);
}

enum err_code pgoutput_decode(struct pgoutput *d, char *bytes, size_t n,
                              struct pgoutput_message *ret, struct err *err)
{
    struct reader r = {bytes, n, true};
    struct pgoutput_message m = {.kind = PGOUTPUT_OTHER};
    uint8_t kind = take_u8(&r);
    switch (kind) {
    case 'B':
        take_begin(&r, &m);
        break;
    case 'C':
        take_commit(&r, &m);
        break;
    case 'R':
        take_relation(d, &r, &m);
        break;
    case 'I':
        take_insert(d, &r, &m);
        break;
    case 'U':
        take_update(d, &r, &m);
        break;
    case 'D':
        take_delete(d, &r, &m);
        break;
    case 'T':
        take_truncate(&r, &m);
        break;
    case 'O':
    case 'Y':
    case 'M':
        take(&r, r.n);
        break;
    default:
        return err_set(err, ERR_INVALID,
                       "the server sent a change of a kind that was not asked for (0x%02x)", kind);
    }
    if (!r.ok || r.n)
        return err_set(err, ERR_INVALID, "the server sent a change (%c) that is not whole", kind);
    *ret = m;
    return ERR_OK;
}

uint32_t pgoutput_truncated(const struct pgoutput_message *m, uint32_t i)
{
    uint32_t v;
    memcpy(&v, m->truncated + (size_t)i * sizeof v, sizeof v);
    return be32toh(v);
}

enum err_code pgoutput_frame(char *bytes, size_t n, struct pgoutput_frame *ret, struct err *err)
{
    struct reader r = {bytes, n, true};
    struct pgoutput_frame f = {0};
    uint8_t kind = take_u8(&r);
    if (kind == 'w' && r.n >= FRAME_DATA_BYTES) {
        f.lsn = take_u64(&r);
        take_u64(&r); /* the end of the log, which for logical decoding is the same place */
        f.clock_ms = take_ms(&r);
        f.n = r.n;
        f.payload = r.p;
    } else if (kind == 'k' && r.n == FRAME_KEEPALIVE_BYTES) {
        f.keepalive = true;
        f.lsn = take_u64(&r);
        f.clock_ms = take_ms(&r);
        f.reply = take_u8(&r) != 0;
    } else {
        return err_set(err, ERR_INVALID, "the server sent something that is not replication");
    }
    *ret = f;
    return ERR_OK;
}

static char *put_u64(char *out, uint64_t v)
{
    v = htobe64(v);
    memcpy(out, &v, sizeof v);
    return out + sizeof v;
}

void pgoutput_status(uint64_t received, uint64_t kept, int64_t wall_ms,
                     char out[PGOUTPUT_STATUS_BYTES])
{
    char *p = out;
    *p++ = 'r';
    p = put_u64(p, received);
    p = put_u64(p, kept);
    p = put_u64(p, kept); /* applied */
    p = put_u64(p, (uint64_t)((wall_ms - epoch_2000_ms) * 1000));
    *p = 0; /* no answer wanted */
}
