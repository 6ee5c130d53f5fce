/*
 * The parts of reading a connector, and what they share: the connector so far and what a
 * placeholder may stand for at this place.
 *
 * Each part reports what is wrong and goes on; what it could not read it leaves empty. `bool`
 * results say whether something usable was read.
 */
#ifndef SLUICE_CONNECTOR_PARTS_H
#define SLUICE_CONNECTOR_PARTS_H

#include "protocol/config/form.h"
#include "protocol/connector/connector.h"

enum {
    OPS = OP_APPEND + 1,
    OBJECT_RECORDS_MAX = 50000,
    POINTER_LEVELS_MAX = 16,
    OBJECT_NAMES_MAX = 1000, /* keys or fields of one object */
    ALL_STEPS_MAX = 1000,
};

/* A list of names that grows up to max. */
struct names {
    const char **items;
    size_t count;
    size_t max;
};

/* A list of `answers:`, read once unless it speaks of steps. */
struct named_answers {
    const char *name;
    const struct node *node;
    const struct rule_list *list;
    bool of_steps;
    uint32_t request; /* the last one that it was read for */
    const struct rule_list *of_request;
};

struct scope {
    struct reader *rd;
    struct connector *c;
    struct names vars, auth_vars, groups;
    struct named_answers *answers;
    size_t answer_count;
    const struct object *object; /* NULL: outside of one */
    uint32_t ops;                /* of the request that is being read; 0: none is */
    struct names steps;          /* of it */
    struct names all_steps;      /* of all requests, as far as there is room */
    uint32_t request;            /* counts requests and lists of `ensure`, from 1 */
    uint32_t step;               /* the one that is being read */
    bool any_step;               /* they are not known: a list of `answers:` by itself */
    bool of_steps;               /* set where a rule speaks of steps */
    bool record;                 /* one record is here */
    bool cell;
    bool token;          /* within a token's request */
    bool found;          /* a lookup goes before */
    bool polls;          /* the step waits: `pending` has a meaning */
    bool uses;           /* set where something of a record is used */
    uint32_t shared;     /* set where fields of group_by are used, a bit each */
    bool merges;         /* set where fields with `arrays: merge` have a place of their own */
    uint32_t vars_known; /* bit per var: captured before, or by ensure */
    const struct join *joins;
    size_t join_count;
};

/* names.c: small things that all parts need. */
bool names_init(struct scope *s, struct names *n, size_t max);
/** -1: not there. */
int32_t names_find(const struct names *n, const char *name);
/** Finds or adds; -1: it is full. */
int32_t names_add(struct names *n, const char *name);
/** A list of texts; one text alone counts as such a list. */
bool texts_of(struct scope *s, const struct node *node, const char *key,
              const char *const **ret_texts, size_t *ret_count);
/** The same of any scalars, as JSON prints them without quotes. */
bool scalars_of(struct scope *s, const struct node *node, const char *key,
                const char *const **ret_texts, size_t *ret_count);
/** The items of a list, or the one that stands alone. */
size_t items_of(const struct node *node, struct node *const **ret_items);
/** A PCRE2 pattern with at least that many groups; NULL and a mistake otherwise. */
const char *pattern_of(struct scope *s, const struct node *node, const char *key, uint32_t groups);
/** Bits of ops named in a text or a list. */
uint32_t ops_of(struct scope *s, const struct node *node, const char *key);
extern const char *const op_words[OPS + 1];
/** A way of handling conflicts, as batch_conflicts has it; 0: there is none of this name. */
uint32_t conflict_bits(const char *name);

/* placeholder.c */
/** inside: what stands between the braces, its filters included. */
bool piece_read(struct scope *s, struct slice inside, struct config_place at, bool hidden,
                struct piece *out);
/** A placeholder without braces. */
bool piece_of(struct scope *s, const struct node *node, const char *key, struct piece *out);
/** Reports a field that the object cannot have. */
void field_check(struct scope *s, const char *field, struct config_place at, bool hidden);

/* template.c */
bool template_of(struct scope *s, const struct node *node, const char *key, struct template *out);
bool template_text(struct scope *s, const char *text, struct config_place at, bool hidden,
                   struct template *out);
/** A template that begins with http://, https:// or a placeholder of options, auth or vars. */
bool url_of(struct scope *s, const struct node *node, struct template *out);
/** A map of names to templates. */
void templates_of(struct scope *s, const struct node *node, const char *key,
                  const struct named_template **ret, size_t *ret_count);

