#include "protocol/base/exposition.h"

#include "protocol/base/histogram.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

void exposition_init(struct exposition *x, struct buf *out)
{
    *x = (struct exposition){.out = out};
}

static void put(struct exposition *x, enum err_code rc)
{
    if (!x->failed)
        x->failed = rc;
}

/* In a label's value \, " and line breaks are escaped. */
static enum err_code put_value(struct buf *out, const char *value)
{
    for (const char *p = value;; p++) {
        size_t plain = strcspn(p, "\\\"\n");
        enum err_code rc = buf_put(out, p, plain);
        p += plain;
        if (rc || !*p)
            return rc;
        rc = buf_puts(out, *p == '\n' ? "\\n" : *p == '"' ? "\\\"" : "\\\\");
        if (rc)
            return rc;
    }
}

static enum err_code put_label(struct buf *out, char before, const char *name, const char *value)
{
    enum err_code rc = buf_putc(out, before);
    if (!rc)
        rc = buf_printf(out, "%s=\"", name);
    if (!rc)
        rc = put_value(out, value);
    return rc ? rc : buf_putc(out, '"');
}

/* The name, its ending and the labels, with the bound of a histogram among them; then a space. */
static void put_head(struct exposition *x, const char *ending, const struct label *labels,
                     const char *bound)
{
    struct buf *out = x->out;
    bool any = false;
    put(x, x->failed ? x->failed : buf_printf(out, "%s%s", x->metric, ending));
    for (; labels && labels->name && !x->failed; labels++) {
        put(x, put_label(out, any ? ',' : '{', labels->name, labels->value));
        any = true;
    }
    if (bound && !x->failed)
        put(x, put_label(out, any ? ',' : '{', "le", bound));
    if (!x->failed)
        put(x, buf_puts(out, any || bound ? "} " : " "));
}

void exposition_begin(struct exposition *x, const char *metric, const char *type, const char *help)
{
    x->metric = metric;
    if (!x->failed)
        put(x, buf_printf(x->out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type));
}

static void count_line(struct exposition *x, const char *ending, const struct label *labels,
                       const char *bound, uint64_t value)
{
    put_head(x, ending, labels, bound);
    if (!x->failed)
        put(x, buf_printf(x->out, "%" PRIu64 "\n", value));
}

void exposition_count(struct exposition *x, const struct label *labels, uint64_t value)
{
    count_line(x, "", labels, NULL, value);
}

static void number_line(struct exposition *x, const char *ending, const struct label *labels,
                        double value)
{
    put_head(x, ending, labels, NULL);
    if (x->failed)
        return;
    if (isnan(value))
        put(x, buf_puts(x->out, "NaN\n"));
    else if (isinf(value))
        put(x, buf_puts(x->out, value > 0 ? "+Inf\n" : "-Inf\n"));
    else
        put(x, buf_printf(x->out, "%.15g\n", value));
}

void exposition_number(struct exposition *x, const struct label *labels, double value)
{
    number_line(x, "", labels, value);
}

void exposition_histogram(struct exposition *x, const struct label *labels,
                          const struct histogram *h)
{
    uint64_t so_far = 0;
    for (size_t i = 0; i <= h->bound_count; i++) {
        char bound[32] = "+Inf";
        if (i < h->bound_count)
            snprintf(bound, sizeof bound, "%g", h->bounds[i]);
        so_far += h->counts[i];
        count_line(x, "_bucket", labels, bound, so_far);
    }
    number_line(x, "_sum", labels, h->sum);
    count_line(x, "_count", labels, NULL, so_far);
}
