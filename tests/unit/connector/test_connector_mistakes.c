/* What a connector's author gets told, and where. */
#include "tests/unit/connector/connector_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A connector with one object whose one request is in the last line. */
#define OBJECT                                                                                     \
    "options: {token: words, base_url: {default: \"https://x.example\"}}\n"                        \
    "objects:\n"                                                                                   \
    "  o:\n"                                                                                       \
    "    keys: {id: {}}\n"                                                                         \
    "    fields: {name: {}, email: {}}\n"                                                          \
    "    max_records: 10\n"                                                                        \
    "    requests:\n"
#define URL "url: https://x.example"
#define ENDING(body) OBJECT "      upsert: {" URL ", " body "}\n"
#define RULES(rules)                                                                               \
    "answers: {default: [" rules "]}\n"                                                            \
    "objects: {o: {max_records: 10, requests: {upsert: {" URL "}}}}\n"
#define AUTH(auth) "auth: " auth "\n" OBJECT "      upsert: {" URL "}\n"

struct case_of {
    const char *text;
    const char *said; /* a part of what is said */
};

static void check(const struct case_of *cases, size_t count)
{
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        struct connector_text t;
        connector_text_read(&t, cases[i].text);
        const char *said = connector_text_said(&t);
        if (!strstr(said, cases[i].said)) {
            print_error("of\n%s\nwas said\n%s\ninstead of\n%s\n", cases[i].text, said,
                        cases[i].said);
            wrong++;
        }
        connector_text_done(&t);
    }
    assert_int_equal(wrong, 0);
}
#define CHECK(cases) check(cases, ARRAY_LEN(cases))

static void unknown_words_and_wrong_types(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {"[1]", "1:1: a connector must be a map of keys, but this is a list"},
        {"title: x", "1:1: the connector \"test\" has no `objects`: add at least one"},
        {"titel: x\nobjects: {}",
         "1:1: unknown key \"titel\" in a connector: did you mean \"title\"?"},
        {"driver: mysql\nobjects: {}", "1:9: \"mysql\" is not a value of `driver`"},
        {"objects: []", "1:10: `objects` must be a map of at least one name"},
        {"objects: {o: {requests: {upsert: {" URL "}}}}",
         "1:14: the object has no `max_records`: add it"},
        {"objects: {o: {max_records: 5}}", "1:14: the object has no `requests`"},
        {"objects: {\"a*b*\": {max_records: 5, requests: {upsert: {" URL "}}}}",
         "1:11: an object's name must not be empty and has at most one *"},
        {"objects: {o: {max_records: 0, requests: {upsert: {" URL "}}}}",
         "1:28: `max_records` must be from 1 to 50000"},
        {ENDING("methd: GET"),
         "8:40: unknown key \"methd\" in a request: did you mean \"method\"?"},
        {OBJECT "      upsert: {method: GET}\n", "8:7: the request has no `url`: add it"},
        {OBJECT "      upsrt: {" URL "}\n",
         "8:7: unknown key \"upsrt\" in a `requests` map: did you mean \"upsert\"?"},
        {OBJECT "      insert: upsert\n", "8:15: `insert` cannot share the request of upsert"},
        {OBJECT "      upsert: {url: ftp://x}\n",
         "8:21: `url` must begin with https://, http:// or a placeholder"},
        {ENDING("method: GET, body: {text: a}"), "a GET has no body: remove it, or use POST"},
        {ENDING("body: {jsn: 1}"),
         "`body` must be a map with one of json, ndjson, form, csv, text"},
        {ENDING("body: {json: 1, text: a}"), "`text` and `json` exclude each other: keep one"},
        {ENDING("body: {csv: {delimiter: \";;\"}}"), "`delimiter` must be one character"},
        {ENDING("body: {json: .inf}"), "this number cannot be written in JSON"},
        {ENDING("group: search"), "8:47: no entry of `limits` has the group \"search\""},
        {ENDING("gzip: \"{{sync}}\""), "`gzip` must be true, false or one option"},
        {ENDING("max_records: 11"), "`max_records` must be from 1 to 10"},
        {"options: {quota: {}}\nobjects: {}", "1:11: `quota` is a key of every destination"},
        {"options: {a: {default: x, one_of: [y]}}\nobjects: {}",
         "1:24: `default` is not among `one_of`"},
        {"options: {a: {kind: bool, default: 1}}\nobjects: {}", "`default` must be true or false"},
        {"options: {a: {default: x, required: true}}\nobjects: {}", "is never missing"},
        {"options: {\"a b\": {}}\nobjects: {}", "an option's name is made of letters"},
    };
    CHECK(cases);
}

