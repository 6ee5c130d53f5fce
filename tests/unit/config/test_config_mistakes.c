/* Every kind of mistake is named at its exact place, all of them at once, and none shows a secret.
 */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SOURCE "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
#define MODEL "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
#define DESTINATION "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
#define SYNC "syncs: {s: {model: m, destination: d, "
#define MAPPING SOURCE MODEL DESTINATION SYNC "mappings:\n"
#define DIGEST "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01"
#define DIGEST_2 "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab02"
#define SECRET "hunter2"

static void check_cases(const struct folder_case *cases)
{
    folder_check_cases(cases, SECRET);
}

static void mistakes_of_yaml_and_top_level_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {"models: {a\n", "2:1", "not YAML"},
        {"models:\n  a: b: c\n", "2:7", "not YAML"},
        {"models: {}\nmodle: {}\n", "2:1", "did you mean \"models\"?"},
        {"models: {}\nhelm: {}\n", "2:1", "unknown key \"helm\""},
        {"models: [a]\n", "1:9", "a map of names"},
        {"models: {}\n---\nmodels: {}\n", "2:1", "second document"},
        {"models: {}\nsyncs: *nope\n", "2:8", "no anchor"},
        {"models: &a {b: *a}\n", "1:16", "circle"},
        {"models: {}\nsyncs: !foo {}\n", "2:8", "tag"},
        {"models: {}\n[a, b]: c\n", "2:1", "a key must be text"},
        {"models: {}\nsettings: {redis: \"a\\0b\"}\n", "2:19", "NUL"},
        {"models: {}\nmodels: {}\n", "2:1",
         "\"models\" is defined twice in this map, first in line 1"},
        {SOURCE "models:\n  m: {source: w, primary_key: id, sql: select 1}\n"
                "  m: {source: w, primary_key: id, sql: select 1}\n",
         "4:3", "defined twice"},
        {"models: {}\nsettings: {<<: 5}\n", "2:16", "merges"},
        {0}});
}

static void mistakes_of_settings_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {"settings: []\n", "1:11", "must be a map"},
        {"settings: {rediss: x}\n", "1:12", "did you mean \"redis\"?"},
        {"settings: {redis: 'http://u:" SECRET "@h'}\n", "1:19", "redis://"},
        {"settings: {redis: 5}\n", "1:19", "in quotes"},
        {"settings: {window: lots}\n", "1:20", "a size"},
        {"settings: {window: 1kB}\n", "1:20", "from 1MiB"},
        {"settings: {limit_slack: 20}\n", "1:25", "a duration"},
        {"settings: {limit_slack: 2m}\n", "1:25", "from 0 to 1m"},
        {"settings: {listen: here}\n", "1:20", "an address and a port"},
        {"settings: {listen: 'a:70000'}\n", "1:20", "an address and a port"},
        {"settings: {listen: '0.0.0.0:80'}\n", "1:20", "`settings.tokens` must say who"},
        {"settings: {listen: '[::]:80'}\n", "1:20", "write 127.0.0.1:80"},
        {"settings: {listen: 'box:80', tokens: []}\n", "1:20", "`settings.tokens` must say who"},
        {"settings: {tokens: {}}\n", "1:20", "a list"},
        {"settings: {tokens: [{name: a, role: viewer}]}\n", "1:21", "no `sha256`"},
        {"settings: {tokens: [{name: a, role: owner, sha256: " DIGEST "}]}\n", "1:37", "viewer"},
        {"settings: {tokens: [{name: a, role: admin, sha256: 12ab}]}\n", "1:52", "sluice token"},
        {"settings: {tokens: [{name: a, role: admin, sha256: " DIGEST "},\n"
         "  {name: a, role: admin, sha256: " DIGEST_2 "}]}\n",
         "2:10", "stands above"},
        {"settings: {tokens: [{name: a, role: admin, sha256: " DIGEST "},\n"
         "  {name: b, role: admin, sha256: " DIGEST "}]}\n",
         "2:34", "the token of \"a\" as well"},
        {"settings: {state_dir: ..}\n", "1:23", "a folder of its own"},
        {"settings: {state_dir: ''}\n", "1:23", "empty"},
        {"settings: {state_dir: ~}\n", "1:23", "but it is empty"},
        {"settings: {redis: \"${SLUICE_T_UNSET}\"}\n", "1:19",
         "variable SLUICE_T_UNSET is not set"},
        {"settings: {redis: \"${file:/nope/"
         "x}\"}\n",
         "1:19", "${file:/nope/x} cannot be read"},
        {"settings: {redis: \"${a b}\"}\n", "1:19", "${NAME:-default}"},
        {"settings: {redis: \"${A\"}\n", "1:19", "without its }"},
        {0}});
}

