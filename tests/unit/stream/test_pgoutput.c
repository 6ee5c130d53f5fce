/* Messages of pgoutput as byte strings: what they say, and what is refused. */
#include "scheduler/stream/pgoutput.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct pgoutput *decoder;
static struct pgoutput_message m;
static struct err err;
static char *bytes; /* exactly as long as the message and the byte behind it */

static int make(void **state)
{
    (void)state;
    decoder = pgoutput_new();
    return decoder ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    pgoutput_free(decoder);
    free(bytes);
    bytes = NULL;
    return 0;
}

static enum err_code decode(const char *text, size_t n)
{
    free(bytes);
    bytes = malloc(n + 1);
    assert_non_null(bytes);
    memcpy(bytes, text, n);
    bytes[n] = '\0';
    return pgoutput_decode(decoder, bytes, n, &m, &err);
}

#define DECODE(s) decode((s), sizeof(s) - 1)

#define BEGIN_BYTES "B\0\0\0\1\0\0\0\2\0\0\0\0\0\x0f\x42\x40\0\0\0\7"
#define COMMIT_BYTES "C\0\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0\3\0\0\0\0\0\0\0\0"
#define RELATION_BYTES                                                                             \
    "R\0\0\0\5public\0t\0d\0\2\1id\0\0\0\0\x17\xff\xff\xff\xff\0name\0\0\0\0\x19\xff\xff\xff\xff"
#define INSERT_BYTES                                                                               \
    "I\0\0\0\5N\0\3t\0\0\0\2ab"                                                                    \
    "nu"
#define UPDATE_BYTES                                                                               \
    "U\0\0\0\5K\0\2t\0\0\0\1"                                                                      \
    "1nN\0\2t\0\0\0\1"                                                                             \
    "2u"
#define DELETE_BYTES                                                                               \
    "D\0\0\0\5O\0\1t\0\0\0\1"                                                                      \
    "9"
#define TRUNCATE_BYTES "T\0\0\0\2\3\0\0\0\5\0\0\0\6"

static void transactions_begin_and_end(void **state)
{
    (void)state;
    assert_int_equal(DECODE(BEGIN_BYTES), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_BEGIN);
    assert_true(m.lsn == UINT64_C(0x100000002));
    assert_true(m.commit_ms == INT64_C(946684801000)); /* a second after 2000-01-01 */
    assert_int_equal(m.xid, 7);
    assert_int_equal(DECODE(COMMIT_BYTES), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_COMMIT);
    assert_true(m.lsn == UINT64_C(0x100000002) && m.end_lsn == UINT64_C(0x100000003));
}

static void relations_are_described(void **state)
{
    (void)state;
    assert_int_equal(DECODE(RELATION_BYTES), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_RELATION);
    assert_int_equal(m.relation, 5);
    assert_string_equal(m.schema, "public");
    assert_string_equal(m.table, "t");
    assert_int_equal(m.identity, 'd');
    assert_int_equal(m.column_count, 2);
    assert_string_equal(m.columns[0].name, "id");
    assert_true(m.columns[0].key && !m.columns[1].key);
    assert_int_equal(m.columns[0].type, 23);
    assert_string_equal(m.columns[1].name, "name");
    assert_int_equal(m.columns[1].type, 25);
    assert_int_equal(DECODE("R\0\0\0\5\0pg_class\0n\0\0"), ERR_OK);
    assert_string_equal(m.schema, "pg_catalog");
}

static void rows_have_values_nulls_and_what_did_not_change(void **state)
{
    (void)state;
    assert_int_equal(DECODE(INSERT_BYTES), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_INSERT);
    assert_int_equal(m.before.count, 0);
    assert_int_equal(m.after.count, 3);
    assert_int_equal(m.after.cells[0].kind, PGOUTPUT_TEXT);
    assert_memory_equal(m.after.cells[0].p, "ab", 2);
    assert_int_equal(m.after.cells[0].n, 2);
    assert_int_equal(m.after.cells[1].kind, PGOUTPUT_NULL);
    assert_int_equal(m.after.cells[2].kind, PGOUTPUT_UNCHANGED);
}

static void updates_and_deletes_tell_the_row_before(void **state)
{
    (void)state;
    assert_int_equal(DECODE(UPDATE_BYTES), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_UPDATE);
    assert_false(m.whole);
    assert_int_equal(m.before.count, 2);
    assert_memory_equal(m.before.cells[0].p, "1", 1);
    assert_memory_equal(m.after.cells[0].p, "2", 1);
    assert_int_equal(DECODE("U\0\0\0\5N\0\1n"), ERR_OK);
    assert_int_equal(m.before.count, 0);
    assert_int_equal(DECODE(DELETE_BYTES), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_DELETE);
    assert_true(m.whole);
    assert_int_equal(m.before.count, 1);
}

