#include "protocol/base/log.h"

#include "protocol/base/buf.h"
#include "protocol/base/clock.h"
#include "protocol/base/json.h"

#include <inttypes.h>
#include <unistd.h>

enum { LOG_LINE_BYTES = 8192, LOG_END_BYTES = 2 }; /* "}\n" */

static const char *const level_names[] = {"debug", "info", "warn", "error"};

bool log_format_parse(const char *word, enum log_format *ret_format)
{
    bool json = strcmp(word, "json") == 0;
    if (!json && strcmp(word, "text") != 0)
        return false;
    *ret_format = json ? LOG_JSON : LOG_TEXT;
    return true;
}

/* ---- text ---- */

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

static enum err_code put_text_head(struct buf *b, const struct log *log, enum log_level level,
                                   const char *event)
{
    char now[CLOCK_TEXT_BYTES];
    return buf_printf(b, "%s %s %s %s", clock_text(clock_wall_ms(), now), level_names[level],
                      log->program, event);
}

static enum err_code put_text_field(struct buf *b, const struct log_field *f)
{
    enum err_code rc = buf_printf(b, " %s=", f->key);
    if (rc)
        return rc;
    if (!f->text)
        return buf_printf(b, "%" PRId64, f->number);
    return is_plain(f->text) ? buf_puts(b, f->text) : json_put_string(b, slice_str(f->text));
}

/* ---- JSON ---- */

static enum err_code put_json_head(struct buf *b, const struct log *log, enum log_level level,
                                   const char *event)
{
    char now[CLOCK_TEXT_BYTES];
    return buf_printf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\"",
                      clock_text(clock_wall_ms(), now), level_names[level], log->program, event);
}

static enum err_code put_json_field(struct buf *b, const struct log_field *f)
{
    enum err_code rc = buf_printf(b, ",\"%s\":", f->key);
    if (rc)
        return rc;
    return f->text ? json_put_words(b, slice_str(f->text)) : buf_printf(b, "%" PRId64, f->number);
}

/* ---- a line ---- */

void log_write(const struct log *log, enum log_level level, const char *event,
               const struct log_field *fields)
{
    bool json = log->format == LOG_JSON;
    if (level < log->level)
        return;
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, LOG_LINE_BYTES - LOG_END_BYTES);
    if ((json ? put_json_head : put_text_head)(&b, log, level, event))
        return;
    for (; fields->key; fields++) {
        size_t before = b.len;
        if (!(json ? put_json_field : put_text_field)(&b, fields))
            continue;
        b.len = before;
        break;
    }
    b.max = LOG_LINE_BYTES;
    if (buf_puts(&b, json ? "}\n" : "\n"))
        return;
    ssize_t n = write(log->fd, b.p, b.len);
    (void)n; /* a log that cannot be written must not stop the run */
}
