#include "protocol/config/target.h"

#include "protocol/connector/connector.h"

#include <stdio.h>

const char *target_name(const struct connector *c, const struct object *o,
                        char out[TARGET_NAME_BYTES])
{
    bool any = strcmp(o->name, "*") == 0;
    snprintf(out, TARGET_NAME_BYTES, "%s%s%s", c->name, any ? "" : " ", any ? "" : o->name);
    return out;
}

/* What lies below a field that takes JSON is the field's own affair. */
bool target_takes(const struct object *o, const char *field)
{
    if (object_field(o, field) || object_key(o, field))
        return true;
    for (size_t i = 0; i < o->field_count; i++) {
        const struct object_field *f = &o->fields[i];
        size_t n = strlen(f->name);
        if (strncmp(f->name, field, n) == 0 && field[n] == '.' &&
            (f->type == FIELD_IS_JSON || f->type == FIELD_ANY))
            return true;
    }
    return false;
}

/* The field itself, or one below it. */
static bool is_filled(const char *name, const char *const *fields, size_t count)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strncmp(fields[i], name, n) == 0 && (!fields[i][n] || fields[i][n] == '.'))
            return true;
    return false;
}

const char *target_lacks(const struct object *o, enum sync_mode mode, const char *const *fields,
                         size_t count)
{
    /* What is there has its required fields. */
    for (size_t i = 0; i < o->field_count && mode != MODE_UPDATE; i++)
        if (o->fields[i].required && !is_filled(o->fields[i].name, fields, count))
            return o->fields[i].name;
    return NULL;
}

const char *const *target_any_of(const struct object *o, size_t *ret_count)
{
    *ret_count = o->any_of_count;
    return o->any_of_count ? o->any_of : NULL;
}

bool target_has_any(const struct object *o, const char *const *fields, size_t count)
{
    bool any = o->any_of_count == 0;
    for (size_t i = 0; i < o->any_of_count && !any; i++)
        any = is_filled(o->any_of[i], fields, count);
    return any;
}
