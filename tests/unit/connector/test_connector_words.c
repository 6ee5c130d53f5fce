/* The words of the grammar become the data that they stand for. */
#include "tests/unit/connector/connector_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_level(const struct pointer *p, size_t i, const char *name)
{
    assert_true(i < p->count);
    assert_string_equal(p->levels[i].name, name);
}

/* ---- a batch API whose errors name an injected id ---- */

static const char batch_api[] =
    "title: CRM\n"
    "docs: https://example.com\n"
    "checked: 2026-08-21\n"
    "notes: words\n"
    "options:\n"
    "  token: {secret: true, about: of a private app}\n"
    "  refresh_token: {secret: true}\n"
    "  plan: {default: free, one_of: [free, pro]}\n"
    "  gzip: {kind: bool, default: false}\n"
    "  sign.secret: key\n"
    "  base_url: {default: \"https://api.example.com\"}\n"
    "auth:\n"
    "  - when: options.token\n"
    "    headers: {Authorization: \"Bearer {{options.token}}\"}\n"
    "    hmac: {header: X-Sign, secret: \"{{options.sign.secret}}\", prefix: \"sha256=\"}\n"
    "  - when: [options.refresh_token, options.sign.secret]\n"
    "    token:\n"
    "      grant: refresh_token\n"
    "      url: \"{{options.base_url}}/token\"\n"
    "      refresh: \"{{options.refresh_token}}\"\n"
    "      rotates: true\n"
    "      capture: {token: {json: /access_token}, refresh: {json: /refresh_token}, host: {json: "
    "/host}}\n"
    "      lifetime: 25m\n"
    "    headers: {Authorization: \"Bearer {{auth.token}}\"}\n"
    "limits:\n"
    "  by: plan\n"
    "  cases: {free: [{requests: 100, per: 10s}], pro: [{requests: 190, per: 10s}, {records: 5, "
    "per: 1s, group: search}]}\n"
    "  default: [{requests: 1, per: 1s}]\n"
    "open_jobs: 30\n"
    "concurrency: 4\n"
    "timeout: 20s\n"
    "signals:\n"
    "  - {header: X-Left, at_most: 0, pause: [{header: X-Reset, as: epoch}, 10s]}\n"
    "  - {header: X-Usage, json: \"/*/*/percent\", at_least: 95, pause: {json: \"/*/*/minutes\", "
    "as: minutes}}\n"
    "answers:\n"
    "  default:\n"
    "    - {status: 429, json: {at: /policy, equals: DAILY}, do: throttle, wait: [{header: "
    "Retry-After}, {until: utc_midnight}]}\n"
    "    - {status: [409, 423], do: retry}\n"
    "objects: {}\n";

