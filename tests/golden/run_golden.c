/*
 * Runs golden cases: drives the batch of each through the generic driver and the settle plans, as
 * the queue and the slots would, with a clock of its own, and compares every request and verdict.
 *
 *   run_golden [--update] CASE-FOLDER…
 *
 * Exit status: 0 as the cases say, 1 otherwise, 2 where a case itself is wrong: it ends there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "protocol/config/quantity.h"
#include "protocol/wire/ordset.h"
#include "tests/golden/golden_answer.h"
#include "worker/deliver/prelude.h"
#include "worker/settle/plan.h"

enum { PARTS_MAX = 256, AT_BYTES = 64 };

/* A batch, or a part of one, as the queue would hold it. */
struct part {
    struct buf payload, ordset, progress;
    char id[BATCH_PART_ID_BYTES];
    uint32_t attempts;
    bool unsure;
};

struct verdict_got {
    enum verdict verdict;
    char message[RESULT_MESSAGE_MAX + 1];
};

struct play {
    struct golden *g;
    const struct driver *driver;
    void *state;
    struct batch_reader *reader;
    struct rendered rendered;
    struct settle_plan plan;
    struct result_reader *results;
    struct part *parts[PARTS_MAX]; /* the next one last */
    size_t part_count;
    struct verdict_got *verdicts;
    int64_t now_ms;
    bool update;
    bool stopped;
    char warning[RESULT_MESSAGE_MAX + 1];
    struct differences differences;
};

static void give_up(const struct play *p, const struct err *err)
{
    golden_fail(p->g->path, "%s: %s", p->differences.at, err->text);
}

/* ---- parts ---- */

static struct part *push_part(struct play *p, struct slice payload, struct slice ordset,
                              struct slice id)
{
    struct part *part = calloc(1, sizeof *part);
    if (p->part_count == PARTS_MAX)
        golden_fail(p->g->path, "the batch has more than %d parts", PARTS_MAX);
    buf_init(&part->payload, GOLDEN_TEXT_MAX);
    buf_init(&part->ordset, GOLDEN_TEXT_MAX);
    buf_init(&part->progress, GOLDEN_TEXT_MAX);
    if (buf_put(&part->payload, payload.p, payload.n) || buf_put(&part->ordset, ordset.p, ordset.n))
        golden_fail(p->g->path, "no memory");
    snprintf(part->id, sizeof part->id, "%.*s", (int)id.n, id.p);
    p->parts[p->part_count++] = part;
    return part;
}

static void free_part(struct part *part)
{
    buf_done(&part->payload);
    buf_done(&part->ordset);
    buf_done(&part->progress);
    free(part);
}

/* ---- what an outcome says ---- */

static const char *const kind_words[] = {
    [OUTCOME_ANSWERED] = "answered", [OUTCOME_CONTINUE] = "continue", [OUTCOME_RETRY] = "retry",
    [OUTCOME_THROTTLE] = "throttle", [OUTCOME_STOP] = "halt",         [OUTCOME_REFUSED] = "split",
    [OUTCOME_ALL] = "all",
};

static void compare_duration(struct play *p, const char *what, const json_t *expected,
                             int64_t actual_ms)
{
    uint64_t ms = 0;
    const char *text = json_string_value(expected);
    if (json_is_true(expected) || json_is_null(expected))
        return;
    if (json_is_integer(expected) && json_integer_value(expected) == 0)
        text = "0s";
    if (!text || !duration_parse(text, &ms))
        golden_fail(p->g->path, "`%s` wants a duration, such as 30s", what);
    if ((int64_t)ms != actual_ms)
        differ(&p->differences, "%s: expected %s, but got %lld ms", what, text,
               (long long)actual_ms);
}

/* `then: retry`, `then: {throttle: 30s}`, `then: {halt: words}`, `then: {continue: 5s, pause: 1m}`,
 * `then: {warning: words}`. */
