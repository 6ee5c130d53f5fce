#include "worker/deliver/redact.h"

#include <ctype.h>

/* Shorter values are ordinary words: starring them out would only garble messages. */
enum { SECRET_LEAST_BYTES = 6 };

struct redaction {
    struct arena *arena;
    struct slice body;
    char *copy; /* NULL: nothing was found so far */
    bool words; /* short ones too, where they stand alone */
    bool no_memory;
};

static bool stands_alone(struct slice text, size_t at, size_t n)
{
    bool before = at > 0 && isalnum((unsigned char)text.p[at - 1]);
    bool after = at + n < text.n && isalnum((unsigned char)text.p[at + n]);
    return !before && !after;
}

static void star_out(struct redaction *r, struct slice secret)
{
    size_t n = secret.n;
    bool is_short = n < SECRET_LEAST_BYTES;
    if (!n || (is_short && !r->words) || r->no_memory)
        return;
    size_t at = 0;
    const char *found;
    while (at < r->body.n && (found = memmem(r->body.p + at, r->body.n - at, secret.p, n))) {
        size_t offset = (size_t)(found - r->body.p);
        at = offset + n;
        if (is_short && !stands_alone(r->body, offset, n))
            continue;
        if (!r->copy) {
            r->copy = arena_str(r->arena, r->body);
            if (!r->copy) {
                r->no_memory = true;
                return;
            }
            r->body.p = r->copy;
        }
        memset(r->copy + offset, '*', n);
    }
}

struct slice redact_secrets(struct arena *a, const struct destination *d, struct slice body)
{
    struct redaction r = {.arena = a, .body = body};
    for (size_t i = 0; i < d->secret_count; i++)
        star_out(&r, slice_str(d->secrets[i]));
    return r.no_memory ? (struct slice){0} : r.body;
}

struct slice redact_shown(struct arena *a, const struct destination *d, struct slice text)
{
    struct redaction r = {.arena = a, .body = text, .words = true};
    for (size_t i = 0; i < d->secret_count; i++)
        star_out(&r, slice_str(d->secrets[i]));
    return r.no_memory ? (struct slice){0} : r.body;
}

struct slice redact_texts(struct arena *a, const struct slice *texts, size_t count,
                          struct slice body)
{
    struct redaction r = {.arena = a, .body = body};
    for (size_t i = 0; i < count; i++)
        star_out(&r, texts[i]);
    return r.no_memory ? (struct slice){0} : r.body;
}