/* pointer.c */
bool pointer_of(struct scope *s, const struct node *node, const char *key, struct pointer *out);
void pointers_of(struct scope *s, const struct node *node, const char *key,
                 struct pointer_list *out);
/** A map of `at` and one test. */
bool json_test_of(struct scope *s, const struct node *node, const char *key, struct json_test *out);
/** The test among the keys of a map. */
bool test_of(struct scope *s, const struct node *node, const char *key, struct test *out);
extern const char *const test_words[7]; /* its keys; NULL ends them */

/* delay.c */
void delays_of(struct scope *s, const struct node *node, const char *key,
               struct delay_readers *out);
void signals_read(struct scope *s, const struct node *node);

/* condition.c */
bool condition_read(struct scope *s, const struct node *map, struct condition *out);
extern const char *const condition_words[9]; /* its keys; NULL ends them */
/** Whatever b holds for, a holds for as well. */
bool condition_covers(const struct condition *a, const struct condition *b);

/* rule.c */
/** node: a name or a list; NULL: the connector's default. */
const struct rule_list *rules_of(struct scope *s, const struct node *node);
/** The connector's `answers`. */
void answers_read(struct scope *s, const struct node *node);
/** When all requests are read: rules of steps that there are nowhere. */
void answers_check(struct scope *s);

/* default_rules.c: what stands behind every list. */
extern const struct rule default_rules[];
extern const size_t default_rule_count;
extern const struct rule_list default_rule_list;

/* verdict.c */
struct verdicts *verdicts_of(struct scope *s, const struct node *node);
/** Indexes within one of several arrays count only the records that this array holds. */
void verdicts_link(struct verdicts *v, const struct tree *body);
extern const char *const key_form_words[4]; /* NULL ends them */

/* tree.c, field_choice.c */
const struct tree *tree_of(struct scope *s, const struct node *node);
enum choice_use { CHOICE_FIELDS, CHOICE_COLUMNS, CHOICE_ROW };
void choice_read(struct scope *s, const struct node *node, enum choice_use use,
                 struct field_choice *out);
bool null_of(struct scope *s, const struct node *node, struct null_policy *out);
extern const char *const render_words[3]; /* native, text */
/** The tree once more, with one record here. */
const struct tree *tree_of_record(struct scope *s, const struct node *node);

/* body.c */
void body_read(struct scope *s, const struct node *node, struct step *step);
void form_members_read(struct scope *s, const struct node *node, struct step *step);

/* capture.c: what is taken from an answer: captures, lookups, polls, pages. */
void captures_read(struct scope *s, const struct node *node, struct names *vars, bool of_auth,
                   const struct capture **ret, size_t *ret_count);
void lookup_read(struct scope *s, const struct node *node, struct step *step);
void poll_read(struct scope *s, const struct node *node, struct step *step);
void pages_read(struct scope *s, const struct node *node, struct step *step);

/* step.c */
/** of->name: what it is called without a `name` of its own. sized: `max_records` and `max_bytes`
 * are the request's and read elsewhere. */
bool step_read(struct scope *s, const struct entry *of, bool sized, struct step *out);
/** A list of steps one after another. */
bool steps_read(struct scope *s, const struct node *list, const char *key,
                const struct step **ret_steps, size_t *ret_count);

/* request.c */
void requests_read(struct scope *s, const struct node *node, struct object *o);

/* object.c, object_check.c */
void object_read(struct scope *s, const struct entry *of, struct object *out, bool open);
void object_check(struct scope *s, const struct node *node, struct object *o);
extern const char *const object_words[]; /* its keys; NULL ends them */
extern const char *const mode_words[7];
extern const char *const removed_words[4];

/* auth.c, token.c */
void auth_read(struct scope *s, const struct node *node);
const struct token_request *token_read(struct scope *s, const struct entry *of);
bool basic_read(struct scope *s, const struct node *node, struct template *user,
                struct template *password);

/* options.c, limits.c */
void options_read(struct scope *s, const struct node *node);
int32_t option_find(const struct connector *c, const char *name);
/** "options.NAME" → its number; -1 and a mistake where there is none. */
int32_t option_of(struct scope *s, const struct node *node, const char *key);
void limits_read(struct scope *s, const struct node *node);

#endif