static void placeholders_that_name_nothing(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {ENDING("query: {a: \"{{optons.token}}\"}"),
         "8:51: {{optons.token}} stands for nothing; did you mean \"options\"?"},
        {ENDING("query: {a: \"{{options}}\"}"), "{{options}} says no name: write {{options.NAME}}"},
        {ENDING("query: {a: \"{{options.tokn}}\"}"),
         "{{options.tokn}} names no option; did you mean \"token\"?"},
        {ENDING("query: {a: \"{{vars.job}}\"}"), "{{vars.job}} is never captured"},
        {ENDING("query: {a: \"{{joins.ids}}\"}"), "{{joins.ids}} names no entry"},
        {ENDING("query: {a: \"{{auth.token}}\"}"), "{{auth.token}} needs `auth` with a `token`"},
        {ENDING("query: {a: \"{{session.id}}\"}"), "{{session.id}} needs an object with `session"},
        {ENDING("query: {a: \"{{key}}\"}"),
         "{{key}} needs a record: use it below $records, in `joins`, or in a request with "
         "`max_records: 1`"},
        {ENDING("body: {form: {a: \"{{fields.name}}\"}}"), "{{fields.name}} needs a record"},
        {ENDING("body: {json: {$records: \"{{fields.nme}}\"}}"),
         "8:64: the object has no field \"nme\"; did you mean \"name\"?"},
        {ENDING("body: {json: {$records: \"{{keys.x}}\"}}"), "names no key of the object"},
        {ENDING("body: {json: {$records: \"{{found}}\"}}"), "needs a step with `lookup` before"},
        {ENDING("body: {json: {$records: \"{{cell}}\"}}"), "{{cell}} is known only below `cell`"},
        {ENDING("body: {json: {$fields: {}}}"), "$fields needs a record"},
        {ENDING("body: {json: {$records: {$fields: {except: [nme]}}}}"), "has no field \"nme\""},
        {ENDING("body: {json: {$records: {$field: {}}}}"),
         "there is no word \"$field\"; did you mean \"$fields\"?"},
        {ENDING("body: {json: {$records: 1, other: 2}}"),
         "\"other\" cannot stand next to $records"},
        {ENDING("query: {a: \"{{sync\"}"), "a placeholder begins with {{ but does not end"},
        {ENDING("query: {a: \"{{sync|uper}}\"}"),
         "there is no filter \"uper\"; did you mean \"upper\"?"},
        {OBJECT "      upsert: {steps: [{name: a, " URL
                ", query: {x: \"{{vars.v}}\"}}, {name: b, " URL ", capture: {v: {json: /v}}}]}\n",
         "{{vars.v}} is never captured"},
        {OBJECT "      upsert: {steps: [{" URL ", capture: {v: {json: /v}}}]}\n"
                "      delete: {" URL ", query: {x: \"{{vars.v}}\"}}\n",
         "9:51: {{vars.v}} is captured by no earlier step of this request"},
        {AUTH("{headers: {A: \"{{key}}\"}}"), "1:21: {{key}} needs a record"},
        {AUTH("{headers: {A: \"{{auth.token}}\"}}"), "needs `auth` with a `token`"},
        {AUTH("{token: {grant: request, url: \"https://x.example/{{sync}}\", capture: {token: "
              "{json: "
              "/t}}}}"),
         "{{sync}} has no meaning in a token's request"},
    };
    CHECK(cases);
}

