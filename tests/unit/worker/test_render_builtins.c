/* Every request of every built-in connector is rendered with the fields that it declares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/connector/connector_text.h"
#include "tests/unit/worker/kit.h"
#include "tests/unit/worker/sample.h"

enum { NAMES_MAX = 48, RECORDS = 3 };

/* One render context at a time, and what it borrows. */
struct world {
    struct kit kit;
    const char *options[CONNECTOR_OPTIONS_MAX];
    struct slice vars[CONNECTOR_VARS_MAX], auth_vars[CONNECTOR_VARS_MAX], found[RECORDS];
    const char *keys[2], *fields[NAMES_MAX + 1];
    struct value key[RECORDS], values[RECORDS][NAMES_MAX];
    struct record records[RECORDS];
};

static void fill(struct world *w, const struct connector *c, const struct object *o)
{
    static const struct slice id = {"v1", 2}, base = {"https://base", 12};
    for (size_t i = 0; i < c->option_count; i++)
        w->options[i] = c->options[i].preset                ? c->options[i].preset
                        : strstr(c->options[i].name, "url") ? base.p
                                                            : "opt";
    for (size_t i = 0; i < CONNECTOR_VARS_MAX; i++) {
        w->vars[i] = i < c->var_count && strstr(c->vars[i], "url") ? base : id;
        bool is_base = i < c->auth_var_count && strstr(c->auth_vars[i], "url");
        w->auth_vars[i] = is_base ? base : id;
    }
    w->keys[0] = o->key_count && strcmp(o->keys[0].name, "*") != 0 ? o->keys[0].name : "id";
    size_t n = 0;
    for (size_t i = 0; i < o->field_count && n < NAMES_MAX - 1; i++)
        w->fields[n++] = strcmp(o->fields[i].name, "*") != 0 ? o->fields[i].name : "zz.other";
    if (!n)
        w->fields[n++] = w->keys[0];
    w->fields[n] = NULL;
}

static void fill_records(struct world *w, enum record_op op)
{
    static const char *const texts[RECORDS] = {"a@b.c", "x\"y\n/z", "7"};
    for (uint32_t i = 0; i < RECORDS; i++) {
        w->found[i] = slice_str(i ? "f\"1" : NULL);
        w->key[i] = sample_text(texts[i]);
        for (size_t k = 0; w->fields[k]; k++) {
            struct value forms[] = {w->key[i],
                                    sample_number("12345678901234567"),
                                    {.kind = VALUE_NULL},
                                    sample_json("[{\"a\":null}]")};
            w->values[i][k] = forms[(i + k) % ARRAY_LEN(forms)];
        }
        bool bare = op == OP_DELETE || op == OP_CLEAR;
        w->records[i] = (struct record){i, op, &w->key[i], bare ? NULL : w->values[i]};
    }
}

