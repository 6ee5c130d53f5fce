/*
 * Judging an answer: the first rule that holds decides; what it says is carried out here.
 *
 *     answer ─▶ first rule ─▶ ok, drop ─▶ verdicts, lookup, captures
 *                        └──▶ anything else ─▶ words, how long to wait
 *
 * The body is parsed at most once, and only where a rule looks into it.
 */
#include "worker/judge/answer.h"

#include <stdio.h>

#include "worker/judge/answer_parts.h"
#include "worker/deliver/words.h"
#include "worker/judge/doc_words.h"

static bool whole(const struct http_answer *a)
{
    return !a->error && !a->body_cut;
}

/* A 2xx whose body broke off may have listed refusals: it is no answer. */
static bool came(const struct http_answer *a)
{
    return a->status >= 200 && (!a->error || a->status >= 300);
}

const struct doc_place *judge_json(struct judge *j)
{
    if (!j->read) {
        j->read = true;
        enum err_code rc = ERR_OK;
        if (!j->in->answer->body_cut)
            rc = doc_parse(j->arena, j->in->answer->body, &j->doc, &j->is_json);
        j->no_memory = j->no_memory || rc == ERR_NOMEM;
        j->too_much = rc == ERR_FULL;
        j->root = (struct doc_place){&j->doc, 0, j->rules->identify_by};
    }
    return j->is_json ? &j->root : NULL;
}

bool judge_lacks(const struct judge *j, const struct pointer *at)
{
    enum { NAME_BYTES = 128 };
    char quoted[NAME_BYTES + 2];
    struct slice body = j->in->answer->body;
    if (j->read && !j->in->answer->body_cut)
        return !j->is_json;
    if (!body.n || !at->count || at->levels[0].kind != LEVEL_NAME || at->levels[0].index >= 0)
        return !body.n;
    int n = snprintf(quoted, sizeof quoted, "\"%s\"", at->levels[0].name);
    if (n < 0 || (size_t)n >= sizeof quoted)
        return !body.n;
    /* A name may also be written with escapes. */
    return !memmem(body.p, body.n, quoted, (size_t)n) &&
           (j->in->answer->body_cut || !memchr(body.p, '\\', body.n));
}

/* ---- which rule ---- */

static bool status_holds(const struct condition *c, uint32_t status)
{
    for (size_t i = 0; i < c->status_count; i++)
        if (status >= c->statuses[i].from && status <= c->statuses[i].to)
            return true;
    return c->status_count == 0;
}

static bool answer_holds(const struct condition *c, const struct http_answer *a)
{
    switch (c->answer) {
    case ANSWER_CAME:
        return came(a);
    case ANSWER_NONE:
        return !came(a);
    case ANSWER_UNSENT:
        return !came(a) && !a->reached;
    }
    return false;
}

/* What broke off or was cut may be anything. */
static bool body_holds(struct judge *j, enum body_test test)
{
    const struct http_answer *a = j->in->answer;
    switch (test) {
    case BODY_ANY:
        return true;
    case BODY_EMPTY:
        return !a->error && !a->body.n;
    case BODY_JSON:
        return judge_json(j) != NULL;
    case BODY_NOT_JSON:
        return whole(a) && !judge_json(j) && !j->too_much;
    }
    return false;
}

static bool body_matches(const struct http_answer *a, struct pattern *p)
{
    enum { LOOKED_AT = 4096 };
    struct slice group;
    return pattern_match(p, slice_of(a->body.p, a->body.n < LOOKED_AT ? a->body.n : LOOKED_AT),
                         &group);
}

static bool session_holds(const struct condition *c, const struct batch_head *head)
{
    switch (c->session) {
    case SESSION_ANY:
        return true;
    case SESSION_FIRST:
        return head->sequence == 1;
    case SESSION_LAST:
        return head->last;
    }
    return false;
}

static bool records_hold(const struct condition *c, const struct rendered *r)
{
    if (c->records == RECORDS_ONE && r->records != 1)
        return false;
    if (c->records == RECORDS_MANY && r->records < 2)
        return false;
    if (!c->ops)
        return true;
    for (uint32_t i = 0; i < r->records; i++)
        if (c->ops & 1u << r->ops[i])
            return true;
    return false;
}

static bool holds(struct judge *j, const struct judge_rule *rule)
{
    const struct condition *c = &rule->as->when;
    const struct http_answer *a = j->in->answer;
    if (c->step >= 0 && (uint32_t)c->step != j->rules->step_index)
        return false;
    if (!answer_holds(c, a) || !status_holds(c, a->status) || !records_hold(c, j->in->request))
        return false;
    if (!session_holds(c, j->in->head))
        return false;
    for (size_t i = 0; i < c->header_count; i++)
        if (!check_header(&rule->headers[i], a, c->headers[i].name))
            return false;
    if (!body_holds(j, c->body) || (rule->body && !body_matches(a, rule->body)))
        return false;
    for (size_t i = 0; i < c->json_count; i++) {
        const struct doc_place *root = judge_json(j);
        if (!root || !check_json(&rule->json[i], root, j->arena))
            return false;
    }
    return true;
}

/* Where no rule holds, as a webhook's answer is understood. */
static enum rule_do default_do(const struct http_answer *a)
{
    uint32_t status = a->status;
    if (!came(a))
        return DO_RETRY;
    if (status < 300)
        return DO_OK;
    switch (status) {
    case 429:
    case 503:
        return DO_THROTTLE;
    case 401:
        return DO_AUTH;
    case 403:
    case 404:
    case 405:
    case 407:
    case 410:
        return DO_HALT;
    case 408:
        return DO_RETRY;
    default:
        return status < 400 ? DO_HALT : status < 500 ? DO_SPLIT : DO_RETRY;
    }
}

