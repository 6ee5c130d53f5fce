#include "protocol/wire/record_json.h"

#include "protocol/base/json.h"

#include <stdio.h>

enum { NAME_BYTES = 1024 };

static enum err_code put_member(struct buf *b, bool *first, const struct slice *names, size_t count,
                                struct value v)
{
    char joined[NAME_BYTES];
    size_t n = 0;
    if (v.kind == VALUE_ABSENT)
        return ERR_OK;
    for (size_t i = 0; i < count && n < sizeof joined; i++)
        n += (size_t)snprintf(joined + n, sizeof joined - n, "%s%.*s", i ? "." : "",
                              (int)names[i].n, names[i].p);
    if (n >= sizeof joined)
        n = sizeof joined - 1;
    enum err_code rc = buf_putc(b, *first ? '{' : ',');
    *first = false;
    rc = rc ? rc : json_put_string(b, slice_of(joined, n));
    rc = rc ? rc : buf_putc(b, ':');
    return rc ? rc : json_put_value(b, v);
}

enum err_code record_key_json(struct buf *out, const struct batch_head *head,
                              const struct record *r)
{
    bool first = true;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < head->key_count && !rc; i++)
        rc = put_member(out, &first, &head->key_names[i], 1, r->keys[i]);
    return rc ? rc : buf_puts(out, first ? "{}" : "}");
}

enum err_code record_fields_json(struct buf *out, const struct batch_head *head,
                                 const struct record *r)
{
    bool first = true;
    enum err_code rc = ERR_OK;
    if (!r->fields)
        return ERR_OK;
    for (size_t i = 0; i < head->field_count && !rc; i++)
        rc = put_member(out, &first, head->fields[i].names, head->fields[i].count, r->fields[i]);
    return rc ? rc : buf_puts(out, first ? "{}" : "}");
}
