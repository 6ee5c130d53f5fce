/*
 * Reads: the reply's own bytes, and the model's columns. Invariant: whatever an entry holds, a row
 * keeps the promises of value.h. JSON with white space and times are written anew, into a buffer
 * that is as large as an entry can need before the first is.
 */
#include "scheduler/stream/event_row.h"

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "protocol/base/utf8.h"
#include "scheduler/map/json_scan.h"
#include "scheduler/map/moment.h"
#include "scheduler/stream/events_feed.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

enum { KEY_MAX = 32 };

static const uint64_t MS_MAX = 253402300799999; /* 9999-12-31T23:59:59.999Z */

enum special { SPECIAL_NONE, SPECIAL_ID, SPECIAL_TIME };

struct event_column_read {
    struct slice name;
    enum event_type type;
    enum special special;
};

struct event_rows {
    struct event_column_read columns[EVENTS_COLUMNS_MAX];
    struct value values[EVENTS_COLUMNS_MAX];
    size_t count;
    uint16_t key[KEY_MAX];
    struct value key_values[KEY_MAX];
    size_t key_count;
    /* Producers write the same fields in the same order: which column the n-th field was last. */
    uint16_t guesses[EVENTS_COLUMNS_MAX];
    struct buf text;
    char id[EVENT_ID_BYTES];
};

/* ---- columns ---- */

static const struct {
    const char *name;
    enum column_type column;
} types[] = {
    [EVENT_TEXT] = {"text", COLUMN_TEXT},
    [EVENT_NUMBER] = {"number", COLUMN_NUMERIC},
    [EVENT_BOOL] = {"bool", COLUMN_BOOL},
    [EVENT_JSON] = {"json", COLUMN_JSON},
    [EVENT_TIMESTAMP] = {"timestamp", COLUMN_TIMESTAMP},
};

static size_t find(const struct column *columns, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(columns[i].name, name) != 0)
        i++;
    return i;
}

static struct column column_of(const char *name, enum event_type type)
{
    return (struct column){name, types[type].name, types[type].column};
}

size_t events_columns(const struct model *model, struct column *out)
{
    static const struct column own[] = {{EVENT_ID, "text", COLUMN_TEXT},
                                        {EVENT_TIME, "timestamp", COLUMN_TIMESTAMP}};
    size_t n = 0;
    for (size_t i = 0; i < model->event_column_count && n < EVENTS_COLUMNS_MAX - ARRAY_LEN(own);
         i++)
        out[n++] = column_of(model->event_columns[i].name, model->event_columns[i].type);
    for (size_t k = 0; k < model->primary_key_count; k++)
        for (size_t i = 0; i < ARRAY_LEN(own); i++)
            if (strcmp(model->primary_key[k], own[i].name) == 0 && find(out, n, own[i].name) == n)
                out[n++] = own[i];
    return n;
}

static enum special special_of(const char *name)
{
    if (strcmp(name, EVENT_ID) == 0)
        return SPECIAL_ID;
    return strcmp(name, EVENT_TIME) == 0 ? SPECIAL_TIME : SPECIAL_NONE;
}

static enum event_type type_of(enum column_type column)
{
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(types) && types[i].column != column)
        i++;
    return (enum event_type)i;
}

enum err_code event_rows_new(const struct model *model, struct event_rows **ret_rows,
                             struct err *err)
{
    struct column columns[EVENTS_COLUMNS_MAX];
    struct event_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return err_set(err, ERR_NOMEM, "model %s: no memory", model->name);
    buf_init(&rows->text, UINT32_MAX);
    rows->count = events_columns(model, columns);
    for (size_t i = 0; i < rows->count; i++)
        rows->columns[i] = (struct event_column_read){
            slice_str(columns[i].name), type_of(columns[i].type), special_of(columns[i].name)};
    rows->key_count = model->primary_key_count < KEY_MAX ? model->primary_key_count : KEY_MAX;
    for (size_t k = 0; k < rows->key_count; k++) {
        size_t at = find(columns, rows->count, model->primary_key[k]);
        if (at == rows->count) {
            event_rows_free(rows);
            return err_set(err, ERR_CONFIG, "model %s: its key column %s is not among `columns`",
                           model->name, model->primary_key[k]);
        }
        rows->key[k] = (uint16_t)at;
    }
    *ret_rows = rows;
    return ERR_OK;
}

void event_rows_free(struct event_rows *rows)
{
    if (!rows)
        return;
    buf_done(&rows->text);
    free(rows);
}

/* ---- values ---- */

static struct value bad(const char *why)
{
    return value_of(VALUE_BAD, slice_str(why));
}

