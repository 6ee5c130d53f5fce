/* Whatever a destination answers, a batch of several requests ends, and each of its records gets
 * one verdict: the driver and the settle plans together, the queue and the network by chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/wire/ordset.h"
#include "tests/unit/worker/there.h"
#include "worker/settle/plan.h"

enum { RECORDS = 7, PARTS_MAX = 64, ROUNDS = 3000, REQUESTS_MAX = 20000, ROOM = 1 << 16 };

#define CONNECTOR                                                                                  \
    "connectors:\n"                                                                                \
    "  desk:\n"                                                                                    \
    "    options: {base_url: {default: 'http://x'}}\n"                                             \
    "    objects:\n"                                                                               \
    "      jobs:\n"                                                                                \
    "        keys: {'*': {}}\n"                                                                    \
    "        fields: {'*': {}}\n"                                                                  \
    "        modes: [upsert]\n"                                                                    \
    "        max_records: 10\n"                                                                    \
    "        requests:\n"                                                                          \
    "          upsert:\n"                                                                          \
    "            steps:\n"                                                                         \
    "              - name: look\n"                                                                 \
    "                method: GET\n"                                                                \
    "                url: '{{options.base_url}}/look'\n"                                           \
    "                lookup: {entries: /found, key: /key, id: /id, missing: not_found}\n"          \
    "              - name: put\n"                                                                  \
    "                url: '{{options.base_url}}/put'\n"                                            \
    "                body: {json: {$records: {id: '{{found}}'}}}\n"                                \
    "                capture: {job: {json: /job}}\n"                                               \
    "                opens: true\n"                                                                \
    "                answers: [{status: 409, do: drop}, {status: 410, do: restart}]\n"             \
    "                verdicts: {at: /bad, index: /i, retryable: {at: /again, equals: true}}\n"     \
    "              - name: ask\n"                                                                  \
    "                method: GET\n"                                                                \
    "                url: '{{options.base_url}}/ask/{{vars.job}}'\n"                               \
    "                wait: {first: 1s, every: 1s, deadline: 20s}\n"                                \
    "                answers:\n"                                                                   \
    "                  - {json: {at: /state, equals: running}, do: pending}\n"                     \
    "                  - {json: {at: /state, equals: again}, do: {goto: put}}\n"                   \
    "                  - {status: 422, do: reject}\n"                                              \
    "                pages: {next: {json: /next}, var: page}\n"                                    \
    "                query: {page: '{{vars.page}}'}\n"                                             \
    "                verdicts: {at: /bad, index: /i, retryable: {at: /again, equals: true}}\n"

struct part {
    char payload[ROOM], progress[ROOM], ordset[256], id[BATCH_PART_ID_BYTES];
    size_t payload_bytes, progress_bytes, ordset_bytes;
    uint32_t attempts;
    bool unsure;
};

struct world {
    struct there there;
    struct settle_plan plan;
    struct result_reader *results;
    struct part parts[PARTS_MAX];
    size_t part_count;
    enum verdict verdicts[RECORDS];
    uint64_t chance;
    bool stopped;
};

static uint32_t draw(struct world *w, uint32_t below)
{
    w->chance = w->chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->chance >> 33) % below;
}

/* ---- the destination ---- */

static void say_found(struct world *w, char *body, size_t room)
{
    size_t n = (size_t)snprintf(body, room, "{\"found\":[");
    const char *between = "";
    for (int i = 1; i <= RECORDS; i++)
        if (draw(w, 4)) {
            n += (size_t)snprintf(body + n, room - n, "%s{\"key\":\"%d\",\"id\":\"id%d\"}", between,
                                  i, i);
            between = ",";
        }
    snprintf(body + n, room - n, "]}");
}

static void say_bad(struct world *w, char *body, size_t room)
{
    static const char *const states[] = {"done", "done", "running", "again"};
    size_t n = (size_t)snprintf(body, room, "{\"job\":\"j\",\"state\":\"%s\"%s,\"bad\":[",
                                states[draw(w, 4)], draw(w, 3) ? "" : ",\"next\":\"p\"");
    const char *between = "";
    uint32_t records = w->there.rendered.records;
    for (uint32_t i = 0; i < records; i++)
        if (!draw(w, 4)) {
            n += (size_t)snprintf(body + n, room - n, "%s{\"i\":%u,\"again\":%s}", between, i,
                                  draw(w, 2) ? "true" : "false");
            between = ",";
        }
    snprintf(body + n, room - n, "]}");
}

static struct outcome answer(struct world *w)
{
    static const uint32_t statuses[] = {200, 200, 200, 200, 200, 200, 200, 200, 200,
                                        409, 410, 400, 422, 429, 500, 200, 200, 0};
    char body[2048];
    uint32_t status = statuses[draw(w, ARRAY_LEN(statuses))];
    if (strstr(w->there.rendered.url, "/look"))
        say_found(w, body, sizeof body);
    else
        say_bad(w, body, sizeof body);
    struct http_answer a = {.status = status,
                            .body = slice_str(status ? body : ""),
                            .error = status ? NULL : "closed",
                            .reached = draw(w, 2),
                            .retry_after_ms = -1};
    return there_judge(&w->there, &a);
}

/* ---- the queue ---- */

static struct part *push(struct world *w, struct slice payload, struct slice ordset,
                         struct slice id)
{
    assert_true(w->part_count < PARTS_MAX);
    assert_true(payload.n < ROOM && ordset.n < sizeof w->parts[0].ordset);
    struct part *p = &w->parts[w->part_count++];
    memcpy(p->payload, payload.p, payload.n);
    p->payload_bytes = payload.n;
    if (ordset.n)
        memcpy(p->ordset, ordset.p, ordset.n);
    p->ordset_bytes = ordset.n;
    snprintf(p->id, sizeof p->id, "%.*s", (int)id.n, id.p);
    p->progress_bytes = p->attempts = 0;
    p->unsure = false;
    return p;
}

