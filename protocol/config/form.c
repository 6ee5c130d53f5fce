#include "protocol/config/form.h"

#include "protocol/config/quantity.h"

#include <inttypes.h>

void wrong_type(struct reader *rd, const struct node *node, const char *key, const char *wanted)
{
    if (!node->broken)
        mistake(rd, node->at, "`%s` must be %s, but it is %s", key, wanted, node_kind_name(node));
}

const char *text_of(struct reader *rd, const struct node *node, const char *key)
{
    if (node->broken)
        return NULL;
    if (node_is_text(node) && *node->text)
        return node->text;
    if (node_is_text(node))
        mistake(rd, node->at, "`%s` is empty: write a value or remove the key", key);
    else if (node->kind == NODE_SCALAR && node->type != CORE_NULL)
        mistake(rd, node->at, "`%s` must be text, but it is %s: put it in quotes", key,
                node_kind_name(node));
    else
        wrong_type(rd, node, key, "text");
    return NULL;
}

const char *scalar_of(struct reader *rd, const struct node *node, const char *key)
{
    if (node->broken)
        return NULL;
    if (node->kind == NODE_SCALAR && node->type != CORE_NULL)
        return node->text;
    wrong_type(rd, node, key, "text or a number");
    return NULL;
}

static size_t words_count(const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    return n;
}

int word_of(struct reader *rd, const struct node *node, const char *key, const char *const *words)
{
    if (node->broken)
        return -1;
    const char *allowed = listed(rd, words);
    if (!node_is_text(node)) {
        wrong_type(rd, node, key, reader_printf(rd, "one of %s", allowed));
        return -1;
    }
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], node->text) == 0)
            return i;
    const char *word = node->substituted ? "" : node->text;
    mistake(rd, node->at, "%s is not a value of `%s`; %s (allowed: %s)", shown(rd, node), key,
            did_you_mean(rd, word, words, words_count(words), "write an allowed one"), allowed);
    return -1;
}

void form_unknown(struct reader *rd, const char *what, const struct pair *pair,
                  const char *const *known)
{
    const char *otherwise = reader_printf(rd, "remove it; known keys: %s", listed(rd, known));
    mistake(rd, pair->at, "unknown key %s in %s %s: %s", shown_text(rd, pair->key),
            strchr("aeiou", *what) ? "an" : "a", what,
            did_you_mean(rd, pair->key, known, words_count(known), otherwise));
}

/* One amount in its own way of writing. */
static bool parse_amount(const struct field *f, const struct node *v, uint64_t *ret)
{
    if (f->kind == FIELD_COUNT)
        return node_is_core(v, CORE_INT) && core_whole(v->text, ret);
    if (f->kind == FIELD_SIZE && node_is_core(v, CORE_INT))
        return core_whole(v->text, ret);
    if (!node_is_text(v))
        return false;
    return f->kind == FIELD_SIZE ? size_parse(v->text, ret) : duration_parse(v->text, ret);
}

static const char *amount_form(enum field_kind kind)
{
    if (kind == FIELD_COUNT)
        return "a whole number";
    return kind == FIELD_SIZE ? "a size such as 500kB, 64MB or 1MiB"
                              : "a duration such as 500ms, 10s, 5m, 1h or 1d";
}