static const char batch_object[] =
    "objects:\n"
    "  contacts: &contacts\n"
    "    keys: {email: {type: text, recipe: plain_email, as: mail, remove: false}, \"*\": {}}\n"
    "    fields: {name: {type: text, required: true}, \"*\": {}}\n"
    "    any_of: [email, phone]\n"
    "    modes: [upsert, update, mirror, full]\n"
    "    remove: [delete, clear]\n"
    "    conflicts: {set_if_empty: native, newest_wins: lookup}\n"
    "    repeat: keyed\n"
    "    max_records: 100\n"
    "    batch_records: 50\n"
    "    max_bytes: 3MB\n"
    "    batch_bytes: 1MB\n"
    "    max_item_bytes: 32kB\n"
    "    max_values: 1000\n"
    "    group_by: [account, email]\n"
    "    order_by: \"{{identify_by}}\"\n"
    "    unique_by: name\n"
    "    lane_by: account\n"
    "    hold: 1s\n"
    "    fields_as: text\n"
    "    null: \"\"\n"
    "    requests:\n"
    "      upsert:\n"
    "        url: \"{{options.base_url}}/{{object}}/batch?x={{key_as|raw}}\"\n"
    "        query: {page: \"{{records}}\", of: \"{{group.email|lower}}\"}\n"
    "        headers: {Revision: \"2026\"}\n"
    "        gzip: \"{{options.gzip}}\"\n"
    "        idempotency: Idempotency-Key\n"
    "        group: search\n"
    "        timeout: 5s\n"
    "        max_records: 20\n"
    "        max_bytes: 500kB\n"
    "        body:\n"
    "          json:\n"
    "            n: 1.50\n"
    "            inputs:\n"
    "              $records: {id: \"{{key|lower|md5}}\", \"{{identify_by}}\": \"a{{trace}}\", "
    "$fields: {except: [\"{{identify_by}}\", name], null: omit, as: text, nested: false, policy: "
    "overwrite}, $$set: 1, $null: omit}\n"
    "              only: {op: [upsert, clear]}\n"
    "        verdicts:\n"
    "          at: /errors\n"
    "          trace: /context/*\n"
    "          retryable: {at: /category, in: [RATE, 7]}\n"
    "          message: [/message, /reason]\n"
    "          code: /category\n"
    "          unmentioned: open\n"
    "          assert: {sum: [/results, /errors], equals: records}\n"
    "      clear: upsert\n"
    "      update:\n"
    "        url: https://x.example/update\n"
    "        lookup: {entries: /data, key: \"/{{identify_by}}\", key_as: lower, id: /id, missing: "
    "not_found, values: {name: /name, \"*\": /all}, updated: /at}\n"
    "        body: {json: {$records: \"{{key}}\"}}\n"
    "      delete: {method: DELETE, url: \"https://x.example/?ids={{joins.ids}}\", joins: {ids: "
    "{each: \"'{{key}}'\", by: \",\", escape: {\"'\": \"\\\\'\"}, skip_absent: true}}}\n";

static const struct connector *read_batch_api(struct connector_text *t, char *text, size_t size)
{
    size_t head = strlen(batch_api) - strlen("objects: {}\n");
    assert_true(head + strlen(batch_object) < size);
    memcpy(text, batch_api, head);
    strcpy(text + head, batch_object);
    return read_good(t, text);
}

static void top_level_words_become_the_connectors_data(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct connector *c = read_batch_api(&t, text, sizeof text);
    assert_string_equal(c->title, "CRM");
    assert_string_equal(c->docs, "https://example.com");
    assert_string_equal(c->checked, "2026-08-21");
    assert_string_equal(c->notes, "words");
    assert_string_equal(c->driver, "http");
    assert_false(c->builtin);
    assert_int_equal(c->option_count, 6);
    assert_true(c->options[0].secret);
    assert_string_equal(c->options[0].about, "of a private app");
    assert_string_equal(c->options[2].preset, "free");
    assert_int_equal(c->options[2].one_of_count, 2);
    assert_int_equal(c->options[3].kind, OPTION_BOOL);
    assert_string_equal(c->options[3].preset, "false");
    assert_string_equal(c->options[4].name, "sign.secret");
    assert_string_equal(c->options[4].about, "key");
    assert_int_equal(c->open_jobs, 30);
    assert_int_equal(c->concurrency, 4);
    assert_int_equal(c->timeout_ms, 20000);
    assert_int_equal(c->limit_option, 2);
    assert_int_equal(c->limit_case_count, 3);
    assert_string_equal(c->limit_cases[1].value, "pro");
    assert_int_equal(c->limit_cases[1].limits[1].kind, RATE_RECORDS);
    assert_int_equal(c->limit_cases[1].limits[1].group, 2);
    assert_int_equal(c->limit_cases[1].limits[0].group, 0);
    assert_null(c->limit_cases[2].value);
    assert_int_equal(c->group_count, 2);
    assert_string_equal(c->groups[0], "main");
    connector_text_done(&t);
}

