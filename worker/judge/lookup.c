/* What a lookup's answer knows of each record: its id there, and what must not be overwritten. */
#include "worker/judge/answer_parts.h"
#include "worker/judge/instant.h"
#include "worker/judge/keys.h"

enum { ID_BYTES_MAX = 1024 };

/* A field that has a policy, and where its value stands in an entry. */
struct guarded {
    enum field_policy policy;
    struct pointer at; /* not given: the lookup has no value for it */
};

struct looking {
    struct judge *j;
    const struct lookup *lookup;
    struct looked_up *found;
    bool *exact; /* per record: what was found is called just like it */
    struct guarded guarded[POLICIES_LOOKED_UP_MAX];
    size_t guarded_count;
    struct pointer updated; /* not given: it does not tell */
    struct keys keys;
    struct arena *scratch;
    struct doc_place entry;
    const char *bug;
};

/* ---- values ---- */

static bool path_is(const struct field_path *path, const char *dotted)
{
    for (size_t i = 0; i < path->count; i++) {
        struct slice name = path->names[i];
        if (strncmp(dotted, name.p, name.n) != 0)
            return false;
        dotted += name.n;
        if (i + 1 < path->count && *dotted++ != '.')
            return false;
    }
    return !*dotted;
}

/* The value of a field that only its name tells: where the pointer has a wildcard, or below it. */
static struct pointer named_pointer(struct looking *l, const struct pointer *at,
                                    const struct field_path *path)
{
    size_t star = 0;
    while (star < at->count && at->levels[star].kind != LEVEL_ANY)
        star++;
    size_t rest = star < at->count ? at->count - star - 1 : 0, count = star + path->count + rest;
    struct pointer_level *levels = arena_alloc(l->j->arena, count * sizeof *levels);
    if (!levels) {
        l->j->no_memory = true;
        return (struct pointer){0};
    }
    if (star)
        memcpy(levels, at->levels, star * sizeof *levels);
    for (size_t i = 0; i < path->count; i++) {
        levels[star + i] =
            (struct pointer_level){LEVEL_NAME, arena_str(l->j->arena, path->names[i]), -1};
        l->j->no_memory = l->j->no_memory || !levels[star + i].name;
    }
    if (rest)
        memcpy(levels + star + path->count, at->levels + star + 1, rest * sizeof *levels);
    return (struct pointer){true, levels, count};
}

static struct pointer value_pointer(struct looking *l, const struct field_path *path)
{
    const struct lookup_value *any = NULL;
    for (size_t i = 0; i < l->lookup->value_count; i++) {
        const struct lookup_value *v = &l->lookup->values[i];
        if (!v->field)
            any = v;
        else if (path_is(path, v->field))
            return v->at;
    }
    return any ? named_pointer(l, &any->at, path) : (struct pointer){0};
}

static void find_guarded(struct looking *l)
{
    const struct batch_head *head = l->j->in->head;
    l->updated = l->lookup->updated;
    if (!l->updated.given && head && head->newest_field >= 0)
        l->updated = value_pointer(l, &head->fields[head->newest_field]);
    for (size_t i = 0; head && head->policies && i < head->field_count; i++) {
        enum field_policy policy = head->policies[i];
        if (policy == POLICY_OVERWRITE || l->guarded_count == POLICIES_LOOKED_UP_MAX)
            continue;
        struct guarded *g = &l->guarded[l->guarded_count++];
        g->policy = policy;
        if (policy == POLICY_SET_IF_EMPTY)
            g->at = value_pointer(l, &head->fields[i]);
    }
}

static bool take_filled(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    const struct doc *d = ctx;
    struct slice raw = doc_raw(d, node);
    switch (doc_kind(d, node)) {
    case DOC_NULL:
        return true;
    case DOC_STRING:
        return raw.n == 2;
    case DOC_ARRAY:
    case DOC_OBJECT:
        return doc_first(d, node) == DOC_NONE;
    case DOC_FALSE:
    case DOC_TRUE:
    case DOC_NUMBER:
        break;
    }
    return false;
}

static uint64_t left_out(struct looking *l)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < l->guarded_count; i++) {
        const struct guarded *g = &l->guarded[i];
        bool there = g->policy == POLICY_CREATE_ONLY;
        if (g->at.given)
            there = !doc_walk(&l->entry, &g->at, take_filled, &l->j->doc);
        bits |= (uint64_t)there << i;
    }
    return bits;
}

/* ---- entries ---- */

static struct slice scalar_at(struct looking *l, const struct pointer *at)
{
    uint32_t node = at->given ? doc_at(&l->entry, at) : DOC_NONE;
    const struct doc *d = &l->j->doc;
    if (node == DOC_NONE || !doc_is_scalar(d, node) || doc_kind(d, node) == DOC_NULL)
        return (struct slice){0};
    struct slice text = doc_text(d, node, l->j->arena);
    l->j->no_memory = l->j->no_memory || !text.p;
    return text;
}

