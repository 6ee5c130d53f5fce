#include "protocol/redis/internal.h"

#include <event2/buffer.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

void redis_script_init(struct redis_script *s, const char *name, struct slice text)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    *s = (struct redis_script){.name = name, .text = text};
    ensure(EVP_Digest(text.p, text.n, digest, &n, EVP_sha1(), NULL) == 1 && n == 20);
    for (unsigned i = 0; i < n; i++) {
        s->sha[2 * i] = hex[digest[i] >> 4];
        s->sha[2 * i + 1] = hex[digest[i] & 15];
    }
}

enum err_code redis_eval(struct redis *r, const struct redis_script *s, struct slice key,
                         const struct slice *argv, size_t argc, uint64_t deadline_ms, redis_cb cb,
                         void *ctx, struct err *err)
{
    const struct slice prefix[] = {SLICE_LIT("EVALSHA"), slice_of(s->sha, 40), SLICE_LIT("1"), key};
    struct command *c = command_new(prefix, ARRAY_LEN(prefix), argv, argc);
    if (!c)
        return err_set(err, ERR_NOMEM, "no memory for a command to Redis");
    c->cb = cb;
    c->ctx = ctx;
    c->script = s;
    return command_submit(r, c, deadline_ms, err);
}

/* *argc EVAL text, and then everything that followed EVALSHA and the digest. */
enum err_code script_put_eval(struct command *c, struct evbuffer *out)
{
    const struct slice text = c->script->text;
    struct evbuffer *whole = evbuffer_new();
    if (!whole)
        return ERR_NOMEM;
    bool ok = evbuffer_add_printf(whole, "*%zu\r\n$4\r\nEVAL\r\n$%zu\r\n", c->argc, text.n) > 0 &&
              evbuffer_add(whole, text.p, text.n) == 0 && evbuffer_add(whole, "\r\n", 2) == 0 &&
              command_put(c, c->head, whole) == ERR_OK && evbuffer_add_buffer(out, whole) == 0;
    evbuffer_free(whole);
    return ok ? ERR_OK : ERR_NOMEM;
}
