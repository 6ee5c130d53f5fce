/* Shapes of APIs beyond one plain batch: sessions, jobs, lookups of single records, other bodies.
 */
#include "tests/unit/connector/connector_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- rows under a schema, a session ---- */

static const char audience[] =
    "options: {token: {required: true}}\n"
    "auth: {query: {access_token: \"{{options.token}}\"}, body: {app: x}}\n"
    "objects:\n"
    "  replace/*:\n"
    "    fields: {EMAIL: {}, PHONE: {}}\n"
    "    max_records: 10000\n"
    "    session: true\n"
    "    requests:\n"
    "      upsert:\n"
    "        url: https://graph.example/{{object}}\n"
    "        body:\n"
    "          json:\n"
    "            session: {id: \"{{session.id}}\", seq: \"{{session.seq}}\", last: "
    "\"{{session.last}}\"}\n"
    "            schema: {$columns: {as: {EMAIL: em}}}\n"
    "            action: {$op: {upsert: add, default: del}}\n"
    "            data: {$records: {$row: {filler: {}, cell: {id: \"{{cell}}\", of: "
    "\"{{column}}\"}}}}\n"
    "        verdicts: {counts: {failed: /bad, reasons: /samples, then: split}}\n";

static void rows_under_a_schema_and_sessions_are_read(void **state)
{
    (void)state;
    struct connector_text t;
    const struct connector *c = read_good(&t, audience);
    const struct object *o = &c->objects[0];
    assert_true(o->session && o->one_lane);
    assert_int_equal(o->modes, 1 << MODE_UPSERT | 1 << MODE_FULL);
    assert_int_equal(o->removals, 1 << REMOVED_IGNORE);
    assert_int_equal(o->batch_records, 10000);
    assert_int_equal(o->key_count, 1);
    assert_string_equal(o->keys[0].name, "*");
    const struct step *s = &o->requests[0].steps[0];
    assert_true(s->carries);
    const struct tree *schema = member_of(s->json, "schema")->value;
    assert_int_equal(schema->kind, TREE_COLUMNS);
    assert_string_equal(schema->fields.names[0].value, "em");
    assert_string_equal(member_of(s->json, "action")->value->literal, "\"add\"");
    const struct tree *row = member_of(s->json, "data")->value->items[0];
    assert_int_equal(row->kind, TREE_ROW);
    assert_piece(&member_of(row->items[0], "id")->value->text, 0, PIECE_CELL, NULL);
    assert_int_equal(row->items[1]->kind, TREE_OBJECT);
    assert_true(s->verdicts->failed.given && s->verdicts->reasons.given);
    assert_int_equal(s->verdicts->then, COUNTS_SPLIT);
    assert_int_equal(s->verdicts->source_count, 0);
    struct slice star;
    assert_ptr_equal(connector_object(c, "replace/7", &star), o);
    assert_true(slice_eq_str(star, "7"));
    assert_null(connector_object(c, "replace/", &star));
    assert_null(connector_object(c, "other", &star));
    assert_ptr_equal(connector_object(c, NULL, &star), o);
    connector_text_done(&t);
}

static void indexes_in_one_of_several_arrays_count_its_records(void **state)
{
    (void)state;
    struct connector_text t;
    const struct connector *c = read_good(
        &t, "objects:\n"
            "  o:\n"
            "    max_records: 75\n"
            "    requests:\n"
            "      upsert:\n"
            "        url: https://x.example\n"
            "        body: {json: {all: {people: {$records: 1, only: {op: [upsert]}}, "
            "events: {$records: 2, only: {field: kind, in: [event, 7]}}}}}\n"
            "        verdicts: {at: /errors, index: /i, in: {at: /of, equals: events}}\n");
    const struct verdict_source *v = &c->objects[0].requests[0].steps[0].verdicts->sources[0];
    assert_string_equal(v->among.field, "kind");
    assert_int_equal(v->among.in_count, 2);
    assert_string_equal(v->among.in[1], "7");
    assert_int_equal(v->among.ops, 0);
    connector_text_done(&t);
}

/* ---- a bulk job: create, append, commit, poll, fetch ---- */

