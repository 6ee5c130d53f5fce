/*
 * Foreign text within Markdown that GitHub, GitLab and their like render.
 *
 * Whatever the text holds (Markdown, HTML, mentions, pipes, line ends, what turns the direction of
 * writing) is shown as text and changes nothing around it, in a table's cell too. Pure; any thread.
 */
#ifndef SLUICE_CLI_MARKDOWN_H
#define SLUICE_CLI_MARKDOWN_H

#include "protocol/base/buf.h"

/** Appends text as inline code, cut after about most bytes. NULL counts as empty. */
enum err_code markdown_code(struct buf *b, const char *text, size_t most) MUST_CHECK;
/** The same without the code around it, as <pre> wants its lines: a line end becomes a space. */
enum err_code markdown_text(struct buf *b, const char *text, size_t most) MUST_CHECK;

#endif
