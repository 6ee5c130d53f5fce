/* Lists of names, texts and scalars, patterns and ops: small things that every part reads. */
#include "protocol/connector/parts.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { PATTERN_BYTES = 1000, SCALAR_BYTES = 1 << 16 };

const char *const op_words[OPS + 1] = {"upsert", "insert", "update", "delete",
                                       "clear",  "append", NULL};

bool names_init(struct scope *s, struct names *n, size_t max)
{
    *n = (struct names){.items = reader_alloc(s->rd, max * sizeof *n->items), .max = max};
    return n->items != NULL;
}

int32_t names_find(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->items[i], name) == 0)
            return (int32_t)i;
    return -1;
}

int32_t names_add(struct names *n, const char *name)
{
    int32_t known = names_find(n, name);
    if (known >= 0)
        return known;
    if (n->count == n->max)
        return -1;
    n->items[n->count] = name;
    return (int32_t)n->count++;
}

size_t items_of(const struct node *node, struct node *const **ret_items)
{
    if (node->kind != NODE_LIST)
        return 1;
    *ret_items = node->items;
    return node->count;
}

bool texts_of(struct scope *s, const struct node *node, const char *key,
              const char *const **ret_texts, size_t *ret_count)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    const char **texts = reader_alloc(s->rd, count * sizeof *texts);
    for (size_t i = 0; texts && i < count; i++) {
        texts[kept] = text_of(s->rd, items[i], key);
        kept += texts[kept] != NULL;
    }
    if (!texts || kept < count)
        return false;
    *ret_texts = texts;
    *ret_count = kept;
    return true;
}

/* The text that JSON has for a scalar, without quotes. */
static const char *scalar_text(struct scope *s, const struct node *node, const char *key)
{
    struct buf b CLEANUP(buf_done);
    buf_init(&b, SCALAR_BYTES);
    if (node->broken)
        return NULL;
    if (node->kind != NODE_SCALAR) {
        wrong_type(s->rd, node, key, "text, a number, true, false or null");
        return NULL;
    }
    if (node->type == CORE_TEXT)
        return node->text;
    if (node_put_json(&b, node)) {
        mistake(s->rd, node->at, "`%s` holds a number that JSON does not have", key);
        return NULL;
    }
    return reader_str(s->rd, buf_slice(&b));
}

bool scalars_of(struct scope *s, const struct node *node, const char *key,
                const char *const **ret_texts, size_t *ret_count)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    const char **texts = reader_alloc(s->rd, count * sizeof *texts);
    for (size_t i = 0; texts && i < count; i++) {
        texts[kept] = scalar_text(s, items[i], key);
        kept += texts[kept] != NULL;
    }
    if (!texts || kept < count)
        return false;
    if (kept == 0)
        mistake(s->rd, node->at, "`%s` is an empty list: name a value", key);
    *ret_texts = texts;
    *ret_count = kept;
    return kept > 0;
}

static void pattern_mistake(struct scope *s, const struct node *node, const char *key, int code,
                            size_t offset)
{
    PCRE2_UCHAR words[128] = "";
    pcre2_get_error_message(code, words, sizeof words);
    mistake(s->rd, node->at, "`%s` is no regular expression (PCRE2): %s, at character %zu", key,
            (const char *)words, offset + 1);
}

const char *pattern_of(struct scope *s, const struct node *node, const char *key, uint32_t groups)
{
    const char *text = text_of(s->rd, node, key);
    if (!text)
        return NULL;
    if (strlen(text) > PATTERN_BYTES) {
        mistake(s->rd, node->at, "`%s` is longer than %d bytes: shorten it", key, PATTERN_BYTES);
        return NULL;
    }
    int code;
    PCRE2_SIZE offset;
    uint32_t has = 0;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                   PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    if (!re) {
        pattern_mistake(s, node, key, code, (size_t)offset);
        return NULL;
    }
    pcre2_pattern_info(re, PCRE2_INFO_CAPTURECOUNT, &has);
    pcre2_code_free(re);
    if (has >= groups)
        return text;
    mistake(s->rd, node->at, "`%s` has no group: put what is to be taken in ( )", key);
    return NULL;
}

uint32_t ops_of(struct scope *s, const struct node *node, const char *key)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items);
    uint32_t ops = 0;
    for (size_t i = 0; i < count; i++) {
        int op = word_of(s->rd, items[i], key, op_words);
        if (op >= 0)
            ops |= 1u << op;
    }
    return ops;
}

uint32_t conflict_bits(const char *name)
{
    static const char *const words[] = {[POLICY_OVERWRITE] = "newest_wins",
                                        [POLICY_SET_IF_EMPTY] = "set_if_empty",
                                        [POLICY_CREATE_ONLY] = "create_only",
                                        [POLICY_MERGE] = "merge_arrays"};
    for (uint32_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(name, words[i]) == 0)
            return 1u << i;
    return 0;
}