static void compare_then(struct play *p, const json_t *then, const struct outcome *o)
{
    const char *word = json_string_value(then);
    const char *got = kind_words[o->kind];
    if (word && strcmp(word, got) != 0)
        differ(&p->differences, "expected `%s`, but it was `%s`: %.*s", word, got,
               (int)o->message.n, o->message.p ? o->message.p : "");
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)then, key, v)
    {
        if (strcmp(key, "pause") == 0) {
            compare_duration(p, key, v, (int64_t)o->pause_ms);
        } else if (strcmp(key, "hold") == 0) {
            compare_duration(p, key, v, (int64_t)o->hold_ms);
        } else if (strcmp(key, "warning") == 0) {
            if (!memmem(o->warning.p, o->warning.n, json_string_value(v), json_string_length(v)))
                differ(&p->differences, "warning: expected %s, but got %.*s", json_string_value(v),
                       (int)o->warning.n, o->warning.p ? o->warning.p : "");
        } else if (strcmp(key, "unsure") == 0) {
            if (json_is_true(v) != o->unsure)
                differ(&p->differences, "unsure is %s", o->unsure ? "true" : "false");
        } else if (strcmp(key, got) != 0) {
            differ(&p->differences, "expected `%s`, but it was `%s`: %.*s", key, got,
                   (int)o->message.n, o->message.p ? o->message.p : "");
        } else if (o->kind == OUTCOME_THROTTLE) {
            compare_duration(p, key, v, o->retry_after_ms);
        } else if (o->kind == OUTCOME_CONTINUE) {
            compare_duration(p, key, v, o->delay_ms);
        } else if (json_is_string(v) && !memmem(o->message.p, o->message.n, json_string_value(v),
                                                json_string_length(v))) {
            differ(&p->differences, "%s: expected the words %s, but got %.*s", key,
                   json_string_value(v), (int)o->message.n, o->message.p ? o->message.p : "");
        }
    }
}

/* ---- settling ---- */

static void take_result(struct play *p)
{
    struct result r;
    struct err err;
    uint8_t *bits = calloc(1, p->g->records / 8 + 1);
    if (result_parse(p->results, buf_slice(&p->plan.result), &r, &err) ||
        ordset_bits(r.ordset, p->g->records, bits, &err))
        give_up(p, &err);
    for (uint32_t i = 0, k = 0; i < p->g->records; i++) {
        if (!(bits[i / 8] >> (i % 8) & 1))
            continue;
        enum verdict verdict = r.rest;
        struct slice words = r.message;
        while (k < r.entry_count && r.entries[k].ordinal < i)
            k++;
        if (k < r.entry_count && r.entries[k].ordinal == i) {
            verdict = r.entries[k].verdict;
            words = r.entries[k].message;
        }
        if (verdict == VERDICT_OPEN)
            continue;
        struct verdict_got *got = &p->verdicts[i];
        if (got->verdict != VERDICT_OPEN)
            differ(&p->differences, "record %u got a second verdict", i);
        got->verdict = verdict;
        snprintf(got->message, sizeof got->message, "%.*s", (int)words.n, words.p ? words.p : "");
    }
    if (r.flags & RESULT_WARN)
        snprintf(p->warning, sizeof p->warning, "%.*s", (int)r.message.n, r.message.p);
    free(bits);
}

/* What the queue would make of the plan. */
static void apply_plan(struct play *p, struct part *part)
{
    const struct settle_plan *plan = &p->plan;
    p->now_ms += (int64_t)plan->delay_ms;
    if (plan->kind == SETTLE_DONE || plan->kind == SETTLE_STOP) {
        p->stopped |= plan->kind == SETTLE_STOP;
        return;
    }
    if (plan->kind == SETTLE_SPLIT) {
        for (size_t i = plan->part_count; i-- > 0;)
            push_part(p, plan->parts[i].payload, plan->parts[i].ordset, plan->parts[i].part)
                ->unsure = part->unsure || plan->unsure;
        return;
    }
    struct part *next = plan->part_count ? push_part(p, plan->parts[0].payload,
                                                     plan->parts[0].ordset, plan->parts[0].part)
                                         : push_part(p, buf_slice(&part->payload),
                                                     buf_slice(&part->ordset), slice_str(part->id));
    next->attempts = part->attempts + (plan->kind == SETTLE_RETRY);
    next->unsure = part->unsure || plan->unsure;
    if (buf_put(&next->progress, plan->progress.p, plan->progress.n))
        golden_fail(p->g->path, "no memory");
}

