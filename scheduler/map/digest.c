/*
 * Digests of a program, over a canonical description: words and length-prefixed texts in the order
 * of the paths, so that neither the order in the YAML nor the order of the columns matters, nor the
 * build.
 */
#include "scheduler/map/program.h"

#include <inttypes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DESCRIPTION_BYTES_MAX = 64 << 20 };

static enum err_code put_text(struct buf *b, struct slice s)
{
    enum err_code rc = buf_printf(b, "%zu:", s.n);
    return rc ? rc : buf_put(b, s.p, s.n);
}

static enum err_code put_word(struct buf *b, const char *s)
{
    return s ? put_text(b, slice_str(s)) : buf_putc(b, '-');
}

static enum err_code put_paths(struct buf *b, const struct map_program *p)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < p->field_count; i++) {
        const struct field_path *path = &p->paths[i];
        rc = buf_printf(b, "/%zu", path->count);
        for (size_t j = 0; !rc && j < path->count; j++)
            rc = put_text(b, path->names[j]);
    }
    return rc;
}

static enum err_code put_transform(struct buf *b, const struct transform *t)
{
    enum err_code rc = put_word(b, step_name(t->kind));
    /* A secret stays out: another one changes the values, and that is enough. */
    rc = rc ? rc : put_word(b, t->kind == TRANSFORM_HMAC ? NULL : t->text);
    rc = rc ? rc : put_word(b, t->with);
    if (!rc &&
        (t->kind == TRANSFORM_SUBSTRING || t->kind == TRANSFORM_FIRST || t->kind == TRANSFORM_PAD))
        rc = buf_printf(b, "%" PRId64 ",%" PRId64, t->from, t->length);
    for (size_t i = 0; !rc && i < t->table_count; i++) {
        rc = put_word(b, t->table[i].from);
        rc = rc ? rc : put_word(b, t->table[i].to_null ? NULL : t->table[i].to);
    }
    if (!rc && t->has_fallback) {
        rc = buf_putc(b, '?');
        rc = rc ? rc : put_word(b, t->fallback);
    }
    if (!rc && t->inner_count)
        rc = buf_printf(b, "(%zu", t->inner_count);
    for (size_t i = 0; !rc && i < t->inner_count; i++)
        rc = put_transform(b, &t->inner[i]);
    return rc;
}

static enum err_code put_mapping(struct buf *b, const struct mapping *m)
{
    static const char *const kinds[] = {
        [MAPPING_COLUMN] = "from", [MAPPING_CONSTANT] = "value", [MAPPING_TEMPLATE] = "template"};
    enum err_code rc = put_word(b, kinds[m->kind]);
    rc = rc ? rc : put_word(b, m->kind == MAPPING_CONSTANT ? m->constant : m->from);
    rc = rc ? rc : put_word(b, m->if_null == IF_NULL_SKIP ? "skip" : "send");
    rc = rc ? rc : put_word(b, m->fallback);
    for (size_t i = 0; !rc && i < m->transform_count; i++)
        rc = put_transform(b, &m->transforms[i]);
    return rc;
}

/* A field of `mappings: all` is described as the mapping that says the same. */
static enum err_code put_field(struct buf *b, const struct map_program *p, const struct field *f)
{
    const struct mapping same = {.kind = MAPPING_COLUMN, .from = p->column_names[f->column]};
    return put_mapping(b, f->mapping ? f->mapping : &same);
}

static struct map_digest digest_of(const struct buf *b)
{
    XXH128_canonical_t canonical;
    struct map_digest d;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(b->p, b->len));
    memcpy(d.bytes, canonical.digest, sizeof d.bytes);
    return d;
}

static enum err_code describe(struct buf *b, struct map_program *p, const struct sync *sync)
{
    enum err_code rc = put_paths(b, p);
    if (rc)
        return rc;
    p->names_digest = digest_of(b);
    rc = put_word(b, sync_mode_name(sync->mode));
    rc = rc ? rc : put_word(b, sync->identify_by);
    for (size_t i = 0; !rc && i < p->field_count; i++)
        rc = put_field(b, p, &p->fields[i]);
    p->fingerprint = digest_of(b);
    return rc;
}

enum err_code map_digest_program(struct map_program *p, const struct sync *sync, struct err *err)
{
    struct buf b;
    buf_init(&b, DESCRIPTION_BYTES_MAX);
    enum err_code rc = describe(&b, p, sync);
    buf_done(&b);
    return rc ? err_set(err, rc, "no memory for the description of a mapping") : ERR_OK;
}

void map_digest_text(const struct map_digest *d, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof d->bytes; i++) {
        *out++ = digits[d->bytes[i] >> 4];
        *out++ = digits[d->bytes[i] & 15];
    }
    *out = '\0';
}
