/* Reads and writes: its own memory. An array of items in the order they came, a table of their keys
 * by open addressing, and one buffer with the bytes of all keys and rows. */
#include "scheduler/stream/pending.h"

#include "protocol/base/buf.h"

#include <stdlib.h>
#include <xxhash.h>

enum { TABLE_FIRST = 1024, ITEMS_FIRST = 512, VALUE_HEAD_BYTES = 5, KEY_HEAD_MAX = 8192 };

struct item {
    uint64_t hash;
    uint64_t mark;
    int64_t since_ms, last_ms;
    size_t key_at, row_at;
    uint32_t key_bytes, row_bytes;
    uint32_t tries;
    uint8_t kind;
    bool taken;
    bool laid_by;
};

struct pending {
    struct item *items;
    size_t item_count, item_cap; /* taken ones included */
    size_t live, laid_by;
    size_t first;     /* no live item stands before it */
    uint32_t *table;  /* index of an item + 1; 0: free */
    size_t table_cap; /* a power of two */
    struct buf bytes;
    size_t live_bytes;
    struct value *values; /* of the row in hand */
};

struct pending *pending_new(void)
{
    struct pending *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->table = calloc(TABLE_FIRST, sizeof *p->table);
    p->values = calloc(COLUMN_LIMIT, sizeof *p->values);
    p->table_cap = TABLE_FIRST;
    buf_init(&p->bytes, SIZE_MAX / 2); /* bounded by pending_is_full, and by sweeping */
    if (p->table && p->values)
        return p;
    pending_free(p);
    return NULL;
}

void pending_free(struct pending *p)
{
    if (!p)
        return;
    buf_done(&p->bytes);
    free(p->items);
    free(p->table);
    free(p->values);
    free(p);
}

/* ---- the table ---- */

static struct slice key_of(const struct pending *p, const struct item *it)
{
    return slice_of(p->bytes.p + it->key_at, it->key_bytes);
}

/* Where the key is, or would be. */
static size_t place_of(const struct pending *p, struct slice key, uint64_t hash)
{
    size_t mask = p->table_cap - 1, at = hash & mask;
    while (p->table[at]) {
        const struct item *it = &p->items[p->table[at] - 1];
        if (it->hash == hash && slice_eq(key_of(p, it), key))
            break;
        at = (at + 1) & mask;
    }
    return at;
}

static struct item *find(const struct pending *p, struct slice key)
{
    uint32_t n = p->table[place_of(p, key, XXH3_64bits(key.p, key.n))];
    return n ? &p->items[n - 1] : NULL;
}

static void table_fill(struct pending *p)
{
    size_t mask = p->table_cap - 1;
    for (size_t i = 0; i < p->item_count; i++) {
        if (p->items[i].taken)
            continue;
        size_t at = p->items[i].hash & mask;
        while (p->table[at])
            at = (at + 1) & mask;
        p->table[at] = (uint32_t)i + 1;
    }
}

static enum err_code table_grow(struct pending *p, struct err *err)
{
    if (p->live * 2 < p->table_cap)
        return ERR_OK;
    uint32_t *table = calloc(p->table_cap * 2, sizeof *table);
    if (!table)
        return err_set(err, ERR_NOMEM, "stream: no memory for pending changes");
    free(p->table);
    p->table = table;
    p->table_cap *= 2;
    table_fill(p);
    return ERR_OK;
}

/* Closes the gap, so that later keys are still found from where they belong. */
static void table_drop(struct pending *p, const struct item *it)
{
    size_t mask = p->table_cap - 1, gap = place_of(p, key_of(p, it), it->hash);
    for (size_t at = (gap + 1) & mask; p->table[at]; at = (at + 1) & mask) {
        size_t home = p->items[p->table[at] - 1].hash & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        p->table[gap] = p->table[at];
        gap = at;
    }
    p->table[gap] = 0;
}

/* ---- bytes ---- */

static enum err_code put_row(struct pending *p, struct item *it, const struct row *row)
{
    size_t start = p->bytes.len, n = 0;
    for (uint16_t i = 0; i < row->n; i++)
        n += VALUE_HEAD_BYTES + row->values[i].n;
    enum err_code rc = buf_reserve(&p->bytes, n);
    if (rc)
        return rc;
    char *out = p->bytes.p + start;
    for (uint16_t i = 0; i < row->n; i++) {
        const struct value *v = &row->values[i];
        *out = (char)v->kind;
        memcpy(out + 1, &v->n, sizeof v->n);
        if (v->n)
            memcpy(out + VALUE_HEAD_BYTES, v->p, v->n);
        out += VALUE_HEAD_BYTES + v->n;
    }
    p->bytes.len += n;
    p->live_bytes += n;
    it->row_at = start;
    it->row_bytes = (uint32_t)n;
    return ERR_OK;
}