static void settle(struct play *p, struct part *part, const struct outcome *o, uint32_t status)
{
    struct err err;
    struct settle_facts facts = {
        .policy = &p->g->sync->destination->retry,
        .batch = batch_reader_head(p->reader)->id,
        .ordset = buf_slice(&part->ordset),
        .planned = p->g->records,
        .attempts = part->attempts,
        .was_unsure = part->unsure,
        .requests = 1,
        .status = status,
    };
    if (settle_plan_outcome(&p->plan, &facts, &p->rendered, o, p->reader, &err))
        give_up(p, &err);
    take_result(p);
    apply_plan(p, part);
}

/* ---- one exchange ---- */

static void render(struct play *p, const struct delivery *d, struct prelude **ret_prelude)
{
    struct err err;
    enum err_code rc = p->driver->prelude(p->state, d, ret_prelude, &err);
    if (!rc && *ret_prelude)
        rc = (*ret_prelude)->ops->render(*ret_prelude, d, &p->rendered, &err);
    else if (!rc)
        rc = p->driver->render(p->state, d, &p->rendered, &err);
    if (rc)
        give_up(p, &err);
}

static void classify(struct play *p, const struct delivery *d, struct prelude *prelude,
                     const struct http_answer *answer, struct outcome *ret_outcome)
{
    struct prelude_answer gotten = {0};
    struct err err;
    enum err_code rc =
        prelude ? prelude->ops->classify(prelude, d, &p->rendered, answer, &gotten, &err)
                : p->driver->classify(p->state, d, &p->rendered, answer, ret_outcome, &err);
    if (rc)
        give_up(p, &err);
    if (prelude) {
        *ret_outcome = gotten.outcome;
        p->rendered.records = 0;
    }
}

static void exchange(struct play *p, json_t *with)
{
    struct part *part = p->parts[--p->part_count];
    struct prelude *prelude = NULL;
    struct outcome outcome;
    struct golden_answer answer;
    struct err err;
    if (batch_reader_open(p->reader, buf_slice(&part->payload), &err))
        give_up(p, &err);
    struct delivery d = {
        .reader = p->reader,
        .part = slice_str(part->id),
        .attempt = part->attempts + 1,
        .progress = buf_slice(&part->progress),
        .now_ms = p->now_ms,
    };
    render(p, &d, &prelude);
    if (p->update)
        json_object_set_new(with, "request", golden_request(&p->rendered));
    else
        golden_compare_request(&p->differences, golden_get(p->g, with, "request"), &p->rendered);
    golden_answer_make(p->g, with, p->now_ms, &answer);
    classify(p, &d, prelude, &answer.answer, &outcome);
    if (json_object_get(with, "then"))
        compare_then(p, json_object_get(with, "then"), &outcome);
    settle(p, part, &outcome, answer.answer.status);
    golden_answer_done(&answer);
    free_part(part);
}

/* ---- the end ---- */

