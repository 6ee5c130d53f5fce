/*
 * What is known of each record of a request while its batch goes through several: a verdict that
 * waits to be told, the id that a lookup found, fields that are not to be sent.
 *
 * A function of the progress and the judged answer. Everything lives in the given arena. One
 * thread.
 */
#ifndef SLUICE_DRIVE_MARKS_H
#define SLUICE_DRIVE_MARKS_H

#include "worker/judge/answer.h"
#include "worker/deliver/progress.h"

struct mark {
    bool known; /* it has a verdict; OPEN: it is sent again when the others are done */
    bool looked_up;
    enum verdict verdict;
    struct slice message;
    struct slice id;
    uint64_t left_out;
};

struct marks {
    struct mark *items; /* one per record; NULL: nothing is known of any */
    uint32_t count;
};

/** What progress knows. Errors: ERR_NOMEM. */
enum err_code marks_make(struct marks *m, const struct rendered *request,
                         const struct progress *progress, struct arena *a) MUST_CHECK;
/** A verdict; one that is final stays. */
void marks_set(struct marks *m, uint32_t index, enum verdict verdict, struct slice message);
void marks_entries(struct marks *m, const struct judged *judged);
/** more: another page of the same lookup follows, which may name those that are missing so far. */
void marks_lookup(struct marks *m, const struct lookup *lookup, const struct looked_up *found,
                  bool more);

/** How many records have no final verdict, where those without any have `others`. */
uint32_t marks_open(const struct marks *m, enum verdict others);

/** The records' part of the progress: of those that stay in the batch, or of all while verdicts are
 * collected. Errors: ERR_NOMEM. */
enum err_code marks_keep(const struct marks *m, const struct rendered *request, bool collecting,
                         struct arena *a, struct progress *p) MUST_CHECK;

/* Which records become entries of an outcome. */
struct marks_told {
    bool open; /* those that are OPEN, too */
    bool all;  /* those without a verdict, too: with `others` */
    enum verdict others;
};
/** Errors: ERR_NOMEM. */
enum err_code marks_tell(const struct marks *m, struct marks_told told, struct arena *a,
                         struct outcome *o) MUST_CHECK;

#endif
