/* JSON of others: what is taken, what is not, and what stands where. jansson is the judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "protocol/base/clock.h"
#include "protocol/base/utf8.h"
#include "worker/judge/doc.h"

enum { ARENA_BYTES = 256 << 20 };

static bool parses(struct arena *a, struct slice text, struct doc *d)
{
    bool is = false;
    assert_int_equal(doc_parse(a, text, d, &is), ERR_OK);
    return is;
}

static void what_rfc_8259_allows_is_taken_and_nothing_else(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1.5e+10",
        "1E3",
        "\"\"",
        "\"a\\u00e9\\n\\\"\\\\\\/\"",
        "\"\\ud83d\\ude00\"",
        "[1,2,[3,{\"a\":[]}]]",
        "{\"a\":1,\"b\":{\"c\":null}}",
        "{\"a\" : [ 1 , 2 ] , \"b\" : \"x\" }\n",
        "",
        " ",
        "{",
        "[",
        "]",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\"1}",
        "nul",
        "nulll",
        "True",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "0x10",
        "NaN",
        "Infinity",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "'a'",
        "1 1",
        "{} {}",
        "[]]",
        "// x\n1",
        "[[[[[[[[[[1]]]]]]]]]]",
        "[[[[[[[[[[1]]]]]]]]]",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP(arena_done) struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct doc d;
        json_t *known = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (parses(&a, slice_str(texts[i]), &d) != (known != NULL))
            fail_msg("%s", texts[i]);
        json_decref(known);
    }
}

/* What jansson read and what stands in the document are the same. */
static void assert_same(const struct doc *d, uint32_t node, const json_t *known, struct arena *a)
{
    struct slice text = doc_text(d, node, a);
    double number;
    size_t i = 0;
    switch (json_typeof(known)) {
    case JSON_NULL:
        assert_int_equal(doc_kind(d, node), DOC_NULL);
        break;
    case JSON_TRUE:
        assert_int_equal(doc_kind(d, node), DOC_TRUE);
        break;
    case JSON_FALSE:
        assert_int_equal(doc_kind(d, node), DOC_FALSE);
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        assert_int_equal(doc_kind(d, node), DOC_NUMBER);
        assert_true(doc_number(d, node, &number) && number == json_number_value(known));
        break;
    case JSON_STRING:
        assert_int_equal(doc_kind(d, node), DOC_STRING);
        assert_true(slice_eq(text, slice_of(json_string_value(known), json_string_length(known))));
        break;
    case JSON_ARRAY:
        assert_int_equal(doc_kind(d, node), DOC_ARRAY);
        assert_int_equal(doc_length(d, node), json_array_size(known));
        for (uint32_t c = doc_first(d, node); c != DOC_NONE; c = doc_next(d, node, c))
            assert_same(d, c, json_array_get(known, i++), a);
        break;
    case JSON_OBJECT:
        assert_int_equal(doc_kind(d, node), DOC_OBJECT);
        for (uint32_t c = doc_first(d, node); c != DOC_NONE; c = doc_next(d, node, c)) {
            struct slice name = doc_text(d, c, a);
            char *copy = arena_str(a, name);
            uint32_t value = doc_member(d, node, copy);
            assert_int_not_equal(value, DOC_NONE);
            assert_same(d, value, json_object_get(known, copy), a);
        }
        assert_true(doc_length(d, node) >= json_object_size(known));
        break;
    }
}

static void values_are_what_jansson_reads(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"a\":[1,2.5,-3e2,\"x\",null,true,false,{},[]],\"b\":{\"c\":{\"d\":\"deep\"}}}",
        "[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\b\\f\\n\\r\\t\\\"\\\\\\/\",\"\\u0000x\"]",
        "{\"a\\u0062c\":1,\"\\\"\":2,\"\":3,\"\\u00e9\":4}",
        "{\"twice\":1,\"twice\":2}",
        "[[],[[]],[[],[]],{\"a\":{}},[{\"b\":[]}]]",
        "\"alone\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP(arena_done) struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct doc d;
        json_t *known = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_true(parses(&a, slice_str(texts[i]), &d));
        assert_same(&d, 0, known, &a);
        json_decref(known);
    }
}