static void rules_that_cannot_be(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {RULES("{status: 200}"), "1:21: the rule has no `do`: add it"},
        {RULES("{do: halt}, {status: 500, do: retry}"),
         "1:33: this rule is never reached: the one in line 1 holds for all of its answers"},
        {RULES("{status: 4xx, do: halt}, {status: [404, 410], do: ok}"),
         "1:46: this rule is never"},
        {RULES(
             "{status: 404, json: {at: /a, exists: true}, do: halt}, {status: 404, json: {at: /a, "
             "equals: 1}, do: ok}"),
         "1:76: this rule is never reached"},
        {RULES("{status: 404, op: [delete, clear], do: ok}, {status: 404, op: clear, do: ok}"),
         "1:65: this rule is never reached"},
        {RULES("{status: 600, do: ok}"), "1:30: `status` must be a number such as 429"},
        {RULES("{status: 500-400, do: ok}"), "`status` must be"},
        {RULES("{status: 200, do: okay}"), "\"okay\" is not a value of `do`"},
        {RULES("{status: 200, do: pending}"), "`pending` needs a step that asks again"},
        {RULES("{status: 200, do: {goto: there}}"), "there is no step \"there\" here"},
        {RULES("{step: nothing, status: 200, do: ok}"), "no request has a step \"nothing\""},
        {RULES("{status: 200, do: goto}"), "`goto` does not say where to"},
        {RULES("{status: 200, do: ok, wait: 1s}"),
         "`wait` belongs to throttle, retry, restart and pending"},
        {RULES("{status: 429, do: throttle, wait: [10s, {header: Retry-After}]}"),
         "this part of `wait` is never reached"},
        {RULES("{status: 429, do: throttle, wait: soon}"), "a wait must be a duration"},
        {RULES("{status: 429, do: halt, verdicts: {at: /e, index: /i}}"),
         "read only by ok and drop"},
        {RULES("{json: {at: a, equals: 1}, do: ok}"), "`at` must be a JSON pointer"},
        {RULES("{json: {at: /a~2, equals: 1}, do: ok}"), "has a ~ that is neither"},
        {RULES("{json: {at: \"/{{key}}\", equals: 1}, do: ok}"), "may hold {{identify_by}}"},
        {RULES("{json: {at: /a}, do: ok}"), "`json` says nothing to compare with"},
        {RULES("{json: {at: /a, equals: 1, in: [2]}, do: ok}"), "exclude each other"},
        {RULES("{json: {at: /a, matches: \"(\"}, do: ok}"), "is no regular expression (PCRE2)"},
        {RULES("{no_answer: true, status: 500, do: ok}"), "this rule can never hold"},
        {"answers: {a: 5}\nobjects: {}", "1:14: `a` must be a list of rules"},
        {ENDING("answers: defult"), "there is no list \"defult\" under `answers`"},
        {"signals: [{header: X, at_most: 0}]\nobjects: {}", "the signal has no `pause`: add it"},
        {"signals: [{header: X, pause: 1s}]\nobjects: {}", "`signal` says nothing to compare with"},
    };
    CHECK(cases);
}

