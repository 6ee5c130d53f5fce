#include "worker/judge/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum {
    /* A sane pattern needs some hundred steps for a sentence; a millisecond is spent at most. */
    MATCH_STEPS_MAX = 20000,
    MATCH_DEPTH_MAX = 1000,
    MATCH_HEAP_KIB = 256,
    EXHAUSTED_MAX = 64,
};

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    uint32_t groups;
    uint32_t exhausted; /* how often a match of this answer met a limit */
};

enum err_code pattern_new(const char *text, struct pattern **ret_pattern, struct err *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    struct pattern *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ERR_NOMEM, "no memory for a pattern");
    p->code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_MATCH_INVALID_UTF,
                      &code, &offset, NULL);
    if (!p->code) {
        PCRE2_UCHAR words[128] = "";
        pcre2_get_error_message(code, words, sizeof words);
        pattern_free(p);
        return err_set(err, ERR_CONFIG, "the pattern %s is no regular expression: %s, at %zu", text,
                       (const char *)words, (size_t)offset + 1);
    }
    pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &p->groups);
    p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (!p->data || !p->limits) {
        pattern_free(p);
        return err_set(err, ERR_NOMEM, "no memory for a pattern");
    }
    pcre2_set_match_limit(p->limits, MATCH_STEPS_MAX);
    pcre2_set_depth_limit(p->limits, MATCH_DEPTH_MAX);
    pcre2_set_heap_limit(p->limits, MATCH_HEAP_KIB);
    *ret_pattern = p;
    return ERR_OK;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_match_context_free(p->limits);
    pcre2_match_data_free(p->data);
    pcre2_code_free(p->code);
    free(p);
}

void pattern_reset(struct pattern *p)
{
    p->exhausted = 0;
}

bool pattern_match(struct pattern *p, struct slice text, struct slice *ret_group)
{
    if (text.n > PATTERN_TEXT_MAX)
        text.n = PATTERN_TEXT_MAX;
    PCRE2_SPTR bytes = (PCRE2_SPTR)(text.n ? text.p : "");
    if (p->exhausted == EXHAUSTED_MAX)
        return false;
    int rc = pcre2_match(p->code, bytes, text.n, 0, 0, p->data, p->limits);
    if (rc < 0) {
        p->exhausted += rc != PCRE2_ERROR_NOMATCH;
        return false;
    }
    if (!ret_group)
        return true;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->data) + (p->groups ? 2 : 0);
    *ret_group = (struct slice){0};
    if (at[0] != PCRE2_UNSET && at[0] <= at[1])
        *ret_group = slice_of(bytes + at[0], at[1] - at[0]);
    return true;
}
