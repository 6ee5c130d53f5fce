#include "scheduler/cli/stream_words.h"

#include "scheduler/cli/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MUCH_BYTES = 1000000 }; /* less of a log is held back by everybody */

const char *stream_size(int64_t bytes, char out[STREAM_SIZE_BYTES])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double n = (double)bytes;
    size_t unit = 0;
    for (; n >= 1000 && unit + 1 < ARRAY_LEN(units); unit++)
        n /= 1000;
    snprintf(out, STREAM_SIZE_BYTES, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
    return out;
}

struct line {
    char *out;
    size_t n;
};

PRINTF_LIKE(2, 3)
static void put(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->out + l->n, STREAM_WORDS_BYTES - l->n, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->n += (size_t)n < STREAM_WORDS_BYTES - l->n ? (size_t)n : STREAM_WORDS_BYTES - 1 - l->n;
}

static const char *text_at(const json_t *stream, const char *name)
{
    const char *text = json_string_value(json_object_get(stream, name));
    return text ? text : "";
}

/* The older of what the source has not given yet and what is not accepted yet. */
static void put_age(struct line *l, const json_t *stream)
{
    char text[PRINT_NUMBER_BYTES];
    const json_t *lag = json_object_get(stream, "lag_seconds");
    double behind = json_number_value(json_object_get(stream, "waits_seconds"));
    if (json_number_value(lag) > behind)
        behind = json_number_value(lag);
    if (behind >= 0.1)
        put(l, "; %s behind", print_duration((uint64_t)(behind * 1000), text));
    else if (json_is_number(lag))
        put(l, "; up to date");
}

static void put_count(struct line *l, const json_t *stream, const char *name, const char *one,
                      const char *many)
{
    char text[PRINT_NUMBER_BYTES];
    json_int_t n = json_integer_value(json_object_get(stream, name));
    if (n > 0)
        put(l, ", %s %s", print_number((uint64_t)n, text), n == 1 ? one : many);
}

const char *stream_words(const json_t *stream, char out[STREAM_WORDS_BYTES])
{
    struct line l = {out, 0};
    char size[STREAM_SIZE_BYTES];
    const char *why = text_at(stream, "why"), *note = text_at(stream, "note");
    json_int_t held = json_integer_value(json_object_get(stream, "lag_bytes"));
    put(&l, "%s%s%s", text_at(stream, "phase"), *why ? ": " : "", why);
    put_age(&l, stream);
    put_count(&l, stream, "lag_records", "record behind", "records behind");
    put_count(&l, stream, "pending", "key pending", "keys pending");
    put_count(&l, stream, "in_flight", "record in flight", "records in flight");
    if (held >= MUCH_BYTES)
        put(&l, ", %s of the source's log held back", stream_size(held, size));
    if (*note)
        put(&l, "; %s", note);
    return out;
}