static void auth_words_become_ways_of_authentication(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct connector *c = read_batch_api(&t, text, sizeof text);
    assert_int_equal(c->auth_count, 2);
    const struct auth *a = &c->auths[0];
    assert_int_equal(a->when_count, 1);
    assert_int_equal(a->when[0], 0);
    assert_string_equal(a->headers[0].name, "Authorization");
    assert_piece(&a->headers[0].value, 0, PIECE_TEXT, "Bearer ");
    assert_piece(&a->headers[0].value, 1, PIECE_OPTION, NULL);
    assert_string_equal(a->hmac.header, "X-Sign");
    assert_string_equal(a->hmac.algorithm, "sha256");
    assert_true(a->hmac.of_body);
    assert_int_equal(a->hmac.secret.pieces[0].index, 4);
    const struct token_request *token = c->auths[1].token;
    assert_non_null(token);
    assert_int_equal(token->grant, GRANT_REFRESH);
    assert_true(token->rotates);
    assert_int_equal(token->lifetime_ms, 1500000);
    assert_int_equal(token->capture_count, 3);
    assert_int_equal(token->captures[0].var, AUTH_TOKEN);
    assert_int_equal(token->captures[2].var, AUTH_VARS_FIXED);
    assert_string_equal(c->auth_vars[AUTH_VARS_FIXED], "host");
    assert_int_equal(token->step.body, BODY_FORM);
    assert_int_equal(token->step.form_count, 2);
    assert_string_equal(token->step.form[1].name, "refresh_token");
    assert_int_equal(token->step.form[1].text.pieces[0].index, AUTH_REFRESH);
    const char *values[6] = {[1] = "r", [4] = "s"};
    assert_ptr_equal(connector_auth(c, values), &c->auths[1]);
    values[4] = NULL;
    assert_null(connector_auth(c, values));
    values[0] = "t";
    assert_ptr_equal(connector_auth(c, values), &c->auths[0]);
    connector_text_done(&t);
}

static void object_words_become_capabilities(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct object *o = &read_batch_api(&t, text, sizeof text)->objects[0];
    assert_string_equal(o->keys[0].recipe, "plain_email");
    assert_string_equal(o->keys[0].as, "mail");
    assert_true(o->keys[0].keeps);
    assert_int_equal(o->fields[0].type, FIELD_IS_TEXT);
    assert_true(o->fields[0].required);
    assert_int_equal(o->any_of_count, 2);
    assert_int_equal(o->modes,
                     1 << MODE_UPSERT | 1 << MODE_UPDATE | 1 << MODE_MIRROR | 1 << MODE_FULL);
    assert_int_equal(o->removals, 1 << REMOVED_IGNORE | 1 << REMOVED_DELETE | 1 << REMOVED_CLEAR);
    assert_int_equal(o->set_if_empty, CONFLICT_NATIVE);
    assert_int_equal(o->newest_wins, CONFLICT_LOOKUP);
    assert_int_equal(o->create_only, CONFLICT_CANNOT);
    assert_int_equal(o->repeat, REPEAT_KEYED);
    assert_int_equal(o->max_records, 100);
    assert_int_equal(o->batch_records, 50);
    assert_int_equal(o->max_bytes, 3000000);
    assert_int_equal(o->batch_bytes, 1000000);
    assert_int_equal(o->max_item_bytes, 32000);
    assert_int_equal(o->max_values, 1000);
    assert_string_equal(o->lane_field, "account");
    assert_int_equal(o->group_count, 2);
    assert_string_equal(o->group_by[0], "account");
    assert_string_equal(o->group_by[1], "email");
    assert_string_equal(o->order_by, "{{identify_by}}");
    assert_string_equal(o->unique_by, "name");
    assert_int_equal(o->hold_ms, 1000);
    assert_int_equal(o->fields_as, AS_TEXT);
    assert_int_equal(o->null.kind, NULL_TEXT);
    assert_string_equal(o->null.text, "");
    assert_int_equal(o->request_of[OP_CLEAR], o->request_of[OP_UPSERT]);
    assert_int_equal(request_of(o, OP_UPSERT)->ops, 1 << OP_UPSERT | 1 << OP_CLEAR);
    assert_int_equal(o->request_of[OP_INSERT], -1);
    connector_text_done(&t);
}