static void mistakes_of_sources_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {"sources: {w: 5}\n", "1:14", "a source must be a map"},
        {"sources: {w: {}}\n", "1:11", "no `type`"},
        {"sources: {w: {type: postgers}}\n", "1:21", "did you mean \"postgres\"?"},
        {"sources: {w: {type: snowflake, account: x}}\n", "1:21",
         "snowflake is not supported by this version"},
        {"sources: {w: {type: postgres}}\n", "1:11", "no `url`"},
        {"sources: {w: {type: postgres, url: 'postgresql://[h" SECRET "/d'}}\n", "1:36",
         "no Postgres address"},
        {"sources: {w: {type: postgres, url: " SECRET "}}\n", "1:36", "no Postgres address"},
        {"sources: {w: {type: postgres, hots: h}}\n", "1:31", "did you mean \"host\"?"},
        {"sources: {w: {type: postgres, params: {hots: h}}}\n", "1:40", "did you mean \"host\"?"},
        {"sources: {w: {type: postgres, params: 5}}\n", "1:39", "a map"},
        {"sources: {w: {type: postgres, host: a, params: {host: b}}}\n", "1:55", "given twice"},
        {"sources: {w: {type: postgres, host: [a]}}\n", "1:37", "text or a number"},
        {"sources: {w: {type: postgres, host: a, read: all}}\n", "1:46",
         "allowed: auto, copy, rows"},
        {"sources: {w: {type: redshift, host: a, read: copy}}\n", "1:46", "redshift"},
        {"sources: {w: {type: postgres, host: a, connections: 0}}\n", "1:53", "from 1 to 64"},
        {"sources: {w: {type: postgres, host: a, connections: '3'}}\n", "1:53", "a whole number"},
        {"sources: {\"a b\": {type: postgres, host: a}}\n", "1:11", "white space"},
        {0}});
}

