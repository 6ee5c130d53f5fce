/* What the fleet keeps of a token: {"origin":"…","ends":ms,"life":ms,"values":[…]}, sealed. Foreign
 * bytes and values of another configuration are none of ours. */
#include "worker/auth/token_private.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static json_t *values_json(const struct token *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->value_count; i++) {
        struct slice v = t->values[i];
        bool kept = v.p && i != AUTH_ASSERTION;
        if (json_array_append_new(list, kept ? json_stringn(v.p, v.n) : json_null())) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

enum err_code token_seal(const struct token *t, struct buf *out)
{
    json_t *list = values_json(t);
    json_t *root =
        list ? json_pack("{s:s, s:I, s:I, s:o}", "origin", t->origin, "ends",
                         (json_int_t)t->ends_ms, "life", (json_int_t)t->life_ms, "values", list)
             : NULL;
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text)
        return ERR_NOMEM;
    enum err_code rc = seal_put(out, &t->key, slice_str(t->name), slice_str(text));
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return rc;
}

static bool take_values(struct token *t, const json_t *list)
{
    struct slice *fresh = calloc(t->value_count, sizeof *fresh);
    bool good = fresh != NULL;
    for (size_t i = 0; good && i < t->value_count; i++) {
        const json_t *v = json_array_get(list, i);
        if (json_is_string(v))
            fresh[i] = slice_of(json_string_value(v), json_string_length(v));
    }
    good = good && fresh[AUTH_TOKEN].p && !token_set(t, fresh);
    free(fresh);
    return good;
}

static bool take_json(struct token *t, const json_t *root, int64_t now_ms)
{
    const char *origin = json_string_value(json_object_get(root, "origin"));
    const json_t *list = json_object_get(root, "values");
    int64_t ends_ms = json_integer_value(json_object_get(root, "ends"));
    if (!origin || strcmp(origin, t->origin) != 0 || json_array_size(list) != t->value_count)
        return false;
    if (!take_values(t, list))
        return false;
    /* One that has ended is of no use any more, but its refresh token is. */
    t->life_ms = json_integer_value(json_object_get(root, "life"));
    t->ends_ms = ends_ms > now_ms ? ends_ms : 0;
    return true;
}

bool token_unseal(struct token *t, struct slice sealed, int64_t now_ms)
{
    struct buf plain;
    buf_init(&plain, 4 * TOKEN_BYTES_MAX);
    bool good = !seal_open(&plain, &t->key, slice_str(t->name), sealed);
    json_t *root = good ? json_loadb(plain.p, plain.len, 0, NULL) : NULL;
    good = root && take_json(t, root, now_ms);
    json_decref(root);
    if (plain.cap)
        OPENSSL_cleanse(plain.p, plain.cap);
    buf_done(&plain);
    return good;
}
