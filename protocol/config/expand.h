/*
 * ${NAME}, ${NAME:-default} and ${file:/path} inside the text values of a tree.
 *
 * Done on values only, after parsing: what is put in can change neither structure nor, by itself, a
 * type. `$${` stands for `${`. What cannot be put in is a mistake that names the variable or the
 * file and never shows a value.
 */
#ifndef SLUICE_CONFIG_EXPAND_H
#define SLUICE_CONFIG_EXPAND_H

#include "protocol/config/reader.h"

void expand_tree(struct reader *rd, struct node *node);

#endif