struct row pending_row(struct pending *p, const struct pending_change *c)
{
    const char *at = c->row.p, *end = at + c->row.n;
    uint16_t n = 0;
    while (at < end) {
        struct value *v = &p->values[n++];
        v->kind = (enum value_kind)(unsigned char)*at;
        memcpy(&v->n, at + 1, sizeof v->n);
        v->p = at + VALUE_HEAD_BYTES;
        at += VALUE_HEAD_BYTES + v->n;
    }
    return (struct row){p->values, n};
}

/* ---- room ---- */

enum { KEEP_BYTES = 4 << 20, KEEP_ITEMS = 1 << 16 };

/* Half of it are values that were replaced or taken. */
static bool wastes_bytes(const struct pending *p)
{
    return p->bytes.len > KEEP_BYTES && p->bytes.len > p->live_bytes * 2;
}

static enum err_code compact(struct pending *p, struct err *err)
{
    struct buf bytes;
    size_t n = 0;
    buf_init(&bytes, p->bytes.max);
    if (buf_reserve(&bytes, p->live_bytes ? p->live_bytes : 1))
        return err_set(err, ERR_NOMEM, "stream: no memory for pending changes");
    for (size_t i = 0; i < p->item_count; i++) {
        struct item it = p->items[i];
        if (it.taken)
            continue;
        memcpy(bytes.p + bytes.len, p->bytes.p + it.key_at, it.key_bytes);
        it.key_at = bytes.len;
        bytes.len += it.key_bytes;
        if (it.row_bytes)
            memcpy(bytes.p + bytes.len, p->bytes.p + it.row_at, it.row_bytes);
        it.row_at = bytes.len;
        bytes.len += it.row_bytes;
        p->items[n++] = it;
    }
    buf_done(&p->bytes);
    p->bytes = bytes;
    p->item_count = n;
    p->first = 0;
    memset(p->table, 0, p->table_cap * sizeof *p->table);
    table_fill(p);
    return ERR_OK;
}

/* ---- adding ---- */

static enum err_code item_new(struct pending *p, const struct pending_change *c, uint64_t hash,
                              struct err *err)
{
    if (p->item_count == p->item_cap) {
        size_t cap = p->item_cap ? p->item_cap * 2 : ITEMS_FIRST;
        struct item *items = realloc(p->items, cap * sizeof *items);
        if (!items)
            return err_set(err, ERR_NOMEM, "stream: no memory for pending changes");
        p->items = items;
        p->item_cap = cap;
    }
    struct item it = {
        .hash = hash,
        .mark = c->mark,
        .since_ms = c->since_ms,
        .key_at = p->bytes.len,
        .key_bytes = (uint32_t)c->key.n,
    };
    if (buf_put(&p->bytes, c->key.p, c->key.n))
        return err_set(err, ERR_NOMEM, "stream: no memory for pending changes");
    p->live_bytes += c->key.n;
    p->items[p->item_count++] = it;
    p->live++;
    return ERR_OK;
}

static enum err_code put_value(struct pending *p, struct item *it, const struct pending_change *c,
                               const struct row *row, struct err *err)
{
    p->live_bytes -= it->row_bytes;
    it->row_bytes = 0;
    it->kind = (uint8_t)c->kind;
    it->tries = c->tries;
    it->last_ms = c->since_ms;
    if (c->kind == CHANGE_ROW && put_row(p, it, row))
        return err_set(err, ERR_NOMEM, "stream: no memory for pending changes");
    return ERR_OK;
}

static enum err_code add(struct pending *p, const struct pending_change *c, const struct row *row,
                         uint64_t hash, struct err *err)
{
    enum err_code rc = table_grow(p, err);
    size_t at = rc ? 0 : place_of(p, c->key, hash);
    if (!rc)
        rc = item_new(p, c, hash, err);
    if (rc)
        return rc;
    p->table[at] = (uint32_t)p->item_count;
    return put_value(p, &p->items[p->item_count - 1], c, row, err);
}

/* Replaced values are given back here too: while nothing is planned, nobody sweeps. */
enum err_code pending_put(struct pending *p, const struct pending_change *c, const struct row *row,
                          bool *ret_replaced, struct err *err)
{
    uint64_t hash = XXH3_64bits(c->key.p, c->key.n);
    uint32_t n = p->table[place_of(p, c->key, hash)];
    *ret_replaced = n != 0;
    if (!n)
        return add(p, c, row, hash, err);
    enum err_code rc = put_value(p, &p->items[n - 1], c, row, err);
    return rc || !wastes_bytes(p) ? rc : compact(p, err);
}

