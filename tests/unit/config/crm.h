/* A project with a connector of its own, crm, for tests: what its destinations and syncs may say.
 */
#ifndef SLUICE_TESTS_CONFIG_CRM_H
#define SLUICE_TESTS_CONFIG_CRM_H

#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SECRET "hunter2-hunter2"

/* Written first, so that the lines of the cases do not move when it grows. */
static const char connector_file[] =
    "connectors:\n"
    "  crm:\n"
    "    title: Test CRM\n"
    "    options:\n"
    "      token: {secret: true}\n"
    "      client.id: {required: true}\n"
    "      client.secret: {secret: true, required: true}\n"
    "      account: number of the account\n"
    "      tier: {default: S, one_of: [S, M]}\n"
    "      dry: {kind: bool, default: false}\n"
    "      extra: {kind: map}\n"
    "      base_url: {default: \"https://api.example.com\"}\n"
    "    auth:\n"
    "      - {when: options.token, headers: {Authorization: \"Bearer {{options.token}}\"}}\n"
    "      - when: options.client.id\n"
    "        basic: {user: \"{{options.client.id}}\", password: \"{{options.client.secret}}\"}\n"
    "    limits: {by: tier, cases: {S: [{requests: 10, per: 1s}],\n"
    "      M: [{requests: 100, per: 1s}, {requests: 5, per: 1s, group: search}]}}\n"
    "    concurrency: 3\n"
    "    timeout: 20s\n"
    "    objects:\n"
    "      contacts:\n"
    "        keys: {email: {type: text}, code: {type: text}}\n"
    "        fields: {email: {recipe: plain_email}, code: {}, name: {type: text, required: true},\n"
    "          age: {type: number}, vip: {type: bool}, tags: {type: list}, seen: {type: "
    "timestamp},\n"
    "          born: {type: date}, more: {type: json}}\n"
    "        modes: [upsert, update, mirror]\n"
    "        remove: [delete]\n"
    "        conflicts: {set_if_empty: native, newest_wins: native, merge_arrays: native}\n"
    "        repeat: safe\n"
    "        max_records: 100\n"
    "        batch_records: 50\n"
    "        max_bytes: 1MB\n"
    "        requests:\n"
    "          upsert: &write\n"
    "            url: \"{{options.base_url}}/{{object}}\"\n"
    "            body: {json: {$records: {key: \"{{key}}\", $fields: {merge: {add: "
    "\"{{cell}}\"}}}}}\n"
    "          update: upsert\n"
    "          delete: {url: \"{{options.base_url}}/delete\", group: search, timeout: 90s,\n"
    "                   body: {json: {$records: {key: \"{{key}}\"}}}}\n"
    "      \"events/*\":\n"
    "        keys: {\"*\": {}}\n"
    "        fields: {\"*\": {}, at: {type: timestamp}}\n"
    "        any_of: [email, phone]\n"
    "        modes: [append]\n"
    "        repeat: double\n"
    "        conflicts: {}\n"
    "        max_records: 10\n"
    "        lane_by: channel\n"
    "        requests: {append: *write}\n"
    "      \"list/*\":\n"
    "        keys: {email: {}, list: {}}\n"
    "        fields: {email: {}, list: {}, name: {}}\n"
    "        max_records: 10\n"
    "        group_by: [list, name]\n"
    "        requests:\n"
    "          upsert: {url: \"{{options.base_url}}/{{group.list}}\"}\n"
    "          delete: {url: \"{{options.base_url}}/{{group.list}}\", query: {a: "
    "\"{{group.list}}\"}}\n";

#define SOURCE "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
#define MODEL                                                                                      \
    "models: {m: {source: w, primary_key: email, table: t}, n: {source: w, primary_key: id, "      \
    "table: t}}\n"
#define DESTINATION "destinations: {d: {type: crm, token: t"
#define SYNC SOURCE MODEL DESTINATION "}}\nsyncs: {s: {model: m, destination: d, "
#define GOOD "object: contacts, mappings: [email, name]"

struct connector_case {
    const char *text;
    const char *place; /* line:col in sluice.yaml; NULL ends a table */
    const char *words;
};

static inline void load(struct folder *f, const char *text)
{
    folder_init(f);
    folder_write(f, "crm.yaml", connector_file);
    folder_load_text(f, text);
}

static inline bool case_holds(const struct connector_case *c)
{
    struct folder f;
    char place[64];
    load(&f, c->text);
    snprintf(place, sizeof place, "sluice.yaml:%s", c->place);
    bool holds = folder_says(&f, place, c->words) && f.problems.mistakes == 1;
    for (size_t i = 0; i < f.problems.count; i++)
        holds = holds && !strstr(f.problems.items[i].text, SECRET);
    if (!holds) {
        print_error("%s wanted alone: %s: %s; said:\n", c->text, place, c->words);
        folder_print(&f);
    }
    folder_done(&f);
    return holds;
}

static inline void check_cases(const struct connector_case *cases)
{
    bool all = true;
    for (; cases->place; cases++)
        all = case_holds(cases) && all;
    assert_true(all);
}

static inline void load_good(struct folder *f, const char *text)
{
    load(f, text);
    if (f->rc)
        folder_print(f);
    assert_int_equal(f->rc, ERR_OK);
}

#endif
