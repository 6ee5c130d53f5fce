/*
 * Entries of a stream, of any ids and fields: no crash, and value.h's promises hold.
 *
 * The input is parts, each with a byte of its length before it: an id, then names and values in
 * turn; a name that is one digit stands for a column.
 */
#include "protocol/base/json.h"
#include "protocol/base/utf8.h"
#include "scheduler/map/json_scan.h"
#include "scheduler/stream/event_row.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS_MAX = 400 };

static const char *const key[] = {"t", "_id", "_time"};
static const struct event_column columns[] = {
    {"t", EVENT_TEXT}, {"n", EVENT_NUMBER},     {"b", EVENT_BOOL},
    {"j", EVENT_JSON}, {"at", EVENT_TIMESTAMP}, {"j2", EVENT_JSON},
};
static const struct model model = {.name = "m",
                                   .primary_key = key,
                                   .primary_key_count = ARRAY_LEN(key),
                                   .event_columns = columns,
                                   .event_column_count = ARRAY_LEN(columns)};

static void check(struct value v)
{
    struct slice s = value_slice(v);
    const char *why;
    switch (v.kind) {
    case VALUE_NUMBER:
        ensure(json_is_number(s));
        break;
    case VALUE_TEXT:
        ensure(utf8_valid(s) && !(s.n && memchr(s.p, '\0', s.n)));
        break;
    case VALUE_JSON:
        ensure(utf8_valid(s) && json_scan_document(s, &why));
        break;
    case VALUE_BAD:
        ensure(s.n > 0);
        break;
    case VALUE_NULL:
    case VALUE_FALSE:
    case VALUE_TRUE:
        break;
    case VALUE_ABSENT:
    default:
        ensure(v.kind == VALUE_NULL); /* a source gives no such value */
    }
}

/* Bytes of their own, so that reading past their end is seen. */
static size_t take_part(const uint8_t *data, size_t size, struct redisReply *ret)
{
    size_t n = size ? data[0] : 0;
    if (n >= size)
        n = size ? size - 1 : 0;
    *ret = (struct redisReply){.type = REDIS_REPLY_STRING, .str = malloc(n + 1)};
    ensure(ret->str != NULL);
    memcpy(ret->str, data + (size ? 1 : 0), n);
    ret->str[n] = '\0';
    ret->len = n;
    if (n == 1 && *ret->str >= '0' && *ret->str < '0' + (int)ARRAY_LEN(columns)) {
        const char *name = columns[*ret->str - '0'].name;
        free(ret->str);
        ret->str = strdup(name);
        ret->len = strlen(name);
    }
    return size ? n + 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redisReply parts[PARTS_MAX], *pointers[PARTS_MAX];
    struct event_rows *rows;
    struct event_id id = {1, 1};
    struct row row;
    const struct value *keys;
    struct err err;
    size_t count = 0;
    for (size_t at = 0; at < size && count < PARTS_MAX; count++) {
        at += take_part(data + at, size - at, &parts[count]);
        pointers[count] = &parts[count];
    }
    if (count && !event_id_parse(slice_of(parts[0].str, parts[0].len), &id))
        id = (struct event_id){UINT64_MAX, 0};
    struct redisReply fields = {.type = REDIS_REPLY_ARRAY,
                                .elements = count ? count - 1 : 0,
                                .element = count ? pointers + 1 : NULL};
    ensure(event_rows_new(&model, &rows, &err) == ERR_OK);
    for (int again = 0; again < 2; again++) {
        if (event_rows_read(rows, id, &fields, &row, &keys, &err))
            continue;
        for (uint16_t i = 0; i < row.n; i++)
            check(row.values[i]);
        for (size_t i = 0; i < ARRAY_LEN(key); i++)
            check(keys[i]);
    }
    event_rows_free(rows);
    for (size_t i = 0; i < count; i++)
        free(parts[i].str);
    return 0;
}
