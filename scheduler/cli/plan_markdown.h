/*
 * Plans as Markdown, for the comment of a pull request.
 *
 * Takes one plan after the other, gives a heading with totals, a table, what would be held and why,
 * what could not be planned, and samples where they were asked for. Without samples nothing in it
 * is the content of a row. Bounded: whatever the project, the text stays below PLAN_MARKDOWN_BYTES
 * and says how much it leaves out.
 */
#ifndef SLUICE_CLI_PLAN_MARKDOWN_H
#define SLUICE_CLI_PLAN_MARKDOWN_H

#include "scheduler/plan/plan.h"

/* A comment on GitHub has at most 65,536 characters, and those who post it add to it. */
enum { PLAN_MARKDOWN_BYTES = 60000 };

/* A part of the text; what no longer fits is counted. */
struct markdown_part {
    struct buf text;
    size_t items, left_out;
};

struct plan_markdown {
    struct markdown_part changes, table, held, failed, quiet, streams, samples;
    uint64_t added, changed, removed;
    size_t syncs; /* that would send something */
    bool with_samples;
};

void plan_markdown_init(struct plan_markdown *m, bool with_samples);
void plan_markdown_done(struct plan_markdown *m);

/** A plan that was made. sync: NULL where the project has it no more. */
enum err_code plan_markdown_add(struct plan_markdown *m, const struct run_record *r,
                                const struct sync *sync, const struct plan *plan,
                                bool would_hold) MUST_CHECK;
/** One that could not be made. */
enum err_code plan_markdown_add_failed(struct plan_markdown *m,
                                       const struct run_record *r) MUST_CHECK;
/** A sync that only streams and so was not planned. */
enum err_code plan_markdown_add_stream(struct plan_markdown *m, const char *sync) MUST_CHECK;

/** A line of what changes (plan_change.h). */
enum err_code plan_markdown_add_change(struct plan_markdown *m, struct slice line) MUST_CHECK;
/** Why a run failed, without what may be values of rows: into out, or as it is. */
const char *plan_markdown_words(const struct run_record *r, char *out, size_t n);

/** All of it. basis: a sentence that says what was compared with, Markdown; NULL. */
enum err_code plan_markdown_put(struct buf *b, const struct plan_markdown *m,
                                const char *basis) MUST_CHECK;
/** In place of it, where the project has mistakes. */
enum err_code plan_markdown_put_mistakes(struct buf *b,
                                         const struct problem_list *problems) MUST_CHECK;

#endif
