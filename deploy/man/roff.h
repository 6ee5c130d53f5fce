/*
 * Writing manual pages: text as mdoc takes it, in short lines.
 *
 * Knows of Markdown what the project's pages use: code, emphasis and links inside of text. One
 * thread.
 */
#ifndef SLUICE_DEPLOY_MAN_ROFF_H
#define SLUICE_DEPLOY_MAN_ROFF_H

#include <stdio.h>

/** .Dd, .Dt and .Os. */
void roff_head(const char *title, int section);
/** "## TEXT": a section. */
void roff_section(const char *text);
void roff_subsection(const char *text);
/** Markdown text, wrapped; ends its line. Nothing where it is empty. */
void roff_text(const char *markdown);
/** The same in one line behind a macro, such as `.It`. */
void roff_macro(const char *macro, const char *markdown);
/** A line of an example, as it is. */
void roff_literal(const char *line);

#endif