static void mistakes_of_models_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {SOURCE "models: {m: {source: ww, primary_key: id, table: t}}\n", "2:22",
         "did you mean \"w\"?"},
        {SOURCE "models: {m: {source: {}, primary_key: id, table: t}}\n", "2:22",
         "name of a source"},
        {SOURCE "models: {m: {source: 'postgresql://u:" SECRET "@h', primary_key: id, table: t}}\n",
         "2:22", "no source this value"},
        {SOURCE "models: {m: {primary_key: id, table: t}}\n", "2:10", "has no `source`"},
        {SOURCE "models: {m: {source: w, table: t}}\n", "2:10", "has no `primary_key`"},
        {SOURCE "models: {m: {source: w, primary_key: '', table: t}}\n", "2:38", "empty"},
        {SOURCE "models: {m: {source: w, primary_key: [], table: t}}\n", "2:38", "empty"},
        {SOURCE "models: {m: {source: w, primary_key: [a, a], table: t}}\n", "2:42", "twice"},
        {SOURCE "models: {m: {source: w, primary_key: {a: b}, table: t}}\n", "2:38",
         "must be text"},
        {SOURCE "models: {m: {source: w, primary_key: id}}\n", "2:10", "no query"},
        {SOURCE "models: {m: {source: w, primary_key: id, sql: select 1, table: t}}\n", "2:57",
         "exclude"},
        {SOURCE "models: {m: {source: w, primary_key: id, sql: ' ;'}}\n", "2:47", "no statement"},
        {SOURCE "models: {m: {source: w, primary_key: id, sql_file: none.sql}}\n", "2:52",
         "cannot be read"},
        {SOURCE "models: {m: {source: w, primary_key: id, dbt: {model: a}}}\n", "2:42",
         "no `manifest`"},
        {SOURCE "models: {m: {source: w, primary_key: id, table: t, timezone: Europe/Berln}}\n",
         "2:62", "did you mean \"Europe/Berlin\"?"},
        {SOURCE "models: {m: {source: w, primary_key: id, table: t, timezone: ../passwd}}\n",
         "2:62", "no time zone"},
        {SOURCE "models: {m: {source: w, primary_key: id, table: t, timezone: zone.tab}}\n", "2:62",
         "no time zone"},
        {SOURCE "models: {m: {source: w, primary_key: id, table: t, columns: id}}\n", "2:61",
         "a list of the table's columns"},
        {SOURCE "models: {m: {source: w, primary_key: id, table: t, columns: []}}\n", "2:61",
         "a list of the table's columns"},
        {SOURCE "models: {m: {source: w, primary_key: id, table: t, columns: [id, a, a]}}\n",
         "2:69", "twice"},
        {SOURCE "models: {m: {source: w, primary_key: [a, id], table: t, columns: [a]}}\n", "2:66",
         "lacks \"id\" of the primary key"},
        {SOURCE "models: {m: {source: w, primary_key: id, sql: select 1, columns: [id]}}\n", "2:57",
         "belongs to `table`"},
        {SOURCE "models: {m: {source: w, primary_key: id, sql: select 1, where: a}}\n", "2:57",
         "belongs to `table`"},
        {SOURCE "models: {m: {source: w, primary_key: id, table: t, where: ' ;'}}\n", "2:59",
         "no condition"},
        {0}});
}

#define D "destinations: {d: {type: webhook, url: 'http://h', "
static void mistakes_of_destinations_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {"destinations: {d: {url: x}}\n", "1:16", "no `type`"},
        {"destinations: {d: {type: webhok}}\n", "1:26", "did you mean \"webhook\"?"},
        {"destinations: {d: {type: nonesuch, token: x, anything: {}}}\n", "1:26", "allowed: "},
        {"destinations: {d: {type: webhook}}\n", "1:16", "has no `url`"},
        {"destinations: {d: {type: webhook, url: 'ftp://" SECRET "'}}\n", "1:40",
         "http:// or https://"},
        {"destinations: {d: {type: webhook, url: 'http://u:" SECRET "@h'}}\n", "1:40",
         "credentials"},
        {"destinations: {d: {type: webhook, url: 'http:///" SECRET "'}}\n", "1:40", "no host"},
        {"destinations: {d: {type: webhook, url: 'http://h/a b'}}\n", "1:40", "white space"},
        {D "colour: red}}\n", "1:52", "unknown key \"colour\""},
        {D "concurrency: many}}\n", "1:65", "a whole number"},
        {D "timeout: 30}}\n", "1:61", "a duration"},
        {D "batch_size: 20000}}\n", "1:64", "from 1 to 10000"},
        {D "batch_bytes: 1GB}}\n", "1:65", "from 1024B to 64MiB"},
        {D "gzip: on}}\n", "1:58", "true or false"},
        {D "headers: [a]}}\n", "1:61", "a map"},
        {D "headers: {'a b': c}}}\n", "1:62", "name of a header"},
        {D "headers: {a: \"" SECRET "\\nb\"}}}\n", "1:65", "line breaks"},
        {D "headers: {Content-Length: 5}}}\n", "1:62", "written by Sluice"},
        {D "headers: {a: b, A: c}}}\n", "1:68", "given twice"},
        {D "headers: {Authorization: b}, bearer: " SECRET "}}\n", "1:62", "comes from `bearer`"},
        {D "bearer: " SECRET ", basic: {user: u, password: p}}}\n", "1:52", "exclude"},
        {D "bearer: \"a\\nb\"}}\n", "1:60", "line breaks"},
        {D "basic: {user: 'a:b', password: p}}}\n", "1:66", "colon"},
        {D "basic: {user: a}}}\n", "1:52", "no `password`"},
        {D "sign: " SECRET "}}\n", "1:58", "must be a map"},
        {0}});
}

