/* A page of the project's Markdown as the body of a manual page. */
#ifndef SLUICE_DEPLOY_MAN_MARKDOWN_H
#define SLUICE_DEPLOY_MAN_MARKDOWN_H

#include <stdio.h>

/** Prints it as mdoc: headings, paragraphs, lists, tables (as lists of their first column),
 * examples. */
void markdown_print(FILE *in);

#endif
