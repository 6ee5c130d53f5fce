/* Arguments: what stands after a transform's name. */
#include "protocol/config/transform_args.h"

#include "protocol/config/form.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <ctype.h>
#include <stdlib.h>

enum {
    CHARACTERS_MAX = 1 << 30,
    PAD_MAX = 1000,
    GROUP_BYTES = 33, /* PCRE2's own maximum of a name, and a NUL */
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

static void read_substring(struct reader *rd, const struct node *arg, const char *name,
                           struct transform *t)
{
    (void)name;
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

static void read_replace(struct reader *rd, const struct node *arg, const char *name,
                         struct transform *t)
{
    (void)name;
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

static void read_table(struct reader *rd, const struct node *arg, const char *name,
                       struct transform *t)
{
    (void)name;
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

static void read_separator(struct reader *rd, const struct node *arg, const char *name,
                           struct transform *t)
{
    bool may_be_empty = t->kind == TRANSFORM_JOIN && node_is_text(arg) && !*arg->text;
    t->text = may_be_empty ? "" : text_of(rd, arg, name);
}

static void read_date(struct reader *rd, const struct node *arg, const char *name,
                      struct transform *t)
{
    static const char *const forms[] = {"rfc3339", "date", "unix", "unix_ms", NULL};
    int form = word_of(rd, arg, name, forms);
    if (form >= 0)
        t->text = forms[form];
}

/* Text that may look like a number: 49, 0, -. */
static void read_scalar(struct reader *rd, const struct node *arg, const char *name,
                        struct transform *t)
{
    const char *text = scalar_of(rd, arg, name);
    if (text && !*text)
        mistake(rd, arg->at, "`%s` is empty: write text, or remove the transform", name);
    else
        t->text = text;
}

static void read_first(struct reader *rd, const struct node *arg, const char *name,
                       struct transform *t)
{
    uint64_t n = 0;
    bool whole = node_is_core(arg, CORE_INT) && core_whole(arg->text, &n);
    if (!whole || n < 1 || n > CHARACTERS_MAX)
        wrong_type(rd, arg, name, "a number of characters: {first: 1}");
    else
        t->length = (int64_t)n;
}

struct phone_form {
    const struct node *country;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct phone_form, m)
static const struct field phone_fields[] = {
    {"country", FIELD_NODE, MEMBER(country), .required = true},
};
static const struct form phone_form = {"`phone` map", phone_fields, ARRAY_LEN(phone_fields), false};

/* ITU-T E.164: one to three digits, the first of them not 0. */
static bool is_calling_code(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n >= 1 && n <= 3 && !text[n] && *text != '0';
}

static void read_phone(struct reader *rd, const struct node *arg, const char *name,
                       struct transform *t)
{
    (void)name;
    struct phone_form f = {0};
    struct entry of = {NULL, arg->at, arg};
    if (!form_read(rd, &phone_form, &of, &f) || !f.country || f.country->broken)
        return;
    const char *code = scalar_of(rd, f.country, "country");
    if (code && *code == '+')
        code++;
    if (code && !is_calling_code(code))
        mistake(rd, f.country->at,
                "`country` must be the digits that are dialled for a country, such as \"49\" or "
                "\"1\"");
    else
        t->text = code;
}

struct pad_form {
    uint32_t length;
    const struct node *with;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct pad_form, m)
static const struct field pad_fields[] = {
    {"length", FIELD_COUNT, MEMBER(length), .required = true, .min = 1, .max = PAD_MAX},
    {"with", FIELD_NODE, MEMBER(with)},
};
static const struct form pad_form = {"`pad` map", pad_fields, ARRAY_LEN(pad_fields), false};

static bool is_one_character(const char *text)
{
    size_t starts = 0;
    for (const char *p = text; *p; p++)
        starts += ((unsigned char)*p & 0xC0) != 0x80;
    return starts == 1;
}

static void read_pad(struct reader *rd, const struct node *arg, const char *name,
                     struct transform *t)
{
    (void)name;
    struct pad_form f = {0};
    struct entry of = {NULL, arg->at, arg};
    t->with = "0";
    if (!form_read(rd, &pad_form, &of, &f))
        return;
    t->length = f.length;
    const char *with = f.with && !f.with->broken ? scalar_of(rd, f.with, "with") : NULL;
    if (with && !is_one_character(with))
        mistake(rd, f.with->at, "`with` must be one character: \"0\", or \" \"");
    else if (with)
        t->with = with;
}

struct hmac_form {
    const char *secret;
    int algorithm;
};

static const char *const algorithms[] = {"sha256", "sha1", "sha512", NULL};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct hmac_form, m)
static const struct field hmac_fields[] = {
    {"secret", FIELD_TEXT, MEMBER(secret), .required = true},
    {"algorithm", FIELD_WORD, MEMBER(algorithm), .words = algorithms},
};
static const struct form hmac_form = {"`hmac` map", hmac_fields, ARRAY_LEN(hmac_fields), false};

static void read_hmac(struct reader *rd, const struct node *arg, const char *name,
                      struct transform *t)
{
    (void)name;
    struct hmac_form f = {0};
    struct entry of = {NULL, arg->at, arg};
    if (!form_read(rd, &hmac_form, &of, &f))
        return;
    t->text = f.secret;
    t->with = algorithms[f.algorithm];
}

static const struct argument {
    enum transform_kind kind;
    void (*read)(struct reader *rd, const struct node *arg, const char *name, struct transform *t);
    const char *example; /* NULL: the name alone is enough */
} arguments[] = {
    {TRANSFORM_DATE, read_date, NULL},
    {TRANSFORM_SUBSTRING, read_substring, "{substring: {from: 0, length: 3}}"},
    {TRANSFORM_REPLACE, read_replace, "{replace: {pattern: \"\\\\s+\", with: \" \"}}"},
    {TRANSFORM_SPLIT, read_separator, "{split: \",\"}"},
    {TRANSFORM_JOIN, read_separator, "{join: \",\"}"},
    {TRANSFORM_MAP, read_table, "{map: {table: {a: b}}}"},
    {TRANSFORM_PREFIX, read_scalar, "{prefix: \"+\"}"},
    {TRANSFORM_PHONE, read_phone, NULL},
    {TRANSFORM_FIRST, read_first, "{first: 1}"},
    {TRANSFORM_BEFORE, read_scalar, "{before: \"-\"}"},
    {TRANSFORM_PAD, read_pad, "{pad: {length: 2, with: \"0\"}}"},
    {TRANSFORM_HMAC, read_hmac, "{hmac: {secret: \"${SECRET}\", algorithm: sha256}}"},
};

static const struct argument *argument_of(enum transform_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(arguments); i++)
        if (arguments[i].kind == kind)
            return &arguments[i];
    return NULL;
}

void transform_argument(struct reader *rd, const struct node *arg, const char *name,
                        struct transform *t)
{
    const struct argument *a = argument_of(t->kind);
    if (arg->broken)
        return;
    if (a)
        a->read(rd, arg, name, t);
    else
        mistake(rd, arg->at, "the transform %s takes no argument: write its name only", name);
}

const char *transform_argument_example(enum transform_kind kind)
{
    const struct argument *a = argument_of(kind);
    return a ? a->example : NULL;
}
