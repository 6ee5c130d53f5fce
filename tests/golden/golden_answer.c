#include "tests/golden/golden_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- requests ---- */

/* The body before it was compressed. */
static struct slice body_of(const struct rendered *r)
{
    bool packed = r->packed.len && r->body.p == r->packed.p;
    return packed ? buf_slice(&r->text) : r->body;
}

static const char *header_of(const struct rendered *r, const char *name, size_t *ret_bytes)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < r->header_count; i++) {
        const char *line = r->headers[i];
        if (strncasecmp(line, name, n) != 0 || (line[n] != ':' && line[n] != ';'))
            continue;
        const char *value = line + n + 1;
        value += strspn(value, " ");
        *ret_bytes = strlen(value);
        return value;
    }
    return NULL;
}

static void compare_headers(struct differences *d, const json_t *expected, const struct rendered *r)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)expected, name, v)
    {
        size_t n = 0;
        const char *actual = header_of(r, name, &n);
        if (json_is_null(v) && actual)
            differ(d, "header %s is there: %s", name, actual);
        else if (!json_is_null(v) && !actual)
            differ(d, "header %s is missing", name);
        else if (actual) {
            char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY);
            compare_text(d, name, text ? text : json_string_value(v), slice_of(actual, n));
            free(text);
        }
    }
}

static void compare_body(struct differences *d, const json_t *expected, struct slice body)
{
    if (json_is_string(expected)) {
        compare_text(d, "body", json_string_value(expected), body);
        return;
    }
    json_t *actual =
        body.n ? json_loadb(body.p, body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : json_null();
    if (actual)
        compare_json(d, "body", expected, actual);
    else
        differ(d, "the body is no JSON: %.*s", (int)body.n, body.p);
    json_decref(actual);
}

/* Every line is JSON of its own. */
static void compare_lines(struct differences *d, const json_t *expected, struct slice body)
{
    json_t *actual = json_array();
    while (body.n) {
        const char *end = memchr(body.p, '\n', body.n);
        size_t n = end ? (size_t)(end - body.p) : body.n;
        json_t *line = json_loadb(body.p, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        json_array_append_new(actual, line ? line : json_stringn(body.p, n));
        n += end != NULL;
        body = slice_of(body.p + n, body.n - n);
    }
    compare_json(d, "lines", expected, actual);
    json_decref(actual);
}

void golden_compare_request(struct differences *d, const json_t *expected, const struct rendered *r)
{
    static const char *const members[] = {"method", "url", "headers", "body", "lines"};
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)expected, name, v)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && strcmp(members[i], name) != 0)
            i++;
        switch (i) {
        case 0:
            compare_text(d, name, json_string_value(v), slice_str(r->method ? r->method : "POST"));
            break;
        case 1:
            compare_text(d, name, json_string_value(v), slice_str(r->url));
            break;
        case 2:
            compare_headers(d, v, r);
            break;
        case 3:
            compare_body(d, v, body_of(r));
            break;
        case 4:
            compare_lines(d, v, body_of(r));
            break;
        default:
            golden_fail(d->path, "`%s` is nothing of a request", name);
        }
    }
}

json_t *golden_request(const struct rendered *r)
{
    struct slice body = body_of(r);
    json_t *headers = json_object();
    for (size_t i = 0; i < r->header_count; i++) {
        size_t n = strcspn(r->headers[i], ":;");
        const char *value = r->headers[i] + n + (r->headers[i][n] != '\0');
        char *name = strndup(r->headers[i], n);
        json_object_set_new(headers, name, json_string(value + strspn(value, " ")));
        free(name);
    }
    json_t *request = json_pack("{s:s,s:s,s:o}", "method", r->method ? r->method : "POST", "url",
                                r->url, "headers", headers);
    json_t *json = json_loadb(body.p, body.n, JSON_ALLOW_NUL, NULL);
    if (json)
        json_object_set_new(request, "body", json);
    else if (body.n)
        json_object_set_new(request, "body", json_stringn(body.p, body.n));
    return request;
}

/* ---- answers ---- */

static void add_header(const struct golden *g, struct golden_answer *a, const char *name,
                       const json_t *v)
{
    if (a->answer.header_count == GOLDEN_HEADERS_MAX)
        golden_fail(g->path, "an answer has more than %d headers", GOLDEN_HEADERS_MAX);
    char *text = json_is_string(v) ? strdup(json_string_value(v))
                                   : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    a->headers[a->answer.header_count++] = (struct http_header){name, text};
}

static void take_headers(const struct golden *g, struct golden_answer *a, const json_t *headers,
                         int64_t now_ms)
{
    const char *name;
    json_t *v, *item;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)headers, name, v)
    {
        if (json_is_array(v))
            json_array_foreach(v, i, item) add_header(g, a, name, item);
        else
            add_header(g, a, name, v);
    }
    for (i = 0; i < a->answer.header_count; i++) {
        if (strcasecmp(a->headers[i].name, "Retry-After") == 0)
            a->answer.retry_after_ms = http_retry_after_ms(a->headers[i].value, now_ms);
        if (strcasecmp(a->headers[i].name, "Location") == 0)
            a->answer.location = a->headers[i].value;
    }
}

void golden_answer_make(const struct golden *g, const json_t *exchange, int64_t now_ms,
                        struct golden_answer *a)
{
    const json_t *none = json_object_get(exchange, "no_answer");
    *a = (struct golden_answer){.answer = {.retry_after_ms = -1, .reached = true}};
    a->answer.headers = a->headers;
    if (none) {
        a->answer.reached = !json_is_string(none) || strcmp(json_string_value(none), "unsent") != 0;
        a->answer.error = "the connection was closed before an answer came";
        return;
    }
    const json_t *answer = golden_get(g, exchange, "answer");
    const json_t *body = json_object_get(answer, "body");
    a->answer.status = (uint32_t)json_integer_value(golden_get(g, answer, "status"));
    take_headers(g, a, json_object_get(answer, "headers"), now_ms);
    if (json_is_string(body))
        a->body = strdup(json_string_value(body));
    else if (body)
        a->body = json_dumps(body, JSON_ENCODE_ANY | JSON_COMPACT);
    a->answer.body = slice_str(a->body);
}

void golden_answer_done(struct golden_answer *a)
{
    for (size_t i = 0; i < a->answer.header_count; i++)
        free((char *)(uintptr_t)a->headers[i].value);
    free(a->body);
}
