/* Connectors that are built in: their text is read when a destination first names one. */
#include "protocol/connector/builtin.h"

#include "protocol/config/yaml.h"
#include "protocol/connector/read.h"

const char *const *connector_builtin_names(size_t *ret_count)
{
    *ret_count = builtin_count;
    return builtin_names;
}

/* -1: there is none. */
static int find(const char *name)
{
    for (size_t i = 0; i < builtin_count; i++)
        if (strcmp(builtin_names[i], name) == 0)
            return (int)i;
    return -1;
}

struct slice connector_builtin_text(const char *name)
{
    int i = find(name);
    return i < 0 ? slice_of(NULL, 0) : slice_of(builtin_texts[i].text, builtin_texts[i].bytes);
}

static const struct connector *read_text(struct reader *rd, const char *name, struct slice text)
{
    const char *file = reader_printf(rd, "connectors/%s.yaml", name);
    struct config_place second = {0};
    struct node *root = yaml_read(rd, file, text, &second);
    const struct pair *connectors = node_get(root, "connectors");
    const struct pair *own = connectors ? node_get(connectors->value, name) : NULL;
    if (!root)
        return NULL;
    if (!own || second.line || connectors->value->count != 1 || root->count != 1) {
        mistake(rd, root->at, "a connector's file must hold connectors: {%s: …} and nothing else",
                name);
        return NULL;
    }
    struct connector *c =
        (struct connector *)(uintptr_t)connector_read(rd, name, own->value, own->at);
    if (c)
        c->builtin = true;
    return c;
}

const struct connector *connector_builtin(struct reader *rd, const char *name)
{
    int i = find(name);
    if (i < 0)
        return NULL;
    if (!rd->builtins)
        rd->builtins = reader_alloc(rd, builtin_count * sizeof(const struct connector *));
    if (!rd->builtins)
        return NULL;
    if (!rd->builtins[i])
        rd->builtins[i] = read_text(rd, builtin_names[i], connector_builtin_text(name));
    return rd->builtins[i];
}