static void compare_verdict(struct play *p, size_t i, const json_t *expected)
{
    static const char *const words[] = {
        [VERDICT_OPEN] = "open",         [VERDICT_OK] = "ok",
        [VERDICT_REJECTED] = "rejected", [VERDICT_NOT_FOUND] = "not_found",
        [VERDICT_FAILED] = "failed",     [VERDICT_CANCELLED] = "cancelled",
    };
    const struct verdict_got *got = &p->verdicts[i];
    const char *word = json_string_value(expected), *message = NULL;
    if (json_is_object(expected)) {
        void *first = json_object_iter((json_t *)(uintptr_t)expected);
        word = json_object_iter_key(first);
        message = json_string_value(json_object_iter_value(first));
    }
    if (!word || strcmp(word, words[got->verdict]) != 0)
        differ(&p->differences, "record %zu: expected %s, but it is %s: %s", i, word ? word : "?",
               words[got->verdict], got->message);
    else if (message && !strstr(got->message, message))
        differ(&p->differences, "record %zu: expected the words %s, but got %s", i, message,
               got->message);
}

static void compare_end(struct play *p)
{
    p->differences.at = "verdicts";
    json_t *expected = golden_get(p->g, p->g->root, "verdicts"), *v;
    const char *warning = json_string_value(json_object_get(p->g->root, "warning"));
    size_t i;
    if (json_is_string(expected) || json_array_size(expected) != p->g->records)
        golden_fail(p->g->path, "`verdicts` must be a list with one for each record");
    json_array_foreach(expected, i, v) compare_verdict(p, i, v);
    if (warning && !strstr(p->warning, warning))
        differ(&p->differences, "expected the warning %s, but got %s", warning, p->warning);
}

static void play(struct play *p)
{
    char at[AT_BYTES];
    json_t *with;
    size_t i;
    json_array_foreach(golden_get(p->g, p->g->root, "exchange"), i, with)
    {
        snprintf(at, sizeof at, "request %zu", i + 1);
        p->differences.at = at;
        if (!p->part_count) {
            differ(&p->differences, "it is not sent: every record has its verdict");
            break;
        }
        exchange(p, with);
    }
    if (p->update)
        golden_write(p->g);
    compare_end(p);
}

static void open_play(struct play *p)
{
    const struct destination *d = p->g->sync->destination;
    struct err err;
    p->driver = driver_find(d);
    p->reader = batch_reader_new();
    p->results = result_reader_new();
    p->verdicts = calloc(p->g->records + 1, sizeof *p->verdicts);
    p->now_ms = p->g->now_ms;
    p->differences = (struct differences){p->g->path, "case", 0};
    rendered_init(&p->rendered);
    settle_plan_init(&p->plan);
    if (!p->driver || !p->driver->prelude)
        golden_fail(p->g->path, "its destination does not speak HTTP");
    if (p->driver->open(d, &p->g->project->settings, &p->state, &err) ||
        batch_reader_open(p->reader, buf_slice(&p->g->batch), &err))
        give_up(p, &err);
    push_part(p, buf_slice(&p->g->batch), (struct slice){0}, batch_reader_head(p->reader)->id);
}

static void close_play(struct play *p)
{
    while (p->part_count)
        free_part(p->parts[--p->part_count]);
    p->driver->close(p->state);
    batch_reader_free(p->reader);
    result_reader_free(p->results);
    rendered_done(&p->rendered);
    settle_plan_done(&p->plan);
    free(p->verdicts);
}

/* Gives how many differences there were. */
static unsigned play_case(const char *folder, bool update)
{
    struct golden g;
    char path[4096];
    snprintf(path, sizeof path, "%s/case.yaml", folder);
    golden_read(&g, path);
    golden_make(&g);
    struct play p = {.g = &g, .update = update};
    open_play(&p);
    play(&p);
    close_play(&p);
    golden_done(&g);
    return p.differences.count;
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    int first = 1 + update;
    int wrong = 0;
    if (argc <= first) {
        fprintf(stderr, "usage: run_golden [--update] CASE-FOLDER…\n");
        return 2;
    }
    for (int i = first; i < argc; i++)
        wrong += play_case(argv[i], update) > 0;
    printf("%d cases, %d of them not as they say\n", argc - first, wrong);
    return wrong ? 1 : 0;
}
