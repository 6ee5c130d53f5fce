#include "protocol/base/log.h"

#include "protocol/base/buf.h"
#include "protocol/base/clock.h"
#include "protocol/base/json.h"

#include <inttypes.h>
#include <unistd.h>

enum { LOG_LINE_BYTES = 8192 };

static bool is_plain(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' ||
            (unsigned char)*s >= 0x7F)
            return false;
    return true;
}

static enum err_code put_field(struct buf *b, const struct log_field *f)
{
    enum err_code rc = buf_printf(b, " %s=", f->key);
    if (rc)
        return rc;
    if (!f->text)
        return buf_printf(b, "%" PRId64, f->number);
    return is_plain(f->text) ? buf_puts(b, f->text) : json_put_string(b, slice_str(f->text));
}

void log_write(const struct log *log, enum log_level level, const char *event,
               const struct log_field *fields)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if (level < log->level)
        return;
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, LOG_LINE_BYTES);
    char now[CLOCK_TEXT_BYTES];
    if (buf_printf(&b, "%s %s %s %s", clock_text(clock_wall_ms(), now), names[level], log->program,
                   event))
        return;
    for (; fields->key; fields++)
        if (put_field(&b, fields))
            break;
    if (buf_putc(&b, '\n'))
        b.p[b.len - 1] = '\n';
    ssize_t n = write(log->fd, b.p, b.len);
    (void)n; /* a log that cannot be written must not stop the run */
}
