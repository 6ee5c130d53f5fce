/*
 * What every part of the loader shares: where results go, where mistakes go, and the one flag that
 * says that memory ran out.
 *
 * A part that meets a mistake reports it and goes on. A part that gets NULL from reader_alloc
 * returns at once; `failed` is looked at when loading ends. One thread.
 */
#ifndef SLUICE_CONFIG_READER_H
#define SLUICE_CONFIG_READER_H

#include "protocol/config/inputs.h"
#include "protocol/config/node.h"

enum section_id {
    SECTION_SETTINGS,
    SECTION_SOURCES,
    SECTION_MODELS,
    SECTION_DESTINATIONS,
    SECTION_CONNECTORS,
    SECTION_SYNCS,
    SECTION_ALERTS,
    SECTION_COUNT,
};

/* One named thing of a section. */
struct entry {
    const char *name;
    struct config_place at; /* of the name */
    const struct node *node;
};

struct section {
    const char *word;            /* top-level key: "models" */
    const char *noun;            /* "model" */
    struct entry *entries;       /* all files', in file order; first definition of each name only */
    const struct entry **sorted; /* by name */
    const char **names;          /* all names, for "did you mean" */
    size_t count;
};

struct connector;
struct recipe_book;

struct reader {
    struct project *project;
    struct problem_list *problems;
    struct inputs *inputs; /* what was opened */
    struct section sections[SECTION_COUNT];
    const struct recipe_book *recipes; /* NULL: not read yet (recipes.h) */
    enum err_code failed;
    bool is_worker; /* secrets of `sources` may be missing */
    bool is_alone;  /* any secret may be missing */
    bool only_connectors;
    bool only_settings;
    const struct node *settings;       /* NULL: there are none */
    const struct node *warehouse_log;  /* of settings, until the sources are read; NULL: none */
    bool may_be_missing;               /* what is expanded now is one of those */
    const struct connector **builtins; /* by their number, NULL where not read yet; NULL: none is */
};

void *reader_alloc(struct reader *rd, size_t n) MUST_CHECK;
char *reader_str(struct reader *rd, struct slice s) MUST_CHECK;
/** Always returns text: an empty one where memory ran out. */
const char *reader_printf(struct reader *rd, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/** The absolute form of a path written in the project: relative ones start at the project folder.
 */
const char *reader_path(struct reader *rd, const char *path) MUST_CHECK;

void mistake(struct reader *rd, struct config_place at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void unsupported(struct reader *rd, struct config_place at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void note(struct reader *rd, struct config_place at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** Text in quotes, fit for a message: "this value" where it is long, looks like an address or came
 * from outside. */
const char *shown(struct reader *rd, const struct node *node) MUST_CHECK;
const char *shown_text(struct reader *rd, const char *text) MUST_CHECK;
/** `; did you mean "x"?`, or else where nothing is near. candidates may have NULL as their end or
 * count. */
const char *did_you_mean(struct reader *rd, const char *word, const char *const *candidates,
                         size_t count, const char *otherwise) MUST_CHECK;
/** "a, b, c" of a list that NULL ends. */
const char *listed(struct reader *rd, const char *const *words) MUST_CHECK;

/** The entry that node names in a section, NULL and a mistake where there is none. */
const struct entry *reader_find(struct reader *rd, enum section_id id, const struct node *node);
/** Its position in the section's entries. */
size_t entry_index(const struct reader *rd, enum section_id id, const struct entry *entry);

/** Reports a name that cannot be part of a Redis key. what: "a sync's name". */
void name_check(struct reader *rd, struct config_place at, const char *name, const char *what);

#endif