enum err_code pending_put_back(struct pending *p, const struct pending_change *c,
                               const struct row *row, bool *ret_there, struct err *err)
{
    uint64_t hash = XXH3_64bits(c->key.p, c->key.n);
    *ret_there = p->table[place_of(p, c->key, hash)] != 0;
    return *ret_there ? ERR_OK : add(p, c, row, hash, err);
}

/* ---- looking ---- */

size_t pending_count(const struct pending *p)
{
    return p->live;
}

size_t pending_ready(const struct pending *p)
{
    return p->live - p->laid_by;
}

size_t pending_bytes(const struct pending *p)
{
    return p->bytes.len;
}

bool pending_is_full(const struct pending *p)
{
    return p->live >= PENDING_KEYS_MAX || p->live_bytes >= PENDING_BYTES_MAX;
}

static void skip_taken(struct pending *p)
{
    while (p->first < p->item_count && p->items[p->first].taken)
        p->first++;
}

int64_t pending_since_ms(const struct pending *p)
{
    size_t i = p->first;
    while (i < p->item_count && p->items[i].taken)
        i++;
    return i < p->item_count ? p->items[i].since_ms : 0;
}

bool pending_next(struct pending *p, size_t *at, struct pending_change *ret)
{
    if (*at < p->first)
        *at = p->first;
    while (*at < p->item_count && (p->items[*at].taken || p->items[*at].laid_by))
        ++*at;
    if (*at >= p->item_count)
        return false;
    const struct item *it = &p->items[(*at)++];
    *ret = (struct pending_change){
        .kind = (enum change_kind)it->kind,
        .key = key_of(p, it),
        .row = it->row_bytes ? slice_of(p->bytes.p + it->row_at, it->row_bytes) : (struct slice){0},
        .mark = it->mark,
        .tries = it->tries,
        .since_ms = it->since_ms,
        .last_ms = it->last_ms,
    };
    return true;
}

void pending_take(struct pending *p, size_t at)
{
    struct item *it = &p->items[at - 1];
    table_drop(p, it);
    it->taken = true;
    p->laid_by -= it->laid_by;
    it->laid_by = false;
    p->live--;
    p->live_bytes -= it->key_bytes + it->row_bytes;
    skip_taken(p);
}

void pending_lay_by(struct pending *p, size_t at)
{
    p->items[at - 1].laid_by = true;
    p->laid_by++;
}

void pending_lay_by_key(struct pending *p, struct slice key)
{
    struct item *it = find(p, key);
    if (!it || it->laid_by)
        return;
    it->laid_by = true;
    p->laid_by++;
}

void pending_wake(struct pending *p, struct slice key)
{
    struct item *it = p->laid_by ? find(p, key) : NULL;
    if (!it || !it->laid_by)
        return;
    it->laid_by = false;
    p->laid_by--;
}

void pending_wake_all(struct pending *p)
{
    for (size_t i = p->first; i < p->item_count && p->laid_by; i++) {
        p->laid_by -= p->items[i].laid_by;
        p->items[i].laid_by = false;
    }
}

void pending_to_keys(struct pending *p)
{
    for (size_t i = p->first; i < p->item_count; i++) {
        struct item *it = &p->items[i];
        if (it->taken)
            continue;
        it->kind = CHANGE_KEY;
        p->live_bytes -= it->row_bytes;
        it->row_bytes = 0;
    }
}

/* ---- giving room back ---- */

/* A burst is over: what it needed is given back. */
static void shrink(struct pending *p)
{
    uint32_t *table;
    p->item_count = p->first = 0;
    buf_reset(&p->bytes);
    p->live_bytes = 0;
    if (p->bytes.cap > KEEP_BYTES)
        buf_done(&p->bytes);
    if (p->item_cap > KEEP_ITEMS) {
        free(p->items);
        p->items = NULL;
        p->item_cap = 0;
    }
    if (p->table_cap > KEEP_ITEMS * 4 && (table = calloc(TABLE_FIRST, sizeof *table))) {
        free(p->table);
        p->table = table;
        p->table_cap = TABLE_FIRST;
    }
}

enum err_code pending_sweep(struct pending *p, struct err *err)
{
    if (!p->live) {
        shrink(p);
        return ERR_OK;
    }
    bool waste = wastes_bytes(p);
    waste |= p->item_count > KEEP_ITEMS && p->item_count > p->live * 2;
    return waste ? compact(p, err) : ERR_OK;
}

void pending_clear(struct pending *p)
{
    memset(p->table, 0, p->table_cap * sizeof *p->table);
    p->live = p->laid_by = 0;
    shrink(p);
}