static void request_words_become_a_step(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct object *o = &read_batch_api(&t, text, sizeof text)->objects[0];
    const struct request *r = request_of(o, OP_UPSERT);
    const struct step *s = &r->steps[0];
    assert_int_equal(r->step_count, 1);
    assert_int_equal(r->max_records, 20);
    assert_int_equal(r->max_bytes, 500000);
    assert_string_equal(s->name, "upsert");
    assert_string_equal(s->method, "POST");
    assert_int_equal(s->url.count, 5);
    assert_piece(&s->url, 1, PIECE_TEXT, "/");
    assert_piece(&s->url, 2, PIECE_OBJECT, NULL);
    assert_piece(&s->url, 4, PIECE_KEY_AS, NULL);
    assert_int_equal(s->url.pieces[4].filters[0], FILTER_RAW);
    assert_piece(&s->query[0].value, 0, PIECE_RECORDS, NULL);
    assert_string_equal(s->headers[0].name, "Revision");
    assert_false(s->gzip);
    assert_int_equal(s->gzip_option, 3);
    assert_string_equal(s->idempotency, "Idempotency-Key");
    assert_int_equal(s->group, 2);
    assert_int_equal(s->timeout_ms, 5000);
    assert_int_equal(s->if_var, -1);
    assert_int_equal(s->if_option, -1);
    assert_true(s->carries);
    connector_text_done(&t);
}

static void tree_words_become_trees(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct object *o = &read_batch_api(&t, text, sizeof text)->objects[0];
    const struct tree *body = request_of(o, OP_UPSERT)->steps[0].json;
    assert_string_equal(member_of(body, "n")->value->literal, "1.50");
    const struct tree *records = member_of(body, "inputs")->value;
    assert_int_equal(records->kind, TREE_RECORDS);
    assert_int_equal(records->only.ops, 1 << OP_UPSERT | 1 << OP_CLEAR);
    const struct tree *each = records->items[0];
    assert_true(each->omit_null);
    assert_int_equal(each->count, 4);
    const struct piece *id = member_of(each, "id")->value->text.pieces;
    assert_int_equal(id->kind, PIECE_KEY);
    assert_int_equal(id->filter_count, 2);
    assert_int_equal(id->filters[0], FILTER_LOWER);
    assert_int_equal(id->filters[1], FILTER_MD5);
    assert_piece(&each->members[1].name, 0, PIECE_IDENTIFY_BY, NULL);
    assert_piece(&each->members[1].value->text, 1, PIECE_TRACE, NULL);
    const struct member *fields = &each->members[2];
    assert_int_equal(fields->kind, MEMBER_FIELDS);
    assert_int_equal(fields->fields.except_count, 2);
    assert_string_equal(fields->fields.except[0], "{{identify_by}}");
    assert_int_equal(fields->fields.null.kind, NULL_OMIT);
    assert_int_equal(fields->fields.as, AS_TEXT);
    assert_true(fields->fields.flat);
    assert_int_equal(fields->fields.policy, 0);
    assert_string_equal(member_of(each, "$set")->value->literal, "1");
    connector_text_done(&t);
}

static void verdict_words_become_sources(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct object *o = &read_batch_api(&t, text, sizeof text)->objects[0];
    const struct verdicts *v = request_of(o, OP_UPSERT)->steps[0].verdicts;
    assert_int_equal(v->source_count, 1);
    assert_int_equal(v->unmentioned, UNMENTIONED_OPEN);
    assert_int_equal(v->assert_count, 2);
    assert_int_equal(v->assert_least, 0);
    const struct verdict_source *source = &v->sources[0];
    assert_int_equal(source->by, BY_TRACE);
    assert_level(&source->at, 0, "errors");
    assert_int_equal(source->value.levels[1].kind, LEVEL_ANY);
    assert_int_equal(source->retryable.test.kind, TEST_IN);
    assert_string_equal(source->retryable.test.texts[1], "7");
    assert_int_equal(source->message.count, 2);
    assert_false(source->ok.at.given);
    assert_true(source->code.given);
    connector_text_done(&t);
}

