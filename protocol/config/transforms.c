/* A mapping's transforms: names and maps of a name to its argument, with recipes put in place. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/recipes.h"
#include "protocol/config/transform_args.h"

enum { TRANSFORMS_MAX = 32 };

static const char *const names[] = {
    [TRANSFORM_TRIM] = "trim",
    [TRANSFORM_LOWER] = "lower",
    [TRANSFORM_UPPER] = "upper",
    [TRANSFORM_SHA256] = "sha256",
    [TRANSFORM_MD5] = "md5",
    [TRANSFORM_HEX] = "hex",
    [TRANSFORM_BASE64] = "base64",
    [TRANSFORM_TO_STRING] = "to_string",
    [TRANSFORM_TO_NUMBER] = "to_number",
    [TRANSFORM_TO_BOOLEAN] = "to_boolean",
    [TRANSFORM_DATE] = "date",
    [TRANSFORM_SUBSTRING] = "substring",
    [TRANSFORM_REPLACE] = "replace",
    [TRANSFORM_SPLIT] = "split",
    [TRANSFORM_JOIN] = "join",
    [TRANSFORM_JSON] = "json",
    [TRANSFORM_MAP] = "map",
    [TRANSFORM_REMOVE_SPACES] = "remove_spaces",
    [TRANSFORM_DIGITS] = "digits",
    [TRANSFORM_LETTERS] = "letters",
    [TRANSFORM_ASCII_LETTERS] = "ascii_letters",
    [TRANSFORM_NO_PUNCTUATION] = "no_punctuation",
    [TRANSFORM_STRIP_ZEROS] = "strip_zeros",
    [TRANSFORM_PREFIX] = "prefix",
    [TRANSFORM_PHONE] = "phone",
    [TRANSFORM_GMAIL_DOTS] = "gmail_dots",
    [TRANSFORM_EMAIL] = "email",
    [TRANSFORM_FIRST] = "first",
    [TRANSFORM_BEFORE] = "before",
    [TRANSFORM_PAD] = "pad",
    [TRANSFORM_SHA1] = "sha1",
    [TRANSFORM_SHA512] = "sha512",
    [TRANSFORM_HASH] = "hash",
    [TRANSFORM_HMAC] = "hmac",
    [TRANSFORM_EMPTY_TO_NULL] = "empty_to_null",
    [TRANSFORM_COUNTRY2] = "country2",
    [TRANSFORM_GENDER] = "gender",
    [TRANSFORM_UNLESS_HASHED] = "unless_hashed",
    NULL,
};

bool transform_is(const char *name)
{
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void unknown_name(struct reader *rd, struct config_place at, const char *name)
{
    size_t recipe_count, n = ARRAY_LEN(names) - 1;
    const char *const *recipes = recipe_names(rd, &recipe_count);
    const char **all = reader_alloc(rd, (n + recipe_count) * sizeof *all);
    if (!all)
        return;
    memcpy(all, names, n * sizeof *all);
    memcpy(all + n, recipes, recipe_count * sizeof *all);
    mistake(rd, at, "there is no transform %s: %s (known: %s)", shown_text(rd, name),
            did_you_mean(rd, name, all, n + recipe_count, "write a known one"), listed(rd, names));
}

static bool find_kind(struct reader *rd, struct config_place at, const char *name,
                      struct transform *t)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0) {
            t->kind = (enum transform_kind)i;
            return true;
        }
    }
    unknown_name(rd, at, name);
    return false;
}

static bool read_bare(struct reader *rd, const struct node *node, struct transform *t)
{
    const char *name = text_of(rd, node, "transform");
    if (!name || !find_kind(rd, node->at, node->substituted ? "" : name, t))
        return false;
    const char *example = t->kind == TRANSFORM_UNLESS_HASHED ? "{unless_hashed: [trim, lower]}"
                                                             : transform_argument_example(t->kind);
    if (example)
        mistake(rd, node->at, "the transform %s needs an argument: write %s", name, example);
    if (t->kind == TRANSFORM_DATE)
        t->text = "rfc3339";
    return true;
}

static bool transform_read(struct reader *rd, const struct node *node, struct transform *t)
{
    *t = (struct transform){.length = -1, .place = node->at};
    if (node->broken)
        return false;
    if (node->kind == NODE_SCALAR)
        return read_bare(rd, node, t);
    if (node->kind != NODE_MAP || node->count != 1) {
        mistake(rd, node->at, "a transform must be a name or a map of one name to its argument: %s",
                "write trim, or {date: unix_ms}");
        return false;
    }
    const struct pair *pair = &node->pairs[0];
    if (!find_kind(rd, pair->at, pair->key, t))
        return false;
    if (t->kind != TRANSFORM_UNLESS_HASHED) {
        transform_argument(rd, pair->value, pair->key, t);
        return true;
    }
    struct transform_list inner = {0};
    if (pair->value->kind == NODE_LIST && !pair->value->count)
        mistake(rd, pair->value->at, "`%s` is empty: add transforms or remove it", pair->key);
    transform_list_read(rd, pair->value, &inner);
    t->inner = inner.items;
    t->inner_count = inner.count;
    return true;
}

/* The transforms of the recipe that node names, NULL where it names none. */
static const struct transform *recipe_of(struct reader *rd, const struct node *node, size_t *count)
{
    bool name = node_is_text(node) && !node->broken && !node->substituted;
    return name && !transform_is(node->text) ? recipe_transforms(rd, node->text, count) : NULL;
}

static size_t length_of(struct reader *rd, const struct node *node)
{
    size_t count;
    return recipe_of(rd, node, &count) ? count : 1;
}

/* A recipe's transforms stand where its name does: what is wrong with them there is said there. */
static void add_one(struct reader *rd, const struct node *node, struct transform_list *list)
{
    size_t count;
    const struct transform *recipe = recipe_of(rd, node, &count);
    if (!recipe) {
        list->count += transform_read(rd, node, &list->items[list->count]);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        list->items[list->count] = recipe[i];
        list->items[list->count++].place = node->at;
    }
}

void transform_list_read(struct reader *rd, const struct node *node, struct transform_list *ret)
{
    bool is_list = node->kind == NODE_LIST;
    size_t nodes = is_list ? node->count : 1, count = 0;
    *ret = (struct transform_list){0};
    for (size_t i = 0; i < nodes && count <= TRANSFORMS_MAX; i++)
        count += length_of(rd, is_list ? node->items[i] : node);
    if (count > TRANSFORMS_MAX) {
        mistake(rd, node->at, "there are more than %d transforms%s: use fewer", TRANSFORMS_MAX,
                count > nodes ? " with those of the recipes" : "");
        return;
    }
    ret->items = reader_alloc(rd, count * sizeof *ret->items);
    for (size_t i = 0; i < nodes && ret->items; i++)
        add_one(rd, is_list ? node->items[i] : node, ret);
}

void transforms_read(struct reader *rd, const struct node *node, struct mapping *mapping)
{
    struct transform_list list;
    transform_list_read(rd, node, &list);
    mapping->transforms = list.items;
    mapping->transform_count = list.count;
}