static const char bulk[] =
    "options: {first: {default: 5s}, check: {kind: bool, default: true}}\n"
    "answers:\n"
    "  job:\n"
    "    - {step: status, json: {at: /state, equals: done}, do: ok}\n"
    "    - {step: status, json: {at: /state, in: [failed, aborted]}, do: restart, message: /why}\n"
    "    - {step: status, status: 200, do: pending, wait: 7s}\n"
    "    - {step: upload, status: 409, do: {goto: create}}\n"
    "    - {no_answer: true, do: retry, unsure: false}\n"
    "objects:\n"
    "  things:\n"
    "    keys: {id: {}}\n"
    "    fields: {\"*\": {}}\n"
    "    max_records: 5000\n"
    "    requests:\n"
    "      upsert:\n"
    "        max_records: 4000\n"
    "        steps:\n"
    "          - name: create\n"
    "            url: https://x.example/jobs\n"
    "            body: {json: {object: \"{{object}}\", key: \"{{identify_by}}\"}}\n"
    "            capture: {job: {json: /id}, place: {header: Location, matches: \"/([0-9]+)$\"}}\n"
    "            opens: true\n"
    "            answers: job\n"
    "          - name: upload\n"
    "            method: PUT\n"
    "            url: https://x.example/jobs/{{vars.job}}\n"
    "            body: {csv: {columns: [id, name], delimiter: \";\", line: \"\\r\\n\", null: "
    "\"#N/A\", key_first: true, header: false}}\n"
    "            answers: job\n"
    "          - name: status\n"
    "            method: GET\n"
    "            url: https://x.example/jobs/{{vars.job}}\n"
    "            wait: {first: \"{{options.first}}\", every: 10s, factor: 2, max: 1m, deadline: "
    "1h}\n"
    "            answers: job\n"
    "          - name: failed\n"
    "            if: options.check\n"
    "            method: GET\n"
    "            url: https://x.example/jobs/{{vars.place}}/failed\n"
    "            query: {cursor: \"{{vars.page}}\"}\n"
    "            pages: {next: {json: /next, matches: \"c=(.+)\"}, var: page}\n"
    "            answers: [{status: 404, do: ok, verdicts: {at: \"\", by: column, format: csv, "
    "message: /error}}]\n"
    "            verdicts:\n"
    "              - {at: \"\", column: \"{{identify_by}}\", format: csv, message: /error}\n"
    "              - {at: /list, index: /i, base: 1, in: {at: /array, equals: things}}\n"
    "              - {at: /list, pointer: {at: /p, matches: \"/(\\\\d+)/\"}, ok: {at: /ok, exists: "
    "true}}\n";

static void a_job_with_polling_and_csv_is_read(void **state)
{
    (void)state;
    struct connector_text t;
    const struct connector *c = read_good(&t, bulk);
    const struct request *r = &c->objects[0].requests[0];
    assert_int_equal(r->max_records, 4000);
    assert_int_equal(r->step_count, 4);
    const struct step *s = r->steps;
    assert_true(s[0].opens);
    assert_false(s[0].carries);
    assert_int_equal(s[0].capture_count, 2);
    assert_int_equal(s[0].captures[1].from, CAPTURE_HEADER);
    assert_string_equal(s[0].captures[1].matches, "/([0-9]+)$");
    assert_string_equal(c->vars[s[0].captures[0].var], "job");
    assert_int_equal(s[1].body, BODY_CSV);
    assert_true(s[1].carries);
    assert_int_equal(s[1].csv.fields.only_count, 2);
    assert_int_equal(s[1].csv.delimiter, ';');
    assert_string_equal(s[1].csv.line, "\r\n");
    assert_string_equal(s[1].csv.fields.null.text, "#N/A");
    assert_true(s[1].csv.key_first);
    assert_false(s[1].csv.header);
    assert_true(s[2].poll.given);
    assert_int_equal(s[2].poll.first_option, 0);
    assert_int_equal(s[2].poll.every_ms, 10000);
    assert_int_equal(s[2].poll.max_ms, 60000);
    assert_int_equal(s[2].poll.deadline_ms, 3600000);
    assert_true(s[2].poll.factor == 2);
    assert_int_equal(s[3].if_option, 1);
    assert_true(s[3].pages.given);
    assert_string_equal(s[3].pages.matches, "c=(.+)");
    assert_string_equal(c->vars[s[3].pages.var], "page");
    connector_text_done(&t);
}

static void rules_of_steps_are_resolved_in_each_request(void **state)
{
    (void)state;
    struct connector_text t;
    const struct step *s = read_good(&t, bulk)->objects[0].requests[0].steps;
    const struct rule *rules = s[2].answers->rules;
    assert_int_equal(rules[0].when.step, 2);
    assert_int_equal(rules[1].act, DO_RESTART);
    assert_int_equal(rules[2].act, DO_PENDING);
    assert_int_equal(rules[2].wait.items[0].fixed_ms, 7000);
    assert_int_equal(rules[3].act, DO_GOTO);
    assert_int_equal(rules[3].step, 0);
    assert_int_equal(rules[3].when.step, 1);
    assert_int_equal(rules[4].when.answer, ANSWER_NONE);
    assert_true(rules[4].unsure_set && !rules[4].unsure);
    const struct verdicts *of_rule = s[3].answers->rules[0].verdicts;
    assert_int_equal(of_rule->sources[0].by, BY_COLUMN);
    assert_null(of_rule->sources[0].column);
    const struct verdict_source *v = s[3].verdicts->sources;
    assert_int_equal(s[3].verdicts->source_count, 3);
    assert_int_equal(v[0].format, FORMAT_CSV);
    assert_int_equal(v[1].by, BY_INDEX);
    assert_int_equal(v[1].base, 1);
    assert_true(v[1].in.at.given);
    assert_int_equal(v[2].by, BY_POINTER);
    assert_string_equal(v[2].matches, "/(\\d+)/");
    connector_text_done(&t);
}