static bool is_newer(struct looking *l, uint32_t record)
{
    const struct slice *own = l->j->in->updated;
    struct instant there, here;
    if (!own || !own[record].p || !l->updated.given)
        return false;
    return instant_parse(scalar_at(l, &l->updated), &there) && instant_parse(own[record], &here) &&
           instant_compare(there, here) > 0;
}

/* Of several entries about one record the first counts; one that is called just like it counts
 * before those that differ in case. */
static void take_entry(struct looking *l, uint32_t record, bool exact)
{
    struct looked_up *f = &l->found[record];
    if (f->exists && (l->exact[record] || !exact))
        return;
    struct slice id = scalar_at(l, &l->lookup->id);
    if (!id.n || id.n > ID_BYTES_MAX || memchr(id.p, '\0', id.n))
        id = (struct slice){0};
    if (l->lookup->id.given && !id.p)
        return;
    *f = (struct looked_up){
        .exists = true, .id = id, .left_out = left_out(l), .skip = is_newer(l, record)};
    l->exact[record] = exact;
}

/* Where records differ in case alone, an entry is about the one that is called like it. */
static void take_for_all(struct looking *l, struct slice text)
{
    const struct slice *own = l->j->in->request->keys;
    uint32_t first = keys_find(&l->keys, text);
    bool exact = false;
    for (uint32_t i = first; i != KEYS_NONE; i = keys_next(&l->keys, i)) {
        if (!slice_eq(own[i], text))
            continue;
        exact = true;
        take_entry(l, i, true);
    }
    for (uint32_t i = exact ? KEYS_NONE : first; i != KEYS_NONE; i = keys_next(&l->keys, i))
        take_entry(l, i, false);
}

static bool take_key(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct looking *l = ctx;
    const struct doc *d = &l->j->doc;
    if (!doc_is_scalar(d, node) || doc_kind(d, node) == DOC_NULL)
        return true;
    struct slice text = doc_text(d, node, l->scratch);
    if (!text.p) {
        l->j->no_memory = true;
        return false;
    }
    take_for_all(l, text);
    return true;
}

static bool visit_entry(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct looking *l = ctx;
    arena_reset(l->scratch);
    l->entry.node = node;
    doc_walk(&l->entry, &l->lookup->key, take_key, l);
    return !l->j->no_memory;
}

static bool visit_list(void *ctx, uint32_t node, uint32_t name)
{
    struct looking *l = ctx;
    const struct doc *d = &l->j->doc;
    if (doc_kind(d, node) == DOC_OBJECT)
        return visit_entry(ctx, node, name);
    if (doc_kind(d, node) != DOC_ARRAY)
        return true;
    for (uint32_t c = doc_first(d, node); c != DOC_NONE; c = doc_next(d, node, c))
        if (!visit_entry(ctx, c, name))
            return false;
    return true;
}

/* ---- the whole ---- */

static void read_entries(struct looking *l, const struct doc_place *root)
{
    const struct pointer *at = &l->lookup->entries;
    enum err_code rc = keys_init(&l->keys, l->j->arena, l->j->in->request, l->lookup->key_form,
                                 l->j->rules->filters);
    if (rc == ERR_NOMEM)
        l->j->no_memory = true;
    else if (rc)
        l->bug = "the request was rendered without the keys that its answer names";
    if (rc)
        return;
    bool any = false;
    for (size_t i = 0; i < at->count; i++)
        any = any || at->levels[i].kind == LEVEL_ANY;
    doc_walk(root, at, any ? visit_entry : visit_list, l);
}

static void look(struct looking *l)
{
    struct judge *j = l->j;
    const struct http_answer *a = j->in->answer;
    const struct doc_place *root = judge_json(j);
    bool accepted = a->status >= 200 && a->status < 300;
    if (!root && (a->body_cut || (accepted && a->body.n)))
        l->bug = a->body_cut ? "the answer is longer than what is kept of an answer"
                             : "the answer is no JSON";
    if (!root)
        return;
    l->entry = *root;
    find_guarded(l);
    if (!l->lookup->single)
        read_entries(l, root);
    else if (accepted && j->in->request->records && doc_kind(&j->doc, 0) != DOC_NULL)
        take_entry(l, 0, true);
}

void judge_lookup(struct judge *j, struct judged *v)
{
    struct arena scratch CLEANUP(arena_done);
    arena_init(&scratch, 1 << 20);
    struct looking *l = arena_alloc(j->arena, sizeof *l);
    struct looked_up *found = arena_alloc(j->arena, j->in->request->records * sizeof *found);
    bool *exact = arena_alloc(j->arena, j->in->request->records * sizeof *exact);
    if (!l || !found || !exact) {
        j->no_memory = true;
        return;
    }
    *l = (struct looking){.j = j,
                          .lookup = j->rules->step->lookup,
                          .found = found,
                          .exact = exact,
                          .scratch = &scratch};
    look(l);
    if (l->bug)
        judge_bug(v, l->bug);
    else
        v->found = found;
}
