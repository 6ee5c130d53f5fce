/* The recipes that an object has for its fields, put behind what a mapping does itself. */
#include "protocol/config/parts.h"
#include "protocol/config/recipes.h"
#include "protocol/connector/connector.h"

static const char *recipe_of(const struct object *o, const char *field)
{
    const struct object_field *f = object_field(o, field);
    if (f && f->recipe)
        return f->recipe;
    f = object_key(o, field);
    return f ? f->recipe : NULL;
}

static const struct transform *transforms_of(struct reader *rd, const struct object *o,
                                             const char *field, size_t *ret_count)
{
    const char *name = recipe_of(o, field);
    return name ? recipe_transforms(rd, name, ret_count) : NULL;
}

static void check_recipes(struct reader *rd, const struct object_field *fields, size_t count)
{
    for (size_t i = 0; i < count && !rd->failed; i++) {
        size_t ignored, known;
        const struct object_field *f = &fields[i];
        if (!f->recipe || recipe_transforms(rd, f->recipe, &ignored))
            continue;
        const char *const *names = recipe_names(rd, &known);
        mistake(rd, f->recipe_at, "there is no recipe %s for the field %s: %s",
                shown_text(rd, f->recipe), shown_text(rd, f->name),
                did_you_mean(rd, f->recipe, names, known, "correct or remove it"));
    }
}

void connector_check_recipes(struct reader *rd, const struct connector *c)
{
    for (size_t i = 0; c && i < c->object_count; i++) {
        check_recipes(rd, c->objects[i].keys, c->objects[i].key_count);
        check_recipes(rd, c->objects[i].fields, c->objects[i].field_count);
    }
}

static bool hashes(const struct transform *t)
{
    static const enum transform_kind kinds[] = {TRANSFORM_SHA256, TRANSFORM_MD5,  TRANSFORM_SHA1,
                                                TRANSFORM_SHA512, TRANSFORM_HASH, TRANSFORM_HMAC};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (t->kind == kinds[i])
            return true;
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Tables and inner lists are shared by all who name a recipe. */
static bool same_transform(const struct transform *a, const struct transform *b)
{
    return a->kind == b->kind && same_text(a->text, b->text) && same_text(a->with, b->with) &&
           a->from == b->from && a->length == b->length && a->table == b->table &&
           a->inner == b->inner;
}

/* Somebody wrote the recipe, or something stronger, already. */
static bool is_done(const struct mapping *m, const struct transform *recipe, size_t count)
{
    if (m->transform_count && hashes(&m->transforms[m->transform_count - 1]))
        return true;
    bool same = m->transform_count >= count;
    for (size_t i = 0; same && i < count; i++)
        same = same_transform(&m->transforms[m->transform_count - count + i], &recipe[i]);
    return same;
}

void mapping_add_recipe(struct reader *rd, const struct object *o, struct mapping *m)
{
    size_t count = 0;
    const struct transform *recipe = m->recipe_off ? NULL : transforms_of(rd, o, m->to, &count);
    if (!recipe || is_done(m, recipe, count))
        return;
    struct transform *all = reader_alloc(rd, (m->transform_count + count) * sizeof *all);
    if (!all)
        return;
    if (m->transform_count)
        memcpy(all, m->transforms, m->transform_count * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        all[m->transform_count + i] = recipe[i];
        all[m->transform_count + i].place = m->place;
    }
    m->transforms = all;
    m->transform_count += count;
    m->recipe_count = count;
}

void sync_add_recipes(struct reader *rd, struct sync *s)
{
    const struct object *o = s->target;
    struct field_recipe *recipes =
        reader_alloc(rd, (o->field_count + o->key_count) * sizeof *recipes);
    if (!recipes)
        return;
    for (size_t i = 0; i < o->field_count + o->key_count; i++) {
        const struct object_field *f =
            i < o->field_count ? &o->fields[i] : &o->keys[i - o->field_count];
        size_t count = 0;
        const struct transform *t =
            i < o->field_count || !object_field(o, f->name) || !object_field(o, f->name)->recipe
                ? transforms_of(rd, o, f->name, &count)
                : NULL;
        if (t)
            recipes[s->recipe_count++] = (struct field_recipe){f->name, t, count};
    }
    s->recipes = recipes;
}
