#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <ctype.h>
#include <stdlib.h>

enum {
    TRANSFORMS_MAX = 32,
    CHARACTERS_MAX = 1 << 30,
    GROUP_BYTES = 33, /* PCRE2's own maximum of a name, and a NUL */
};

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
    NULL,
};

struct substring_form {
    uint32_t from;
    uint32_t length;
};

#define MEMBER(m) .offset = offsetof(struct substring_form, m)
static const struct field substring_fields[] = {
    {"from", FIELD_COUNT, MEMBER(from), .max = CHARACTERS_MAX},
    {"length", FIELD_COUNT, MEMBER(length), .min = 1, .max = CHARACTERS_MAX},
};
static const struct form substring_form = {"`substring` map", substring_fields,
                                           ARRAY_LEN(substring_fields), false};

struct replace_form {
    const char *pattern;
    const char *with;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct replace_form, m)
static const struct field replace_fields[] = {
    {"pattern", FIELD_TEXT, MEMBER(pattern), .required = true},
    {"with", FIELD_TEXT, MEMBER(with), .required = true, .may_be_empty = true},
};
static const struct form replace_form = {"`replace` map", replace_fields, ARRAY_LEN(replace_fields),
                                         false};

struct table_form {
    const struct node *table;
    const struct node *fallback;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct table_form, m)
static const struct field table_fields[] = {
    {"table", FIELD_NODE, MEMBER(table), .required = true},
    {"default", FIELD_NODE, MEMBER(fallback)},
};
static const struct form table_form = {"`map` transform", table_fields, ARRAY_LEN(table_fields),
                                       false};

static void read_substring(struct reader *rd, const struct node *arg, struct transform *t)
{
    struct substring_form f = {0};
    struct entry of = {NULL, arg->at, arg};
    if (!form_read(rd, &substring_form, &of, &f))
        return;
    if (!node_get(arg, "from") && !node_get(arg, "length"))
        mistake(
            rd, arg->at,
            "`substring` has neither `from` nor `length`: write {substring: {from: 0, length: 3}}");
    t->from = f.from;
    t->length = node_get(arg, "length") ? (int64_t)f.length : -1;
}

/* Takes $1, ${1}, $name or ${name} after its dollar sign; false where the pattern has no such
 * group. */
static bool take_group(const pcre2_code *re, const char **p)
{
    uint32_t groups = 0;
    bool braced = **p == '{';
    const char *start = *p + braced;
    size_t digits = strspn(start, "0123456789"), n = digits;
    char name[GROUP_BYTES];
    while (!digits && (isalnum((unsigned char)start[n]) || start[n] == '_'))
        n++;
    if (n == 0 || n >= sizeof name || (braced && start[n] != '}'))
        return false;
    memcpy(name, start, n);
    name[n] = '\0';
    *p = start + n + braced;
    pcre2_pattern_info(re, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (digits)
        return strtoul(name, NULL, 10) <= groups;
    return pcre2_substring_number_from_name(re, (PCRE2_SPTR)name) > 0;
}

static void check_groups(struct reader *rd, const struct node *node, const char *with,
                         const pcre2_code *re)
{
    for (const char *p = strchr(with, '$'); p; p = strchr(p, '$')) {
        p++;
        if (*p == '$') {
            p++;
        } else if (!take_group(re, &p)) {
            mistake(rd, node->at,
                    "a $ in `with` names no group of the pattern: write $1 or ${1} for its first "
                    "group, or $$ for a dollar sign");
            return;
        }
    }
}

static void check_pattern(struct reader *rd, const struct node *arg, const struct replace_form *f)
{
    int code;
    PCRE2_SIZE offset;
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)f->pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    if (!re) {
        PCRE2_UCHAR words[128] = "";
        pcre2_get_error_message(code, words, sizeof words);
        mistake(rd, node_get(arg, "pattern")->value->at,
                "`pattern` is no regular expression (PCRE2): %s, at character %zu",
                (const char *)words, (size_t)offset + 1);
        return;
    }
    const struct pair *with = node_get(arg, "with");
    if (with)
        check_groups(rd, with->value, f->with, re);
    pcre2_code_free(re);
}

static void read_replace(struct reader *rd, const struct node *arg, struct transform *t)
{
    struct replace_form f = {.with = ""};
    struct entry of = {NULL, arg->at, arg};
    if (!form_read(rd, &replace_form, &of, &f))
        return;
    if (f.pattern)
        check_pattern(rd, arg, &f);
    t->text = f.pattern;
    t->with = f.with;
}

/* A row of a table gives text or null; what looks like a number is text as well. */
static const char *text_or_null(struct reader *rd, const struct node *node, bool *ret_null)
{
    *ret_null = node_is_core(node, CORE_NULL) && !node->substituted;
    if (*ret_null)
        return NULL;
    return scalar_of(rd, node, "table");
}

