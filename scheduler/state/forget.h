/*
 * Forgetting a person: entries, identities, refusals, listed records and every text that names
 * them.
 *
 * Works inside the state's one transaction, which must hold no run under way. What is deleted may
 * still be read in pages of the file that are free: state_rebuild (copy.h) writes a file without
 * them.
 */
#ifndef SLUICE_STATE_FORGET_H
#define SLUICE_STATE_FORGET_H

#include "protocol/base/buf.h"
#include "scheduler/state/entries.h"

struct forget_counts {
    uint64_t entries;
    uint64_t identities;
    uint64_t rejected; /* listed records */
    uint64_t texts; /* words of a destination, in refusals, runs and memos, that named the person */
};

enum { FORGET_TEXTS_MAX = 256, FORGET_TEXT_MIN = 3 };

/* Who is to be forgotten. Borrowed. */
struct forget {
    const char *key;  /* a value of the key or of an identity; or the key as JSON, {"id":1} */
    struct buf texts; /* found so far: how the person is named, each with a NUL behind it */
    size_t text_count;
    struct forget_counts counts;
};

void forget_init(struct forget *f, const char *key);
void forget_done(struct forget *f);

/** Names of all syncs that state knows, also of those that are in no project. */
typedef enum err_code (*forget_name_cb)(void *ctx, const char *sync, struct err *err);
enum err_code forget_each_sync(struct state *s, forget_name_cb cb, void *ctx,
                               struct err *err) MUST_CHECK;
/**
 * Forgets the entries of the person. names: of the primary key's columns, for a key as JSON; count
 * 0: not known. Learns other names of the person from what it deletes.
 */
enum err_code forget_entries(struct forget *f, struct state_sync *ss, const struct slice *names,
                             size_t count, struct err *err) MUST_CHECK;
/** These key bytes, or those of an identity, name the person, as far as was learned by now. names:
 * of the primary key's columns; count 0: not known. */
bool forget_is_person(const struct forget *f, struct slice bytes, const struct slice *names,
                      size_t count);
/** The words name the person. */
bool forget_names_person(const struct forget *f, struct slice words);
/** Then: listed records and refusals of the sync whose words name the person. */
enum err_code forget_words(struct forget *f, struct state_sync *ss, struct err *err) MUST_CHECK;
/** At last: the words of runs, and memos. */
enum err_code forget_rest(struct forget *f, struct state *s, struct err *err) MUST_CHECK;

#endif
