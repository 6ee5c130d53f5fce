/* Good projects: what is loaded is what was written, with every default filled in. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SMALL                                                                                      \
    "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"                                  \
    "models: {m: {source: w, primary_key: id, sql: select 1}}\n"                                   \
    "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"                                     \
    "syncs: {s: {model: m, destination: d, mappings: all}}\n"

static void a_small_project_gets_every_default(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(&f, SMALL);
    const struct project *p = f.project;
    assert_int_equal(f.problems.count, 0);
    char state_dir[128];
    snprintf(state_dir, sizeof state_dir, "%s/.sluice", p->dir);
    assert_string_equal(p->settings.state_dir, state_dir);
    assert_int_equal(p->settings.redis_count, 0);
    assert_int_equal(p->settings.window_bytes, 64000000);
    assert_int_equal(p->settings.limit_slack_ms, 20);
    assert_int_equal(p->sources[0].connections, 4);
    assert_string_equal(p->sources[0].params[0].name, "dbname");
    assert_string_equal(p->sources[0].params[0].value, "postgresql://h/d");
    const struct destination *d = project_destination(p, "d");
    assert_string_equal(d->quota, "d");
    assert_int_equal(d->concurrency, 8);
    assert_int_equal(d->timeout_ms, 30000);
    assert_int_equal(d->retry.attempts, 5);
    assert_int_equal(d->retry.base_ms, 500);
    assert_int_equal(d->retry.max_ms, 30000);
    assert_int_equal(d->retry.throttled_max_ms, 3600000);
    assert_int_equal(strlen(d->fingerprint), 32);
    const struct sync *s = project_sync(p, "s");
    assert_int_equal(s->mode, MODE_UPSERT);
    assert_int_equal(s->on_removed, REMOVED_IGNORE);
    assert_true(s->map_all);
    assert_int_equal(s->batch_size, 500);
    assert_int_equal(s->batch_bytes, 4 << 20);
    assert_int_equal(s->priority, PRIORITY_NORMAL);
    assert_int_equal(s->schedule.kind, SCHEDULE_MANUAL);
    assert_int_equal(s->schedule.after_on, AFTER_ON_WARNING);
    assert_false(s->guard.max_removed.set);
    assert_ptr_equal(s->model, &p->models[0]);
    assert_ptr_equal(s->model->source, &p->sources[0]);
    assert_null(project_sync(p, "none"));
    folder_done(&f);
}

#define DIGEST "00ff0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1DfF"

static const char whole[] =
    "settings: {redis: 'unix:///r.sock', state_dir: /var/x/../state/, listen: '0.0.0.0:80', "
    "window: 1MiB,\n"
    "  tokens: [{name: ana, role: operator, sha256: " DIGEST "}],\n"
    "  disk_reserve: 0, limit_slack: 50ms}\n"
    "sources:\n"
    "  w: {type: postgres, host: h, port: 5433, user: u, password: 0123, sslmode: require, params: "
    "{connect_timeout: 5},\n"
    "      statement_timeout: 5m, read: rows, connections: 2}\n"
    "  r: {type: redshift, url: 'host=h dbname=d'}\n"
    "models:\n"
    "  m: {source: w, primary_key: [id, no], table: public.t, timezone: Europe/Berlin}\n"
    "  f: {source: r, primary_key: id, sql_file: q/f.sql}\n"
    "  b: {source: r, primary_key: id, dbt: {manifest: target/manifest.json, model: b}}\n"
    "destinations:\n"
    "  d: {type: webhook, url: 'https://h:8443/p?q=1', headers: {X-Version: 2, Accept: '*/*'}, "
    "basic: {user: u, password: p},\n"
    "      sign: {secret: s3}, gzip: true, batch_size: 1000, batch_bytes: 64KiB, quota: shared, "
    "concurrency: 3, timeout: 5s,\n"
    "      rate_limits: [{requests: 100, per: 10s}, {records: 5000, per: m}], retry: {attempts: 2, "
    "base: 1s, max: 2s}}\n"
    "  e: {type: webhook, url: 'http://h', quota: shared, concurrency: 3, bearer: t,\n"
    "      rate_limits: [{records: 5000, per: 60s}, {requests: 100, per: 10s}]}\n"
    "  few: {type: webhook, url: 'http://h', rate_limits: [{records: 20, per: 1s}]}\n"
    "syncs:\n"
    "  a: {model: m, destination: d, object: contacts, mode: mirror, identify_by: mail, priority: "
    "high, lane_by: parent,\n"
    "      schedule: {cron: '0 6 * * 1-5', timezone: UTC}, batch_size: 20, first_run: skip,\n"
    "      guard: {max_changed: 10, min_rows: '0.5%', allow_empty: true}, mappings: [{from: email, "
    "to: mail}]}\n"
    "  b: {model: m, destination: few, mode: mirror, guard: off, schedule: {after: a}, "
    "allow_empty: true, mappings: all}\n"
    "  c: {model: f, destination: e, mode: append, first_run: send, schedule: {after: [a, b]}, "
    "mappings: all}\n"
    "  d: {model: b, destination: e, mode: insert, on_removed: delete, schedule: manual, mappings: "
    "all}\n"
    "  e: {model: b, destination: e, mode: mirror, on_removed: clear, schedule: {every: 1h30m}, "
    "mappings: all,\n"
    "      guard: {max_removed: off}}\n";