static void read_rows(struct reader *rd, const struct node *table, struct transform *t)
{
    struct map_entry *rows = reader_alloc(rd, table->count * sizeof *rows);
    if (!rows)
        return;
    t->table = rows;
    for (size_t i = 0; i < table->count; i++) {
        struct map_entry row = {.from = table->pairs[i].key};
        row.to = text_or_null(rd, table->pairs[i].value, &row.to_null);
        if (row.to || row.to_null)
            rows[t->table_count++] = row;
    }
}

static void read_table(struct reader *rd, const struct node *arg, struct transform *t)
{
    struct table_form f = {0};
    struct entry of = {NULL, arg->at, arg};
    if (!form_read(rd, &table_form, &of, &f))
        return;
    if (f.table && f.table->kind != NODE_MAP)
        wrong_type(rd, f.table, "table", "a map: {from: to}");
    else if (f.table && f.table->count == 0)
        mistake(rd, f.table->at, "`table` is empty: add rows or remove the transform");
    else if (f.table)
        read_rows(rd, f.table, t);
    if (f.fallback) {
        bool is_null;
        t->fallback = text_or_null(rd, f.fallback, &is_null);
        t->has_fallback = t->fallback || is_null;
    }
}

static void read_separator(struct reader *rd, const struct node *arg, struct transform *t)
{
    const char *key = names[t->kind];
    bool may_be_empty = t->kind == TRANSFORM_JOIN && node_is_text(arg) && !*arg->text;
    t->text = may_be_empty ? "" : text_of(rd, arg, key);
}

static void read_date(struct reader *rd, const struct node *arg, struct transform *t)
{
    static const char *const forms[] = {"rfc3339", "date", "unix", "unix_ms", NULL};
    int form = word_of(rd, arg, "date", forms);
    if (form >= 0)
        t->text = forms[form];
}

static void read_argument(struct reader *rd, const struct node *arg, struct transform *t)
{
    if (arg->broken)
        return;
    if (t->kind == TRANSFORM_DATE)
        read_date(rd, arg, t);
    else if (t->kind == TRANSFORM_SUBSTRING)
        read_substring(rd, arg, t);
    else if (t->kind == TRANSFORM_REPLACE)
        read_replace(rd, arg, t);
    else if (t->kind == TRANSFORM_MAP)
        read_table(rd, arg, t);
    else if (t->kind == TRANSFORM_SPLIT || t->kind == TRANSFORM_JOIN)
        read_separator(rd, arg, t);
    else
        mistake(rd, arg->at, "the transform %s takes no argument: write its name only",
                names[t->kind]);
}

static const char *argument_example(enum transform_kind kind)
{
    if (kind == TRANSFORM_SUBSTRING)
        return "{substring: {from: 0, length: 3}}";
    if (kind == TRANSFORM_REPLACE)
        return "{replace: {pattern: \"\\\\s+\", with: \" \"}}";
    if (kind == TRANSFORM_SPLIT)
        return "{split: \",\"}";
    if (kind == TRANSFORM_JOIN)
        return "{join: \",\"}";
    return kind == TRANSFORM_MAP ? "{map: {table: {a: b}}}" : NULL;
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
    mistake(rd, at, "there is no transform %s: %s (known: %s)", shown_text(rd, name),
            did_you_mean(rd, name, names, ARRAY_LEN(names), "write a known one"),
            listed(rd, names));
    return false;
}

static bool read_bare(struct reader *rd, const struct node *node, struct transform *t)
{
    const char *name = text_of(rd, node, "transform");
    if (!name || !find_kind(rd, node->at, node->substituted ? "" : name, t))
        return false;
    const char *example = argument_example(t->kind);
    if (example)
        mistake(rd, node->at, "the transform %s needs an argument: write %s", name, example);
    return true;
}

static bool transform_read(struct reader *rd, const struct node *node, struct transform *t)
{
    *t = (struct transform){.length = -1, .place = node->at};
    if (node->broken)
        return false;
    if (node->kind == NODE_SCALAR) {
        bool found = read_bare(rd, node, t);
        if (t->kind == TRANSFORM_DATE)
            t->text = "rfc3339";
        return found;
    }
    if (node->kind != NODE_MAP || node->count != 1) {
        mistake(rd, node->at, "a transform must be a name or a map of one name to its argument: %s",
                "write trim, or {date: unix_ms}");
        return false;
    }
    if (!find_kind(rd, node->pairs[0].at, node->pairs[0].key, t))
        return false;
    read_argument(rd, node->pairs[0].value, t);
    return true;
}

void transforms_read(struct reader *rd, const struct node *node, struct mapping *mapping)
{
    bool list = node->kind == NODE_LIST;
    size_t count = list ? node->count : 1;
    if (count > TRANSFORMS_MAX) {
        mistake(rd, node->at, "there are more than %d transforms: use fewer", TRANSFORMS_MAX);
        return;
    }
    struct transform *items = reader_alloc(rd, count * sizeof *items);
    if (!items)
        return;
    for (size_t i = 0; i < count; i++)
        if (transform_read(rd, list ? node->items[i] : node, &items[mapping->transform_count]))
            mapping->transform_count++;
    mapping->transforms = items;
}
