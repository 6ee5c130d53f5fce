#include "worker/deliver/classify.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "protocol/base/utf8.h"
#include "worker/deliver/words.h"

/* Numbers are read as reals so that an integer too long for C in some other member spoils nothing.
 */
enum { JSON_FLAGS = JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL };

struct reading {
    struct arena *arena;
    const enum record_op *ops;
    uint32_t records;
    struct outcome_entry *by_index; /* one per record; index == records: not listed */
    size_t listed;
};

/* ---- the optional list of errors in a 2xx ---- */

/* A server that quotes a record in another encoding must not hide its list of errors. */
static json_t *load_repaired(struct arena *a, struct slice body)
{
    char *copy = arena_alloc(a, body.n);
    if (!copy)
        return NULL;
    memcpy(copy, body.p, body.n);
    for (size_t i = 0; i < body.n; i++)
        if ((unsigned char)copy[i] >= 0x80)
            copy[i] = '?';
    return json_loadb(copy, body.n, JSON_FLAGS, NULL);
}

static json_t *load_errors(struct arena *a, struct slice body)
{
    if (!memmem(body.p, body.n, "errors", 6))
        return NULL;
    json_t *root = json_loadb(body.p, body.n, JSON_FLAGS, NULL);
    if (!root && !utf8_valid(body))
        root = load_repaired(a, body);
    return root;
}

static struct slice entry_words(struct arena *a, const json_t *entry)
{
    const json_t *message = json_object_get(entry, "message");
    if (json_is_string(message) && json_string_length(message))
        return words_clean(a, slice_of(json_string_value(message), json_string_length(message)));
    char *text = json_dumps(message ? message : entry, JSON_COMPACT | JSON_ENCODE_ANY);
    struct slice words = text ? words_clean(a, slice_str(text)) : (struct slice){0};
    free(text);
    return words;
}

static enum verdict entry_verdict(const json_t *entry, enum record_op op)
{
    if (json_is_true(json_object_get(entry, "retryable")))
        return VERDICT_OPEN;
    const char *code = json_string_value(json_object_get(entry, "code"));
    return op == OP_UPDATE && code && strcmp(code, "not_found") == 0 ? VERDICT_NOT_FOUND
                                                                     : VERDICT_REJECTED;
}

/* False when the entry names no record of this request. Of a record named more than once (an entry
 * for each wrong field, say) the first entry stays, but one that is final wins over retryable. */
static bool read_entry(struct reading *r, const json_t *entry)
{
    const json_t *index = json_object_get(entry, "index");
    if (!json_is_real(index))
        return false;
    double d = json_real_value(index);
    if (!(d >= 0 && d < r->records))
        return false;
    uint32_t i = (uint32_t)d;
    if ((double)i < d)
        return false;
    struct outcome_entry *known = &r->by_index[i];
    bool again = known->index != r->records;
    enum verdict verdict = entry_verdict(entry, r->ops[i]);
    if (again && (known->verdict != VERDICT_OPEN || verdict == VERDICT_OPEN))
        return true;
    *known = (struct outcome_entry){i, verdict, entry_words(r->arena, entry)};
    r->listed += !again;
    return true;
}

static bool read_entries(struct reading *r, const json_t *errors)
{
    size_t i;
    json_t *entry;
    json_array_foreach(errors, i, entry)
    {
        if (!read_entry(r, entry))
            return false;
    }
    size_t n = 0;
    for (uint32_t k = 0; k < r->records; k++)
        if (r->by_index[k].index != r->records)
            r->by_index[n++] = r->by_index[k];
    return true;
}

static void make_bug(struct outcome *o, const char *what)
{
    *o = (struct outcome){.kind = OUTCOME_RETRY,
                          .unsure = true,
                          .bug = true,
                          .retry_after_ms = -1,
                          .message = slice_str(what)};
}

static enum err_code classify_accepted(struct reading *r, const struct http_answer *answer,
                                       struct outcome *o)
{
    o->kind = OUTCOME_ANSWERED;
    if (answer->body_cut && memmem(answer->body.p, answer->body.n, "\"errors\"", 8)) {
        make_bug(o, "the answer's list of errors is longer than 1 MiB");
        return ERR_OK;
    }
    json_t *root = answer->body.n ? load_errors(r->arena, answer->body) : NULL;
    const json_t *errors = json_object_get(root, "errors");
    enum err_code rc = ERR_OK;
    if (json_is_array(errors) && json_array_size(errors)) {
        r->by_index = arena_alloc(r->arena, r->records * sizeof *r->by_index);
        for (uint32_t i = 0; r->by_index && i < r->records; i++)
            r->by_index[i].index = r->records;
        if (!r->by_index)
            rc = ERR_NOMEM;
        else if (!read_entries(r, errors))
            make_bug(o, "the answer's list of errors names a record that was not in the request");
        else
            o->entries = r->by_index, o->entry_count = r->listed;
    }
    json_decref(root);
    return rc;
}

/* ---- by status ---- */

static enum outcome_kind kind_of_status(uint32_t status)
{
    switch (status) {
    case 429:
    case 503:
        return OUTCOME_THROTTLE;
    case 401:
    case 403:
    case 404:
    case 405:
    case 407:
    case 410:
        return OUTCOME_STOP;
    case 408:
        return OUTCOME_RETRY;
    default:
        if (status >= 300 && status < 400)
            return OUTCOME_STOP;
        return status >= 400 && status < 500 ? OUTCOME_REFUSED : OUTCOME_RETRY;
    }
}

/* Where a redirect points, without the query: that part may hold what must not be shown. */
static struct slice redirect_words(struct arena *a, const char *location)
{
    char text[512];
    int n = snprintf(text, sizeof text, "redirects are not followed; this one points to %.*s",
                     (int)strcspn(location, "?#"), location);
    size_t bytes = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return words_clean(a, slice_of(text, bytes));
}

static struct slice status_words(struct arena *a, const struct http_answer *answer)
{
    struct slice words = {0};
    if (answer->status >= 300 && answer->status < 400 && answer->location)
        words = redirect_words(a, answer->location);
    else
        words = words_of_body(a, answer->body);
    if (answer->status == 413 && !words.n)
        words = SLICE_LIT("too large");
    return words_with_status(a, answer->status, words);
}

enum err_code classify(struct arena *a, const struct http_answer *answer, const enum record_op *ops,
                       uint32_t records, struct outcome *ret_outcome, struct err *err)
{
    struct outcome o = {.kind = OUTCOME_RETRY, .retry_after_ms = -1};
    uint32_t status = answer->status;
    if (status < 200 || (answer->error && status < 300)) {
        /* A 2xx whose body broke off may have listed errors: it says nothing sure. */
        o.unsure = answer->reached;
        o.message =
            words_clean(a, slice_str(answer->error ? answer->error : "no final answer came"));
    } else if (status < 300) {
        struct reading r = {.arena = a, .ops = ops, .records = records};
        if (classify_accepted(&r, answer, &o))
            return err_set(err, ERR_NOMEM, "no memory for an answer with %u records", records);
    } else {
        o.kind = kind_of_status(status);
        o.message = status_words(a, answer);
        o.unsure = o.kind == OUTCOME_RETRY;
        o.retry_after_ms = o.kind == OUTCOME_THROTTLE ? answer->retry_after_ms : -1;
    }
    *ret_outcome = o;
    return ERR_OK;
}
