/*
 * Foreign bytes as answers, judged by rules of every kind, and as progress. No verdict may name a
 * record that was not sent, no word may be unfit to keep, and a record that the answer lists as
 * failed is never accepted.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "protocol/base/utf8.h"
#include "worker/deliver/progress.h"
#include "worker/judge/answer.h"
#include "worker/judge/delay.h"
#include "worker/judge/doc.h"
#include "worker/judge/instant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { RECORDS = 5, ARENA_BYTES = 32 << 20, HEAD_BYTES = 4, STEPS = 8, VARS = 2, HEADERS = 2 };

#define LEVEL(n, i)                                                                                \
    {                                                                                              \
        LEVEL_NAME, n, i                                                                           \
    }
static const struct pointer_level level_e[] = {LEVEL("errors", -1)};
static const struct pointer_level level_i[] = {LEVEL("index", -1)};
static const struct pointer_level level_m[] = {LEVEL("message", -1)};
static const struct pointer_level level_any[] = {{LEVEL_ANY, "*", -1}};
static const struct pointer_level level_deep[] = {{LEVEL_ANY, "*", -1}, LEVEL("0", 0)};
static const struct pointer_level level_by[] = {{LEVEL_IDENTIFY_BY, "", -1}};
#define AT(l)                                                                                      \
    {                                                                                              \
        true, l, ARRAY_LEN(l)                                                                      \
    }
#define ROOT                                                                                       \
    {                                                                                              \
        true, NULL, 0                                                                              \
    }
static const struct pointer message_at[] = {AT(level_m), AT(level_deep)};
static const char *const texts[] = {"ok", "1", "true", "2e0"};
#define IN                                                                                         \
    {                                                                                              \
        .kind = TEST_IN, .texts = texts, .text_count = ARRAY_LEN(texts)                            \
    }
#define MATCHES                                                                                    \
    {                                                                                              \
        .kind = TEST_MATCHES, .pattern = "^(a|b)+c?$"                                              \
    }

#define SOURCE(how, ...)                                                                           \
    static const struct verdict_source how##_source[] = {                                          \
        {.message = {message_at, 2}, .code = AT(level_any), __VA_ARGS__}};                         \
    static const struct verdicts how##_verdicts = {.sources = how##_source, .source_count = 1}
/* Without a way to be accepted: whatever is listed has failed. */
SOURCE(listed, .at = AT(level_e), .by = BY_INDEX, .value = AT(level_i));
SOURCE(position, .at = ROOT, .by = BY_POSITION, .ok = {AT(level_any), IN},
       .retryable = {AT(level_deep), MATCHES});
SOURCE(indexes, .at = AT(level_any), .by = BY_INDEXES, .value = ROOT, .base = 1);
SOURCE(pointer, .at = AT(level_e), .by = BY_POINTER, .value = AT(level_any),
       .matches = "/(\\d+)/|(x+x+)+y", .throttle = {AT(level_m), MATCHES});
SOURCE(key, .at = AT(level_e), .by = BY_KEY, .value = AT(level_by), .key_form = KEY_LOWER,
       .accept = {AT(level_any), IN}, .in = {AT(level_m), {.kind = TEST_EXISTS, .flag = true}});
SOURCE(trace, .at = AT(level_e), .by = BY_TRACE, .value = AT(level_any),
       .not_found = {AT(level_m), IN});
SOURCE(csv, .at = ROOT, .by = BY_COLUMN, .format = FORMAT_CSV, .column = "k");
SOURCE(lines, .at = ROOT, .by = BY_KEY, .format = FORMAT_NDJSON, .value = AT(level_by),
       .key_form = KEY_MD5_LOWER);

static const struct delay_reader readers[] = {
    {.kind = READ_HEADER, .header = "X", .unit = UNIT_EPOCH},
    {.kind = READ_JSON, .at = AT(level_deep), .unit = UNIT_MINUTES},
    {.kind = READ_CLOCK, .edge = EDGE_CENTRAL_MIDNIGHT},
};
static const struct status_range drops[] = {{400, 400}}, throttles[] = {{429, 429}},
                                 accepts[] = {{200, 299}};
