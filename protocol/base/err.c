#include "protocol/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->code = code;
    return code;
}

enum err_code err_errno(struct err *err, int errno_value, const char *fmt, ...)
{
    if (!err)
        return ERR_IO;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(errno_value));
    err->code = ERR_IO;
    return ERR_IO;
}

enum err_code err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err)
        return ERR_BUG;
    char rest[ERR_TEXT_BYTES];
    memcpy(rest, err->text, sizeof rest);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    /* What does not fit is cut. */
    if (n >= 0 && (size_t)n < sizeof err->text &&
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", rest) < 0)
        err->text[n] = '\0';
    return err->code;
}

static const struct {
    const char *name;
    enum err_class class;
} codes[] = {
    [ERR_OK] = {"ok", ERR_CLASS_NONE},
    [ERR_NOMEM] = {"out of memory", ERR_CLASS_RETRY},
    [ERR_IO] = {"input/output", ERR_CLASS_RETRY},
    [ERR_FULL] = {"full", ERR_CLASS_RETRY},
    [ERR_TIMEOUT] = {"timeout", ERR_CLASS_RETRY},
    [ERR_UNREACHABLE] = {"unreachable", ERR_CLASS_RETRY},
    [ERR_BUSY] = {"busy", ERR_CLASS_RETRY},
    [ERR_THROTTLED] = {"throttled", ERR_CLASS_SLOW},
    [ERR_REMOTE] = {"remote failure", ERR_CLASS_RETRY},
    [ERR_REFUSED] = {"refused", ERR_CLASS_REJECT},
    [ERR_DENIED] = {"denied", ERR_CLASS_STOP},
    [ERR_CONFIG] = {"configuration", ERR_CLASS_STOP},
    [ERR_USAGE] = {"usage", ERR_CLASS_STOP},
    [ERR_INVALID] = {"invalid", ERR_CLASS_REJECT},
    [ERR_STALE] = {"stale", ERR_CLASS_RETRY},
    [ERR_SQL] = {"sql", ERR_CLASS_STOP},
    [ERR_NOTFOUND] = {"not found", ERR_CLASS_STOP},
    [ERR_STOPPED] = {"stopped", ERR_CLASS_STOP},
    [ERR_BUG] = {"bug", ERR_CLASS_BUG},
};

enum err_class err_class(enum err_code code)
{
    return (size_t)code < ARRAY_LEN(codes) ? codes[code].class : ERR_CLASS_BUG;
}

const char *err_name(enum err_code code)
{
    return (size_t)code < ARRAY_LEN(codes) ? codes[code].name : "unknown";
}

void ensure_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "sluice: broken invariant at %s:%d: %s\n", file, line, cond);
    abort();
}
