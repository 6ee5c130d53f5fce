/* Which connector a destination speaks: one of the project's, one that is built in, or for `type:
 * http` the destination itself. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/connector/read.h"

static const char inline_type[] = "http";

static bool is_builtin(const char *name)
{
    size_t count;
    const char *const *names = connector_builtin_names(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

void connectors_read(struct reader *rd)
{
    const struct section *s = &rd->sections[SECTION_CONNECTORS];
    struct project *p = rd->project;
    p->connectors = reader_alloc(rd, s->count * sizeof *p->connectors);
    for (size_t i = 0; p->connectors && i < s->count && !rd->failed; i++) {
        const struct entry *e = &s->entries[i];
        p->connector_count = i + 1;
        if (is_builtin(e->name)) {
            mistake(rd, e->at, "the connector %s is built in: give this one another name",
                    shown_text(rd, e->name));
            continue;
        }
        p->connectors[i] = connector_read(rd, e->name, e->node, e->at);
        connector_check_recipes(rd, p->connectors[i]);
    }
}

void connectors_add_builtin(struct reader *rd)
{
    struct project *p = rd->project;
    size_t count, own = p->connector_count, n = 0;
    const char *const *names = connector_builtin_names(&count);
    const struct connector **all = reader_alloc(rd, (own + count) * sizeof *all);
    if (!all)
        return;
    for (size_t i = 0; i < own; i++)
        if (p->connectors[i])
            all[n++] = p->connectors[i];
    for (size_t i = 0; i < count && !rd->failed; i++) {
        all[n] = connector_builtin(rd, names[i]);
        n += all[n] != NULL;
    }
    p->connectors = all;
    p->connector_count = n;
}

/* Names of all that there are; NULL ends them. */
static const char *const *all_names(struct reader *rd)
{
    const struct section *own = &rd->sections[SECTION_CONNECTORS];
    size_t count, n = 0;
    const char *const *names = connector_builtin_names(&count);
    const char **all = reader_alloc(rd, (count + own->count + 1) * sizeof *all);
    if (!all)
        return NULL;
    for (size_t i = 0; i < own->count; i++)
        all[n++] = own->names[i];
    for (size_t i = 0; i < count; i++)
        all[n++] = names[i];
    return all;
}

static const struct connector *named(struct reader *rd, const char *name,
                                     const struct node **ret_definition)
{
    const struct section *own = &rd->sections[SECTION_CONNECTORS];
    for (size_t i = 0; i < own->count; i++) {
        if (strcmp(own->names[i], name) != 0 || is_builtin(name))
            continue;
        *ret_definition = own->entries[i].node;
        return rd->project->connectors[i];
    }
    return connector_builtin(rd, name);
}

const struct connector *connector_of(struct reader *rd, const struct entry *of,
                                     const struct node **ret_definition)
{
    const struct pair *type = node_get(of->node, "type");
    if (!type || type->value->broken)
        return NULL;
    const char *const *names = all_names(rd);
    int which = names ? word_of(rd, type->value, "type", names) : -1;
    if (which < 0)
        return NULL;
    if (strcmp(names[which], inline_type) != 0)
        return named(rd, names[which], ret_definition);
    *ret_definition = of->node;
    const struct connector *c = connector_read_inline(rd, inline_type, of->node, of->at);
    connector_check_recipes(rd, c);
    return c;
}