/* ---- what it says ---- */

/* Where a redirect points, without the query: that part may hold what must not be shown. */
static struct slice redirect_words(struct arena *a, const char *location)
{
    char text[512];
    int n = snprintf(text, sizeof text, "redirects are not followed; this one points to %.*s",
                     (int)strcspn(location, "?#"), location);
    size_t bytes = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return words_clean(a, slice_of(text, bytes));
}

struct slice judge_words(struct judge *j, const struct pointer_list *where)
{
    const struct http_answer *a = j->in->answer;
    const struct doc_place *root = judge_json(j);
    struct slice words = {0};
    if (root && where)
        words = words_at(root, where, j->arena);
    if (!words.n && root)
        words = words_usual(root->doc, root->node, j->arena);
    return words.n ? words : words_clean(j->arena, a->body);
}

static struct slice message_of(struct judge *j, const struct rule *rule)
{
    const struct http_answer *a = j->in->answer;
    struct slice words;
    if (!came(a))
        words = words_clean(j->arena, slice_str(a->error ? a->error : "no final answer came"));
    else if (rule && rule->text)
        words = words_clean(j->arena, slice_str(rule->text));
    else if (a->status >= 300 && a->status < 400 && a->location)
        words = redirect_words(j->arena, a->location);
    else
        words = judge_words(j, rule ? &rule->message : NULL);
    if (a->status == 413 && !words.n)
        words = SLICE_LIT("too large");
    /* What a 2xx says against itself needs no status. */
    return came(a) && a->status >= 300 ? words_with_status(j->arena, a->status, words) : words;
}

static int64_t wait_of(struct judge *j, const struct judged *v, const struct rule *rule)
{
    const struct delay_readers *readers = rule ? &rule->wait : NULL;
    if (!readers || !readers->count)
        return v->act == DO_THROTTLE ? j->in->answer->retry_after_ms : -1;
    struct delay_source source = {
        .answer = j->in->answer,
        .json = delay_reads_json(readers) ? judge_json(j) : NULL,
        .central = &j->rules->central,
        .now_ms = j->in->now_ms,
    };
    return delay_read(readers, &source);
}

static void read_signals(struct judge *j, struct judged *v)
{
    const struct connector *c = j->rules->connector;
    struct delay_source source = {
        .answer = j->in->answer, .central = &j->rules->central, .now_ms = j->in->now_ms};
    for (size_t i = 0; i < c->signal_count; i++) {
        uint64_t ms = 0;
        if (signal_read(&c->signals[i], &j->rules->signals[i], &source, j->arena, &ms))
            j->no_memory = true;
        v->pause_ms = ms > v->pause_ms ? ms : v->pause_ms;
    }
}

void judge_instead(struct judged *v, enum rule_do act, struct slice message)
{
    *v = (struct judged){.act = act,
                         .unsure = act == DO_RETRY,
                         .wait_ms = -1,
                         .pause_ms = v->pause_ms,
                         .message = message,
                         .unmentioned = VERDICT_OK};
}

void judge_bug(struct judged *v, const char *what)
{
    judge_instead(v, DO_RETRY, slice_str(what));
    v->bug = true;
}

/* ---- the whole ---- */

static void carry_out(struct judge *j, const struct judge_rule *rule, struct judged *v)
{
    const struct http_answer *a = j->in->answer;
    const struct rule *as = rule ? rule->as : NULL;
    const struct verdict_plan *plan = rule ? rule->verdicts : j->rules->verdicts;
    bool goes_on = v->act == DO_OK || v->act == DO_GOTO;
    if (!goes_on && v->act != DO_PENDING)
        v->message = message_of(j, as);
    v->wait_ms = wait_of(j, v, as);
    if ((v->act == DO_OK || v->act == DO_DROP) && plan)
        judge_verdicts(j, plan, v);
    if (!goes_on || v->act == DO_RETRY)
        return;
    /* The rest is read from what must be whole. */
    bool reads = j->rules->step->lookup || j->rules->step->capture_count;
    if (reads && a->error) {
        judge_instead(v, DO_RETRY, words_clean(j->arena, slice_str(a->error)));
        return;
    }
    if (j->rules->step->lookup && v->act == DO_OK)
        judge_lookup(j, v);
    if (v->act == DO_OK && j->too_much) {
        judge_bug(v, "the answer is deeper or longer than what is looked at");
        return;
    }
    if (v->act == DO_OK || v->act == DO_GOTO)
        judge_captures(j, v);
}

enum err_code answer_judge(const struct answer_rules *rules, const struct judge_input *in,
                           struct arena *arena, struct judged *ret_judged, struct err *err)
{
    struct judge j = {.rules = rules, .in = in, .arena = arena};
    for (size_t i = 0; i < rules->pattern_count; i++)
        pattern_reset(rules->patterns[i]);
    const struct judge_rule *rule = NULL;
    for (size_t i = 0; i < rules->rule_count && !rule; i++)
        if (holds(&j, &rules->rules[i]))
            rule = &rules->rules[i];
    struct judged v = {
        .act = rule ? rule->as->act : default_do(in->answer),
        .step = rule ? rule->as->step : 0,
        .unmentioned = VERDICT_OK,
    };
    if (rule && rule->as->unsure_set)
        v.unsure = rule->as->unsure;
    else
        v.unsure = came(in->answer) ? v.act == DO_RETRY : in->answer->reached;
    read_signals(&j, &v);
    carry_out(&j, rule, &v);
    if (j.no_memory)
        return err_set(err, ERR_NOMEM, "no memory for an answer with %u records",
                       in->request->records);
    *ret_judged = v;
    return ERR_OK;
}
