/* The body of a request: JSON, a line of JSON per record, a form, CSV or text. */
#include "protocol/connector/parts.h"

static const char *const body_words[] = {"json", "ndjson", "form", "csv", "text", NULL};

struct csv_fields {
    const struct node *columns;
    const char *delimiter;
    const char *line;
    const struct node *null;
    bool header;
    bool key_first;
    bool empty_as_null;
};

#define MEMBER(m) .offset = offsetof(struct csv_fields, m)
static const struct field csv_fields[] = {
    {"columns", FIELD_NODE, MEMBER(columns)},
    {"header", FIELD_FLAG, MEMBER(header)},
    {"delimiter", FIELD_TEXT, MEMBER(delimiter)},
    {"line", FIELD_TEXT, MEMBER(line)},
    {"null", FIELD_NODE, MEMBER(null)},
    {"key_first", FIELD_FLAG, MEMBER(key_first)},
    {"empty_as_null", FIELD_FLAG, MEMBER(empty_as_null)},
};
static const struct form csv_form = {"`csv` map", csv_fields, ARRAY_LEN(csv_fields), false};

static void read_columns(struct scope *s, const struct node *node, struct field_choice *out)
{
    if (node_is_word(node, "all"))
        return;
    if (!texts_of(s, node, "columns", &out->only, &out->only_count))
        return;
    for (size_t i = 0; i < out->only_count; i++)
        field_check(s, out->only[i], node->at, node->substituted);
}

static void read_csv(struct scope *s, const struct node *node, struct csv_form *out)
{
    struct csv_fields f = {.delimiter = ",", .line = "\n", .header = true};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &csv_form, &of, &f))
        return;
    if (strlen(f.delimiter) != 1 || strchr("\"\r\n", *f.delimiter))
        mistake(s->rd, node_get(node, "delimiter")->value->at,
                "`delimiter` must be one character, no quote and no line end");
    if (strcmp(f.line, "\n") != 0 && strcmp(f.line, "\r\n") != 0)
        mistake(s->rd, node_get(node, "line")->value->at, "`line` must be \"\\n\" or \"\\r\\n\"");
    *out = (struct csv_form){.header = f.header,
                             .delimiter = *f.delimiter,
                             .line = f.line,
                             .key_first = f.key_first,
                             .empty_as_null = f.empty_as_null};
    out->fields.policy = -1;
    out->fields.null = (struct null_policy){NULL_TEXT, ""};
    if (f.null && null_of(s, f.null, &out->fields.null) && out->fields.null.kind != NULL_TEXT)
        mistake(s->rd, f.null->at, "`null` of csv must be a text: a row has no room to leave out");
    if (f.columns)
        read_columns(s, f.columns, &out->fields);
}

static bool read_form_member(struct scope *s, const struct pair *pair, struct form_member *out)
{
    *out = (struct form_member){.name = pair->key};
    if (pair->value->kind != NODE_MAP)
        return template_of(s, pair->value, pair->key, &out->text);
    const struct pair *json = node_get(pair->value, "json");
    if (!json || pair->value->count != 1) {
        mistake(s->rd, pair->value->at,
                "a member of a form must be a text, or {json: tree} for JSON as its text");
        return false;
    }
    out->json = tree_of(s, json->value);
    return out->json != NULL;
}

void form_members_read(struct scope *s, const struct node *node, struct step *step)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "form", "a map of names to texts");
        return;
    }
    struct form_member *list = reader_alloc(s->rd, node->count * sizeof *list);
    size_t kept = 0;
    for (size_t i = 0; list && i < node->count; i++)
        kept += read_form_member(s, &node->pairs[i], &list[kept]);
    step->body = BODY_FORM;
    step->form = list;
    step->form_count = kept;
}

static void records_needed(struct scope *s, const struct pair *body)
{
    if (!s->ops)
        mistake(s->rd, body->at, "`%s` has no meaning here: there are no records", body->key);
    s->uses = true;
}

void body_read(struct scope *s, const struct node *node, struct step *step)
{
    const struct pair *body = only_one_of(s->rd, node, body_words);
    if (node->broken)
        return;
    if (node->kind != NODE_MAP || !body) {
        mistake(s->rd, node->at, "`body` must be a map with one of %s", listed(s->rd, body_words));
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        size_t k = 0;
        while (body_words[k] && strcmp(body_words[k], node->pairs[i].key) != 0)
            k++;
        if (!body_words[k])
            form_unknown(s->rd, "`body` map", &node->pairs[i], body_words);
    }
    if (strcmp(body->key, "json") == 0) {
        step->body = BODY_JSON_TREE;
        step->json = tree_of(s, body->value);
    } else if (strcmp(body->key, "ndjson") == 0) {
        step->body = BODY_NDJSON;
        records_needed(s, body);
        step->json = tree_of_record(s, body->value);
    } else if (strcmp(body->key, "form") == 0) {
        form_members_read(s, body->value, step);
    } else if (strcmp(body->key, "csv") == 0) {
        step->body = BODY_CSV;
        records_needed(s, body);
        read_csv(s, body->value, &step->csv);
    } else {
        step->body = BODY_TEXT;
        (void)template_of(s, body->value, "text", &step->text);
    }
}