static void blemishes_do_not_hide_what_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *value;
    } table[] = {
        {"\xef\xbb\xbf{\"a\":\"bom\"}", "bom"},
        {"{\"note\":\"caf\xe9\",\"a\":\"latin\"}", "latin"},
        {"{\"a\":\"caf\xe9 and caf\xc3\xa9\"}", "caf? and caf\xc3\xa9"},
        {"{\"a\":\"line\nbreak\"}", "line\nbreak"},
        {"{\"a\":\"\\ud800\"}", "?"},
        {"{\"a\":\"\\udc00x\"}", "?x"},
        {"{\"a\":\"\\ud800\\u0041\"}", "?A"},
        {"{\"a\":\"\xed\xa0\x80\"}", "???"},
        {"{\"n\":123456789012345678901234567890,\"a\":\"big\"}", "big"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(arena_done) struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct doc d;
        assert_true(parses(&a, slice_str(table[i].text), &d));
        uint32_t node = doc_member(&d, 0, "a");
        assert_int_not_equal(node, DOC_NONE);
        struct slice text = doc_text(&d, node, &a);
        assert_true(utf8_valid(text));
        if (!slice_eq_str(text, table[i].value))
            fail_msg("%s gives %.*s", table[i].text, (int)text.n, text.p);
    }
}

static void the_end_of_a_string_behind_the_document_is_no_part_of_it(void **state)
{
    (void)state;
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct doc d;
    assert_true(parses(&a, SLICE_LIT("{}\0"), &d));
    assert_false(parses(&a, SLICE_LIT("{}\0{}"), &d));
    assert_false(parses(&a, SLICE_LIT("\0"), &d));
    assert_false(parses(&a, SLICE_LIT("\0{}"), &d));
}

static void numbers_keep_their_digits(void **state)
{
    (void)state;
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct doc d;
    assert_true(parses(&a,
                       SLICE_LIT("[123456789012345678901234567890,\"17\",\" 17\",\"0x1\","
                                 "\"1e400\",\"nan\",\"\",1e5]"),
                       &d));
    assert_true(slice_eq_str(doc_text(&d, 1, &a), "123456789012345678901234567890"));
    double n;
    assert_true(doc_number(&d, 2, &n) && n == 17);
    assert_false(doc_number(&d, 3, &n));
    assert_false(doc_number(&d, 4, &n));
    assert_true(doc_number(&d, 5, &n) && n > 1e300);
    assert_false(doc_number(&d, 6, &n));
    assert_false(doc_number(&d, 7, &n));
    assert_true(doc_number(&d, 8, &n) && n == 1e5);
}

struct seen {
    const struct doc *doc;
    struct arena *arena;
    char text[256];
    size_t stop_after;
};

static bool note(void *ctx, uint32_t node, uint32_t name)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);
    struct slice value = doc_raw(s->doc, node);
    struct slice member = name == DOC_NONE ? SLICE_LIT("-") : doc_text(s->doc, name, s->arena);
    snprintf(s->text + n, sizeof s->text - n, "%.*s=%.*s;", (int)member.n, member.p, (int)value.n,
             value.p);
    return !s->stop_after || --s->stop_after;
}

