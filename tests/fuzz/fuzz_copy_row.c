/* COPY lines of any bytes through the splitter and every converter: no crash, and value.h's
 * promises hold. */
#include "protocol/base/json.h"
#include "protocol/base/utf8.h"
#include "scheduler/source/row_decoder.h"
#include "scheduler/source/sql_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Oid oids[] = {25, 20, 16, 3802, 1082, 1114, 1184, 17, 1007, 1009, 3807, 1185, 1001};
enum { MOST_COLUMNS = 16 };

/* Arrays of what stands beside them, as pg_type would describe them. */
static struct pg_type arrays[] = {
    {1007, "integer[]", COLUMN_ARRAY, CONVERT_ARRAY, ',', 0, 23},
    {1009, "text[]", COLUMN_ARRAY, CONVERT_ARRAY, ',', 0, 25},
    {3807, "jsonb[]", COLUMN_ARRAY, CONVERT_ARRAY, ',', 0, 3802},
    {1185, "timestamptz[]", COLUMN_ARRAY, CONVERT_ARRAY, ',', 0, 1184},
    {1001, "list of text[]", COLUMN_ARRAY, CONVERT_ARRAY, ',', 0, 1009},
};

static void check(struct value v)
{
    struct slice s = value_slice(v);
    switch (v.kind) {
    case VALUE_NUMBER:
        ensure(json_is_number(s));
        break;
    case VALUE_TEXT:
    case VALUE_JSON:
        ensure(utf8_valid(s));
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t count = data[0] % MOST_COLUMNS + 1, n = size - 1;
    Oid wanted[MOST_COLUMNS];
    for (size_t i = 0; i < count; i++)
        wanted[i] = oids[(data[0] / MOST_COLUMNS + i) % (sizeof oids / sizeof *oids)];
    struct types types;
    struct row_decoder decoder;
    struct err err;
    types_init(&types);
    types.learned = malloc(sizeof arrays);
    char *line = malloc(n + COPY_ROW_PAD_BYTES);
    if (!types.learned || !line)
        abort();
    memcpy(types.learned, arrays, sizeof arrays);
    types.count = types.cap = sizeof arrays / sizeof *arrays;
    memcpy(line, data + 1, n);
    memset(line + n, 0, COPY_ROW_PAD_BYTES);
    ensure(sql_text_statement(slice_of(line, n)).n <= n);
    ensure(row_decoder_init(&decoder, &types, wanted, count, &err) == ERR_OK);
    if (copy_row_split(line, n, &decoder.cells, &err) == ERR_OK) {
        struct row row = row_decoder_run(&decoder);
        ensure(row.n == count);
        for (size_t i = 0; i < row.n; i++)
            check(row.values[i]);
    }
    row_decoder_done(&decoder);
    types_done(&types);
    free(line);
    return 0;
}