static void every_key_is_read(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_write(&f, "q/f.sql", "select 2\n");
    folder_load_good(&f, whole);
    const struct project *p = f.project;
    assert_string_equal(p->settings.state_dir, "/var/state");
    assert_int_equal(p->settings.redis_count, 1);
    assert_string_equal(p->settings.redis[0].url, "unix:///r.sock");
    assert_string_equal(p->settings.redis[0].name, "unix:///r.sock");
    assert_int_equal(p->settings.window_bytes, 1 << 20);
    assert_int_equal(p->settings.disk_reserve_bytes, 0);
    assert_int_equal(p->settings.limit_slack_ms, 50);
    assert_string_equal(p->settings.listen, "0.0.0.0:80");
    assert_int_equal(p->settings.token_count, 1);
    assert_string_equal(p->settings.tokens[0].name, "ana");
    assert_int_equal(p->settings.tokens[0].role, ROLE_OPERATOR);
    assert_memory_equal(p->settings.tokens[0].sha256, "\x00\xff\x01\x02", 4);
    assert_memory_equal(p->settings.tokens[0].sha256 + 30, "\x1d\xff", 2);
    const struct source *w = &p->sources[0];
    assert_int_equal(w->param_count, 6);
    assert_string_equal(w->params[1].name, "port");
    assert_string_equal(w->params[3].value, "0123");
    assert_string_equal(w->params[5].name, "connect_timeout");
    assert_int_equal(w->statement_timeout_ms, 300000);
    assert_int_equal(w->read, READ_ROWS);
    assert_int_equal(w->connections, 2);
    assert_string_equal(p->sources[1].type, "postgres");
    assert_int_equal(p->sources[1].read, READ_ROWS);
    assert_int_equal(p->models[0].primary_key_count, 2);
    assert_string_equal(p->models[0].primary_key[1], "no");
    assert_string_equal(p->models[0].table, "public.t");
    assert_string_equal(p->models[0].timezone, "Europe/Berlin");
    assert_string_equal(p->models[1].sql, "select 2\n");
    assert_string_equal(p->models[2].dbt_model, "b");
    assert_int_equal(p->models[2].dbt_manifest[0], '/');
    const struct destination *d = project_destination(p, "d");
    assert_int_equal(d->header_count, 2);
    assert_string_equal(d->headers[0].value, "2");
    assert_string_equal(destination_option(d, "basic.password"), "p");
    assert_string_equal(destination_option(d, "sign.secret"), "s3");
    assert_string_equal(destination_option(d, "gzip"), "true");
    assert_int_equal(d->limit_count, 2);
    assert_int_equal(d->limits[1].kind, RATE_RECORDS);
    assert_int_equal(d->limits[1].per_ms, 60000);
    assert_int_equal(d->retry.attempts, 2);
    assert_int_equal(d->retry.throttled_max_ms, 3600000);
    folder_done(&f);
}

static void every_key_of_a_sync_is_read(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_write(&f, "q/f.sql", "select 2\n");
    folder_load_good(&f, whole);
    const struct sync *a = project_sync(f.project, "a"), *b = project_sync(f.project, "b");
    const struct sync *c = project_sync(f.project, "c"), *e = project_sync(f.project, "e");
    assert_string_equal(a->identify_by, "mail");
    assert_string_equal(a->lane_by, "parent");
    assert_string_equal(a->object, "contacts");
    assert_int_equal(a->on_removed, REMOVED_DELETE);
    assert_int_equal(a->batch_size, 20);
    assert_int_equal(a->first_run, FIRST_SKIP);
    assert_true(a->first_run_set);
    assert_int_equal(a->schedule.kind, SCHEDULE_CRON);
    assert_string_equal(a->schedule.line, "0 6 * * 1-5");
    assert_int_equal(a->schedule.cron.hours, 1 << 6);
    assert_string_equal(a->schedule.timezone, "UTC");
    assert_true(a->guard.max_removed.set && a->guard.max_removed.percent &&
                a->guard.max_removed.value == 50);
    assert_true(a->guard.max_changed.set && !a->guard.max_changed.percent &&
                a->guard.max_changed.value == 10);
    assert_true(a->guard.min_rows.percent && a->guard.min_rows.value == 0.5);
    assert_true(a->guard.allow_empty);
    assert_false(b->guard.max_removed.set);
    assert_true(b->guard.allow_empty);
    assert_int_equal(b->batch_size, 20); /* no more than the limit's records */
    assert_ptr_equal(b->schedule.after[0], a);
    assert_int_equal(c->schedule.after_count, 2);
    assert_int_equal(e->schedule.every_ms, 5400000);
    assert_int_equal(e->on_removed, REMOVED_CLEAR);
    assert_false(e->guard.max_removed.set);
    assert_int_equal(f.problems.count, 0);
    folder_done(&f);
}

