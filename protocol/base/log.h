/*
 * Structured log lines on standard error, one per event: `time level program event key=value …`, or
 * the same as a JSON object.
 *
 * Only programs log, and only where an error is handled; libraries return errors. Never row
 * contents, never a secret. In text, values are quoted when they hold anything but plain
 * characters. A line that would be too long lacks its last fields. In JSON, bytes that are not
 * UTF-8 become U+FFFD.
 */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include "protocol/base/attr.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_format { LOG_TEXT, LOG_JSON };
/** "text" or "json"; false for any other word. */
bool log_format_parse(const char *word, enum log_format *ret_format);

struct log_field {
    const char *key;  /* NULL ends the list */
    const char *text; /* NULL: the number is meant */
    int64_t number;
};

struct log {
    const char *program;
    enum log_level level; /* events below it are dropped */
    int fd;
    enum log_format format;
};

static inline const char *log_text(const char *text)
{
    return text ? text : "";
}

#define LOG_STR(k, v)                                                                              \
    {                                                                                              \
        .key = (k), .text = log_text(v)                                                            \
    }
#define LOG_INT(k, v)                                                                              \
    {                                                                                              \
        .key = (k), .number = (int64_t)(v)                                                         \
    }
/** log_event(log, LOG_INFO, "run_end", LOG_STR("run", id), LOG_INT("rows", n)) */
#define log_event(log, level, event, ...)                                                          \
    log_write((log), (level), (event), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

void log_write(const struct log *log, enum log_level level, const char *event,
               const struct log_field *fields);

#endif