static void a_truncate_names_its_tables(void **state)
{
    (void)state;
    assert_int_equal(DECODE(TRUNCATE_BYTES), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_TRUNCATE);
    assert_int_equal(m.truncated_count, 2);
    assert_int_equal(pgoutput_truncated(&m, 0), 5);
    assert_int_equal(pgoutput_truncated(&m, 1), 6);
}

static void what_says_nothing_of_rows_is_skipped(void **state)
{
    (void)state;
    assert_int_equal(DECODE("O\0\0\0\1\0\0\0\2origin\0"), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_OTHER);
    assert_int_equal(DECODE("Y\0\0\0\1public\0mood\0"), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_OTHER);
    assert_int_equal(DECODE("M\0\0\0\0\0\0\0\0\1p\0\0\0\0\0"), ERR_OK);
    assert_int_equal(m.kind, PGOUTPUT_OTHER);
}

/* Every message, cut at every place, and with a byte too many, is refused. */
static void messages_that_are_not_whole_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *p;
        size_t n;
    } whole[] = {
#define ONE(s) {s, sizeof(s) - 1}
        ONE(BEGIN_BYTES),  ONE(COMMIT_BYTES), ONE(RELATION_BYTES), ONE(INSERT_BYTES),
        ONE(UPDATE_BYTES), ONE(DELETE_BYTES), ONE(TRUNCATE_BYTES),
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        for (size_t n = 0; n < whole[i].n; n++)
            assert_int_equal(decode(whole[i].p, n), ERR_INVALID);
        assert_int_equal(decode(whole[i].p, whole[i].n), ERR_OK);
        assert_int_equal(decode(whole[i].p, whole[i].n + 1), ERR_INVALID); /* its NUL */
    }
}

static void what_was_not_asked_for_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *p;
        size_t n;
    } wrong[] = {
        ONE("S\0\0\0\1\1"),                      /* streamed, protocol 2 */
        ONE("P\0"),                              /* prepared, protocol 3 */
        ONE("I\0\0\0\5N\0\1b\0\0\0\1x"),         /* binary */
        ONE("I\0\0\0\5K\0\1n"),                  /* an insert with a row before */
        ONE("U\0\0\0\5O\0\1nK\0\1n"),            /* an update without a row after */
        ONE("D\0\0\0\5N\0\1n"),                  /* a delete with a row after */
        ONE("I\0\0\0\5N\0\1t\xff\xff\xff\xffx"), /* a value longer than the message */
        ONE("I\0\0\0\5N\x7f\xff"),               /* more columns than a table has */
        ONE("R\0\0\0\5public\0t\0d\x7f\xff"),
        ONE("T\x40\0\0\1\0\0\0\0\1"), /* 2^30 tables, whose bytes would wrap around */
        ONE("\xff"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(decode(wrong[i].p, wrong[i].n), ERR_INVALID);
}

static void frames_carry_messages_or_keep_alive(void **state)
{
    (void)state;
    struct pgoutput_frame f;
    char data[] = "w\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0xyz";
    assert_int_equal(pgoutput_frame(data, sizeof data - 1, &f, &err), ERR_OK);
    assert_false(f.keepalive);
    assert_true(f.lsn == 1 && f.n == 3);
    assert_memory_equal(f.payload, "xyz", 3);
    char alive[] = "k\0\0\0\0\0\0\0\5\0\0\0\0\0\x0f\x42\x40\1";
    assert_int_equal(pgoutput_frame(alive, sizeof alive - 1, &f, &err), ERR_OK);
    assert_true(f.keepalive && f.reply && f.lsn == 5);
    assert_true(f.clock_ms == INT64_C(946684801000));
    for (size_t n = 0; n < sizeof alive - 1; n++)
        assert_int_equal(pgoutput_frame(alive, n, &f, &err), ERR_INVALID);
    for (size_t n = 0; n < 25; n++)
        assert_int_equal(pgoutput_frame(data, n, &f, &err), ERR_INVALID);
}

static void a_status_tells_what_was_received_and_what_is_kept(void **state)
{
    (void)state;
    char status[PGOUTPUT_STATUS_BYTES];
    pgoutput_status(0x0102, 0x0101, INT64_C(946684801000), status);
    assert_memory_equal(status,
                        "r\0\0\0\0\0\0\1\2\0\0\0\0\0\0\1\1\0\0\0\0\0\0\1\1\0\0\0\0\0\x0f\x42\x40\0",
                        PGOUTPUT_STATUS_BYTES);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, make, drop)
    const struct CMUnitTest tests[] = {
        EACH(transactions_begin_and_end),
        EACH(relations_are_described),
        EACH(rows_have_values_nulls_and_what_did_not_change),
        EACH(updates_and_deletes_tell_the_row_before),
        EACH(a_truncate_names_its_tables),
        EACH(what_says_nothing_of_rows_is_skipped),
        EACH(messages_that_are_not_whole_are_refused),
        EACH(what_was_not_asked_for_is_refused),
        EACH(frames_carry_messages_or_keep_alive),
        EACH(a_status_tells_what_was_received_and_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