static void check(const struct world *w, const struct step *s)
{
    struct slice body = w->kit.rendered.body;
    assert_memory_equal(w->kit.rendered.url, "http", 4);
    if (s->body == BODY_JSON_TREE && !s->gzip && s->gzip_option < 0) {
        json_error_t error;
        json_t *j =
            json_loadb(body.p, body.n,
                       JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
        if (!j)
            fail_msg("%s: %.*s", error.text, (int)body.n, body.p);
        json_decref(j);
    }
}

static void render_with(struct world *w, const struct step *s, enum record_op op, uint32_t count)
{
    struct err err;
    struct kit_batch b = {.keys = w->keys, .fields = w->fields, .sequence = 1, .last = true};
    struct render_input in = {.vars = w->vars, .auth_vars = w->auth_vars, .found = w->found};
    fill_records(w, op);
    enum err_code rc = kit_render(&w->kit, &b, w->records, count, &in, &err);
    /* A request of one record may find that it has nothing to put in the address. */
    if (rc && rc != ERR_REFUSED)
        fail_msg("%s: object %s, step %s, %s: %s", w->kit.context.connector->name,
                 w->kit.context.object->name, s->name ? s->name : "?", record_op_name(op),
                 err.text);
    if (!rc)
        check(w, s);
}

static void render_steps(struct world *w, const struct object *o, const struct step *steps,
                         size_t step_count, uint32_t ops, uint32_t max)
{
    uint32_t count = max && max < RECORDS ? max : RECORDS;
    for (size_t i = 0; i < step_count; i++) {
        w->kit.context.object = o;
        w->kit.context.step = &steps[i];
        for (enum record_op op = OP_UPSERT; op <= OP_APPEND; op++)
            if (ops & 1U << op)
                render_with(w, &steps[i], op, count);
    }
}

static void render_object(struct world *w, const struct connector *c, const struct object *o)
{
    fill(w, c, o);
    w->kit.context.star = SLICE_LIT("star name");
    for (size_t i = 0; i < (c->auth_count ? c->auth_count : 1); i++) {
        w->kit.context.auth = c->auth_count ? &c->auths[i] : NULL;
        render_steps(w, o, o->ensure, o->ensure_count, 1U << OP_UPSERT, 0);
        for (size_t k = 0; k < o->request_count; k++) {
            const struct request *r = &o->requests[k];
            uint32_t max = r->max_records ? r->max_records : o->max_records;
            render_steps(w, o, r->steps, r->step_count, r->ops, max);
        }
    }
}

static void every_request_of_every_builtin_is_rendered(void **state)
{
    (void)state;
    size_t count;
    const char *const *names = connector_builtin_names(&count);
    for (size_t i = 0; i < count; i++) {
        struct connector_text t;
        struct world w = {0};
        connector_text_builtin(&t, names[i]);
        kit_init(&w.kit);
        w.kit.context.connector = t.connector;
        w.kit.context.options = w.options;
        for (size_t k = 0; k < t.connector->object_count; k++)
            render_object(&w, t.connector, &t.connector->objects[k]);
        kit_done(&w.kit);
        connector_text_done(&t);
    }
}

static void the_webhooks_yaml_gives_its_body(void **state)
{
    (void)state;
    static const char *const keys[] = {"id", NULL}, *const fields[] = {"id", "a.b", "n", NULL};
    static const char expected[] =
        "{\"sync\":\"s\",\"run\":\"r\",\"batch\":\"b\",\"attempt\":3,\"records\":["
        "{\"op\":\"upsert\",\"key\":{\"id\":1},\"fields\":{\"id\":1,\"a\":{\"b\":\"x\\\"\"},\"n\":"
        "null}},"
        "{\"op\":\"delete\",\"key\":{\"id\":1},\"fields\":{}},"
        "{\"op\":\"clear\",\"key\":{\"id\":1},\"fields\":{\"a\":{\"b\":null},\"n\":null}}]}";
    const char *options[CONNECTOR_OPTIONS_MAX] = {"http://x/in"};
    struct value key = sample_number("1");
    struct value v[] = {sample_number("1"), sample_text("x\""), {.kind = VALUE_NULL}};
    struct record r[] = {
        {0, OP_UPSERT, &key, v}, {1, OP_DELETE, &key, NULL}, {2, OP_CLEAR, &key, NULL}};
    const struct kit_batch b = {.keys = keys, .fields = fields};
    struct render_input in = {0};
    struct connector_text t;
    struct kit k;
    struct err err;
    connector_text_builtin(&t, "webhook");
    kit_init(&k);
    k.context.connector = t.connector;
    k.context.options = options;
    k.context.object = &t.connector->objects[0];
    k.context.step = &t.connector->objects[0].requests[0].steps[0];
    if (kit_render(&k, &b, r, ARRAY_LEN(r), &in, &err))
        fail_msg("%s", err.text);
    assert_true(slice_eq_str(k.rendered.body, expected));
    assert_string_equal(k.rendered.url, "http://x/in");
    assert_int_equal(k.rendered.header_count, 2);
    assert_string_equal(k.rendered.headers[0], "Content-Type: application/json");
    assert_string_equal(k.rendered.headers[1], "Idempotency-Key: p");
    kit_done(&k);
    connector_text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_of_every_builtin_is_rendered),
        cmocka_unit_test(the_webhooks_yaml_gives_its_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