static const struct json_test pattern_test[] = {{AT(level_any), MATCHES}};
static const struct header_test header_test[] = {{"X", {.kind = TEST_AT_LEAST, .number = 5}}};
static const struct rule rules[] = {
    {.when = {.json = pattern_test,
              .json_count = 1,
              .headers = header_test,
              .header_count = 1,
              .step = -1},
     .act = DO_PENDING,
     .wait = {readers, ARRAY_LEN(readers)}},
    {.when = {.body_matches = "^\\s*<(x|y)*", .session = SESSION_LAST, .step = -1},
     .act = DO_RESTART,
     .wait = {readers, ARRAY_LEN(readers)}},
    {.when = {.statuses = throttles, .status_count = 1, .step = -1},
     .act = DO_THROTTLE,
     .wait = {readers, ARRAY_LEN(readers)}},
    {.when = {.statuses = drops, .status_count = 1, .step = -1}, .act = DO_DROP},
    {.when = {.statuses = accepts, .status_count = 1, .step = -1}, .act = DO_OK},
};
static const struct rule_list rule_list = {NULL, rules, ARRAY_LEN(rules)};
static const struct capture captures[] = {
    {.from = CAPTURE_JSON, .at = AT(level_deep), .matches = "[a-z]+(\\d*)"},
    {.from = CAPTURE_HEADER, .header = "X"},
    {.from = CAPTURE_JSON, .at = ROOT, .named = AT(level_m), .take = AT(level_i)},
};
static const struct lookup_value values[] = {{NULL, AT(level_any)}};
static const struct lookup lookup = {.entries = AT(level_e),
                                     .key = AT(level_by),
                                     .id = AT(level_i),
                                     .key_form = KEY_LOWER,
                                     .values = values,
                                     .value_count = 1,
                                     .updated = AT(level_m)};
static const struct signal signals[] = {
    {.header = "X", .json = AT(level_any), .test = IN, .pause = {readers, ARRAY_LEN(readers)}},
    {.header = "X",
     .as = SIGNAL_RATIO,
     .test = {.kind = TEST_AT_LEAST, .number = 0.5},
     .pause = {readers, ARRAY_LEN(readers)}},
};
static const struct connector connector = {.signals = signals, .signal_count = ARRAY_LEN(signals)};

#define STEP(v, ...)                                                                               \
    {                                                                                              \
        .answers = &rule_list, .verdicts = v, .captures = captures,                                \
        .capture_count = ARRAY_LEN(captures),                                                      \
        .pages = {.given = true, .next = AT(level_deep), .of = AT(level_any), .until = -1},        \
        __VA_ARGS__                                                                                \
    }
static const struct step steps[STEPS] = {
    STEP(&listed_verdicts, .carries = true),  STEP(&position_verdicts, .carries = true),
    STEP(&indexes_verdicts, .carries = true), STEP(&pointer_verdicts, .carries = true),
    STEP(&key_verdicts, .lookup = &lookup),   STEP(&trace_verdicts, .carries = true),
    STEP(&csv_verdicts, .carries = true),     STEP(&lines_verdicts, .carries = true),
};
static struct answer_rules *compiled[STEPS];

static uint32_t ordinals[RECORDS] = {0, 3, 4, 90, 65534};
static enum record_op ops[RECORDS] = {OP_UPSERT, OP_UPDATE, OP_DELETE, OP_CLEAR, OP_UPDATE};
static struct slice keys[RECORDS] = {{"a", 1}, {"b", 1}, {"B", 1}, {"17", 2}, {"\xc3\xa4", 2}};
static const struct rendered request = {
    .records = RECORDS, .ordinals = ordinals, .ops = ops, .keys = keys};
static const struct slice field_name[] = {{"f", 1}};
static const struct field_path fields[] = {{field_name, 1}};
static const uint8_t policies[] = {POLICY_SET_IF_EMPTY};
static const struct batch_head head = {
    .fields = fields, .field_count = 1, .policies = policies, .newest_field = 0, .last = true};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    for (uint32_t i = 0; i < STEPS; i++) {
        struct err err;
        ensure(!answer_rules_new(&connector, &steps[i], i, "k", &compiled[i], &err));
    }
    return 0;
}

static void check_words(struct slice words)
{
    ensure(words.n <= RESULT_MESSAGE_MAX && utf8_valid(words));
}

static void check_kept(struct slice s)
{
    ensure(!s.n || (utf8_valid(s) && !memchr(s.p, '\0', s.n)));
}