static void mistakes_of_limits_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {D "rate_limits: 5}}\n", "1:65", "a list"},
        {D "rate_limits: [{requests: 5}]}}\n", "1:66", "no `per`"},
        {D "rate_limits: [{per: 5s}]}}\n", "1:66", "one of `requests` and `records`"},
        {D "rate_limits: [{requests: 0, per: 1s}]}}\n", "1:77", "above 0"},
        {D "rate_limits: [{requests: 1, per: soon}]}}\n", "1:85", "a duration"},
        {D "rate_limits: [{requests: 1, per: 1s}, {requests: 2, per: 1s}]}}\n", "1:90", "keep one"},
        {D "rate_limits: [{records: 10, per: 1s}], batch_size: 11}}\n", "1:103",
         "no batch could ever be sent"},
        {D "retry: {base: 1m, max: 1s}}}\n", "1:59", "above its `max`"},
        {D "retry: {attempts: 0}}}\n", "1:70", "from 1 to 100"},
        {D "quota: 'a{b'}}\n", "1:59", "{ or }"},
        {D "quota: q}, e: {type: webhook, url: 'http://h', quota: q, concurrency: 9}}\n", "1:63",
         "differ in `concurrency`"},
        {D
         "quota: e}, e: {type: webhook, url: 'http://h', rate_limits: [{requests: 1, per: s}]}}\n",
         "1:63", "differ in `rate_limits`"},
        {0}});
}

#define S2 SOURCE MODEL DESTINATION SYNC "mappings: all}}\nsettings: "
#define A SOURCE MODEL DESTINATION SYNC "mappings: all}}\nalerts: "
static void mistakes_of_alerts_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {A "{a: {url: 'http://h'}}\n", "5:10", "`type`"},
        {A "{a: {type: slak, url: 'http://h'}}\n", "5:20", "slack"},
        {A "{a: {type: slack}}\n", "5:10", "has no `url`"},
        {A "{a: {type: slack, url: 'ftp://h'}}\n", "5:32", "must begin with https://"},
        {A "{a: {type: slack, url: 'http://h', routing_key: k}}\n", "5:44", "does not belong"},
        {A "{a: {type: slack, url: 'http://h', on: [failed, ok]}}\n", "5:57", "failed"},
        {A "{a: {type: slack, url: 'http://h', on: []}}\n", "5:48", "is empty"},
        {A "{a: {type: slack, url: 'http://h', syncs: [t]}}\n", "5:52", "sync"},
        {A "{a: {type: slack, url: 'http://h', warning_above: 5x}}\n", "5:59", "percentage"},
        {A "{a: {type: webhook, url: 'http://h', sign: k}}\n", "5:52", "{secret: …}"},
        {A "{a: {type: pagerduty}}\n", "5:10", "has no `routing_key`"},
        {A "{a: {type: email, smtp: 'http://h', from: a@b.c, to: a@b.c}}\n", "5:33", "smtp://"},
        {A "{a: {type: email, smtp: 'smtp://u:p@h', from: a@b.c, to: a@b.c}}\n", "5:33",
         "keys of their own"},
        {A "{a: {type: email, smtp: 'smtp://h', from: 'a b@c', to: a@b.c}}\n", "5:51",
         "no e-mail address"},
        {A "{a: {type: email, smtp: 'smtp://h', from: a@b.c, to: [a@b.c, b]}}\n", "5:70",
         "no e-mail address"},
        {A "{a: {type: email, smtp: 'smtp://h', from: a@b.c, to: a@b.c, password: p}}\n", "5:79",
         "needs a `user`"},
        {S2 "{log_format: xml}\n", "5:24", "json"},
        {S2 "{worker_slots: 0}\n", "5:26", "from 1 to 1024"},
        {S2 "{drain_within: 10ms}\n", "5:26", "1s"},
        {S2 "{worker_listen: nowhere}\n", "5:27", "`worker_listen` must be"},
        {S2 "{warehouse_log: {source: v}}\n", "5:36", "source"},
        {S2 "{warehouse_log: {schema: v}}\n", "5:27", "`source`"},
        {0}});
}