static void steps_that_cannot_be(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {OBJECT "      upsert: {steps: []}\n", "8:23: `steps` must be a list of at least one step"},
        {OBJECT "      upsert: {steps: [{name: a, " URL "}, {name: a, " URL "}]}\n",
         "8:66: an earlier step is called \"a\" as well"},
        {OBJECT "      upsert: {steps: [{" URL "}], " URL "}\n",
         "unknown key \"url\" in a request with steps"},
        {OBJECT "      upsert: {steps: [{" URL ", max_records: 1}]}\n",
         "unknown key \"max_records\" in a step"},
        {ENDING("capture: {a: {json: /a, header: B}}"), "a capture must have one of"},
        {ENDING("capture: {a: {json: /a, matches: \"x\"}}"), "`matches` has no group"},
        {ENDING("lookup: {single: true, id: /id, missing: ok}"), "`max_records: 1`: add it"},
        {ENDING("lookup: {id: /id, missing: ok}"), "must have `entries` and `key`"},
        {ENDING("lookup: {entries: /a, key: /b, id: /id}"), "has no `missing`: add it"},
        {ENDING("pages: {next: {json: /n}, var: p, until: a}"), "`until` must be a name that this"},
        {ENDING("pages: {next: {header: N}, of: /t, var: p}"), "`of` belongs to a `next`"},
        {ENDING("wait: {every: soon}"), "`every` must be a duration up to 7d"},
        {ENDING("wait: {every: 1h, max: 1m}"), "`max` is below `every`"},
        {ENDING("wait: {factor: 0.5}"), "`factor` must be a number from 1 to 10"},
        {ENDING("verdicts: {at: /a}"), "`verdicts` do not say whose an entry is"},
        {ENDING("verdicts: {at: /a, by: position}"), "say with `ok` which of them are good"},
        {ENDING("verdicts: {index: /i, key: /k}"), "`key` and `index` exclude each other"},
        {ENDING("verdicts: {column: id}"), "`column` needs `format: csv`"},
        {ENDING("verdicts: {trace: /i, base: 1}"), "`base` belongs to index, indexes and pointer"},
        {ENDING("verdicts: {assert: {sum: [/a]}}"), "`assert` must have one of"},
        {ENDING("if: sync"), "`if` must name one of vars or options"},
        {"objects: {o: {max_records: 1, ensure: [{" URL
         ", body: {json: {$records: 1}}}], requests: "
         "{upsert: {" URL "}}}}",
         "$records has no meaning here"},
        {ENDING("joins: {a: {each: \"{{key}}\", escape: {ab: c}}}"),
         "must name one ASCII character"},
        {OBJECT "      upsert: &u {" URL
                ", body: {json: {a: {$op: {upsert: 1, default: 2}}}}}\n      delete: upsert\n",
         "$op stands outside of a record, in a request of several ops"},
    };
    CHECK(cases);
}

#define MODES(words, requests)                                                                     \
    "objects: {o: {max_records: 10, " words ", requests: {" requests "}}}\n"

