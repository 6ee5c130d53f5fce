/* replace: a PCRE2 pattern, compiled by the JIT, with limits, so that no row can stop a run. */
#include "scheduler/map/steps.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum {
    MATCH_LIMIT = 1000000, /* a second or less for the worst pattern */
    HEAP_LIMIT_KIB = 20000,
    JIT_STACK_FIRST = 32 << 10,
    JIT_STACK_MAX = 1 << 20,
    PATTERN_MESSAGE_BYTES = 256,
    GROUP_NAME_BYTES = 64, /* PCRE2 allows 32 */
};

struct step_replace {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL where there is no JIT */
};

void step_replace_free(struct step_replace *r)
{
    if (!r)
        return;
    pcre2_match_context_free(r->context);
    pcre2_match_data_free(r->match);
    pcre2_jit_stack_free(r->stack);
    pcre2_code_free(r->code);
    free(r);
}

static const char *message(int number, char *out)
{
    pcre2_get_error_message(number, (PCRE2_UCHAR *)out, PATTERN_MESSAGE_BYTES);
    return out;
}

/* Moves p over the number or name after a dollar sign and its braces. False: the pattern has no
 * such group. */
static bool check_group(const pcre2_code *code, const char **p)
{
    uint32_t groups = 0;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    bool braced = **p == '{';
    const char *start = *p + braced;
    size_t n = strspn(start, "0123456789");
    bool number = n > 0;
    if (!number)
        n = strspn(start, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    char name[GROUP_NAME_BYTES];
    if (!n || n >= sizeof name || (braced && start[n] != '}'))
        return false;
    memcpy(name, start, n);
    name[n] = '\0';
    *p = start + n + braced;
    if (number)
        return n < 5 && strtoul(name, NULL, 10) <= groups;
    return pcre2_substring_number_from_name(code, (PCRE2_SPTR)name) > 0;
}

/* PCRE2 finds a wrong replacement only when something matches, which would be in the middle of a
 * run. */
static enum err_code check_replacement(const pcre2_code *code, const char *with, struct err *err)
{
    for (const char *p = with; *p;) {
        if (*p++ != '$')
            continue;
        if (*p == '$')
            p++;
        else if (!check_group(code, &p))
            return err_set(
                err, ERR_CONFIG,
                "transform replace: the replacement names a group that the pattern does not have "
                "($1, ${name}; $$ is a dollar sign)");
    }
    return ERR_OK;
}

static enum err_code prepare_match(struct step_replace *r, struct err *err)
{
    r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
    r->context = pcre2_match_context_create(NULL);
    if (!r->match || !r->context)
        return err_set(err, ERR_NOMEM, "no memory for a pattern");
    pcre2_set_match_limit(r->context, MATCH_LIMIT);
    pcre2_set_heap_limit(r->context, HEAP_LIMIT_KIB);
    /* Without a JIT the interpreter does the same, slower. */
    if (pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE))
        return ERR_OK;
    r->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    if (!r->stack)
        return err_set(err, ERR_NOMEM, "no memory for a pattern");
    pcre2_jit_stack_assign(r->context, NULL, r->stack);
    return ERR_OK;
}

enum err_code step_replace_compile(const struct transform *t, struct step_replace **ret,
                                   struct err *err)
{
    int number;
    PCRE2_SIZE at;
    char text[PATTERN_MESSAGE_BYTES];
    const char *pattern = t->text ? t->text : "";
    struct step_replace *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ERR_NOMEM, "no memory for a pattern");
    *ret = r; /* the step owns it from here on, whatever comes */
    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &number, &at, NULL);
    if (!r->code)
        return err_set(err, ERR_CONFIG,
                       "transform replace: pattern '%s' is wrong at character %zu: %s", pattern,
                       (size_t)at + 1, message(number, text));
    enum err_code rc = check_replacement(r->code, t->with ? t->with : "", err);
    return rc ? rc : prepare_match(r, err);
}

/* Into room of *n bytes. Returns PCRE2's answer; where the room is too small, *n becomes what is
 * needed. */
static int substitute(const struct step *step, const struct value *v, char *room, PCRE2_SIZE *n,
                      const char *with)
{
    const struct step_replace *r = step->replace;
    uint32_t options = PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH |
                       PCRE2_SUBSTITUTE_UNSET_EMPTY | PCRE2_NO_UTF_CHECK;
    return pcre2_substitute(r->code, (PCRE2_SPTR)(v->n ? v->p : ""), v->n, 0, options, r->match,
                            r->context, (PCRE2_SPTR)with, PCRE2_ZERO_TERMINATED,
                            (PCRE2_UCHAR *)room, n);
}

enum err_code step_replace(struct step_env *env, const struct step *step, struct value *v,
                           struct err *err)
{
    PCRE2_SIZE n = (PCRE2_SIZE)v->n + 1; /* PCRE2 ends its output with a NUL */
    char *room, text[PATTERN_MESSAGE_BYTES];
    const char *with = step->with ? step->with : "";
    enum err_code rc = scratch_room(&env->scratch, n, &room, err);
    if (rc)
        return rc;
    int found = substitute(step, v, room, &n, with);
    if (found == PCRE2_ERROR_NOMEMORY) {
        rc = scratch_room(&env->scratch, n, &room, err);
        if (rc)
            return rc;
        found = substitute(step, v, room, &n, with);
    }
    if (found < 0)
        return err_set(err, ERR_INVALID, "%s", message(found, text));
    return found ? step_keep(env, v, room, n) : ERR_OK;
}
