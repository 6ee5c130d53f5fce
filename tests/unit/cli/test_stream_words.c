/* What people read of a stream. */
#include "scheduler/cli/stream_words.h"

#include "protocol/base/attr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void a_stream_is_told_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"{\"phase\":\"flowing\",\"lag_seconds\":0,\"waits_seconds\":0}", "flowing; up to date"},
        {"{\"phase\":\"flowing\",\"lag_seconds\":0.02,\"waits_seconds\":0.05,\"in_flight\":1,"
         "\"pending\":0}",
         "flowing; up to date, 1 record in flight"},
        {"{\"phase\":\"flowing\",\"lag_seconds\":2.5,\"waits_seconds\":75,\"in_flight\":1200,"
         "\"pending\":1,\"lag_bytes\":4200000000}",
         "flowing; 1 min 15 s behind, 1 key pending, 1,200 records in flight, 4.2 GB of the "
         "source's log held back"},
        {"{\"phase\":\"resting\",\"why\":\"connection refused\",\"lag_seconds\":null,"
         "\"waits_seconds\":0}",
         "resting: connection refused"},
        {"{\"phase\":\"flowing\",\"lag_seconds\":null,\"waits_seconds\":0,\"lag_records\":7,"
         "\"note\":\"rows leave the filter unseen\"}",
         "flowing, 7 records behind; rows leave the filter unseen"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[STREAM_WORDS_BYTES];
        json_t *stream = json_loads(cases[i].json, 0, NULL);
        assert_non_null(stream);
        assert_string_equal(stream_words(stream, out), cases[i].words);
        json_decref(stream);
    }
}

static void a_line_has_an_end(void **state)
{
    (void)state;
    char why[3 * STREAM_WORDS_BYTES], out[STREAM_WORDS_BYTES];
    memset(why, 'x', sizeof why - 1);
    why[sizeof why - 1] = '\0';
    json_t *stream = json_pack("{s:s,s:s,s:i}", "phase", "resting", "why", why, "pending", 5);
    assert_int_equal(strlen(stream_words(stream, out)), STREAM_WORDS_BYTES - 1);
    json_decref(stream);
}

static void sizes_have_units(void **state)
{
    (void)state;
    char out[STREAM_SIZE_BYTES];
    assert_string_equal(stream_size(0, out), "0 bytes");
    assert_string_equal(stream_size(999, out), "999 bytes");
    assert_string_equal(stream_size(16777216, out), "16.8 MB");
    assert_string_equal(stream_size(INT64_MAX, out), "9223372.0 TB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_told_in_one_line),
        cmocka_unit_test(a_line_has_an_end),
        cmocka_unit_test(sizes_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
