/*
 * A form: which keys a map may have, of which type, and where their values go.
 *
 * Reading one reports unknown keys, wrong types, amounts out of range, unknown words and missing
 * keys, and fills a plain struct; what is not given, or wrong, leaves the struct's member as it was
 * (defaults are put there before).
 */
#ifndef SLUICE_CONFIG_FORM_H
#define SLUICE_CONFIG_FORM_H

#include "protocol/config/reader.h"

enum field_kind {
    FIELD_TEXT,     /* const char *; an empty one counts as missing */
    FIELD_FLAG,     /* bool */
    FIELD_COUNT,    /* uint32_t, min..max */
    FIELD_DURATION, /* uint64_t ms, min..max */
    FIELD_SIZE,     /* uint64_t bytes, min..max */
    FIELD_WORD,     /* int: position in words */
    FIELD_NODE,     /* const struct node *: read by other means */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    bool required;
    bool may_be_empty; /* text: "" leaves the default */
    uint64_t min;
    uint64_t max;
    const char *const *words; /* NULL ends them */
};

struct form {
    const char *what; /* "webhook destination": for messages */
    const struct field *fields;
    size_t count;
    bool open; /* other keys are somebody else's */
};

enum { FORM_FIELDS = 40 };

/**
 * Reads of->node into out. of->name may be NULL (an unnamed thing). Returns false where of->node is
 * no map; mistakes inside it do not count.
 */
bool form_read(struct reader *rd, const struct form *form, const struct entry *of, void *out);

/** Reports pair's key as unknown. known: all keys, NULL ends them. */
void form_unknown(struct reader *rd, const char *what, const struct pair *pair,
                  const char *const *known);

/** Reports a value of the wrong type; wanted: "a list". */
void wrong_type(struct reader *rd, const struct node *node, const char *key, const char *wanted);
/** The value as text, NULL and a mistake where it is something else or empty. */
const char *text_of(struct reader *rd, const struct node *node, const char *key);
/** Position in words, -1 and a mistake where it is not among them. */
int word_of(struct reader *rd, const struct node *node, const char *key, const char *const *words);
/** The first of these keys that node has, NULL where it has none; each further one is a mistake.
 * keys: NULL ends them. */
const struct pair *only_one_of(struct reader *rd, const struct node *node, const char *const *keys);
/** 4MiB, 1000B: for messages. */
const char *size_text(struct reader *rd, uint64_t bytes);
/** A number, true or false or text, as it was written; NULL and a mistake for anything else. */
const char *scalar_of(struct reader *rd, const struct node *node, const char *key);

#endif
