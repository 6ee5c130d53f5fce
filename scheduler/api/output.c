#include "scheduler/api/output.h"

#include "protocol/base/clock.h"
#include "protocol/base/json.h"

#include <inttypes.h>

void output_init(struct output *o)
{
    *o = (struct output){0};
    buf_init(&o->buf, OUTPUT_BYTES_MAX);
}

void output_done(struct output *o)
{
    buf_done(&o->buf);
}

/* Comma and name; true where the value may follow. */
static bool begin(struct output *o, const char *name)
{
    if (!o->failed && o->comma)
        o->failed = buf_putc(&o->buf, ',');
    if (!o->failed && name) {
        o->failed = json_put_string(&o->buf, slice_str(name));
        o->failed = o->failed ? o->failed : buf_putc(&o->buf, ':');
    }
    o->comma = true;
    return !o->failed;
}

void output_open(struct output *o, const char *name, char bracket)
{
    if (begin(o, name))
        o->failed = buf_putc(&o->buf, bracket);
    o->comma = false;
}

void output_close(struct output *o, char bracket)
{
    if (!o->failed)
        o->failed = buf_putc(&o->buf, bracket);
    o->comma = true;
}

void output_slice(struct output *o, const char *name, struct slice text)
{
    if (begin(o, name))
        o->failed = json_put_string(&o->buf, text);
}

void output_text(struct output *o, const char *name, const char *text)
{
    if (text)
        output_slice(o, name, slice_str(text));
    else
        output_null(o, name);
}

void output_text_or_null(struct output *o, const char *name, const char *text)
{
    output_text(o, name, text && *text ? text : NULL);
}

void output_raw(struct output *o, const char *name, const char *json)
{
    if (begin(o, name))
        o->failed = buf_puts(&o->buf, json);
}

void output_json(struct output *o, const char *name, struct slice json)
{
    if (!json.n)
        output_null(o, name);
    else if (begin(o, name))
        o->failed = buf_put(&o->buf, json.p, json.n);
}

void output_count(struct output *o, const char *name, uint64_t n)
{
    if (begin(o, name))
        o->failed = buf_printf(&o->buf, "%" PRIu64, n);
}

void output_decimal(struct output *o, const char *name, double d)
{
    if (begin(o, name))
        o->failed = buf_printf(&o->buf, "%.3f", d);
}

void output_flag(struct output *o, const char *name, bool yes)
{
    output_raw(o, name, yes ? "true" : "false");
}

void output_null(struct output *o, const char *name)
{
    output_raw(o, name, "null");
}

void output_time(struct output *o, const char *name, int64_t wall_ms)
{
    char at[CLOCK_TEXT_BYTES];
    if (wall_ms)
        output_text(o, name, clock_text(wall_ms, at));
    else
        output_null(o, name);
}
