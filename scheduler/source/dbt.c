#include "scheduler/source/dbt.h"

#include "protocol/config/config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MANIFEST_LIMIT_BYTES = 256 << 20, LIST_BYTES = 400 };

/* What a name may mean: every node that is a table or view somewhere. */
static bool has_relation_kind(const json_t *node)
{
    const char *kind = json_string_value(json_object_get(node, "resource_type"));
    return kind && (strcmp(kind, "model") == 0 || strcmp(kind, "seed") == 0 ||
                    strcmp(kind, "snapshot") == 0);
}

static bool is_named(const char *id, const json_t *node, const char *model)
{
    const char *name = json_string_value(json_object_get(node, "name"));
    return strcmp(id, model) == 0 || (name && strcmp(name, model) == 0);
}

static enum err_code load_manifest(const char *path, json_t **ret, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_set(err, ERR_CONFIG,
                       "dbt manifest %s: %s; run `dbt compile` or correct the path", path,
                       strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size > MANIFEST_LIMIT_BYTES)
        return err_set(err, ERR_CONFIG, "dbt manifest %s: not a file, or larger than %d MB", path,
                       MANIFEST_LIMIT_BYTES >> 20);
    json_error_t problem;
    json_t *manifest = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (!manifest)
        return err_set(err, ERR_CONFIG, "dbt manifest %s:%d:%d: %s", path, problem.line,
                       problem.column, problem.text);
    if (!json_is_object(json_object_get(manifest, "nodes"))) {
        json_decref(manifest);
        return err_set(err, ERR_CONFIG,
                       "dbt manifest %s: it has no `nodes`; is it a dbt manifest.json?", path);
    }
    *ret = manifest;
    return ERR_OK;
}

static enum err_code unknown_model(const json_t *nodes, const char *model, struct err *err)
{
    size_t n = 0;
    const char **names = calloc(json_object_size(nodes) + 1, sizeof *names);
    if (!names)
        return err_set(err, ERR_NOMEM, "no memory for the dbt manifest");
    const char *id;
    json_t *node;
    bool is_id = strchr(model, '.') != NULL;
    json_object_foreach((json_t *)nodes, id, node)
    {
        const char *name = is_id ? id : json_string_value(json_object_get(node, "name"));
        if (has_relation_kind(node) && name)
            names[n++] = name;
    }
    const char *near = nearest_name(model, names, n);
    err_set(err, ERR_CONFIG, "dbt model %s is not in the manifest%s%s%s", model,
            near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    free(names);
    return ERR_CONFIG;
}

static enum err_code ambiguous_model(const json_t *nodes, const char *model, struct err *err)
{
    char list[LIST_BYTES] = "";
    const char *id;
    json_t *node;
    json_object_foreach((json_t *)nodes, id, node)
    {
        size_t used = strlen(list);
        if (has_relation_kind(node) && is_named(id, node, model))
            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", id);
    }
    return err_set(err, ERR_CONFIG, "dbt model %s is ambiguous; write one of %s", model, list);
}

static enum err_code find_node(const json_t *nodes, const char *model, const json_t **ret,
                               struct err *err)
{
    const json_t *exact = json_object_get(nodes, model);
    size_t found = 0;
    const char *id;
    json_t *node;
    json_object_foreach((json_t *)nodes, id, node)
    {
        if (!has_relation_kind(node) || !is_named(id, node, model))
            continue;
        found++;
        *ret = node;
    }
    if (exact && has_relation_kind(exact)) {
        *ret = exact;
        return ERR_OK;
    }
    if (found > 1)
        return ambiguous_model(nodes, model, err);
    return found ? ERR_OK : unknown_model(nodes, model, err);
}

static enum err_code put_part(const json_t *node, const char *key, struct buf *out)
{
    const char *text = json_string_value(json_object_get(node, key));
    if (!text || !*text)
        return ERR_OK;
    enum err_code rc = out->len ? buf_putc(out, '.') : ERR_OK;
    if (!rc)
        rc = buf_putc(out, '"');
    for (const char *p = text; *p && !rc; p++)
        rc = *p == '"' ? buf_puts(out, "\"\"") : buf_putc(out, *p);
    return rc ? rc : buf_putc(out, '"');
}

/* relation_name is what dbt itself selects from; older manifests have only its parts. */
static enum err_code put_relation(const json_t *node, const char *model, struct buf *out,
                                  struct err *err)
{
    const char *kept =
        json_string_value(json_object_get(json_object_get(node, "config"), "materialized"));
    if (kept && strcmp(kept, "ephemeral") == 0)
        return err_set(err, ERR_CONFIG,
                       "dbt model %s is ephemeral: nothing is built that could be read; "
                       "make it a table or a view",
                       model);
    const char *relation = json_string_value(json_object_get(node, "relation_name"));
    enum err_code rc;
    if (relation && *relation) {
        rc = buf_puts(out, relation);
    } else {
        const char *name = json_string_value(json_object_get(node, "alias")) ? "alias" : "name";
        rc = put_part(node, "database", out);
        if (!rc)
            rc = put_part(node, "schema", out);
        if (!rc)
            rc = put_part(node, name, out);
    }
    return rc ? err_set(err, rc, "no room for the name of dbt model %s", model) : ERR_OK;
}

enum err_code dbt_relation(const char *manifest_path, const char *model, struct buf *out,
                           struct err *err)
{
    json_t *manifest = NULL;
    const json_t *node = NULL;
    enum err_code rc = load_manifest(manifest_path, &manifest, err);
    if (rc)
        return rc;
    rc = find_node(json_object_get(manifest, "nodes"), model, &node, err);
    if (!rc)
        rc = put_relation(node, model, out, err);
    json_decref(manifest);
    return rc;
}
