/* Log lines as text and as JSON, and the exposition of metrics. */
#include "protocol/base/exposition.h"
#include "protocol/base/histogram.h"
#include "protocol/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_BYTES = 20000 };

/* What one event looks like behind its time. */
static const char *line_of(enum log_format format, const struct log_field *fields)
{
    static char line[LINE_BYTES];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log log = {.program = "p", .level = LOG_INFO, .fd = ends[1], .format = format};
    log_write(&log, LOG_DEBUG, "unseen", fields);
    log_write(&log, LOG_WARN, "event", fields);
    close(ends[1]);
    ssize_t n = read(ends[0], line, sizeof line - 1);
    assert_true(n > 30);
    close(ends[0]);
    line[n] = '\0';
    char *behind = strchr(line, 'Z');
    assert_non_null(behind);
    return behind + 1;
}

static void a_line_of_text_quotes_what_is_not_plain(void **state)
{
    (void)state;
    const struct log_field fields[] = {LOG_STR("a", "plain"),
                                       LOG_STR("b", "two words\n"),
                                       LOG_INT("n", -5),
                                       LOG_STR("e", NULL),
                                       {0}};
    assert_string_equal(line_of(LOG_TEXT, fields),
                        " warn p event a=plain b=\"two words\\n\" n=-5 e=\"\"\n");
}

static void a_line_of_json_is_one_object(void **state)
{
    (void)state;
    const struct log_field fields[] = {
        LOG_STR("a", "pl\"ain"), LOG_STR("b", "é\xff\xc3z"), LOG_INT("n", -5), {0}};
    assert_string_equal(line_of(LOG_JSON, fields),
                        "\",\"level\":\"warn\",\"program\":\"p\",\"event\":\"event\","
                        "\"a\":\"pl\\\"ain\",\"b\":\"é\xEF\xBF\xBD\xEF\xBF\xBDz\",\"n\":-5}\n");
}

static void a_line_that_is_too_long_ends_before_the_field(void **state)
{
    (void)state;
    char *longest = malloc(9000);
    memset(longest, 'x', 8999);
    longest[8999] = '\0';
    const struct log_field fields[] = {
        LOG_INT("n", 1), LOG_STR("long", longest), LOG_INT("m", 2), {0}};
    assert_string_equal(line_of(LOG_TEXT, fields), " warn p event n=1\n");
    assert_string_equal(line_of(LOG_JSON, fields),
                        "\",\"level\":\"warn\",\"program\":\"p\",\"event\":\"event\",\"n\":1}\n");
    free(longest);
}

static void formats_have_names(void **state)
{
    (void)state;
    enum log_format format = LOG_TEXT;
    assert_true(log_format_parse("json", &format));
    assert_int_equal(format, LOG_JSON);
    assert_true(log_format_parse("text", &format));
    assert_int_equal(format, LOG_TEXT);
    assert_false(log_format_parse("JSON", &format));
}

static void metrics_are_written_as_the_format_has_them(void **state)
{
    (void)state;
    static const double bounds[] = {0.005, 1, 2.5};
    struct buf out CLEANUP(buf_done);
    struct exposition x;
    struct histogram h;
    buf_init(&out, 4000);
    exposition_init(&x, &out);
    histogram_init(&h, bounds, ARRAY_LEN(bounds));
    histogram_add(&h, 0.005);
    histogram_add(&h, 2);
    histogram_add(&h, 100);
    assert_int_equal(histogram_count(&h), 3);
    exposition_begin(&x, "a_total", "counter", "How many.");
    exposition_count(&x, NULL, UINT64_MAX);
    exposition_count(&x, LABELS({"l", "q\"b\\n\nend"}, {"m", ""}), 1);
    exposition_begin(&x, "g", "gauge", "How much.");
    exposition_number(&x, NULL, 0.25);
    exposition_number(&x, NULL, INFINITY);
    exposition_number(&x, NULL, NAN);
    exposition_begin(&x, "h", "histogram", "How long.");
    exposition_histogram(&x, LABELS({"l", "v"}), &h);
    assert_int_equal(x.failed, ERR_OK);
    assert_string_equal(buf_cstr(&out), "# HELP a_total How many.\n# TYPE a_total counter\n"
                                        "a_total 18446744073709551615\n"
                                        "a_total{l=\"q\\\"b\\\\n\\nend\",m=\"\"} 1\n"
                                        "# HELP g How much.\n# TYPE g gauge\n"
                                        "g 0.25\ng +Inf\ng NaN\n"
                                        "# HELP h How long.\n# TYPE h histogram\n"
                                        "h_bucket{l=\"v\",le=\"0.005\"} 1\n"
                                        "h_bucket{l=\"v\",le=\"1\"} 1\n"
                                        "h_bucket{l=\"v\",le=\"2.5\"} 2\n"
                                        "h_bucket{l=\"v\",le=\"+Inf\"} 3\n"
                                        "h_sum{l=\"v\"} 102.005\nh_count{l=\"v\"} 3\n");
}

static void metrics_that_do_not_fit_are_an_error(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done);
    struct exposition x;
    buf_init(&out, 100);
    exposition_init(&x, &out);
    exposition_begin(&x, "a_total", "counter", "How many.");
    for (int i = 0; i < 20; i++)
        exposition_count(&x, NULL, 1000000);
    assert_int_equal(x.failed, ERR_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_text_quotes_what_is_not_plain),
        cmocka_unit_test(a_line_of_json_is_one_object),
        cmocka_unit_test(a_line_that_is_too_long_ends_before_the_field),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(metrics_are_written_as_the_format_has_them),
        cmocka_unit_test(metrics_that_do_not_fit_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
