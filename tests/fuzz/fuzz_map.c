/*
 * Any text as a value, through every transform, and as a template: it becomes a value that the wire
 * takes, or an error; what says it is JSON or a number is.
 */
#include "protocol/base/json.h"
#include "protocol/base/utf8.h"
#include "scheduler/map/json_scan.h"
#include "scheduler/map/map.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct map_entry table[] = {{"a", "b", false}, {"", NULL, true}};
static const struct transform inner[] = {{.kind = TRANSFORM_NO_PUNCTUATION},
                                         {.kind = TRANSFORM_LETTERS}};
static const struct transform transforms[] = {
    {.kind = TRANSFORM_TRIM},
    {.kind = TRANSFORM_LOWER},
    {.kind = TRANSFORM_UPPER},
    {.kind = TRANSFORM_SHA256},
    {.kind = TRANSFORM_HEX},
    {.kind = TRANSFORM_BASE64},
    {.kind = TRANSFORM_TO_NUMBER},
    {.kind = TRANSFORM_TO_BOOLEAN},
    {.kind = TRANSFORM_DATE, .text = "rfc3339"},
    {.kind = TRANSFORM_DATE, .text = "unix_ms"},
    {.kind = TRANSFORM_SUBSTRING, .from = -3, .length = 2},
    {.kind = TRANSFORM_SUBSTRING, .from = 2, .length = -1},
    {.kind = TRANSFORM_REPLACE, .text = "(\\w)(?<rest>\\W*)", .with = "${rest}$1$$"},
    {.kind = TRANSFORM_SPLIT, .text = ","},
    {.kind = TRANSFORM_JSON},
    {.kind = TRANSFORM_MAP, .table = table, .table_count = 2},
    {.kind = TRANSFORM_REMOVE_SPACES},
    {.kind = TRANSFORM_DIGITS},
    {.kind = TRANSFORM_ASCII_LETTERS},
    {.kind = TRANSFORM_STRIP_ZEROS},
    {.kind = TRANSFORM_PREFIX, .text = "+"},
    {.kind = TRANSFORM_PHONE},
    {.kind = TRANSFORM_PHONE, .text = "39"},
    {.kind = TRANSFORM_EMAIL},
    {.kind = TRANSFORM_GMAIL_DOTS},
    {.kind = TRANSFORM_FIRST, .length = 2},
    {.kind = TRANSFORM_BEFORE, .text = "-"},
    {.kind = TRANSFORM_PAD, .length = 5, .with = "é"},
    {.kind = TRANSFORM_SHA512},
    {.kind = TRANSFORM_HASH},
    {.kind = TRANSFORM_HMAC, .text = "key", .with = "sha1"},
    {.kind = TRANSFORM_EMPTY_TO_NULL},
    {.kind = TRANSFORM_COUNTRY2},
    {.kind = TRANSFORM_GENDER},
    {.kind = TRANSFORM_UNLESS_HASHED, .inner = inner, .inner_count = 2},
};
static const struct transform join = {.kind = TRANSFORM_JOIN, .text = ";"};

static void check_value(struct value v)
{
    const char *reason;
    if (v.kind == VALUE_JSON)
        ensure(json_scan_document(value_slice(v), &reason));
    if (v.kind == VALUE_NUMBER)
        ensure(json_is_number(value_slice(v)));
    if (v.kind == VALUE_TEXT)
        ensure(utf8_valid(value_slice(v)));
    ensure(v.kind != VALUE_BAD);
}

/* Compiles and runs one mapping over the text. */
static void run(struct mapping *m, enum column_type type, struct value text)
{
    static const char *const primary[] = {"id"};
    const struct model model = {.name = "m", .primary_key = primary, .primary_key_count = 1};
    const struct column columns[] = {{"id", "int", COLUMN_INT}, {"x", "text", type}};
    const struct sync sync = {.name = "s", .model = &model, .mappings = m, .mapping_count = 1};
    const struct value values[] = {{VALUE_NUMBER, 1, "1"}, text};
    struct map_program *p = NULL;
    struct mapped mapped;
    struct err err;
    m->to = "field";
    m->path = &m->to;
    m->path_count = 1;
    if (map_compile(&sync, columns, 2, &p, &err))
        return;
    if (!map_run(p, &(struct row){values, 2}, &mapped, &err))
        check_value(mapped.fields[0]);
    map_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!utf8_valid(slice_of(data, size)) || (size && memchr(data, 0, size)))
        return 0;
    char *text = malloc(size + 1);
    ensure(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    const struct value v = {VALUE_TEXT, (uint32_t)size, text};
    for (size_t i = 0; i < ARRAY_LEN(transforms); i++) {
        struct transform steps[] = {transforms[i], {.kind = TRANSFORM_TO_STRING}};
        struct mapping m = {.from = "x", .transforms = steps, .transform_count = 1 + i % 2};
        run(&m, COLUMN_TEXT, v);
        run(&m, COLUMN_BYTES, v);
    }
    struct transform list[] = {{.kind = TRANSFORM_JSON}, join};
    run(&(struct mapping){.from = "x", .transforms = list, .transform_count = 2}, COLUMN_TEXT, v);
    run(&(struct mapping){.kind = MAPPING_TEMPLATE, .from = text}, COLUMN_TEXT, v);
    run(&(struct mapping){.kind = MAPPING_CONSTANT, .constant = text}, COLUMN_TEXT, v);
    free(text);
    return 0;
}