static const char *amount_text(struct reader *rd, enum field_kind kind, uint64_t n)
{
    static const struct {
        uint64_t factor;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    if (kind == FIELD_SIZE)
        return n >= 1 << 20 && n % (1 << 20) == 0 ? reader_printf(rd, "%" PRIu64 "MiB", n >> 20)
                                                  : reader_printf(rd, "%" PRIu64 "B", n);
    size_t i = 0;
    while (kind == FIELD_DURATION && n % units[i].factor != 0)
        i++;
    return kind == FIELD_DURATION && n
               ? reader_printf(rd, "%" PRIu64 "%s", n / units[i].factor, units[i].name)
               : reader_printf(rd, "%" PRIu64, n);
}

const char *size_text(struct reader *rd, uint64_t bytes)
{
    return amount_text(rd, FIELD_SIZE, bytes);
}

static void read_amount(struct reader *rd, const struct field *f, const struct node *v, void *to)
{
    uint64_t n;
    if (!parse_amount(f, v, &n)) {
        const char *is =
            v->kind == NODE_SCALAR && v->type != CORE_NULL ? shown(rd, v) : node_kind_name(v);
        mistake(rd, v->at, "`%s` must be %s, but it is %s", f->name, amount_form(f->kind), is);
        return;
    }
    if (n < f->min || n > f->max) {
        mistake(rd, v->at, "`%s` must be from %s to %s", f->name, amount_text(rd, f->kind, f->min),
                amount_text(rd, f->kind, f->max));
        return;
    }
    if (f->kind == FIELD_COUNT)
        *(uint32_t *)to = (uint32_t)n;
    else
        *(uint64_t *)to = n;
}

static void read_text(struct reader *rd, const struct field *f, const struct node *v,
                      const char **to)
{
    if (f->may_be_empty && node_is_text(v) && !*v->text)
        return;
    const char *text = text_of(rd, v, f->name);
    if (text)
        *to = text;
}

static void read_word(struct reader *rd, const struct field *f, const struct node *v, int *to)
{
    int word = word_of(rd, v, f->name, f->words);
    if (word >= 0)
        *to = word;
}

static void read_field(struct reader *rd, const struct field *f, const struct node *v, void *out)
{
    void *to = (char *)out + f->offset;
    if (f->kind == FIELD_NODE) {
        *(const struct node **)to = v;
        return;
    }
    if (v->broken)
        return;
    switch (f->kind) {
    case FIELD_TEXT:
        read_text(rd, f, v, to);
        break;
    case FIELD_FLAG:
        if (node_is_core(v, CORE_BOOL))
            *(bool *)to = node_is_true(v);
        else
            wrong_type(rd, v, f->name, "true or false");
        break;
    case FIELD_COUNT:
    case FIELD_DURATION:
    case FIELD_SIZE:
        read_amount(rd, f, v, to);
        break;
    case FIELD_WORD:
        read_word(rd, f, v, to);
        break;
    case FIELD_NODE:
        break;
    }
}

static const struct field *find_field(const struct form *form, const char *key)
{
    for (size_t i = 0; i < form->count; i++)
        if (strcmp(form->fields[i].name, key) == 0)
            return &form->fields[i];
    return NULL;
}

static void read_pairs(struct reader *rd, const struct form *form, const struct node *map,
                       void *out)
{
    const char *known[FORM_FIELDS + 1] = {0};
    ensure(form->count <= FORM_FIELDS);
    for (size_t i = 0; i < form->count; i++)
        known[i] = form->fields[i].name;
    for (size_t i = 0; i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        const struct field *f = find_field(form, pair->key);
        if (f)
            read_field(rd, f, pair->value, out);
        else if (!form->open)
            form_unknown(rd, form->what, pair, known);
    }
}

bool form_read(struct reader *rd, const struct form *form, const struct entry *of, void *out)
{
    const char *name = of->name ? reader_printf(rd, " %s", shown_text(rd, of->name)) : "";
    if (of->node->broken)
        return false;
    if (of->node->kind != NODE_MAP) {
        mistake(rd, of->node->at, "a %s must be a map of keys, but this is %s", form->what,
                node_kind_name(of->node));
        return false;
    }
    read_pairs(rd, form, of->node, out);
    for (size_t i = 0; i < form->count; i++)
        if (form->fields[i].required && !node_get(of->node, form->fields[i].name))
            mistake(rd, of->at, "the %s%s has no `%s`: add it", form->what, name,
                    form->fields[i].name);
    return true;
}

const struct pair *only_one_of(struct reader *rd, const struct node *node, const char *const *keys)
{
    const struct pair *first = NULL;
    for (; *keys; keys++) {
        const struct pair *pair = node_get(node, *keys);
        if (pair && first)
            mistake(rd, pair->at, "`%s` and `%s` exclude each other: keep one", pair->key,
                    first->key);
        else if (pair)
            first = pair;
    }
    return first;
}
