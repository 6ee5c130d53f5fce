#include "protocol/connector/connector.h"

/* ret_star: what * stands for. */
static bool fits(const char *pattern, const char *name, struct slice *ret_star)
{
    const char *star = strchr(pattern, '*');
    size_t n = strlen(name);
    if (!star)
        return false;
    size_t before = (size_t)(star - pattern), after = strlen(star + 1);
    if (n <= before + after || memcmp(pattern, name, before) != 0 ||
        memcmp(star + 1, name + n - after, after) != 0)
        return false;
    *ret_star = slice_of(name + before, n - before - after);
    return true;
}

const struct object *connector_object(const struct connector *c, const char *name,
                                      struct slice *ret_star)
{
    const struct object *best = NULL;
    if (!name) {
        if (c->object_count != 1)
            return NULL;
        *ret_star = slice_str(c->objects[0].name);
        return &c->objects[0];
    }
    *ret_star = slice_str(name);
    for (size_t i = 0; i < c->object_count; i++)
        if (strcmp(c->objects[i].name, name) == 0)
            return &c->objects[i];
    for (size_t i = 0; i < c->object_count; i++) {
        struct slice star;
        /* The pattern that says most of the name. */
        if (!fits(c->objects[i].name, name, &star) || (best && star.n >= ret_star->n))
            continue;
        best = &c->objects[i];
        *ret_star = star;
    }
    return best;
}

static const struct object_field *find(const struct object_field *list, size_t count,
                                       const char *name)
{
    const struct object_field *any = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
        if (strcmp(list[i].name, "*") == 0)
            any = &list[i];
    }
    return any;
}

const struct object_field *object_key(const struct object *o, const char *name)
{
    return find(o->keys, o->key_count, name);
}

const struct object_field *object_field(const struct object *o, const char *name)
{
    return find(o->fields, o->field_count, name);
}

const struct limit_case *connector_limits(const struct connector *c, const char *const *values)
{
    const char *value = c->limit_option >= 0 ? values[c->limit_option] : NULL;
    for (size_t i = 0; i < c->limit_case_count; i++) {
        const struct limit_case *l = &c->limit_cases[i];
        if (!l->value || (value && strcmp(l->value, value) == 0))
            return l;
    }
    return NULL;
}

const struct auth *connector_auth(const struct connector *c, const char *const *values)
{
    for (size_t i = 0; i < c->auth_count; i++) {
        const struct auth *a = &c->auths[i];
        size_t set = 0;
        while (set < a->when_count && values[a->when[set]] && *values[a->when[set]])
            set++;
        if (set == a->when_count)
            return a;
    }
    return NULL;
}
