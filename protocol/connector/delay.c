/* How long to leave a destination alone: readers of headers and bodies, and signals that every
 * answer may carry. */
#include "protocol/config/quantity.h"
#include "protocol/connector/parts.h"

enum { DELAY_MAX_MS = 7 * 86400000 };

static const char *const unit_words[] = {"retry_after", "seconds", "ms", "minutes", "epoch", NULL};
static const char *const edge_words[] = {"utc_midnight", "central_midnight", "pacific_midnight",
                                         "next_hour",    "next_second",      NULL};
static const char *const source_words[] = {"header", "json", "until", NULL};

struct delay_form {
    const char *header;
    const struct node *json;
    int unit;
    int edge;
};

#define MEMBER(m) .offset = offsetof(struct delay_form, m)
static const struct field delay_fields[] = {
    {"header", FIELD_TEXT, MEMBER(header)},
    {"json", FIELD_NODE, MEMBER(json)},
    {"as", FIELD_WORD, MEMBER(unit), .words = unit_words},
    {"until", FIELD_WORD, MEMBER(edge), .words = edge_words},
};
static const struct form delay_form = {"wait", delay_fields, ARRAY_LEN(delay_fields), false};

static bool read_map(struct scope *s, const struct node *node, struct delay_reader *out)
{
    struct delay_form f = {.unit = -1, .edge = -1};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &delay_form, &of, &f))
        return false;
    const struct pair *source = only_one_of(s->rd, node, source_words);
    if (!source) {
        mistake(s->rd, node->at, "a wait must have one of `header`, `json` and `until`");
        return false;
    }
    *out = (struct delay_reader){.header = f.header};
    if (f.edge >= 0) {
        out->kind = READ_CLOCK;
        out->edge = (enum clock_edge)f.edge;
        return true;
    }
    out->kind = f.json ? READ_JSON : READ_HEADER;
    out->unit = f.unit >= 0 ? (enum reader_unit)f.unit : f.json ? UNIT_SECONDS : UNIT_RETRY_AFTER;
    return f.json ? pointer_of(s, f.json, "json", &out->at) : f.header != NULL;
}

static bool read_one(struct scope *s, const struct node *node, struct delay_reader *out)
{
    uint64_t ms;
    if (node->broken)
        return false;
    if (node->kind == NODE_MAP)
        return read_map(s, node, out);
    if (!node_is_text(node) || !duration_parse(node->text, &ms) || ms > DELAY_MAX_MS) {
        mistake(s->rd, node->at,
                "a wait must be a duration up to 7d such as 30s, or a map such as {header: "
                "Retry-After}");
        return false;
    }
    *out = (struct delay_reader){.kind = READ_FIXED, .fixed_ms = ms};
    return true;
}

void delays_of(struct scope *s, const struct node *node, const char *key, struct delay_readers *out)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    struct delay_reader *list = reader_alloc(s->rd, count * sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        if (kept > 0 && kept == i && list[kept - 1].kind == READ_FIXED)
            mistake(s->rd, items[i]->at,
                    "this part of `%s` is never reached: the one before it always finds something",
                    key);
        kept += read_one(s, items[i], &list[kept]);
    }
    *out = (struct delay_readers){list, kept};
}

/* ---- signals ---- */

struct signal_form {
    const char *header;
    const struct node *json;
    int as;
    const struct node *pause;
    const struct node *tests[ARRAY_LEN(test_words) - 1];
};

static const char *const as_words[] = {"number", "ratio", NULL};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct signal_form, m)
static const struct field signal_fields[] = {
    {"header", FIELD_TEXT, MEMBER(header), .required = true},
    {"json", FIELD_NODE, MEMBER(json)},
    {"as", FIELD_WORD, MEMBER(as), .words = as_words},
    {"pause", FIELD_NODE, MEMBER(pause), .required = true},
    {"equals", FIELD_NODE, MEMBER(tests[0])},
    {"in", FIELD_NODE, MEMBER(tests[1])},
    {"matches", FIELD_NODE, MEMBER(tests[2])},
    {"exists", FIELD_NODE, MEMBER(tests[3])},
    {"at_least", FIELD_NODE, MEMBER(tests[4])},
    {"at_most", FIELD_NODE, MEMBER(tests[5])},
};
static const struct form signal_form = {"signal", signal_fields, ARRAY_LEN(signal_fields), false};

static bool read_signal(struct scope *s, const struct node *node, struct signal *out)
{
    struct signal_form f = {0};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &signal_form, &of, &f))
        return false;
    *out = (struct signal){.header = f.header, .as = f.as ? SIGNAL_RATIO : SIGNAL_NUMBER};
    bool good = f.header && f.pause && test_of(s, node, "signal", &out->test);
    if (f.json)
        good = pointer_of(s, f.json, "json", &out->json) && good;
    if (f.pause)
        delays_of(s, f.pause, "pause", &out->pause);
    return good;
}

void signals_read(struct scope *s, const struct node *node)
{
    if (node->kind != NODE_LIST) {
        wrong_type(s->rd, node, "signals", "a list");
        return;
    }
    struct signal *list = reader_alloc(s->rd, node->count * sizeof *list);
    size_t kept = 0;
    for (size_t i = 0; list && i < node->count; i++)
        kept += read_signal(s, node->items[i], &list[kept]);
    s->c->signals = list;
    s->c->signal_count = kept;
}