static void every_key_of_alerts_and_logs_is_read(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(
        &f, "settings: {log_format: json, worker_listen: '[::1]:0', warehouse_log: {source: w},\n"
            "           worker_slots: 64, drain_within: 5m}\n"
            "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
            "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
            "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
            "syncs:\n"
            "  s: {model: m, destination: d, mappings: all, freshness: 2h}\n"
            "  t: {model: m, destination: d, mappings: all}\n"
            "alerts:\n"
            "  a: {type: slack, url: 'https://h/a'}\n"
            "  b: {type: webhook, url: 'http://h/b', sign: {secret: k}, on: held, syncs: t}\n"
            "  c: {type: pagerduty, routing_key: r, on: [failed, recovered], syncs: [s, t]}\n"
            "  d: {type: email, smtp: 'smtps://h:465', user: u, password: p, from: a@b.c,\n"
            "      to: [d@e.f, g@h.i], warning_above: 5%, ca_file: ca.pem}\n");
    const struct project *p = f.project;
    assert_int_equal(p->settings.log_format, LOG_JSON);
    assert_string_equal(p->settings.worker_listen, "[::1]:0");
    assert_int_equal(p->settings.worker_slots, 64);
    assert_int_equal(p->settings.drain_within_ms, 300000);
    assert_ptr_equal(p->settings.warehouse_log, &p->sources[0]);
    assert_string_equal(p->settings.warehouse_schema, "sluice");
    assert_int_equal(p->syncs[0].freshness_ms, 7200000);
    assert_int_equal(p->syncs[1].freshness_ms, 0);
    assert_int_equal(p->alert_count, 4);
    const struct alert *a = &p->alerts[0], *b = &p->alerts[1], *c = &p->alerts[2],
                       *d = &p->alerts[3];
    assert_string_equal(a->url, "https://h/a");
    assert_int_equal(a->on, ALERT_ON_ALL);
    assert_int_equal(a->sync_count, 0);
    assert_false(a->warning_above.set);
    assert_string_equal(b->secret, "k");
    assert_int_equal(b->on, ALERT_ON_HELD);
    assert_int_equal(b->sync_count, 1);
    assert_ptr_equal(b->syncs[0], &p->syncs[1]);
    assert_string_equal(c->routing_key, "r");
    assert_string_equal(c->url, "https://events.pagerduty.com/v2/enqueue");
    assert_int_equal(c->on, ALERT_ON_FAILED | ALERT_ON_RECOVERED);
    assert_int_equal(c->sync_count, 2);
    assert_int_equal(d->to_count, 2);
    assert_string_equal(d->to[1], "g@h.i");
    assert_string_equal(d->password, "p");
    assert_true(d->warning_above.set && d->warning_above.percent && d->warning_above.value == 5);
    assert_int_equal(d->ca_file[0], '/');
    folder_done(&f);
}

