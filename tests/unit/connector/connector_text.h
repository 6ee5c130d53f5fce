/* A connector read from text, for tests: what was read, and the mistakes as lines of text. */
#ifndef SLUICE_TESTS_CONNECTOR_TEXT_H
#define SLUICE_TESTS_CONNECTOR_TEXT_H

#include "protocol/connector/read.h"

struct connector_text {
    struct project project;
    struct problem_list problems;
    struct reader reader;
    const struct connector *connector; /* NULL: nothing was read */
    struct buf said;                   /* a line per mistake: LINE:COL: text */
};

/** text: the map of one connector, which is called "test". */
void connector_text_read(struct connector_text *t, const char *text);
/** The same for a destination of type http. */
void connector_text_read_inline(struct connector_text *t, const char *text);
void connector_text_builtin(struct connector_text *t, const char *name);
/** The mistakes so far, in order. */
const char *connector_text_said(struct connector_text *t);
void connector_text_done(struct connector_text *t);

#endif
