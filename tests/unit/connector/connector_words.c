#include "tests/unit/connector/connector_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

const struct connector *read_good(struct connector_text *t, const char *text)
{
    connector_text_read(t, text);
    assert_string_equal(connector_text_said(t), "");
    assert_non_null(t->connector);
    return t->connector;
}

const struct request *request_of(const struct object *o, enum record_op op)
{
    assert_true(o->request_of[op] >= 0);
    return &o->requests[o->request_of[op]];
}

void assert_piece(const struct template *t, size_t i, enum piece_kind kind, const char *text)
{
    assert_true(i < t->count);
    assert_int_equal(t->pieces[i].kind, kind);
    if (text)
        assert_string_equal(t->pieces[i].text, text);
}

const struct member *member_of(const struct tree *t, const char *name)
{
    assert_int_equal(t->kind, TREE_OBJECT);
    for (size_t i = 0; i < t->count; i++) {
        const struct member *m = &t->members[i];
        if (m->kind == MEMBER_NAMED && m->name.count == 1 && m->name.pieces[0].kind == PIECE_TEXT &&
            strcmp(m->name.pieces[0].text, name) == 0)
            return m;
    }
    fail_msg("no member %s", name);
    return NULL;
}
