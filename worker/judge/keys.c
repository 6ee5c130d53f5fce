#include "worker/judge/keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool filtered(const struct keys *k, bool ours, struct slice *text)
{
    static const enum filter_kind kinds[] = {FILTER_LOWER, FILTER_MD5};
    struct value v = value_of(VALUE_TEXT, *text);
    bool digest = k->form == KEY_MD5_LOWER && ours;
    if (k->form == KEY_PLAIN)
        return true;
    if (filters_apply(k->filters, kinds, digest ? 2 : 1, &v))
        return false;
    *text = text_of_value(&v);
    return true;
}

static enum err_code shape_texts(struct keys *k, struct arena *a, const struct rendered *r)
{
    k->texts = r->keys;
    if (k->form == KEY_PLAIN)
        return ERR_OK;
    struct slice *texts = arena_alloc(a, r->records * sizeof *texts);
    if (!texts)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < r->records; i++) {
        struct slice text = r->keys[i];
        if (!text.n)
            continue;
        if (!filtered(k, true, &text))
            return ERR_NOMEM;
        char *copy = arena_str(a, text);
        if (!copy)
            return ERR_NOMEM;
        texts[i] = slice_of(copy, text.n);
    }
    k->texts = texts;
    return ERR_OK;
}

/* The slot that holds this text, or where it belongs. */
static uint32_t slot_of(const struct keys *k, struct slice text)
{
    uint32_t slot = (uint32_t)XXH3_64bits(text.n ? text.p : "", text.n) & k->mask;
    while (k->slots[slot] != KEYS_NONE && !slice_eq(k->texts[k->slots[slot]], text))
        slot = (slot + 1) & k->mask;
    return slot;
}

enum err_code keys_init(struct keys *k, struct arena *a, const struct rendered *request,
                        enum key_form form, struct filters *filters)
{
    uint32_t count = request->records, size = 2;
    *k = (struct keys){.form = form, .filters = filters};
    if (!request->keys)
        return ERR_BUG;
    enum err_code rc = shape_texts(k, a, request);
    if (rc)
        return rc;
    while (size < 2 * count)
        size *= 2;
    k->mask = size - 1;
    k->slots = arena_alloc(a, size * sizeof *k->slots);
    k->next = arena_alloc(a, count * sizeof *k->next);
    if (!k->slots || !k->next)
        return ERR_NOMEM;
    memset(k->slots, 0xFF, size * sizeof *k->slots);
    for (uint32_t i = count; i-- > 0;) {
        k->next[i] = KEYS_NONE;
        if (!k->texts[i].n)
            continue;
        uint32_t slot = slot_of(k, k->texts[i]);
        k->next[i] = k->slots[slot];
        k->slots[slot] = i;
    }
    return ERR_OK;
}

uint32_t keys_find(const struct keys *k, struct slice text)
{
    return filtered(k, false, &text) ? k->slots[slot_of(k, text)] : KEYS_NONE;
}
