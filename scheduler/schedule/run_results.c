#include "scheduler/schedule/run_results.h"

#include "protocol/base/buf.h"
#include "protocol/config/files.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

struct run_results {
    json_t *root;
    json_t *results;        /* its list */
    const char *invocation; /* its id */
    const char *generated;  /* when */
    const char *command;    /* "build", or NULL: unknown */
};

enum { LIST_BYTES = 400 };

/* ---- the file ---- */

static enum err_code parse(struct slice text, struct run_results *r, struct err *err)
{
    json_error_t problem;
    r->root = json_loadb(text.p ? text.p : "", text.n, 0, &problem);
    if (!r->root)
        return err_set(err, ERR_INVALID, "line %d: %s", problem.line, problem.text);
    json_t *metadata = json_object_get(r->root, "metadata");
    r->results = json_object_get(r->root, "results");
    r->invocation = json_string_value(json_object_get(metadata, "invocation_id"));
    r->generated = json_string_value(json_object_get(metadata, "generated_at"));
    r->command = json_string_value(json_object_get(json_object_get(r->root, "args"), "which"));
    if (!json_is_array(r->results) || (!r->invocation && !r->generated))
        return err_set(err, ERR_INVALID,
                       "it has no `results` or no `metadata`; is it dbt's run_results.json?");
    return ERR_OK;
}

enum err_code run_results_read(const char *path, struct run_results **ret_results, struct err *err)
{
    struct buf bytes CLEANUP(buf_done);
    buf_init(&bytes, RUN_RESULTS_BYTES);
    if (access(path, F_OK) != 0)
        return err_set(err, ERR_NOTFOUND, "there is no %s yet", path);
    struct run_results *r = calloc(1, sizeof *r);
    enum err_code rc = r ? file_read(path, &bytes, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (!rc)
        rc = parse(buf_slice(&bytes), r, err);
    if (rc) {
        run_results_free(r);
        return err_prefix(err, "%s", path);
    }
    *ret_results = r;
    return ERR_OK;
}

void run_results_free(struct run_results *results)
{
    if (!results)
        return;
    json_decref(results->root);
    free(results);
}

/* ---- a model in it ---- */

static bool builds(const char *command)
{
    static const char *const commands[] = {"build", "run", "seed", "retry", "clone", "snapshot"};
    for (size_t i = 0; command && i < ARRAY_LEN(commands); i++)
        if (strcmp(command, commands[i]) == 0)
            return true;
    return !command;
}

/* model.shop.customers is named customers, model.shop.customers.v2 also customers.v2. */
static bool is_named(const char *id, const char *model)
{
    static const char *const kinds[] = {"model.", "seed.", "snapshot."};
    if (strcmp(id, model) == 0)
        return true;
    bool built = false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        built = built || strncmp(id, kinds[i], strlen(kinds[i])) == 0;
    const char *package = strchr(id, '.');
    const char *name = package ? strchr(package + 1, '.') : NULL;
    if (!built || !name++)
        return false;
    const char *version = strrchr(name, '.');
    size_t n = version && version[1] == 'v' ? (size_t)(version - name) : strlen(name);
    return strcmp(name, model) == 0 || (strlen(model) == n && strncmp(name, model, n) == 0);
}

static enum err_code ambiguous(const char *model, const char *id, const char *other,
                               struct err *err)
{
    return err_set(err, ERR_CONFIG, "dbt model %s is ambiguous; write one of %.*s, %.*s", model,
                   LIST_BYTES, id, LIST_BYTES, other);
}

static enum err_code find(const struct run_results *r, const char *model, const json_t **ret,
                          struct err *err)
{
    size_t i;
    const json_t *one;
    const char *found = NULL;
    json_array_foreach(r->results, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "unique_id"));
        if (!id || !is_named(id, model))
            continue;
        bool exact = strcmp(id, model) == 0;
        if (found && !exact && strcmp(found, id) != 0)
            return ambiguous(model, found, id, err);
        found = id;
        *ret = one;
        if (exact)
            break;
    }
    return found ? ERR_OK
                 : err_set(err, ERR_NOTFOUND, "dbt's last invocation did not build %s", model);
}

enum err_code run_results_built(const struct run_results *results, const char *model,
                                uint8_t ret_token[RUN_RESULTS_TOKEN_BYTES], struct err *err)
{
    const json_t *one = NULL;
    if (!builds(results->command))
        return err_set(err, ERR_NOTFOUND, "dbt's last invocation was %.20s, which builds nothing",
                       results->command);
    enum err_code rc = find(results, model, &one, err);
    if (rc)
        return rc;
    const char *status = json_string_value(json_object_get(one, "status"));
    if (!status || strcmp(status, "success") != 0)
        return err_set(err, ERR_NOTFOUND, "dbt's last invocation did not build %s: %.20s", model,
                       status ? status : "no status");
    const char *id = json_string_value(json_object_get(one, "unique_id"));
    const char *which = results->invocation ? results->invocation : results->generated;
    XXH128_canonical_t token;
    XXH128_canonicalFromHash(&token,
                             XXH3_128bits_withSeed(which, strlen(which), XXH64(id, strlen(id), 0)));
    memcpy(ret_token, &token, RUN_RESULTS_TOKEN_BYTES);
    return ERR_OK;
}
