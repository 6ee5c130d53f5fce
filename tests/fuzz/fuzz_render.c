/* Random records through a fixed set of plans: whatever the values, a JSON body is valid JSON, a
 * CSV body has one row of equal length per record, a URL and the headers hold no control character.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "tests/unit/worker/kit.h"

enum { FIELDS = 4, RECORDS_MAX = 4, TEXT_MAX = 48 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    const uint8_t *end;
};

static uint8_t byte(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

/* Text as a batch may hold it: valid UTF-8 without NUL. */
static struct value text(struct input *in)
{
    size_t n = byte(in) % TEXT_MAX;
    if (n > (size_t)(in->end - in->p))
        n = (size_t)(in->end - in->p);
    struct slice s = slice_of(in->p, n);
    in->p += n;
    if (!utf8_valid(s) || memchr(s.p, 0, s.n))
        s = SLICE_LIT("\xc3\xa9");
    return value_of(VALUE_TEXT, s);
}

static struct value value(struct input *in, bool key)
{
    static const char *const numbers[] = {"0", "-1.5e+300", "123456789012345678901234567890"};
    static const char *const jsons[] = {"null", "{\"a\":[1,\"\\\"\"]}", "[]", "\"x\\ny\""};
    uint8_t b = byte(in);
    switch (b % (key ? 3 : 7)) {
    case 0:
        return text(in);
    case 1:
        return value_of(VALUE_NUMBER, slice_str(numbers[b / 8 % ARRAY_LEN(numbers)]));
    case 2:
        return (struct value){.kind = b & 8 ? VALUE_TRUE : VALUE_FALSE};
    case 3:
        return value_of(VALUE_JSON, slice_str(jsons[b / 8 % ARRAY_LEN(jsons)]));
    case 4:
        return (struct value){.kind = VALUE_ABSENT};
    case 5:
        return (struct value){.kind = VALUE_NULL};
    default:
        return text(in);
    }
}

/* ---- plans ---- */

static const char *const TREES[] = {
    "{\"records\":{\"$records\":{\"op\":\"{{op}}\",\"key\":{\"$keys\":{}},\"fields\":{\"$fields\":{"
    "}}}}}",
    "{\"$records\":{\"$null\":\"omit\",\"t\":\"{{trace}}\",\"u\":\"{{uid}}\",\"f\":\"{{found}}\","
    "\"x\":\"<{{fields.a}}|{{fields.b.c}}>\",\"{{identify_by}}\":\"{{key|lower}}\","
    "\"p\":{\"$fields\":{\"as\":\"text\",\"null\":\"\"}}}}",
    "{\"s\":{\"$columns\":{}},\"d\":{\"$records\":{\"$row\":{\"filler\":[\"\"],\"cell\":"
    "{\"{{column}}\":\"{{cell}}\"}}}},\"k\":{\"$records\":\"{{key}}\",\"only\":{\"field\":\"a\","
    "\"in\":"
    "[\"true\",\"0\"]}}}",
    "{\"$records\":{\"$if\":[\"fields.a\",\"fields.d\"],\"j\":{\"$json\":\"{{fields.a}}{{fields.d}}"
    "\"},"
    "\"o\":{\"$op\":{\"delete\":{\"$keys\":{\"as\":\"text\"}},\"upsert\":{\"$fields\":{\"null\":"
    "\"omit\",\"nested\":false}}}},\"l\":[{\"$if\":\"fields.b.c\",\"$value\":\"{{fields.b.c|json}}"
    "\"},"
    "{\"$if\":\"fields.d\",\"$value\":\"{{fields.d|upper|base64}}\"}]}}",
    "{\"g\":\"{{group.a}}\",\"r\":{\"$records\":{\"$fields\":{\"null\":\"omit\",\"merge\":{\"add\":"
    "\"{{cell}}\",\"of\":\"{{group.d|lower}}\"}}}}}",
};
enum { PLAN_NDJSON = ARRAY_LEN(TREES), PLAN_CSV, PLAN_FORM, PLAN_ONE, PLANS };

