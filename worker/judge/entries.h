/*
 * The verdicts of one answer while they are collected: one entry at a time, of whichever records it
 * names.
 *
 * An entry that names no record, or one that was not in the request, spoils the whole: `bug` says
 * how. Of a record named more than once a final refusal counts before "again", and that before
 * acceptance; of equals the first.
 */
#ifndef SLUICE_JUDGE_ENTRIES_H
#define SLUICE_JUDGE_ENTRIES_H

#include "worker/judge/answer_parts.h"
#include "worker/judge/keys.h"

struct entries {
    struct judge *j;
    bool drop;     /* nothing was taken: an entry that names no record is passed over */
    bool keeps_ok; /* what is not mentioned is not accepted: so acceptance is noted too */
    struct outcome_entry *by_record; /* NULL: nothing noted; index == records: not mentioned */
    size_t noted;
    bool throttles;
    const char *bug; /* NULL: none */
    /* of the source that is read */
    const struct listing *source;
    struct arena *scratch; /* for texts that are needed until the next entry */
    uint32_t position;     /* entries so far */
    const uint32_t *among; /* records that an index counts; NULL: all */
    uint32_t among_count;
    struct keys keys;
    /* of the entry that is read */
    struct doc_place at;
    uint32_t name; /* member that it stands in, DOC_NONE */
    enum verdict verdict;
    bool not_found;
    bool worded;
    struct slice words;
};

/** Prepares for the entries of one source. */
void entries_begin(struct entries *e, const struct listing *source, struct arena *scratch);
/** False: the answer is a bug, or memory is out. */
bool entries_read(struct entries *e, const struct doc *doc, uint32_t node, uint32_t name);
/** After the last entry of a source. */
void entries_end(struct entries *e);

/* ---- for naming.c ---- */

/** Calls entries_note for every record that the entry names. False: bug. */
bool entries_name_records(struct entries *e);
/** False: bug, or memory is out. list: the member around the position, DOC_NONE. */
bool entries_note(struct entries *e, uint32_t record, uint32_t list);
bool entries_bug(struct entries *e, const char *what);

#endif
