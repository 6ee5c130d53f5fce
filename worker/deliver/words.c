#include "worker/deliver/words.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "protocol/base/utf8.h"
#include "protocol/wire/result.h"

enum { DEPTH_MAX = 4 }; /* at which a sentence is looked for */

struct slice words_clean(struct arena *a, struct slice text)
{
    char *out = arena_alloc(a, text.n < RESULT_MESSAGE_MAX ? text.n : RESULT_MESSAGE_MAX);
    if (!out)
        return (struct slice){0};
    size_t n = 0;
    bool space = false;
    for (size_t i = 0; i < text.n;) {
        size_t bytes = utf8_character(slice_of(text.p + i, text.n - i));
        unsigned char c = (unsigned char)text.p[i];
        if (bytes == 1 && (c <= ' ' || c == 0x7F)) {
            space = n > 0;
            i++;
            continue;
        }
        size_t need = (bytes ? bytes : 1) + (space ? 1 : 0);
        if (n + need > RESULT_MESSAGE_MAX)
            break;
        if (space)
            out[n++] = ' ';
        space = false;
        if (bytes)
            memcpy(out + n, text.p + i, bytes);
        else
            out[n] = '?';
        n += bytes ? bytes : 1;
        i += bytes ? bytes : 1;
    }
    return slice_of(out, n);
}

/* The words in v: itself when it is text, otherwise what one of the usual members holds. */
static const json_t *find_words(const json_t *v, int depth)
{
    static const char *const members[] = {"message", "error", "error_description", "detail",
                                          "reason",  "title", "description",       "errors"};
    if (json_is_string(v))
        return json_string_length(v) ? v : NULL;
    if (depth == 0)
        return NULL;
    if (json_is_array(v))
        return find_words(json_array_get(v, 0), depth - 1);
    for (size_t i = 0; json_is_object(v) && i < ARRAY_LEN(members); i++) {
        const json_t *found = find_words(json_object_get(v, members[i]), depth - 1);
        if (found)
            return found;
    }
    return NULL;
}

struct slice words_of_body(struct arena *a, struct slice body)
{
    json_t *root = body.n ? json_loadb(body.p, body.n, JSON_ALLOW_NUL, NULL) : NULL;
    const json_t *found = find_words(root, DEPTH_MAX);
    struct slice words = words_clean(
        a, found ? slice_of(json_string_value(found), json_string_length(found)) : body);
    json_decref(root);
    return words;
}

struct slice words_with_status(struct arena *a, unsigned status, struct slice words)
{
    char *out = arena_alloc(a, RESULT_MESSAGE_MAX + 1);
    if (!out)
        return words;
    int n = snprintf(out, RESULT_MESSAGE_MAX + 1, words.n ? "HTTP %u: " : "HTTP %u", status);
    struct slice cut = utf8_prefix(words, RESULT_MESSAGE_MAX - (size_t)n);
    if (cut.n)
        memcpy(out + n, cut.p, cut.n);
    return slice_of(out, (size_t)n + cut.n);
}
