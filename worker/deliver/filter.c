#include "worker/deliver/filter.h"

#include <openssl/evp.h>
#include <utf8proc.h>

#include "protocol/base/json.h"
#include "worker/deliver/encode.h"

enum { CASE_GROWTH = 2, CASE_SLACK = 4 }; /* two bytes may become three; ASCII never grows */

void filters_init(struct filters *f)
{
    *f = (struct filters){0};
    for (size_t i = 0; i < ARRAY_LEN(f->out); i++)
        buf_init(&f->out[i], FILTER_BYTES_MAX);
}

void filters_done(struct filters *f)
{
    for (size_t i = 0; i < ARRAY_LEN(f->out); i++)
        buf_done(&f->out[i]);
    for (size_t i = 0; i < FILTER_DIGESTS; i++)
        EVP_MD_free(f->digests[i]);
    EVP_MD_CTX_free(f->digest);
}

struct slice text_of_value(const struct value *v)
{
    switch (v->kind) {
    case VALUE_TEXT:
    case VALUE_NUMBER:
    case VALUE_JSON:
        return slice_of(v->p, v->n);
    case VALUE_TRUE:
        return SLICE_LIT("true");
    case VALUE_FALSE:
        return SLICE_LIT("false");
    case VALUE_NULL:
    case VALUE_ABSENT:
    case VALUE_BAD:
        break;
    }
    return SLICE_LIT("");
}

static enum err_code put_cased(struct buf *out, struct slice s, char from, char to,
                               utf8proc_int32_t (*map)(utf8proc_int32_t c))
{
    enum err_code rc = buf_reserve(out, s.n * CASE_GROWTH + CASE_SLACK);
    if (rc)
        return rc;
    char *o = out->p + out->len;
    for (const char *p = s.p, *end = s.p + s.n; p < end;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t n = 1;
        if (*p >= 0)
            *o++ = (char)(*p >= from && *p <= to ? *p ^ 0x20 : *p);
        else if ((n = utf8proc_iterate((const utf8proc_uint8_t *)p, end - p, &code)) > 0)
            o += utf8proc_encode_char(map(code), (utf8proc_uint8_t *)o);
        else
            return ERR_INVALID;
        p += n;
    }
    out->len = (size_t)(o - out->p);
    return ERR_OK;
}

static enum err_code put_digest(struct filters *f, struct buf *out, struct slice s,
                                enum filter_kind kind)
{
    static const char *const names[FILTER_DIGESTS] = {"MD5", "SHA1", "SHA256"};
    size_t i = kind - FILTER_MD5;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!f->digest)
        f->digest = EVP_MD_CTX_new();
    if (!f->digests[i])
        f->digests[i] = EVP_MD_fetch(NULL, names[i], NULL);
    if (!f->digest || !f->digests[i] || !EVP_DigestInit_ex2(f->digest, f->digests[i], NULL) ||
        !EVP_DigestUpdate(f->digest, s.p, s.n) || !EVP_DigestFinal_ex(f->digest, sum, &n))
        return ERR_NOMEM;
    return encode_hex(out, slice_of(sum, n));
}

static enum err_code put_filtered(struct filters *f, struct buf *out, enum filter_kind kind,
                                  const struct value *v)
{
    struct slice text = text_of_value(v);
    switch (kind) {
    case FILTER_LOWER:
        return put_cased(out, text, 'A', 'Z', utf8proc_tolower);
    case FILTER_UPPER:
        return put_cased(out, text, 'a', 'z', utf8proc_toupper);
    case FILTER_MD5:
    case FILTER_SHA1:
    case FILTER_SHA256:
        return put_digest(f, out, text, kind);
    case FILTER_BASE64:
        return encode_base64(out, text);
    case FILTER_ULID:
        return encode_ulid(out, text);
    case FILTER_URL:
        return encode_url(out, text);
    case FILTER_JSON:
        return json_put_value(out, *v);
    case FILTER_RAW:
    case FILTER_AS_TEXT:
    case FILTER_AS_NUMBER:
        break;
    }
    return ERR_BUG;
}

/* Text that is no number stays text: the destination says what is wrong with it. */
static struct value as_number(struct value v)
{
    struct slice text = text_of_value(&v);
    return json_is_number(text) ? value_of(VALUE_NUMBER, text) : v;
}

enum err_code filters_apply(struct filters *f, const enum filter_kind *kinds, size_t count,
                            struct value *v)
{
    size_t turn = 0;
    for (size_t i = 0; i < count; i++) {
        if (v->kind == VALUE_NULL || v->kind == VALUE_ABSENT)
            return ERR_OK;
        if (kinds[i] == FILTER_RAW) /* says how the value is written, not what it is */
            continue;
        if (kinds[i] == FILTER_AS_TEXT) {
            *v = value_of(VALUE_TEXT, text_of_value(v));
            continue;
        }
        if (kinds[i] == FILTER_AS_NUMBER) {
            *v = as_number(*v);
            continue;
        }
        struct buf *out = &f->out[turn++ & 1];
        buf_reset(out);
        enum err_code rc = put_filtered(f, out, kinds[i], v);
        if (rc)
            return rc;
        *v = value_of(VALUE_TEXT, out->len ? buf_slice(out) : SLICE_LIT(""));
    }
    return ERR_OK;
}