#define S SOURCE MODEL DESTINATION SYNC
static void mistakes_of_syncs_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {SOURCE MODEL DESTINATION "syncs: {s: {model: mm, destination: d, mappings: all}}\n",
         "4:20", "did you mean \"m\"?"},
        {SOURCE MODEL DESTINATION "syncs: {s: {model: m, destination: nope, mappings: all}}\n",
         "4:36", "no destination"},
        {SOURCE MODEL DESTINATION "syncs: {s: {model: m, destination: d}}\n", "4:9",
         "no `mappings`"},
        {SOURCE MODEL DESTINATION "syncs: {'s{}': {model: m, destination: d, mappings: all}}\n",
         "4:9", "{ or }"},
        {S "mappings: all, mode: upsrt}}\n", "4:60",
         "did you mean \"upsert\"? (allowed: upsert, insert,"},
        {S "mappings: all, mode: append}}\n", "4:9", "`first_run`"},
        {S "mappings: all, mode: append, first_run: send, on_removed: delete}}\n", "4:97",
         "append"},
        {S "mappings: all, mode: mirror, on_removed: ignore}}\n", "4:80", "mode: upsert"},
        {S "mappings: all, on_removed: drop}}\n", "4:66", "allowed: ignore, delete, clear"},
        {S "mappings: all, first_run: yes}}\n", "4:65", "allowed: send, skip"},
        {S "mappings: all, priority: urgent}}\n", "4:64", "allowed: low, normal, high"},
        {S "mappings: all, batch_size: 10001}}\n", "4:66", "maximum of webhook, which is 10000"},
        {S "mappings: all, batch_size: -1}}\n", "4:66", "a whole number"},
        {S "mappings: all, guard: on}}\n", "4:61", "off or a map"},
        {S "mappings: all, guard: {max_removed: 110%}}}\n", "4:75", "0% to 100%"},
        {S "mappings: all, guard: {max_removd: 1%}}}\n", "4:62", "did you mean \"max_removed\"?"},
        {S "mappings: all, guard: {min_rows: -5}}}\n", "4:72", "number of records"},
        {S "mappings: [{from: email, to: mail}], identify_by: mial}}\n", "4:89",
         "did you mean \"mail\"?"},
        {S "mappings: [{value: 1, to: x}], identify_by: x}}\n", "4:83", "same value for all"},
        {S "mappings: all, schedule: {every: 5 parsecs}}}\n", "4:72", "5 parsecs"},
        {S "mappings: all, schedule: daily}}\n", "4:64", "manual or a map"},
        {S "mappings: all, schedule: {}}}\n", "4:64", "no time"},
        {S "mappings: all, schedule: {every: 1h, cron: '* * * * *'}}}\n", "4:76", "exclude"},
        {S "mappings: all, schedule: {cron: '* * *'}}}\n", "4:71", "fewer than five"},
        {S "mappings: all, schedule: {cron: '@daily', timezone: Mars/Base}}}\n", "4:91",
         "no time zone"},
        {S "mappings: all, schedule: {every: 1h, timezone: UTC}}}\n", "4:86", "belongs to `cron`"},
        {S "mappings: all, schedule: {after: ss}}}\n", "4:72", "did you mean \"s\"?"},
        {S "mappings: all, schedule: {after: s}}}\n", "4:72", "circle"},
        {S "mappings: all, schedule: on_change}}\n", "4:64", "manual or a map"},
        {S "mappings: all, schedule: {on_change: ' ; '}}}\n", "4:76", "no statement"},
        {S "mappings: all, schedule: {on_change: select 1, every: 10ms}}}\n", "4:93", "from 1s"},
        {S "mappings: all, schedule: {on_change: select 1, cron: '* * * * *'}}}\n", "4:65",
         "exclude each other"},
        {S "mappings: all, schedule: {dbt: {model: m}}}}\n", "4:70", "no `run_results`"},
        {S "mappings: all, schedule: {dbt: {run_results: r.json}}}}\n", "4:70", "no `model`"},
        {S "mappings: all, schedule: {dbt: {run_results: r, model: m, in: m}}}}\n", "4:97",
         "unknown key"},
        {S "mappings: all, schedule: {dbt: yes}}}\n", "4:70", "must be a map"},
        {S "mappings: all, schedule: {every: 1h, offset: 1h}}}\n", "4:84", "less than `every`"},
        {S "mappings: all, schedule: {every: 1h, jitter: 2h}}}\n", "4:84", "less than `every`"},
        {S "mappings: all, schedule: {cron: '@daily', offset: 1h}}}\n", "4:89",
         "`offset` belongs to `every`"},
        {S "mappings: all, schedule: {every: 1h, on: any}}}\n", "4:80", "belongs to `after`"},
        {S "mappings: all, schedule: {every: 1h, missed: never}}}\n", "4:84", "run_once, skip"},
        {S "mappings: all, schedule: {every: 1h, overlap: never}}}\n", "4:85", "queue, skip"},
        {S "mappings: all, schedule: {on_change: select 1, missed: skip}}}\n", "4:94",
         "belongs to `every` and `cron`"},
        {0}});
}

