/* What a token request's answer gives. A token: the batch goes on at once. No token: the run ends
 * with the server's words, unless they speak of a passing trouble. No record was sent, so none is
 * in doubt. */
#include "worker/auth/token_private.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/deliver/words.h"

enum {
    EXPIRES_MAX_S = 400 * 86400,
    LIFE_DEFAULT_MS = 30 * 60 * 1000,
};

static const json_t *at_level(const json_t *v, const struct pointer_level *level)
{
    if (json_is_array(v) && level->index >= 0)
        return json_array_get(v, (size_t)level->index);
    return json_object_get(v, level->name);
}

/* Token answers are small and flat: wildcards mean nothing here. */
static const json_t *value_at(const json_t *root, const struct pointer *p)
{
    for (size_t i = 0; root && i < p->count; i++)
        root = at_level(root, &p->levels[i]);
    return root;
}

static struct slice json_text(struct arena *a, const json_t *v)
{
    struct slice none = {0};
    char number[32];
    const char *text = NULL;
    if (json_is_string(v))
        text = json_string_value(v);
    else if (json_is_integer(v)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
        text = number;
    }
    const char *copy = text ? arena_str(a, slice_str(text)) : NULL;
    return copy ? slice_str(copy) : none;
}

static struct slice header_text(struct arena *a, const struct http_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) != 0)
            continue;
        const char *copy = arena_str(a, slice_str(answer->headers[i].value));
        return copy ? slice_str(copy) : (struct slice){0};
    }
    return (struct slice){0};
}

static struct slice *read_values(struct token *t, struct arena *a, const struct http_answer *answer)
{
    struct slice *fresh = arena_alloc(a, t->value_count * sizeof *fresh);
    json_t *root = fresh ? json_loadb(answer->body.p, answer->body.n, 0, NULL) : NULL;
    for (size_t i = 0; fresh && i < t->request->capture_count; i++) {
        const struct capture *c = &t->request->captures[i];
        fresh[c->var] = c->from == CAPTURE_HEADER ? header_text(a, answer, c->header)
                                                  : json_text(a, value_at(root, &c->at));
    }
    json_decref(root);
    return fresh;
}

static int64_t life_of(const struct token *t, const struct slice *fresh)
{
    const char *text = fresh[AUTH_EXPIRES].p; /* ends in NUL: arena_str made it */
    long long s = text ? strtoll(text, NULL, 10) : 0;
    if (s > 0 && s <= EXPIRES_MAX_S)
        return (int64_t)s * 1000;
    return t->request->lifetime_ms ? (int64_t)t->request->lifetime_ms : LIFE_DEFAULT_MS;
}

static enum err_code take(struct token *t, const struct slice *fresh, int64_t now_ms,
                          struct arena *a, struct prelude_answer *ret, struct err *err)
{
    struct buf sealed CLEANUP(buf_done);
    buf_init(&sealed, 4 * TOKEN_BYTES_MAX);
    enum err_code rc = token_set(t, fresh);
    if (rc)
        return err_set(err, rc, "the answer of the token request is too long");
    t->life_ms = life_of(t, fresh);
    t->ends_ms = now_ms + t->life_ms;
    t->has_refused = false;
    t->prelude.unused = true;
    ret->known = true;
    ret->outcome = (struct outcome){.kind = OUTCOME_CONTINUE, .retry_after_ms = -1};
    if (!t->prelude.shared)
        return ERR_OK;
    rc = token_seal(t, &sealed);
    const char *copy = rc ? NULL : arena_str(a, buf_slice(&sealed));
    if (!copy)
        return err_set(err, ERR_NOMEM, "no memory for a token");
    ret->value = slice_of(copy, sealed.len);
    ret->durable = t->request->rotates;
    ret->keep_ms = t->request->rotates ? 0 : (uint64_t)t->life_ms;
    return ERR_OK;
}

/* RFC 6749, section 5.2: error and error_description. */
static struct slice refusal_words(struct arena *a, const struct http_answer *answer)
{
    json_t *root = json_loadb(answer->body.p, answer->body.n, 0, NULL);
    const char *code = json_string_value(json_object_get(root, "error"));
    const char *more = json_string_value(json_object_get(root, "error_description"));
    char text[1024];
    snprintf(text, sizeof text, "no access token: %s%s%s", code ? code : "",
             code && more ? ": " : "", more ? more : "");
    struct slice words =
        code || more ? words_clean(a, slice_str(text)) : words_of_body(a, answer->body);
    json_decref(root);
    return words_with_status(a, answer->status, words);
}

static void not_given(struct arena *a, const struct http_answer *answer, struct outcome *o)
{
    uint32_t status = answer->status;
    bool passing = status == 0 || status == 408 || status >= 500;
    o->retry_after_ms = answer->retry_after_ms;
    o->kind = status == 429 || status == 503 ? OUTCOME_THROTTLE
              : passing                      ? OUTCOME_RETRY
                                             : OUTCOME_STOP;
    if (status == 0)
        o->message = words_clean(a, slice_str(answer->error ? answer->error : "no answer came"));
    else if (status < 300)
        o->message = SLICE_LIT("no access token: the answer of the token request holds none");
    else
        o->message = refusal_words(a, answer);
}

enum err_code token_classify(struct token *t, const struct delivery *d, struct rendered *r,
                             const struct http_answer *answer, struct prelude_answer *ret_answer,
                             struct err *err)
{
    struct prelude_answer result = {.outcome = {.retry_after_ms = -1}};
    bool good = answer->status >= 200 && answer->status < 300 && !answer->error;
    struct slice *fresh = good ? read_values(t, &r->arena, answer) : NULL;
    if (good && !fresh)
        return err_set(err, ERR_NOMEM, "no memory for a token");
    enum err_code rc = ERR_OK;
    if (fresh && fresh[AUTH_TOKEN].n)
        rc = take(t, fresh, d->now_ms, &r->arena, &result, err);
    else
        not_given(&r->arena, answer, &result.outcome);
    result.outcome.progress = d->progress;
    result.outcome.carried_none = true;
    *ret_answer = result;
    return rc;
}
