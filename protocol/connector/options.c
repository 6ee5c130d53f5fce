/* Options: what a destination of this connector may be told. */
#include "protocol/connector/parts.h"

static const char *const kind_words[] = {"text", "number", "bool", "map", "digits", NULL};

/* Keys of every destination. */
static const char *const common[] = {
    "type",       "quota",       "rate_limits", "concurrency", "timeout", "retry",
    "batch_size", "batch_bytes", "headers",     "ca_file",     "shard",   NULL,
};

struct option_form {
    struct option o;
    int kind;
    const struct node *preset, *one_of;
};

#define MEMBER(m) .offset = offsetof(struct option_form, m)
static const struct field fields[] = {
    {"secret", FIELD_FLAG, MEMBER(o.secret)},
    {"required", FIELD_FLAG, MEMBER(o.required)},
    {"default", FIELD_NODE, MEMBER(preset)},
    {"one_of", FIELD_NODE, MEMBER(one_of)},
    {"kind", FIELD_WORD, MEMBER(kind), .words = kind_words},
    {"about", FIELD_TEXT, MEMBER(o.about)},
};
static const struct form form = {"option", fields, ARRAY_LEN(fields), false};

static void check_preset(struct scope *s, const struct option_form *f, struct option *out)
{
    const char *const *text = NULL;
    size_t count = 0;
    if (out->kind == OPTION_MAP || f->preset->kind != NODE_SCALAR) {
        wrong_type(s->rd, f->preset, "default", "text, a number, true or false");
        return;
    }
    if (!scalars_of(s, f->preset, "default", &text, &count))
        return;
    out->preset = text[0];
    bool allowed = out->one_of_count == 0;
    for (size_t i = 0; i < out->one_of_count; i++)
        allowed = allowed || strcmp(out->one_of[i], text[0]) == 0;
    if (!allowed)
        mistake(s->rd, f->preset->at, "`default` is not among `one_of`: correct one of them");
    if (out->kind == OPTION_BOOL && strcmp(text[0], "true") != 0 && strcmp(text[0], "false") != 0)
        mistake(s->rd, f->preset->at, "`default` must be true or false");
    if (out->required)
        mistake(s->rd, f->preset->at,
                "an option with a `default` is never missing: remove "
                "`required`");
}

static void read_option(struct scope *s, const struct pair *pair, struct option *out)
{
    struct option_form f = {.o = {.name = pair->key}};
    struct entry of = {pair->key, pair->at, pair->value};
    if (node_is_text(pair->value))
        f.o.about = pair->value->text;
    else
        (void)form_read(s->rd, &form, &of, &f);
    *out = f.o;
    out->kind = (enum option_kind)f.kind;
    if (f.one_of)
        (void)scalars_of(s, f.one_of, "one_of", &out->one_of, &out->one_of_count);
    if (f.preset)
        check_preset(s, &f, out);
}

/* Names with a dot are keys within a map of the destination: basic.user. */
static void check_name(struct scope *s, const struct pair *pair)
{
    size_t n =
        strspn(pair->key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
    bool dots = pair->key[0] == '.' || strstr(pair->key, "..");
    if (pair->key[n] || n == 0 || dots || pair->key[n - 1] == '.')
        mistake(s->rd, pair->at,
                "an option's name is made of letters, digits and _, with dots between levels");
    for (size_t i = 0; common[i]; i++)
        if (strcmp(common[i], pair->key) == 0)
            mistake(s->rd, pair->at,
                    "`%s` is a key of every destination: give this option another name", common[i]);
}

int32_t option_find(const struct connector *c, const char *name)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

int32_t option_of(struct scope *s, const struct node *node, const char *key)
{
    struct piece piece;
    if (!piece_of(s, node, key, &piece))
        return -1;
    if (piece.kind == PIECE_OPTION)
        return (int32_t)piece.index;
    mistake(s->rd, node->at, "`%s` must name an option: options.NAME", key);
    return -1;
}

void options_read(struct scope *s, const struct node *node)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "options", "a map of names to options");
        return;
    }
    if (node->count > CONNECTOR_OPTIONS_MAX) {
        mistake(s->rd, node->at, "there are more than %d options: use fewer",
                CONNECTOR_OPTIONS_MAX);
        return;
    }
    struct option *list = reader_alloc(s->rd, node->count * sizeof *list);
    for (size_t i = 0; list && i < node->count; i++) {
        check_name(s, &node->pairs[i]);
        read_option(s, &node->pairs[i], &list[i]);
    }
    s->c->options = list;
    s->c->option_count = list ? node->count : 0;
}