/* ---- one record at a time, by lookup ---- */

static const char by_lookup[] =
    "objects:\n"
    "  people:\n"
    "    keys: {id: {}}\n"
    "    fields: {\"*\": {}}\n"
    "    max_records: 1\n"
    "    ensure:\n"
    "      - {name: find, method: GET, url: https://x.example/lists, capture: {list: {json: /all, "
    "named: /name, take: /id}}}\n"
    "      - {name: make, unless: vars.list, url: https://x.example/lists, capture: {list: {json: "
    "/id}}}\n"
    "    requests:\n"
    "      upsert:\n"
    "        steps:\n"
    "          - {name: search, url: https://x.example/search, body: {json: {$record: "
    "\"{{key}}\"}}, lookup: {single: true, id: /id, missing: create}}\n"
    "          - {name: write, method: PUT, url: \"https://x.example/{{vars.list}}/{{found}}\", "
    "body: {form: {a: \"{{fields.a.b}}\", b: {json: {$keys: {}}}}}, carries: false}\n"
    "      append: {url: https://x.example/log, body: {ndjson: {$fields: {}}}}\n"
    "      insert: {url: https://x.example/text, body: {text: \"\\\\{{ {{uid}} "
    "{{now}}{{{op}}}\"}}\n"
    "      update: {url: https://x.example/if, body: {json: [{$if: [fields.a, options.x], $value: "
    "1}, {$json: \"{{fields.raw}}\"}]}}\n"
    "options: {x: words}\n";

static void a_lookup_of_single_records_is_read(void **state)
{
    (void)state;
    struct connector_text t;
    const struct object *o = &read_good(&t, by_lookup)->objects[0];
    assert_int_equal(o->ensure_count, 2);
    assert_true(o->ensure[0].captures[0].named.given && o->ensure[0].captures[0].take.given);
    assert_int_equal(o->ensure[1].unless_var, 0);
    const struct step *s = request_of(o, OP_UPSERT)->steps;
    assert_true(s[0].lookup->single);
    assert_int_equal(s[0].lookup->missing, MISSING_KEEP);
    assert_int_equal(s[0].json->kind, TREE_RECORD);
    assert_false(s[0].carries);
    assert_false(s[1].carries);
    assert_int_equal(s[1].body, BODY_FORM);
    assert_piece(&s[1].form[0].text, 0, PIECE_FIELD, "a.b");
    assert_int_equal(s[1].form[1].json->members[0].kind, MEMBER_KEYS);
    connector_text_done(&t);
}

static void other_bodies_are_read(void **state)
{
    (void)state;
    struct connector_text t;
    const struct object *o = &read_good(&t, by_lookup)->objects[0];
    assert_int_equal(request_of(o, OP_APPEND)->steps[0].body, BODY_NDJSON);
    const struct template *text = &request_of(o, OP_INSERT)->steps[0].text;
    assert_piece(text, 0, PIECE_TEXT, "{{ ");
    assert_piece(text, 1, PIECE_UID, NULL);
    assert_piece(text, 3, PIECE_NOW, NULL);
    assert_piece(text, 4, PIECE_TEXT, "{");
    assert_piece(text, 5, PIECE_OP, NULL);
    assert_piece(text, 6, PIECE_TEXT, "}");
    const struct tree *list = request_of(o, OP_UPDATE)->steps[0].json;
    assert_int_equal(list->kind, TREE_ARRAY);
    assert_int_equal(list->items[0]->guard_count, 2);
    assert_string_equal(list->items[0]->literal, "1");
    assert_int_equal(list->items[1]->kind, TREE_JSON);
    connector_text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_under_a_schema_and_sessions_are_read),
        cmocka_unit_test(indexes_in_one_of_several_arrays_count_its_records),
        cmocka_unit_test(a_job_with_polling_and_csv_is_read),
        cmocka_unit_test(rules_of_steps_are_resolved_in_each_request),
        cmocka_unit_test(a_lookup_of_single_records_is_read),
        cmocka_unit_test(other_bodies_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