static void objects_that_cannot_do_what_they_say(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {MODES("modes: [upsert]", "append: {" URL "}"),
         "1:39: the mode upsert needs a request for upsert"},
        {MODES("modes: [mirror]", "upsert: {" URL "}"), "mode mirror needs a request for delete"},
        {MODES("modes: [update]", "upsert: {" URL "}"), "mode update needs a request for update"},
        {MODES("modes: [insert]", "upsert: {" URL "}"), "mode insert needs a request for insert"},
        {MODES("modes: [append]", "upsert: {" URL "}"), "mode append needs a request for append"},
        {MODES("modes: [full]", "append: {" URL "}"), "mode full needs a request for upsert"},
        {MODES("remove: clear", "upsert: {" URL "}"), "removal by clear needs a request"},
        {MODES("modes: [upsrt]", "upsert: {" URL "}"), "did you mean \"upsert\"?"},
        {MODES("conflicts: {create_only: lookup}", "upsert: {" URL "}"),
         "`conflicts` by lookup need a step with `lookup`"},
        {MODES("conflicts: {merge_arrays: lookup}", "upsert: {" URL "}"),
         "1:58: \"lookup\" is not a value of `merge_arrays`"},
        {MODES("conflicts: {merge_arrays: native}", "upsert: {" URL "}"),
         "1:32: `merge_arrays: native` needs a place in `requests`"},
        {MODES("fields: {a: {}}", "upsert: {" URL ", body: {json: {$records: {$fields: {policy: "
                                  "merged}}}}}"),
         "did you mean \"merge\"?"},
        {MODES("fields: {a: {}}", "upsert: {" URL ", body: {json: {$records: {$fields: {merge: "
                                  "{a: \"{{cel}}\"}}}}}}"),
         "{{cel}} stands for nothing"},
        {MODES("fields: {a: {}}", "upsert: {" URL ", body: {json: {$records: {$if: "
                                  "conflicts.merge, a: 1}}}}"),
         "{{conflicts.merge}} names no way of handling conflicts"},
        {MODES("fields: {a: {}}", "upsert: {if: conflicts.merge, " URL "}"),
         "{{conflicts.merge}} names no way of handling conflicts"},
        {MODES("session: true, one_lane: false", "upsert: {" URL "}"),
         "the batches of a session go one after another"},
        {MODES("session: true, lane_by: a", "upsert: {" URL "}"),
         "`lane_by` and `session` exclude each other"},
        {MODES("session: true", "upsert: {max_records: 5, " URL "}"), "are never split"},
        {MODES("fields: {a: {}}, lane_by: b", "upsert: {" URL "}"), "has no field \"b\""},
        {MODES("fields: {a: {}}, group_by: b", "upsert: {" URL "}"),
         "1:59: the object has no field \"b\""},
        {MODES("fields: {a: {}}, group_by: [a, b]", "upsert: {" URL "}"), "has no field \"b\""},
        {MODES("group_by: [a, b, c, d, e, f, g, h, i]", "upsert: {" URL "}"),
         "more than 8 fields in `group_by`"},
        {MODES("group_by: {a: b}", "upsert: {" URL "}"), "`group_by` must be"},
        {MODES("session: true, group_by: a", "upsert: {" URL "}"),
         "1:57: `group_by` and `session` exclude each other"},
        {MODES("fields: {a: {}}, order_by: b", "upsert: {" URL "}"), "has no field \"b\""},
        {MODES("order_by: [a]", "upsert: {" URL "}"), "`order_by` must be"},
        {MODES("fields: {a: {}}, unique_by: b", "upsert: {" URL "}"), "has no field \"b\""},
        {MODES("fields: {a: {}}", "upsert: {url: \"https://h/{{group.a}}\"}"),
         "{{group.a}} needs an object with `group_by`"},
        {MODES("group_by: a", "upsert: {url: \"https://h/{{group.b}}\"}"),
         "{{group.b}} names no field of the object's `group_by`"},
        {MODES("group_by: a", "upsert: {url: \"https://h/{{group}}\"}"), "write {{group.NAME}}"},
        {MODES("keys: {id: {}}, group_by: a", "delete: {url: \"https://h/{{group.a}}\"}"),
         "{{group.a}} is not known to a removal"},
        {MODES("group_by: a, ensure: [{url: \"https://h/{{group.a}}\"}]", "upsert: {" URL "}"),
         "{{group.a}} has no meaning outside of an object's requests"},
        {MODES("fields: {a: {}}, any_of: [b]", "upsert: {" URL "}"), "has no field \"b\""},
        {MODES("needs: [acount]", "upsert: {" URL "}"),
         "`needs` names \"acount\", and there is no such option"},
        {"options: {url: {default: \"https://h\"}}\n" MODES("needs: url", "upsert: {" URL "}"),
         "the option url is never missing: remove it from `needs`"},
        {"options: {id: {required: true}}\n" MODES("needs: id", "upsert: {" URL "}"),
         "the option id is never missing: remove it from `needs`"},
        {MODES("batch_records: 11", "upsert: {" URL "}"), "`batch_records` is above `max_records`"},
        {MODES("max_bytes: 1MB, batch_bytes: 2MB", "upsert: {" URL "}"), "is above `max_bytes`"},
        {MODES("fields: {\"*\": {required: true}}", "upsert: {" URL "}"), "cannot be required"},
        {MODES("fields: {a: {as: b}}", "upsert: {" URL "}"), "unknown key \"as\" in a field"},
        {"driver: postgres\n" MODES("modes: [upsert]", "upsert: {" URL "}"),
         "a connector with a driver of its own has no `requests`"},
    };
    CHECK(cases);
}

