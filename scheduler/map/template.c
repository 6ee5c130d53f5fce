#include "scheduler/map/template.h"

#include "scheduler/map/steps.h"

static size_t count_pieces(const char *text)
{
    size_t n = 1;
    for (const char *p = text; (p = strstr(p, "{{")); p += 2)
        n += 2;
    return n;
}

static void add_piece(struct template *t, struct slice text, bool is_column)
{
    if (is_column || text.n)
        t->pieces[t->count++] = (struct template_piece){
            .text = text, .column = TEMPLATE_NO_COLUMN, .is_column = is_column};
}

static struct slice without_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return slice_of(p, (size_t)(end - p));
}

enum err_code template_parse(struct template *t, const char *text, struct arena *arena,
                             struct err *err)
{
    *t = (struct template){.pieces = arena_alloc(arena, count_pieces(text) * sizeof *t->pieces)};
    if (!t->pieces)
        return err_set(err, ERR_NOMEM, "no memory for a template");
    const char *literal = text;
    for (const char *open = strstr(text, "{{"); open; open = strstr(open, "{{")) {
        if (open > text && open[-1] == '\\') {
            add_piece(t, slice_of(literal, (size_t)(open - 1 - literal)), false);
            literal = open;
            open += 2;
            continue;
        }
        const char *close = strstr(open, "}}");
        if (!close)
            return err_set(err, ERR_CONFIG,
                           "the template has {{ without }}; write \\{{ for two braces");
        struct slice name = without_blanks(open + 2, close);
        if (!name.n)
            return err_set(
                err, ERR_CONFIG,
                "the template has {{}} without a column's name; write \\{{ for two braces");
        add_piece(t, slice_of(literal, (size_t)(open - literal)), false);
        add_piece(t, name, true);
        literal = open = close + 2;
    }
    add_piece(t, slice_str(literal), false);
    return ERR_OK;
}

static struct slice piece_text(const struct template_piece *piece, const struct row *row)
{
    return piece->is_column ? value_text(row->values[piece->column]) : piece->text;
}

enum err_code template_run(const struct template *t, const struct row *row, struct scratch *scratch,
                           struct value *ret, struct err *err)
{
    size_t n = 0, columns = 0, nulls = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct template_piece *piece = &t->pieces[i];
        n += piece_text(piece, row).n;
        columns += piece->is_column;
        nulls += piece->is_column && row->values[piece->column].kind == VALUE_NULL;
    }
    *ret = (struct value){.kind = VALUE_NULL};
    if (columns && nulls == columns)
        return ERR_OK;
    char *out;
    enum err_code rc = scratch_room(scratch, n, &out, err);
    if (rc)
        return rc;
    char *o = out;
    for (size_t i = 0; i < t->count; i++) {
        struct slice text = piece_text(&t->pieces[i], row);
        if (text.n)
            o = mempcpy(o, text.p, text.n);
    }
    scratch_keep(scratch, n);
    *ret = (struct value){VALUE_TEXT, (uint32_t)n, out};
    return ERR_OK;
}