static void check_json(struct slice body)
{
    json_error_t error;
    json_t *j = json_loadb(
        body.p, body.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (!j)
        fprintf(stderr, "%s: %.*s\n", error.text, (int)body.n, body.p);
    ensure(j || json_error_code(&error) == json_error_numeric_overflow);
    json_decref(j);
}

static void check_lines(struct slice body)
{
    while (body.n) {
        const char *end = memchr(body.p, '\n', body.n);
        ensure(end);
        check_json(slice_of(body.p, (size_t)(end - body.p)));
        body = slice_of(end + 1, body.n - (size_t)(end + 1 - body.p));
    }
}

static void check_csv(struct slice body, uint32_t rows, size_t columns)
{
    size_t cells = 1;
    bool quoted = false;
    for (size_t i = 0; i < body.n; i++) {
        quoted ^= body.p[i] == '"';
        if (quoted)
            continue;
        cells += body.p[i] == ',';
        ensure(body.p[i] != '\r');
        if (body.p[i] == '\n') {
            ensure(cells == columns && rows-- > 0);
            cells = 1;
        }
    }
    ensure(!quoted && rows == 0 && (!body.n || body.p[body.n - 1] == '\n'));
}

static void check_form(struct slice body)
{
    for (size_t i = 0; i < body.n; i++)
        ensure(body.p[i] &&
               (strchr("%-._~=&", body.p[i]) || (body.p[i] >= '0' && body.p[i] <= '9') ||
                ((body.p[i] | 32) >= 'a' && (body.p[i] | 32) <= 'z')));
}

static void set_plan(struct kit *k, unsigned which)
{
    struct form_member *form = arena_alloc(&k->arena, 2 * sizeof *form);
    ensure(form);
    if (which < ARRAY_LEN(TREES)) {
        kit_json(k, TREES[which]);
    } else if (which == PLAN_NDJSON) {
        k->step.body = BODY_NDJSON;
        k->step.json = kit_tree(k, "{\"$if\":\"fields.a\",\"f\":{\"$fields\":{}}}");
    } else if (which == PLAN_CSV) {
        k->step.body = BODY_CSV;
        k->step.csv = (struct csv_form){.fields = {.policy = -1, .null = {NULL_TEXT, "#N/A"}},
                                        .header = true,
                                        .delimiter = ',',
                                        .line = "\n",
                                        .key_first = true};
    } else if (which == PLAN_FORM) {
        form[0] = (struct form_member){.name = "a b", .text = kit_template(k, "{{fields.a}}&")};
        form[1] = (struct form_member){.name = "j", .json = kit_tree(k, "{\"$fields\":{}}")};
        k->step.body = BODY_FORM;
        k->step.form = form;
        k->step.form_count = 2;
    } else {
        kit_json(
            k, "{\"id\":\"{{key}}\",\"all\":{\"$fields\":{}},\"r\":{\"$records\":\"{{index}}\"}}");
        k->step.url = kit_template(k, "http://x/{{key}}?{{fields.a}}");
        k->step.headers =
            kit_named(k, &k->step.header_count,
                      (const char *const[]){"X-A: {{fields.a}}", "X-B: <{{key}}>", NULL});
    }
}

static void check(const struct kit *k, unsigned which)
{
    const struct rendered *r = &k->rendered;
    if (which < ARRAY_LEN(TREES) || which == PLAN_ONE)
        check_json(r->body);
    else if (which == PLAN_NDJSON)
        check_lines(r->body);
    else if (which == PLAN_CSV)
        check_csv(r->body, r->records + 1, FIELDS + 1);
    else
        check_form(r->body);
    for (const char *p = r->url; *p; p++)
        ensure((unsigned char)*p > ' ' && (unsigned char)*p < 0x7F);
    for (size_t i = 0; i < r->header_count; i++)
        for (const char *p = r->headers[i]; *p; p++)
            ensure((unsigned char)*p >= ' ' && *p != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"id", NULL};
    static const char *const fields[] = {"a", "b.c", "b.e", "d", NULL};
    static const uint8_t policies[FIELDS] = {POLICY_OVERWRITE, POLICY_CREATE_ONLY,
                                             POLICY_SET_IF_EMPTY, POLICY_MERGE};
    static const char *const groups[] = {"a", "d"};
    struct input in = {data, data + size};
    struct value key[RECORDS_MAX], values[RECORDS_MAX][FIELDS];
    struct record records[RECORDS_MAX];
    struct slice found[RECORDS_MAX];
    uint64_t left_out[RECORDS_MAX];
    unsigned which = byte(&in) % PLANS;
    uint32_t count = which >= PLAN_FORM ? 1 : 1 + byte(&in) % RECORDS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        enum record_op op = byte(&in) % 6;
        bool bare = op == OP_DELETE || op == OP_CLEAR;
        left_out[i] = byte(&in) & 3;
        found[i] = left_out[i] & 1 ? SLICE_LIT("i\"d") : (struct slice){0};
        key[i] = value(&in, true);
        for (size_t f = 0; f < FIELDS; f++)
            values[i][f] = value(&in, false);
        records[i] = (struct record){i * 3, op, &key[i], bare ? NULL : values[i]};
    }
    const struct kit_batch batch = {
        .keys = keys, .fields = fields, .policies = policies, .planned = RECORDS_MAX * 3};
    struct render_input input = {.found = found, .left_out = left_out};
    struct kit k;
    struct err err;
    kit_init(&k);
    k.object.group_by = groups;
    k.object.group_count = ARRAY_LEN(groups);
    set_plan(&k, which);
    enum err_code rc = kit_render(&k, &batch, records, count, &input, &err);
    ensure(!rc || (which == PLAN_ONE && (rc == ERR_REFUSED || rc == ERR_CONFIG)));
    if (!rc)
        check(&k, which);
    kit_done(&k);
    return 0;
}
