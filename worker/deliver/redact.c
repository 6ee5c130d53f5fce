#include "worker/deliver/redact.h"

#include <openssl/evp.h>
#include <stdio.h>

/* Shorter values are ordinary words: starring them out would only garble messages. */
enum { SECRET_LEAST_BYTES = 6, BASIC_BYTES_MAX = 2048 };

struct redaction {
    struct arena *arena;
    struct slice body;
    char *copy; /* NULL: nothing was found so far */
    bool no_memory;
};

static void star_out(struct redaction *r, const char *secret)
{
    size_t n = secret ? strlen(secret) : 0;
    if (n < SECRET_LEAST_BYTES || r->no_memory)
        return;
    size_t at = 0;
    const char *found;
    while (at < r->body.n && (found = memmem(r->body.p + at, r->body.n - at, secret, n))) {
        size_t offset = (size_t)(found - r->body.p);
        if (!r->copy) {
            r->copy = arena_str(r->arena, r->body);
            if (!r->copy) {
                r->no_memory = true;
                return;
            }
            r->body.p = r->copy;
        }
        memset(r->copy + offset, '*', n);
        at = offset + n;
    }
}

/* As it stands in the Authorization header. */
static void star_out_basic(struct redaction *r, const struct destination *d)
{
    char plain[BASIC_BYTES_MAX], coded[BASIC_BYTES_MAX * 4 / 3 + 8];
    int n = snprintf(plain, sizeof plain, "%s:%s", d->basic_user,
                     d->basic_password ? d->basic_password : "");
    if (n < 0 || (size_t)n >= sizeof plain)
        return;
    EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)plain, n);
    star_out(r, coded);
}

struct slice redact_secrets(struct arena *a, const struct destination *d, struct slice body)
{
    struct redaction r = {.arena = a, .body = body};
    star_out(&r, d->bearer);
    star_out(&r, d->basic_password);
    star_out(&r, d->sign_secret);
    if (d->basic_user)
        star_out_basic(&r, d);
    for (size_t i = 0; i < d->header_count; i++)
        star_out(&r, d->headers[i].value);
    return r.no_memory ? (struct slice){0} : r.body;
}