/* jansson reads the list as well: whoever it names must not be accepted. */
static void check_listed(struct slice body, const struct judged *v)
{
    json_t *root = json_loadb(body.p, body.n, JSON_ALLOW_NUL, NULL);
    json_t *errors = json_object_get(root, "errors"), *entry;
    size_t i;
    json_array_foreach(errors, i, entry)
    {
        json_t *index = json_object_get(entry, "index");
        bool found = false;
        for (size_t k = 0; k < v->entry_count; k++)
            found = found ||
                    (json_is_integer(index) && v->entries[k].index == json_integer_value(index) &&
                     v->entries[k].verdict != VERDICT_OK);
        ensure(found || json_is_real(index));
    }
    json_decref(root);
}

static void check_judged(const struct step *step, const struct http_answer *answer,
                         const struct judged *v)
{
    check_words(v->message);
    check_words(v->warning);
    ensure(v->entry_count <= RECORDS);
    ensure(v->entry_count == 0 || v->act == DO_OK || v->act == DO_DROP);
    ensure(v->wait_ms >= -1 && v->wait_ms <= DELAY_MAX_MS && v->pause_ms <= DELAY_MAX_MS);
    ensure(!v->bug || (v->act == DO_RETRY && v->unsure));
    for (size_t i = 0; i < v->entry_count; i++) {
        ensure(v->entries[i].index < RECORDS &&
               (i == 0 || v->entries[i].index > v->entries[i - 1].index));
        check_words(v->entries[i].message);
    }
    for (size_t i = 0; v->captured && i < ARRAY_LEN(captures); i++)
        check_kept(v->captured[i]);
    check_kept(v->next_page);
    for (size_t i = 0; v->found && i < RECORDS; i++)
        check_kept(v->found[i].id);
    if (step == &steps[0] && v->act == DO_OK)
        check_listed(answer->body, v);
}

static void judge(const uint8_t *data, size_t size)
{
    char header[64] = "";
    struct slice body = slice_of(data + HEAD_BYTES, size - HEAD_BYTES);
    memcpy(header, body.p, body.n < sizeof header ? body.n : sizeof header - 1);
    const struct http_header headers[HEADERS] = {{"X", header}, {"Retry-After", header}};
    static const uint32_t statuses[] = {200, 400, 429, 200, 500, 302, 200, 0};
    struct http_answer answer = {
        .status = statuses[data[0] % ARRAY_LEN(statuses)],
        .body = body,
        .body_cut = data[1] & 1,
        .error = data[1] & 2 ? "broken" : NULL,
        .reached = data[1] & 4,
        .retry_after_ms = data[2],
        .location = data[1] & 8 ? header : NULL,
        .headers = headers,
        .header_count = HEADERS,
    };
    struct arena arena;
    struct judged v;
    struct err err;
    struct slice updated[RECORDS] = {{"2024-05-01T10:00:00Z", 20}};
    uint32_t step = data[3] % STEPS;
    struct judge_input in = {.request = &request,
                             .answer = &answer,
                             .head = &head,
                             .object = SLICE_LIT("a"),
                             .updated = updated,
                             .now_ms = 1700000000000};
    arena_init(&arena, ARENA_BYTES);
    if (!answer_judge(compiled[step], &in, &arena, &v, &err))
        check_judged(&steps[step], &answer, &v);
    arena_done(&arena);
}

/* What jansson takes is taken, and as many values are seen. (It stops at a NUL between values.) */
static void check_doc(struct slice text)
{
    struct arena arena;
    struct doc doc;
    struct instant at;
    bool is = false;
    arena_init(&arena, ARENA_BYTES);
    if (!doc_parse(&arena, text, &doc, &is)) {
        json_t *known = json_loadb(
            text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
        ensure(is || !known || text.n > DOC_DEPTH_MAX || memchr(text.p, '\0', text.n));
        if (is && json_is_array(known))
            ensure(doc_length(&doc, 0) == json_array_size(known));
        json_decref(known);
    }
    if (instant_parse(text, &at))
        ensure(at.nanos < 1000000000);
    arena_done(&arena);
}

static void check_progress(struct slice bytes)
{
    struct arena arena;
    struct progress p, again;
    struct buf put;
    struct err err;
    arena_init(&arena, ARENA_BYTES);
    buf_init(&put, ARENA_BYTES);
    if (!progress_read(&p, &arena, bytes, VARS, &err) && !progress_put(&put, &p)) {
        ensure(!progress_read(&again, &arena, buf_slice(&put), VARS, &err));
        ensure(again.record_count == p.record_count && again.step == p.step);
    }
    buf_done(&put);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES)
        return 0;
    judge(data, size);
    check_doc(slice_of(data + HEAD_BYTES, size - HEAD_BYTES));
    check_progress(slice_of(data, size));
    return 0;
}