static void take_verdicts(struct world *w)
{
    struct result r;
    struct err err;
    uint8_t bits[RECORDS / 8 + 1];
    assert_int_equal(result_parse(w->results, buf_slice(&w->plan.result), &r, &err), ERR_OK);
    assert_int_equal(ordset_bits(r.ordset, RECORDS, bits, &err), ERR_OK);
    for (uint32_t i = 0; i < RECORDS; i++) {
        enum verdict verdict = r.rest;
        if (!(bits[i / 8] >> (i % 8) & 1))
            continue;
        for (size_t k = 0; k < r.entry_count; k++)
            if (r.entries[k].ordinal == i)
                verdict = r.entries[k].verdict;
        if (verdict == VERDICT_OPEN)
            continue;
        assert_int_equal(w->verdicts[i], VERDICT_OPEN);
        w->verdicts[i] = verdict;
    }
}

static void apply(struct world *w, const struct part *old)
{
    const struct settle_plan *plan = &w->plan;
    w->there.delivery.now_ms += (int64_t)plan->delay_ms;
    w->stopped |= plan->kind == SETTLE_STOP;
    if (plan->kind == SETTLE_DONE || plan->kind == SETTLE_STOP)
        return;
    for (size_t i = plan->part_count; i-- > 0;)
        push(w, plan->parts[i].payload, plan->parts[i].ordset, plan->parts[i].part);
    if (!plan->part_count)
        push(w, slice_of(old->payload, old->payload_bytes),
             slice_of(old->ordset, old->ordset_bytes), slice_str(old->id));
    size_t made = plan->part_count ? plan->part_count : 1;
    for (size_t i = w->part_count - made; i < w->part_count; i++) {
        struct part *p = &w->parts[i];
        p->unsure = plan->unsure || (old->unsure && plan->kind != SETTLE_CONTINUE);
        p->attempts = plan->kind == SETTLE_SPLIT ? 0 : old->attempts + (plan->kind == SETTLE_RETRY);
        if (plan->kind == SETTLE_SPLIT || !plan->progress.n)
            continue;
        assert_true(plan->progress.n < ROOM);
        memcpy(p->progress, plan->progress.p, plan->progress.n);
        p->progress_bytes = plan->progress.n;
    }
}

static void one_request(struct world *w)
{
    struct there *t = &w->there;
    struct part old = w->parts[--w->part_count];
    struct err err;
    assert_int_equal(batch_reader_open(t->reader, slice_of(old.payload, old.payload_bytes), &err),
                     ERR_OK);
    t->delivery.progress = slice_of(old.progress, old.progress_bytes);
    if (t->driver->render(t->state, &t->delivery, &t->rendered, &err))
        fail_msg("%s", err.text);
    struct outcome o = answer(w);
    struct settle_facts facts = {
        .policy = &project_destination(t->folder.project, "hook")->retry,
        .batch = SLICE_LIT("b"),
        .ordset = slice_of(old.ordset, old.ordset_bytes),
        .planned = RECORDS,
        .attempts = old.attempts,
        .was_unsure = old.unsure,
        .requests = 1,
        .status = 200,
    };
    assert_true(o.next_group >= 1 || o.kind == OUTCOME_STOP || o.kind == OUTCOME_ANSWERED ||
                o.kind == OUTCOME_ALL);
    if (settle_plan_outcome(&w->plan, &facts, &t->rendered, &o, t->reader, &err))
        fail_msg("%s", err.text);
    take_verdicts(w);
    apply(w, &old);
}

static void begin(struct world *w)
{
    static const char *const keys[] = {"id", NULL}, *const fields[] = {"id", NULL};
    struct sample_head h = {"s", "r", "b", "hook", "f", keys, fields, RECORDS};
    buf_reset(&w->there.payload);
    sample_ids(&w->there.payload, &h, 1, RECORDS);
    memset(w->verdicts, 0, sizeof w->verdicts);
    w->part_count = 0;
    w->stopped = false;
    w->there.delivery.now_ms = 1000000;
    push(w, buf_slice(&w->there.payload), (struct slice){0}, SLICE_LIT("b"));
}

static void every_batch_ends_with_one_verdict_for_each_record(void **state)
{
    (void)state;
    struct world *w = calloc(1, sizeof *w);
    struct err err;
    uint32_t seen[VERDICT_CANCELLED + 1] = {0};
    assert_int_equal(there_open(&w->there, "{type: desk}", CONNECTOR, &err), ERR_OK);
    settle_plan_init(&w->plan);
    w->results = result_reader_new();
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        w->chance = round;
        begin(w);
        int requests = 0;
        while (w->part_count && !w->stopped) {
            if (++requests > REQUESTS_MAX)
                fail_msg("round %d does not end", (int)round);
            one_request(w);
        }
        for (uint32_t i = 0; i < RECORDS; i++) {
            if (w->verdicts[i] == VERDICT_OPEN && !w->stopped)
                fail_msg("round %d: record %u has no verdict", (int)round, i);
            seen[w->verdicts[i]]++;
        }
    }
    assert_true(seen[VERDICT_OK] && seen[VERDICT_REJECTED] && seen[VERDICT_NOT_FOUND] &&
                seen[VERDICT_FAILED]);
    result_reader_free(w->results);
    settle_plan_done(&w->plan);
    there_close(&w->there);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_batch_ends_with_one_verdict_for_each_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
