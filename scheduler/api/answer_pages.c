/* The dashboard's pages and the OpenAPI document, out of the program itself. */
#include "scheduler/api/pages.h"
#include "scheduler/api/routes.h"

static const char policy[] =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
static const char document[] = "openapi.json";

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},
        {".json", "application/json"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].ending, dot) == 0)
            return types[i].type;
    return "application/octet-stream";
}

static const struct page *find(const char *name)
{
    for (size_t i = 0; i < page_count; i++)
        if (strcmp(pages[i].name, name) == 0)
            return &pages[i];
    return NULL;
}

static void answer_with(struct api_call *c, const char *name)
{
    const struct page *page = find(name);
    if (!page) {
        call_refuse(c, 404, "not_found", "there is no page %.100s", name);
        return;
    }
    const char *known =
        evhttp_find_header(evhttp_request_get_input_headers(c->req), "If-None-Match");
    call_header(c, "ETag", page->tag);
    call_header(c, "Cache-Control", "no-cache"); /* kept, and asked for again each time */
    call_header(c, "Content-Security-Policy", policy);
    call_header(c, "Referrer-Policy", "same-origin");
    if (known && strstr(known, page->tag))
        call_answer_empty(c, 304);
    else
        call_answer_bytes(c, 200, type_of(name), slice_of(page->bytes, page->size));
}

void answer_index(struct api_call *c)
{
    answer_with(c, "index.html");
}

void answer_page(struct api_call *c)
{
    if (strcmp(c->arguments[0], document) == 0)
        call_refuse(c, 404, "not_found", "there is no page %s", document);
    else
        answer_with(c, c->arguments[0]);
}

void answer_openapi(struct api_call *c)
{
    answer_with(c, document);
}