static void mistakes_of_mappings_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {S "mappings: some}}\n", "4:49", "all or a list"},
        {S "mappings: []}}\n", "4:49", "from 1 to"},
        {MAPPING "  [{to: x}]}}\n", "5:4", "add one"},
        {MAPPING "  [{from: x, value: 1, to: x}]}}\n", "5:4", "keep one"},
        {MAPPING "  [{from: x}]}}\n", "5:4", "has no `to`"},
        {MAPPING "  [[a]]}}\n", "5:4", "must be a map"},
        {MAPPING "  [{from: x, to: a..b}]}}\n", "5:18", "empty name"},
        {MAPPING "  [{from: x, to: a}, {from: y, to: a}]}}\n", "5:22",
         "given twice, first in line 5"},
        {MAPPING "  [{from: x, to: a.b}, {from: y, to: a}]}}\n", "5:24", "lie in each other"},
        {MAPPING "  [{from: x, to: a}, {from: z, to: a.b.c}]}}\n", "5:22", "lie in each other"},
        {MAPPING "  [{value: 1, to: a, if_null: skip}]}}\n", "5:22", "belongs to `from`"},
        {MAPPING "  [{from: x, to: a, if_null: skip, default: 1}]}}\n", "5:36", "exclude"},
        {MAPPING "  [{from: x, to: a, default: .inf}]}}\n", "5:30", "JSON does not have"},
        {MAPPING "  [{template: '{{a', to: a}]}}\n", "5:15", "without its }}"},
        {MAPPING "  [{template: 'x{{ }}', to: a}]}}\n", "5:15", "names no column"},
        {MAPPING "  [{from: x, to: a, transform: lowr}]}}\n", "5:32", "did you mean \"lower\"?"},
        {MAPPING "  [{from: x, to: a, transform: replace}]}}\n", "5:32",
         "needs an argument: write {replace:"},
        {MAPPING "  [{from: x, to: a, transform: {trim: 1}}]}}\n", "5:39", "takes no argument"},
        {MAPPING "  [{from: x, to: a, transform: {date: iso}}]}}\n", "5:39",
         "allowed: rfc3339, date, unix, unix_ms"},
        {MAPPING "  [{from: x, to: a, transform: {substring: {}}}]}}\n", "5:44", "neither"},
        {MAPPING "  [{from: x, to: a, transform: {replace: {pattern: 'a(', with: b}}}]}}\n", "5:52",
         "PCRE2"},
        {MAPPING "  [{from: x, to: a, transform: {replace: {pattern: a}}}]}}\n", "5:42",
         "no `with`"},
        {MAPPING "  [{from: x, to: a, transform: {replace: {pattern: a, with: '$1'}}}]}}\n", "5:61",
         "names no group"},
        {MAPPING "  [{from: x, to: a, transform: {replace: {pattern: a, with: '$$1 $x'}}}]}}\n",
         "5:61", "names no group"},
        {MAPPING "  [{from: x, to: a, transform: {split: ''}}]}}\n", "5:40", "empty"},
        {MAPPING "  [{from: x, to: a, transform: [trim, meta_emial]}]}}\n", "5:39",
         "did you mean \"meta_email\"?"},
        {MAPPING "  [{from: x, to: a, transform: {meta_email: 1}}]}}\n", "5:33",
         "there is no transform \"meta_email\""},
        {MAPPING "  [{from: x, to: a, transform: hmac}]}}\n", "5:32", "needs an argument"},
        {MAPPING "  [{from: x, to: a, transform: {hmac: {algorithm: sha3, secret: k}}}]}}\n",
         "5:51", "sha512"},
        {MAPPING "  [{from: x, to: a, transform: {hmac: {}}}]}}\n", "5:39", "no `secret`"},
        {MAPPING "  [{from: x, to: a, transform: unless_hashed}]}}\n", "5:32",
         "write {unless_hashed: [trim, lower]}"},
        {MAPPING "  [{from: x, to: a, transform: {unless_hashed: [trim, lowr]}}]}}\n", "5:55",
         "did you mean \"lower\"?"},
        {MAPPING "  [{from: x, to: a, transform: {unless_hashed: []}}]}}\n", "5:48", "empty"},
        {MAPPING "  [{from: x, to: a, transform: {phone: {country: Germany}}}]}}\n", "5:50",
         "such as \"49\""},
        {MAPPING "  [{from: x, to: a, transform: {phone: {}}}]}}\n", "5:40", "no `country`"},
        {MAPPING "  [{from: x, to: a, transform: {pad: {length: 0}}}]}}\n", "5:47", "from 1 to"},
        {MAPPING "  [{from: x, to: a, transform: {pad: {length: 2, with: ab}}}]}}\n", "5:56",
         "one character"},
        {MAPPING "  [{from: x, to: a, transform: {first: 0}}]}}\n", "5:40", "{first: 1}"},
        {MAPPING "  [{from: x, to: a, transform: {before: ''}}]}}\n", "5:41", "empty"},
        {MAPPING "  [{from: x, to: a, transform: {map: {table: {}}}}]}}\n", "5:46", "empty"},
        {MAPPING "  [{from: x, to: a, transform: {map: {default: a}}}]}}\n", "5:38", "no `table`"},
        {MAPPING "  [{from: x, to: a, transform: {map: {table: {a: [b]}}}}]}}\n", "5:50",
         "text or a number"},
        {MAPPING "  [{from: x, to: a, transform: {trim: , lower: }}]}}\n", "5:32",
         "a map of one name"},
        {0}});
}

int main(void)
{
    unsetenv("SLUICE_T_UNSET");
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_of_yaml_and_top_level_have_places),
        cmocka_unit_test(mistakes_of_settings_have_places),
        cmocka_unit_test(mistakes_of_sources_have_places),
        cmocka_unit_test(mistakes_of_models_have_places),
        cmocka_unit_test(mistakes_of_destinations_have_places),
        cmocka_unit_test(mistakes_of_limits_have_places),
        cmocka_unit_test(mistakes_of_alerts_have_places),
        cmocka_unit_test(mistakes_of_syncs_have_places),
        cmocka_unit_test(mistakes_of_mappings_have_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