static void a_lookup_and_joins_are_read(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct object *o = &read_batch_api(&t, text, sizeof text)->objects[0];
    const struct step *update = &request_of(o, OP_UPDATE)->steps[0];
    const struct lookup *l = update->lookup;
    assert_false(update->carries);
    assert_int_equal(l->key.levels[0].kind, LEVEL_IDENTIFY_BY);
    assert_int_equal(l->key_form, KEY_LOWER);
    assert_int_equal(l->missing, MISSING_NOT_FOUND);
    assert_int_equal(l->value_count, 2);
    assert_string_equal(l->values[0].field, "name");
    assert_null(l->values[1].field);
    assert_true(l->updated.given);
    const struct step *gone = &request_of(o, OP_DELETE)->steps[0];
    assert_true(gone->carries);
    assert_int_equal(gone->join_count, 1);
    assert_string_equal(gone->joins[0].by, ",");
    assert_true(gone->joins[0].skip_absent);
    assert_string_equal(gone->joins[0].escapes[0].name, "'");
    assert_string_equal(gone->joins[0].escapes[0].value, "\\'");
    assert_piece(&gone->url, 1, PIECE_JOIN, NULL);
    connector_text_done(&t);
}

static void signals_are_read(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct connector *c = read_batch_api(&t, text, sizeof text);
    assert_int_equal(c->signal_count, 2);
    assert_int_equal(c->signals[0].test.kind, TEST_AT_MOST);
    assert_int_equal(c->signals[0].pause.count, 2);
    assert_int_equal(c->signals[0].pause.items[0].unit, UNIT_EPOCH);
    assert_int_equal(c->signals[0].pause.items[1].fixed_ms, 10000);
    assert_int_equal(c->signals[1].json.count, 3);
    assert_int_equal(c->signals[1].pause.items[0].unit, UNIT_MINUTES);
    assert_int_equal(c->signals[1].pause.items[0].kind, READ_JSON);
    connector_text_done(&t);
}

static void rules_are_read_and_the_default_ones_stand_behind_them(void **state)
{
    (void)state;
    struct connector_text t;
    char text[8192];
    const struct connector *c = read_batch_api(&t, text, sizeof text);
    const struct rule_list *list = request_of(&c->objects[0], OP_UPSERT)->steps[0].answers;
    assert_string_equal(list->name, "default");
    assert_true(list->count > 3);
    const struct rule *daily = &list->rules[0];
    assert_int_equal(daily->act, DO_THROTTLE);
    assert_int_equal(daily->when.statuses[0].from, 429);
    assert_string_equal(daily->when.json[0].test.texts[0], "DAILY");
    assert_int_equal(daily->wait.items[0].kind, READ_HEADER);
    assert_int_equal(daily->wait.items[0].unit, UNIT_RETRY_AFTER);
    assert_int_equal(daily->wait.items[1].edge, EDGE_UTC_MIDNIGHT);
    assert_int_equal(list->rules[1].when.status_count, 2);
    const struct rule *unsent = &list->rules[2];
    assert_int_equal(unsent->when.answer, ANSWER_UNSENT);
    assert_false(unsent->unsure);
    assert_int_equal(list->rules[list->count - 1].when.status_count, 0);
    connector_text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_level_words_become_the_connectors_data),
        cmocka_unit_test(auth_words_become_ways_of_authentication),
        cmocka_unit_test(object_words_become_capabilities),
        cmocka_unit_test(request_words_become_a_step),
        cmocka_unit_test(tree_words_become_trees),
        cmocka_unit_test(verdict_words_become_sources),
        cmocka_unit_test(a_lookup_and_joins_are_read),
        cmocka_unit_test(signals_are_read),
        cmocka_unit_test(rules_are_read_and_the_default_ones_stand_behind_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
