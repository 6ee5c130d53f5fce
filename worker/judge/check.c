#include "worker/judge/check.h"

#include <stdlib.h>
#include <strings.h>

#include "protocol/base/json.h"

enum { NUMBER_BYTES = 64 };
#define EXACT_MAX 9007199254740992.0 /* doubles above this may stand for several whole numbers */

bool check_number(struct slice text, double *ret)
{
    char copy[NUMBER_BYTES];
    size_t n = text.n < sizeof copy - 1 ? text.n : sizeof copy - 1;
    if (!n || !memchr("-.0123456789", *text.p, 12))
        return false;
    memcpy(copy, text.p, n);
    copy[n] = '\0';
    copy[strspn(copy, "+-.eE0123456789")] = '\0'; /* no words such as infinity, no hexadecimal */
    char *end;
    *ret = strtod(copy, &end);
    return end > copy && *ret == *ret;
}

static bool equal(struct slice text, const char *wanted)
{
    struct slice w = slice_str(wanted);
    if (slice_eq(text, w))
        return true;
    double a, b;
    if (!json_is_number(text) || !json_is_number(w) || text.n >= NUMBER_BYTES ||
        w.n >= NUMBER_BYTES)
        return false;
    return check_number(text, &a) && check_number(w, &b) && a == b && a < EXACT_MAX &&
           a > -EXACT_MAX;
}

bool check_text(const struct check *c, struct slice text)
{
    const struct test *t = c->test;
    double number;
    switch (t->kind) {
    case TEST_EXISTS:
        return t->flag;
    case TEST_IN:
        for (size_t i = 0; i < t->text_count; i++)
            if (equal(text, t->texts[i]))
                return true;
        return false;
    case TEST_MATCHES:
        return c->pattern && pattern_match(c->pattern, text, NULL);
    case TEST_AT_LEAST:
        return check_number(text, &number) && number >= t->number;
    case TEST_AT_MOST:
        return check_number(text, &number) && number <= t->number;
    }
    return false;
}

struct slice header_next(const struct http_answer *answer, const char *name, size_t *at)
{
    while (*at < answer->header_count) {
        const struct http_header *h = &answer->headers[(*at)++];
        if (strcasecmp(h->name, name) == 0)
            return slice_str(h->value);
    }
    return (struct slice){0};
}

static bool absent_passes(const struct test *t)
{
    return t->kind == TEST_EXISTS && !t->flag;
}

bool check_header(const struct check *c, const struct http_answer *answer, const char *name)
{
    size_t at = 0;
    struct slice text = header_next(answer, name, &at);
    if (!text.p)
        return absent_passes(c->test);
    for (; text.p; text = header_next(answer, name, &at))
        if (check_text(c, text))
            return true;
    return false;
}

struct visit {
    const struct check *check;
    const struct doc *doc;
    struct arena *scratch;
    bool any; /* something other than null was there */
    bool passes;
};

static bool check_value(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct visit *v = ctx;
    if (doc_kind(v->doc, node) == DOC_NULL) {
        const struct test *t = v->check->test;
        v->passes = t->kind == TEST_IN && check_text(v->check, SLICE_LIT("null"));
        return !v->passes;
    }
    v->any = true;
    if (v->check->test->kind == TEST_EXISTS)
        return false;
    if (!doc_is_scalar(v->doc, node))
        return true;
    struct slice text = doc_text(v->doc, node, v->scratch);
    v->passes = text.p && check_text(v->check, text);
    return !v->passes;
}

bool check_json(const struct check *c, const struct doc_place *place, struct arena *scratch)
{
    struct visit v = {.check = c, .doc = place->doc, .scratch = scratch};
    doc_walk(place, c->at, check_value, &v);
    return c->test->kind == TEST_EXISTS ? v.any == c->test->flag : v.passes;
}