static void every_kind_of_schedule_is_read(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(
        &f, "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
            "models:\n"
            "  m: {source: w, primary_key: id, sql: select 1}\n"
            "  b: {source: w, primary_key: id, dbt: {manifest: target/manifest.json, model: b}}\n"
            "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
            "syncs:\n"
            "  a: {model: m, destination: d, mappings: all, schedule: {every: 15m, offset: 5m, "
            "jitter: 30s, missed: skip, overlap: skip}}\n"
            "  b: {model: m, destination: d, mappings: all, schedule: {cron: '@daily', jitter: "
            "1h}}\n"
            "  c: {model: m, destination: d, mappings: all, schedule: {after: [b, a], on: any}}\n"
            "  e: {model: m, destination: d, mappings: all, schedule: {on_change: select 1}}\n"
            "  f: {model: b, destination: d, mappings: all, schedule: {on_change: select 2, every: "
            "5m}}\n"
            "  g: {model: b, destination: d, mappings: all, schedule: {dbt: {}}}\n"
            "  h: {model: m, destination: d, mappings: all, schedule: {dbt: {run_results: "
            "/x/run.json, model: z}, every: 1m}}\n"
            "  i: {model: m, destination: d, mappings: all, schedule: {after: c, on: success}}\n");
    const struct schedule *a = &project_sync(f.project, "a")->schedule,
                          *b = &project_sync(f.project, "b")->schedule,
                          *c = &project_sync(f.project, "c")->schedule,
                          *e = &project_sync(f.project, "e")->schedule,
                          *g = &project_sync(f.project, "g")->schedule,
                          *h = &project_sync(f.project, "h")->schedule;
    assert_int_equal(a->kind, SCHEDULE_EVERY);
    assert_true(a->every_ms == 900000 && a->offset_ms == 300000 && a->jitter_ms == 30000);
    assert_true(a->missed == MISSED_SKIP && a->overlap == OVERLAP_SKIP);
    assert_int_equal(b->kind, SCHEDULE_CRON);
    assert_true(b->missed == MISSED_RUN_ONCE && b->overlap == OVERLAP_QUEUE);
    assert_true(b->jitter_ms == 3600000 && b->every_ms == 0 && b->timezone == NULL);
    assert_true(b->cron.minutes == 1 && b->cron.hours == 1);
    assert_int_equal(c->kind, SCHEDULE_AFTER);
    assert_true(c->after_count == 2 && c->after_on == AFTER_ON_ANY);
    assert_string_equal(c->after[0]->name, "b");
    assert_int_equal(project_sync(f.project, "i")->schedule.after_on, AFTER_ON_SUCCESS);
    assert_int_equal(e->kind, SCHEDULE_ON_CHANGE);
    assert_string_equal(e->query, "select 1");
    assert_int_equal(e->every_ms, 30000);
    assert_int_equal(project_sync(f.project, "f")->schedule.every_ms, 300000);
    char beside[512];
    snprintf(beside, sizeof beside, "%s/target/run_results.json", f.project->dir);
    assert_int_equal(g->kind, SCHEDULE_DBT);
    assert_string_equal(g->run_results, beside);
    assert_string_equal(g->dbt_model, "b");
    assert_int_equal(g->every_ms, 10000);
    assert_string_equal(h->run_results, "/x/run.json");
    assert_string_equal(h->dbt_model, "z");
    assert_int_equal(h->every_ms, 60000);
    folder_done(&f);
}

static void mappings_and_transforms_are_read(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(
        &f, "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
            "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
            "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
            "syncs:\n"
            "  s:\n"
            "    model: m\n"
            "    destination: d\n"
            "    mappings:\n"
            "      - id\n"
            "      - {from: a, to: x.y\\.z, transform: trim, if_null: skip}\n"
            "      - {from: b, to: x.a, default: 0x10, transform: [trim, {date: unix_ms}, date,\n"
            "         {substring: {from: 2, length: 3}}, {replace: {pattern: '(a)(?<n>b)', with: "
            "'$1$${2}$n$$'}}, {split: ','},\n"
            "         {join: ''}, {map: {table: {a: b, 1: 2, n: ~}, default: x}}, json, "
            "{substring: {from: 1}}]}\n"
            "      - {value: {a: [1.10, ~, yes, true], b: no}, to: c}\n"
            "      - {value: null, to: n}\n"
            "      - {template: \"{{ a }}-$${b} \\\\{{\", to: t}\n");
    const struct sync *s = project_sync(f.project, "s");
    assert_int_equal(s->mapping_count, 6);
    const struct mapping *m = s->mappings;
    assert_string_equal(m[0].from, "id");
    assert_string_equal(m[0].to, "id");
    assert_int_equal(m[1].path_count, 2);
    assert_string_equal(m[1].path[0], "x");
    assert_string_equal(m[1].path[1], "y.z");
    assert_int_equal(m[1].if_null, IF_NULL_SKIP);
    assert_string_equal(m[2].fallback, "16");
    const struct transform *t = m[2].transforms;
    assert_int_equal(m[2].transform_count, 10);
    assert_string_equal(t[1].text, "unix_ms");
    assert_string_equal(t[2].text, "rfc3339");
    assert_true(t[3].from == 2 && t[3].length == 3);
    assert_string_equal(t[4].with, "$1${2}$n$$");
    assert_string_equal(t[6].text, "");
    assert_int_equal(t[7].table_count, 3);
    assert_string_equal(t[7].table[1].from, "1");
    assert_string_equal(t[7].table[1].to, "2");
    assert_true(t[7].table[2].to_null);
    assert_string_equal(t[7].fallback, "x");
    assert_true(t[9].from == 1 && t[9].length == -1);
    assert_string_equal(m[3].constant, "{\"a\":[1.10,null,\"yes\",true],\"b\":\"no\"}");
    assert_string_equal(m[4].constant, "null");
    assert_string_equal(m[5].from, "{{ a }}-${b} \\{{");
    folder_done(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_project_gets_every_default),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(every_key_of_a_sync_is_read),
        cmocka_unit_test(every_key_of_alerts_and_logs_is_read),
        cmocka_unit_test(every_kind_of_schedule_is_read),
        cmocka_unit_test(mappings_and_transforms_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
