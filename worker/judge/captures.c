/* What is remembered of an answer: values for later requests, and where its next page is. */
#include <stdio.h>
#include <strings.h>

#include "protocol/base/utf8.h"
#include "worker/judge/answer_parts.h"

enum { CAPTURE_BYTES_MAX = 16 << 10 };

/* It goes into addresses, headers and bodies, and into the queue between two requests. */
static struct slice fit(struct slice text)
{
    bool good = text.p && text.n && text.n <= CAPTURE_BYTES_MAX && !memchr(text.p, '\0', text.n) &&
                utf8_valid(text);
    return good ? text : (struct slice){0};
}

struct finding {
    struct judge *j;
    const struct capture *as;
    struct slice text;
};

static struct slice scalar_text(struct judge *j, uint32_t node)
{
    if (!doc_is_scalar(&j->doc, node) || doc_kind(&j->doc, node) == DOC_NULL)
        return (struct slice){0};
    struct slice text = doc_text(&j->doc, node, j->arena);
    j->no_memory = j->no_memory || !text.p;
    return text;
}

static bool take_scalar(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct finding *f = ctx;
    f->text = scalar_text(f->j, node);
    return !f->text.p;
}

static struct slice json_text(struct judge *j, const struct pointer *at)
{
    const struct doc_place *root = judge_json(j);
    struct finding f = {.j = j};
    if (root)
        doc_walk(root, at, take_scalar, &f);
    return f.text;
}

/* ---- the entry that is named like the object ---- */

static bool take_named(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    struct finding *f = ctx;
    struct doc_place entry = f->j->root;
    entry.node = node;
    uint32_t named = doc_at(&entry, &f->as->named);
    if (named == DOC_NONE || !slice_eq(scalar_text(f->j, named), f->j->in->object))
        return true;
    uint32_t taken = doc_at(&entry, &f->as->take);
    f->text = taken == DOC_NONE ? (struct slice){0} : scalar_text(f->j, taken);
    return !f->text.p;
}

static bool visit_list(void *ctx, uint32_t node, uint32_t name)
{
    struct finding *f = ctx;
    const struct doc *d = &f->j->doc;
    if (doc_kind(d, node) != DOC_ARRAY)
        return take_named(ctx, node, name);
    for (uint32_t c = doc_first(d, node); c != DOC_NONE; c = doc_next(d, node, c))
        if (!take_named(ctx, c, name))
            return false;
    return true;
}

static struct slice named_text(struct judge *j, const struct capture *as)
{
    const struct doc_place *root = judge_json(j);
    struct finding f = {.j = j, .as = as};
    if (root)
        doc_walk(root, &as->at, visit_list, &f);
    return f.text;
}

/* ---- captures and pages ---- */

static struct slice matched(struct pattern *p, struct slice text)
{
    struct slice group;
    if (!p || !text.p)
        return text;
    return pattern_match(p, text, &group) ? group : (struct slice){0};
}

static struct slice capture(struct judge *j, const struct judge_capture *c)
{
    size_t at = 0;
    struct slice text;
    if (c->as->from == CAPTURE_HEADER)
        text = header_next(j->in->answer, c->as->header, &at);
    else if (c->as->named.given)
        text = named_text(j, c->as);
    else
        text = json_text(j, &c->as->at);
    return fit(matched(c->matches, text));
}

/* Link: <address>; rel="next" (RFC 8288). */
static struct slice next_link(struct slice text)
{
    const char *p = text.p, *end = text.p + text.n;
    while (p < end && (p = memchr(p, '<', (size_t)(end - p)))) {
        const char *close = memchr(p, '>', (size_t)(end - p));
        if (!close)
            break;
        const char *following = memchr(close, '<', (size_t)(end - close));
        size_t rest = (size_t)((following ? following : end) - close);
        if (memmem(close, rest, "rel=\"next\"", 10) || memmem(close, rest, "rel=next", 8))
            return slice_of(p + 1, (size_t)(close - p - 1));
        p = close;
    }
    return (struct slice){0};
}

/* The number behind the answer's own, where that is not the last one's. */
static struct slice next_number(struct judge *j, const struct pages *pages)
{
    enum { NUMBER_MAX = 1 << 30 };
    char text[16];
    double own, last;
    if (!check_number(json_text(j, &pages->next), &own) ||
        !check_number(json_text(j, &pages->of), &last) ||
        !(own >= 0 && own < last && own < NUMBER_MAX)) /* NaN neither */
        return (struct slice){0};
    int n = snprintf(text, sizeof text, "%d", (int)own + 1);
    const char *copy = arena_str(j->arena, slice_of(text, (size_t)n));
    j->no_memory = j->no_memory || !copy;
    return slice_of(copy, copy ? (size_t)n : 0);
}

static struct slice next_page(struct judge *j)
{
    const struct pages *pages = &j->rules->step->pages;
    struct pattern *matches = j->rules->next_page;
    size_t at = 0;
    if (pages->of.given)
        return next_number(j, pages);
    if (!pages->next_header)
        return fit(matched(matches, json_text(j, &pages->next)));
    struct slice text = header_next(j->in->answer, pages->next_header, &at);
    if (text.p && !matches && strcasecmp(pages->next_header, "Link") == 0)
        return fit(next_link(text));
    return fit(matched(matches, text));
}

void judge_captures(struct judge *j, struct judged *v)
{
    const struct step *step = j->rules->step;
    if (step->pages.given)
        v->next_page = next_page(j);
    if (!step->capture_count)
        return;
    struct slice *captured = arena_alloc(j->arena, step->capture_count * sizeof *captured);
    if (!captured) {
        j->no_memory = true;
        return;
    }
    for (size_t i = 0; i < step->capture_count; i++)
        captured[i] = capture(j, &j->rules->captures[i]);
    v->captured = captured;
}
