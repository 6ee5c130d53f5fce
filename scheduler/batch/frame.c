#include "scheduler/batch/frame.h"

#include <xxhash.h>

/*
 * Header, little-endian as written by this machine (a spool is never moved to another):
 *   0 magic u32, 4 kind u32, 8 number u64, 16 records u32, 20 lane bytes u32, 24 manifest bytes
 * u32, 28 payload bytes u32, 32 unchanged u64, 40 invalid u64, 48 quarantined u64, 56 group u16, 58
 * flags u16, 60 cost in records u32, 64 XXH3-64 of everything after the header, seeded with the
 * XXH3-64 of bytes 0..63
 */
enum {
    FRAME_MAGIC = 0x31464C53,
    FRAME_CHECKSUM_AT = 64,
    MANIFEST_FIXED_BYTES = 26,
    FLAG_JOBLESS = 1
};

static void put_u32(char *at, uint32_t v)
{
    memcpy(at, &v, sizeof v);
}

static void put_u64(char *at, uint64_t v)
{
    memcpy(at, &v, sizeof v);
}

static void put_u16(char *at, uint16_t v)
{
    memcpy(at, &v, sizeof v);
}

static uint16_t get_u16(const char *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint32_t get_u32(const char *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint64_t get_u64(const char *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

enum err_code manifest_put(struct buf *manifest, const struct manifest_entry *e)
{
    if (e->key.n > UINT16_MAX || e->identity.n > UINT16_MAX)
        return ERR_INVALID;
    size_t n = MANIFEST_FIXED_BYTES + e->key.n + e->identity.n;
    enum err_code rc = buf_reserve(manifest, n);
    if (rc)
        return rc;
    char *p = manifest->p + manifest->len;
    uint16_t key_bytes = (uint16_t)e->key.n, identity_bytes = (uint16_t)e->identity.n;
    put_u32(p, e->slot);
    p[4] = (char)e->class;
    p[5] = (char)e->op;
    memcpy(p + 6, &key_bytes, 2);
    memcpy(p + 8, &identity_bytes, 2);
    memcpy(p + 10, e->hash, 16);
    if (key_bytes)
        memcpy(p + MANIFEST_FIXED_BYTES, e->key.p, key_bytes);
    if (identity_bytes)
        memcpy(p + MANIFEST_FIXED_BYTES + key_bytes, e->identity.p, identity_bytes);
    manifest->len += n;
    return ERR_OK;
}

enum err_code manifest_next(struct slice *rest, struct manifest_entry *ret_entry, struct err *err)
{
    uint16_t key_bytes, identity_bytes;
    if (rest->n < MANIFEST_FIXED_BYTES)
        return err_set(err, ERR_INVALID, "spool: a manifest ends too early");
    const char *p = rest->p;
    memcpy(&key_bytes, p + 6, 2);
    memcpy(&identity_bytes, p + 8, 2);
    size_t n = MANIFEST_FIXED_BYTES + (size_t)key_bytes + identity_bytes;
    if (rest->n < n || (uint8_t)p[4] > RECORD_REMOVED || (uint8_t)p[5] > OP_APPEND)
        return err_set(err, ERR_INVALID, "spool: a manifest entry is damaged");
    *ret_entry = (struct manifest_entry){
        .slot = get_u32(p),
        .class = (enum record_class)p[4],
        .op = (enum record_op)p[5],
        .key = slice_of(p + MANIFEST_FIXED_BYTES, key_bytes),
        .identity = slice_of(p + MANIFEST_FIXED_BYTES + key_bytes, identity_bytes),
    };
    memcpy(ret_entry->hash, p + 10, 16);
    *rest = slice_of(p + n, rest->n - n);
    return ERR_OK;
}

static uint64_t checksum(const char *frame, size_t n)
{
    uint64_t header = XXH3_64bits(frame, FRAME_CHECKSUM_AT);
    return XXH3_64bits_withSeed(frame + FRAME_HEADER_BYTES, n - FRAME_HEADER_BYTES, header);
}

enum err_code frame_put(struct buf *out, const struct frame *f, struct err *err)
{
    size_t n = FRAME_HEADER_BYTES + f->lane.n + f->manifest.n + f->payload.n;
    if (f->lane.n > FRAME_LANE_MAX || n > FRAME_BYTES_MAX)
        return err_set(err, ERR_FULL, "spool: a batch of %zu bytes is above the ceiling of a frame",
                       n);
    enum err_code rc = buf_reserve(out, n);
    if (rc)
        return err_set(err, rc, "spool: no memory for a frame of %zu bytes", n);
    char *p = out->p + out->len;
    put_u32(p, FRAME_MAGIC);
    put_u32(p + 4, (uint32_t)f->kind);
    put_u64(p + 8, f->number);
    put_u32(p + 16, f->records);
    put_u32(p + 20, (uint32_t)f->lane.n);
    put_u32(p + 24, (uint32_t)f->manifest.n);
    put_u32(p + 28, (uint32_t)f->payload.n);
    put_u64(p + 32, f->counts.unchanged);
    put_u64(p + 40, f->counts.invalid);
    put_u64(p + 48, f->counts.quarantined);
    put_u16(p + 56, f->cost.group);
    put_u16(p + 58, f->cost.jobless ? FLAG_JOBLESS : 0);
    put_u32(p + 60, f->cost.records);
    out->len += FRAME_HEADER_BYTES;
    if (buf_put(out, f->lane.p, f->lane.n) || buf_put(out, f->manifest.p, f->manifest.n) ||
        buf_put(out, f->payload.p, f->payload.n))
        return err_set(err, ERR_BUG, "spool: reserved room is missing");
    put_u64(p + FRAME_CHECKSUM_AT, checksum(p, n));
    return ERR_OK;
}

size_t frame_size(const char *header)
{
    if (get_u32(header) != FRAME_MAGIC)
        return 0;
    uint64_t n = (uint64_t)FRAME_HEADER_BYTES + get_u32(header + 20) + get_u32(header + 24) +
                 get_u32(header + 28);
    return n > FRAME_BYTES_MAX || get_u32(header + 20) > FRAME_LANE_MAX ? 0 : (size_t)n;
}

enum err_code frame_parse(struct slice bytes, struct frame *ret_frame, struct err *err)
{
    if (bytes.n < FRAME_HEADER_BYTES || frame_size(bytes.p) != bytes.n)
        return err_set(err, ERR_INVALID, "spool: a frame is damaged or cut");
    const char *p = bytes.p;
    if (get_u64(p + FRAME_CHECKSUM_AT) != checksum(p, bytes.n))
        return err_set(err, ERR_INVALID, "spool: a frame's checksum does not match");
    uint32_t kind = get_u32(p + 4);
    if (kind != FRAME_BATCH && kind != FRAME_END)
        return err_set(err, ERR_INVALID, "spool: a frame of the unknown kind %u", kind);
    uint32_t lane = get_u32(p + 20), manifest = get_u32(p + 24), payload = get_u32(p + 28);
    const char *body = p + FRAME_HEADER_BYTES;
    *ret_frame = (struct frame){
        .kind = (enum frame_kind)kind,
        .number = get_u64(p + 8),
        .records = get_u32(p + 16),
        .lane = slice_of(body, lane),
        .cost = {.group = get_u16(p + 56),
                 .jobless = get_u16(p + 58) & FLAG_JOBLESS,
                 .records = get_u32(p + 60)},
        .counts = {.unchanged = get_u64(p + 32),
                   .invalid = get_u64(p + 40),
                   .quarantined = get_u64(p + 48)},
        .manifest = slice_of(body + lane, manifest),
        .payload = slice_of(body + lane + manifest, payload),
    };
    return ERR_OK;
}
