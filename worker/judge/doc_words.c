#include "worker/judge/doc_words.h"

#include "worker/deliver/words.h"

enum { DEPTH_MAX = 4 }; /* at which a sentence is looked for */

static uint32_t find_usual(const struct doc *d, uint32_t node, int depth)
{
    static const char *const members[] = {"message", "error", "error_description", "detail",
                                          "reason",  "title", "description",       "errors"};
    enum doc_kind kind = doc_kind(d, node);
    if (kind == DOC_STRING)
        return doc_raw(d, node).n > 2 ? node : DOC_NONE;
    if (depth == 0 || kind < DOC_ARRAY)
        return DOC_NONE;
    if (kind == DOC_ARRAY) {
        uint32_t first = doc_first(d, node);
        return first == DOC_NONE ? first : find_usual(d, first, depth - 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        uint32_t member = doc_member(d, node, members[i]);
        uint32_t found = member == DOC_NONE ? member : find_usual(d, member, depth - 1);
        if (found != DOC_NONE)
            return found;
    }
    return DOC_NONE;
}

struct slice words_usual(const struct doc *d, uint32_t node, struct arena *a)
{
    uint32_t found = find_usual(d, node, DEPTH_MAX);
    return found == DOC_NONE ? (struct slice){0} : words_clean(a, doc_text(d, found, a));
}

struct words_visit {
    const struct doc_place *place;
    struct arena *arena;
    struct slice words;
};

static bool take_words(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct words_visit *v = ctx;
    const struct doc *d = v->place->doc;
    v->words = words_usual(d, node, v->arena);
    if (!v->words.n && doc_kind(d, node) != DOC_NULL)
        v->words = words_clean(v->arena, doc_text(d, node, v->arena));
    return v->words.n == 0;
}

struct slice words_at(const struct doc_place *place, const struct pointer_list *where,
                      struct arena *arena)
{
    struct words_visit v = {.place = place, .arena = arena};
    for (size_t i = 0; i < where->count; i++)
        if (!doc_walk(place, &where->items[i], take_words, &v))
            break;
    return v.words;
}