static struct value boolean(struct slice s)
{
    static const char *const words[] = {"false", "true", "0", "1"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (s.n == strlen(words[i]) && strncasecmp(s.p, words[i], s.n) == 0)
            return (struct value){i % 2 ? VALUE_TRUE : VALUE_FALSE, 0, NULL};
    return bad("a bool that is none of true, false, 1 and 0");
}

static bool has_space(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t')
            return true;
    return false;
}

/* The buffer has room for the whole entry: its bytes stay where they are. */
static struct value json(struct event_rows *rows, struct slice s)
{
    const char *why;
    if (!json_scan_document(s, &why))
        return bad("json that is none");
    if (!has_space(s))
        return value_of(VALUE_JSON, s);
    size_t start = rows->text.len;
    if (json_put_compact(&rows->text, s))
        return bad("json that found no memory");
    return value_of(VALUE_JSON, slice_of(rows->text.p + start, rows->text.len - start));
}

static struct value timestamp(struct event_rows *rows, struct slice s)
{
    size_t n;
    struct err err;
    char *out = rows->text.p + rows->text.len;
    if (moment_text(s, DATE_RFC3339, out, &n, &err))
        return bad("a timestamp that is neither RFC 3339 nor Unix time");
    rows->text.len += n;
    return value_of(VALUE_TEXT, slice_of(out, n));
}

static struct value read_value(struct event_rows *rows, enum event_type type, struct slice s)
{
    if (s.n == 0 && type != EVENT_TEXT)
        return (struct value){VALUE_NULL, 0, NULL};
    if (!utf8_valid(s))
        return bad("text that is not valid UTF-8");
    if (s.n && memchr(s.p, '\0', s.n))
        return bad("text with a NUL in it");
    switch (type) {
    case EVENT_TEXT:
        return value_of(VALUE_TEXT, s);
    case EVENT_NUMBER:
        return json_is_number(s) ? value_of(VALUE_NUMBER, s) : bad("a number that is none");
    case EVENT_BOOL:
        return boolean(s);
    case EVENT_JSON:
        return json(rows, s);
    case EVENT_TIMESTAMP:
        return timestamp(rows, s);
    }
    return bad("a column without a type");
}

static struct value own_value(struct event_rows *rows, enum special special, struct event_id id)
{
    if (special == SPECIAL_ID)
        return value_of(VALUE_TEXT, slice_str(event_id_text(id, rows->id)));
    if (id.ms > MS_MAX)
        return bad("an entry's id that is no time");
    struct slice s = slice_str(clock_text((int64_t)id.ms, rows->text.p + rows->text.len));
    rows->text.len += s.n;
    return value_of(VALUE_TEXT, s);
}

/* ---- rows ---- */

/* Column of the n-th field; count: none. */
static size_t column_at(struct event_rows *rows, size_t n, struct slice name)
{
    bool guessed = n < ARRAY_LEN(rows->guesses);
    if (guessed && slice_eq(rows->columns[rows->guesses[n]].name, name))
        return rows->guesses[n];
    size_t i = 0;
    while (i < rows->count && !slice_eq(rows->columns[i].name, name))
        i++;
    if (guessed && i < rows->count)
        rows->guesses[n] = (uint16_t)i;
    return i;
}

static struct slice text_of(const struct redisReply *r)
{
    return slice_of(r->str, r->str ? (size_t)r->len : 0);
}

/* Room for all that may be written anew. */
static enum err_code make_room(struct event_rows *rows, const struct redisReply *fields,
                               struct err *err)
{
    size_t n = (fields->elements + ARRAY_LEN(types)) * MOMENT_BYTES;
    for (size_t i = 0; i < fields->elements; i++)
        n += text_of(fields->element[i]).n;
    buf_reset(&rows->text);
    if (n > UINT32_MAX / 2)
        return err_set(err, ERR_FULL, "an entry is too large to be a row");
    return buf_reserve(&rows->text, n)
               ? err_set(err, ERR_NOMEM, "no memory for an entry of %zu bytes", n)
               : ERR_OK;
}

enum err_code event_rows_read(struct event_rows *rows, struct event_id id,
                              const struct redisReply *fields, struct row *ret_row,
                              const struct value **ret_key, struct err *err)
{
    if (fields->type != REDIS_REPLY_ARRAY || fields->elements % 2)
        return err_set(err, ERR_INVALID, "an entry that is no list of fields and values");
    enum err_code rc = make_room(rows, fields, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < rows->count; i++)
        rows->values[i] = rows->columns[i].special ? own_value(rows, rows->columns[i].special, id)
                                                   : (struct value){VALUE_NULL, 0, NULL};
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        size_t at = column_at(rows, i / 2, text_of(fields->element[i]));
        if (at < rows->count && !rows->columns[at].special)
            rows->values[at] =
                read_value(rows, rows->columns[at].type, text_of(fields->element[i + 1]));
    }
    for (size_t k = 0; k < rows->key_count; k++)
        rows->key_values[k] = rows->values[rows->key[k]];
    *ret_row = (struct row){rows->values, (uint16_t)rows->count};
    *ret_key = rows->key_values;
    return ERR_OK;
}
