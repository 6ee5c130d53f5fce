#include "scheduler/map/columns.h"

#include <stdio.h>

enum { NAME_TEXT_BYTES = 256, LIST_TEXT_BYTES = 600 };

enum err_code place_prefix(struct err *err, const struct config_place *place)
{
    if (!place || !place->file)
        return err ? err->code : ERR_CONFIG;
    return err_prefix(err, "%s:%u:%u", place->file, place->line, place->col);
}

void list_names(struct err *err, const char *intro, const char *const *names, size_t count)
{
    if (!err)
        return;
    size_t at = strlen(err->text), end = at + LIST_TEXT_BYTES;
    if (end > sizeof err->text - NAME_TEXT_BYTES)
        end = sizeof err->text - NAME_TEXT_BYTES;
    at += (size_t)snprintf(err->text + at, sizeof err->text - at, "%s", intro);
    for (size_t i = 0; i < count; i++) {
        if (at + strlen(names[i]) + 10 > end) {
            snprintf(err->text + at, sizeof err->text - at, ", … (%zu in all)", count);
            return;
        }
        at += (size_t)snprintf(err->text + at, sizeof err->text - at, "%s%s", i ? ", " : "",
                               names[i]);
    }
}

static enum err_code unknown(const struct columns *c, struct slice name, const char *user,
                             struct err *err)
{
    char word[NAME_TEXT_BYTES];
    snprintf(word, sizeof word, "%.*s", (int)name.n, name.p);
    const char *near = nearest_name(word, c->names, c->count);
    err_set(err, ERR_CONFIG, "%s: model %s has no column %s%s%s%s", user, c->model, word,
            near ? "; did you mean " : "", near ? near : "", near ? "?" : ";");
    list_names(err, " Its columns: ", c->names, c->count);
    return ERR_CONFIG;
}

enum err_code columns_find(const struct columns *c, struct slice name, const char *user,
                           const struct config_place *place, uint16_t *ret, struct err *err)
{
    size_t found = c->count, matches = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (slice_eq_str(name, c->names[i])) {
            found = i;
            matches++;
        }
    }
    if (matches == 1) {
        *ret = (uint16_t)found;
        c->used[found] = 1;
        return ERR_OK;
    }
    if (matches)
        err_set(err, ERR_CONFIG,
                "%s: model %s has %zu columns called %.*s; give them different names in SQL", user,
                c->model, matches, (int)name.n, name.p);
    else
        unknown(c, name, user, err);
    place_prefix(err, place);
    return ERR_CONFIG;
}