static void authentication_and_limits_that_cannot_be(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {AUTH("[{headers: {A: b}}, {when: options.token, headers: {A: c}}]"),
         "1:27: this way of authentication is never chosen"},
        {AUTH("{when: sync}"), "`when` must name an option"},
        {AUTH("{basic: {user: a, pasword: b}}"), "did you mean \"password\"?"},
        {AUTH("{hmac: {secret: a}}"), "`hmac` must have one of `header` and `query`"},
        {AUTH("{sigv4: {service: s3}}"), "has no `region`: add it"},
        {AUTH("{token: {grant: refresh_token, " URL ", capture: {token: {json: /t}}}}"),
         "needs `refresh`"},
        {AUTH("{token: {grant: jwt_bearer, " URL ", capture: {token: {json: /t}}}}"),
         "needs `jwt`"},
        {AUTH("{token: {grant: request, " URL ", capture: {tokn: {json: /t}}}}"),
         "`capture` has no `token`"},
        {AUTH("{token: {grant: request, rotates: true, " URL ", capture: {token: {json: /t}}}}"),
         "add `refresh` to `capture`"},
        {"limits: [{requests: 5}]\nobjects: {}", "the limit has no `per`: add it"},
        {"limits: [{per: 5s}]\nobjects: {}", "must have one of `requests` and `records`"},
        {"limits: [{requests: 0, per: 5s}]\nobjects: {}", "a whole number above 0"},
        {"limits: [{requests: 1, per: 5s}, {requests: 2, per: 5000ms}]\nobjects: {}",
         "1:34: this limit has the kind, the period and the group of an earlier one"},
        {"limits: {by: tier, cases: {a: []}}\nobjects: {}", "`by` names no option"},
        {"options: {tier: {one_of: [S, M]}}\nlimits: {by: tier, cases: {L: []}}\nobjects: {}",
         "2:28: \"L\" is not a value of the option `tier`"},
    };
    CHECK(cases);
}

static void all_mistakes_are_reported_at_once(void **state)
{
    (void)state;
    struct connector_text t;
    connector_text_read(&t, "titel: x\nobjects:\n  o: {max_records: x, requests: {upsert: {" URL
                            ", query: {a: \"{{kay}}\", b: \"{{fields.x}}\"}}}}\n");
    connector_text_said(&t);
    assert_int_equal(t.problems.count, 4);
    connector_text_done(&t);
}

static void a_value_from_outside_is_never_shown(void **state)
{
    (void)state;
    struct connector_text t;
    static struct node secret = {.kind = NODE_SCALAR,
                                 .type = CORE_TEXT,
                                 .text = "hunter2{{hunter2.x|hunter2}}",
                                 .substituted = true,
                                 .at = {"test.yaml", 7, 7}};
    static struct pair headers[] = {{.key = "A", .value = &secret}};
    static struct node map = {.kind = NODE_MAP, .pairs = headers, .count = 1};
    static struct pair auth[] = {{.key = "headers", .value = &map}};
    static struct node auth_map = {.kind = NODE_MAP, .pairs = auth, .count = 1};
    static struct pair top[] = {{.key = "auth", .value = &auth_map}};
    static struct node root = {.kind = NODE_MAP, .pairs = top, .count = 1};
    connector_text_read(&t, "{}");
    assert_non_null(
        connector_read(&t.reader, "x", &root, (struct config_place){"test.yaml", 1, 1}));
    const char *said = connector_text_said(&t);
    assert_non_null(strstr(said, "7:7: this placeholder stands for nothing"));
    assert_null(strstr(said, "hunter2"));
    connector_text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_words_and_wrong_types),
        cmocka_unit_test(placeholders_that_name_nothing),
        cmocka_unit_test(rules_that_cannot_be),
        cmocka_unit_test(steps_that_cannot_be),
        cmocka_unit_test(objects_that_cannot_do_what_they_say),
        cmocka_unit_test(authentication_and_limits_that_cannot_be),
        cmocka_unit_test(all_mistakes_are_reported_at_once),
        cmocka_unit_test(a_value_from_outside_is_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