static void pointers_find_every_value_in_the_order_of_the_text(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[{\"x\":1},{\"x\":2,\"y\":3},4],\"b\":{\"x\":{\"x\":5}},"
                               "\"id\":\"k\",\"c/d\":6}";
    static const struct pointer_level any = {LEVEL_ANY, "*", -1}, by = {LEVEL_IDENTIFY_BY, "", -1},
                                      a = {LEVEL_NAME, "a", -1}, b = {LEVEL_NAME, "b", -1},
                                      x = {LEVEL_NAME, "x", -1}, y = {LEVEL_NAME, "y", -1},
                                      one = {LEVEL_NAME, "1", 1}, nine = {LEVEL_NAME, "9", 9},
                                      slash = {LEVEL_NAME, "c/d", -1};
    const struct {
        struct pointer_level levels[4];
        size_t count;
        const char *seen;
    } table[] = {
        {{a, one, y}, 3, "y=3;"},
        {{a, any, x}, 3, "x=1;x=2;"},
        {{a, any}, 2, "a={\"x\":1};a={\"x\":2,\"y\":3};a=4;"},
        {{any, x}, 2, "x={\"x\":5};"},
        {{any, any, x}, 3, "x=1;x=2;x=5;"},
        {{b, any, any}, 3, "x=5;"},
        {{by}, 1, "id=\"k\";"},
        {{slash}, 1, "c/d=6;"},
        {{a, nine}, 2, ""},
        {{a, x}, 2, ""},
        {{b, one}, 2, ""},
        {{x}, 1, ""},
        {{a, any, x, any}, 4, ""},
    };
    CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct doc d;
    assert_true(parses(&arena, slice_str(text), &d));
    struct doc_place root = {&d, 0, "id"};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct pointer p = {true, table[i].levels, table[i].count};
        struct seen s = {.doc = &d, .arena = &arena};
        assert_true(doc_walk(&root, &p, note, &s));
        assert_string_equal(s.text, table[i].seen);
        s = (struct seen){.doc = &d, .arena = &arena, .stop_after = 1};
        assert_int_equal(doc_walk(&root, &p, note, &s), !*table[i].seen);
        assert_int_equal(doc_at(&root, &p) == DOC_NONE, !*table[i].seen);
    }
}

static void depth_and_number_of_values_have_limits(void **state)
{
    (void)state;
    enum { MANY = DOC_NODES_MAX };
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct doc d;
    bool is;
    char *text = malloc(2 * (size_t)MANY + 1);
    memset(text, '[', MANY);
    assert_int_equal(doc_parse(&a, slice_of(text, MANY), &d, &is), ERR_FULL);
    memset(text + DOC_DEPTH_MAX, ']', DOC_DEPTH_MAX);
    assert_true(parses(&a, slice_of(text, 2 * DOC_DEPTH_MAX), &d));
    memset(text, '[', DOC_DEPTH_MAX + 1);
    memset(text + DOC_DEPTH_MAX + 1, ']', DOC_DEPTH_MAX + 1);
    assert_int_equal(doc_parse(&a, slice_of(text, 2 * DOC_DEPTH_MAX + 2), &d, &is), ERR_FULL);
    for (size_t i = 0; i < MANY; i++)
        memcpy(text + 2 * i, i ? ",1" : "[1", 2);
    text[2 * MANY] = ']';
    assert_int_equal(doc_parse(&a, slice_of(text, 2 * (size_t)MANY + 1), &d, &is), ERR_FULL);
    assert_false(is);
    text[2 * MANY - 2] = ']';
    assert_true(parses(&a, slice_of(text, 2 * (size_t)MANY - 1), &d));
    free(text);
}

/* Members of one object looked up by name from start to end, and an item by each index, would show
 * it if a lookup ran over more than its own level. */
static void reading_is_linear(void **state)
{
    (void)state;
    enum { ITEMS = 200000, ITEM_BYTES = 40, DEADLINE_MS = 5000 };
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    char *text = malloc(ITEMS * ITEM_BYTES);
    size_t n = 0;
    for (int i = 0; i < ITEMS; i++)
        n += (size_t)sprintf(text + n, "%c{\"id\":%d,\"in\":[[1],{}]}", i ? ',' : '[', i);
    text[n++] = ']';
    struct doc d;
    int64_t begun = clock_mono_ms();
    assert_true(parses(&a, slice_of(text, n), &d));
    double sum = 0, id;
    for (uint32_t c = doc_first(&d, 0); c != DOC_NONE; c = doc_next(&d, 0, c))
        sum += doc_number(&d, doc_member(&d, c, "id"), &id) ? id : 0;
    assert_true(sum == (double)ITEMS * (ITEMS - 1) / 2);
    assert_true(clock_mono_ms() - begun < DEADLINE_MS);
    free(text);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, 20 << 10);
    enum { VALUES = 5000 };
    char text[2 * VALUES + 1];
    for (size_t i = 0; i < VALUES; i++)
        memcpy(text + 2 * i, i ? ",1" : "[1", 2);
    text[2 * VALUES] = ']';
    struct doc d;
    bool is;
    assert_int_equal(doc_parse(&a, slice_of(text, sizeof text), &d, &is), ERR_NOMEM);
    assert_false(is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_8259_allows_is_taken_and_nothing_else),
        cmocka_unit_test(values_are_what_jansson_reads),
        cmocka_unit_test(blemishes_do_not_hide_what_is_said),
        cmocka_unit_test(the_end_of_a_string_behind_the_document_is_no_part_of_it),
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(pointers_find_every_value_in_the_order_of_the_text),
        cmocka_unit_test(depth_and_number_of_values_have_limits),
        cmocka_unit_test(reading_is_linear),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
