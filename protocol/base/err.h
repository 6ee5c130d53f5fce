/*
 * Errors: one list of codes, each with a class, and a sentence with facts.
 *
 * A fallible function returns an enum err_code (0 is fine) and takes a struct err * last. The
 * sentence says what went wrong with which thing, in the remote's own words where there are any;
 * never row contents, never a secret. Whoever decides what to do next reads the class only.
 */
#ifndef SLUICE_BASE_ERR_H
#define SLUICE_BASE_ERR_H

#include "protocol/base/attr.h"

#include <stdarg.h>

enum err_code {
    ERR_OK = 0,
    ERR_NOMEM,       /* an allocation failed */
    ERR_IO,          /* a file or socket call failed */
    ERR_FULL,        /* a configured limit or a full disk; waiting may help */
    ERR_TIMEOUT,     /* a deadline passed */
    ERR_UNREACHABLE, /* Redis or a server cannot be reached */
    ERR_BUSY,        /* someone else holds it */
    ERR_THROTTLED,   /* the remote asked to be asked less */
    ERR_REMOTE,      /* the remote failed in a way that may pass */
    ERR_REFUSED,     /* the remote refused this for good */
    ERR_DENIED,      /* credentials or address are wrong */
    ERR_CONFIG,      /* the configuration is wrong */
    ERR_USAGE,       /* the command line is wrong */
    ERR_INVALID,     /* foreign bytes do not mean what they must */
    ERR_STALE,       /* epoch, lease or token is no longer valid */
    ERR_SQL,         /* the warehouse refused a statement */
    ERR_NOTFOUND,    /* no such thing */
    ERR_STOPPED,     /* asked to stop */
    ERR_BUG,         /* an invariant of our own does not hold */
};

enum err_class {
    ERR_CLASS_NONE,
    ERR_CLASS_RETRY,  /* the same bytes, later */
    ERR_CLASS_SLOW,   /* the remote said: less often */
    ERR_CLASS_REJECT, /* this record never */
    ERR_CLASS_STOP,   /* credentials, configuration, schema: end the run */
    ERR_CLASS_BUG,
};

enum { ERR_TEXT_BYTES = 1024 };

struct err {
    enum err_code code;
    char text[ERR_TEXT_BYTES];
};

/** Sets code and sentence and returns code, so that `return err_set(…)` reads well. err may be
 * NULL. */
enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** Like err_set with strerror(errno_value) appended. */
enum err_code err_errno(struct err *err, int errno_value, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** Puts "fmt: " before the sentence already in err and returns its code. */
enum err_code err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

enum err_class err_class(enum err_code code);
const char *err_name(enum err_code code);

/** For our own bugs only; stays on in release builds and aborts with the place. */
#define ensure(cond) ((cond) ? (void)0 : ensure_failed(#cond, __FILE__, __LINE__))
void ensure_failed(const char *cond, const char *file, int line) NORETURN;

#endif
