/*
 * What changes between two versions of a project, sync by sync, in the words that it is written
 * in: for whoever is about to accept the later one.
 *
 * Takes two loaded projects, gives which syncs are new, gone, or defined otherwise, with their
 * model, source, destination and connector; whether that can alter what is sent; and whether
 * records that were accepted mean nothing to it any more. Pure.
 */
#ifndef SLUICE_PLAN_COMPARE_H
#define SLUICE_PLAN_COMPARE_H

#include "protocol/config/config.h"

enum change_kind { CHANGE_NEW, CHANGE_GONE, CHANGE_OTHER };

enum { CHANGE_WHAT_BYTES = 360 };

struct sync_change {
    enum change_kind kind;
    const char *name;
    const struct sync *was, *is;  /* NULL: not in that version. Borrowed from the projects */
    const struct sync *renamed;   /* of a new one: a sync that is gone and was defined so; NULL */
    bool alters;                  /* what is sent, or whether it is held, may be another */
    bool target;                  /* account, object, identify_by or primary key is another */
    char what[CHANGE_WHAT_BYTES]; /* "mappings, model customers: sql"; empty of new and gone ones */
};

struct comparison {
    struct sync_change *changes; /* the later version's order, then those that are gone */
    size_t count;
    size_t same;                      /* syncs that are as they were */
    char settings[CHANGE_WHAT_BYTES]; /* keys that differ; empty: none */
    bool restart; /* a scheduler that runs refuses the later version until it is started anew */
};

/** comparison_done in any case. Errors: ERR_NOMEM. */
enum err_code comparison_make(const struct project *was, const struct project *is,
                              struct comparison *ret, struct err *err) MUST_CHECK;
void comparison_done(struct comparison *c);
/** The change of this sync; NULL: it is as it was. */
const struct sync_change *comparison_of(const struct comparison *c, const char *sync);

#endif
