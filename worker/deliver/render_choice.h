/*
 * What a connector says of the fields that one of its words gives: which, as what, and what stands
 * for null. Answers of the plan's making alone; any thread.
 */
#ifndef SLUICE_DELIVER_RENDER_CHOICE_H
#define SLUICE_DELIVER_RENDER_CHOICE_H

#include "worker/deliver/render_compile.h"

/** A name in a connector's list; one stands for whatever the sync's key field is. */
struct slice choice_name(const struct batch_head *head, const char *name);
bool choice_lists(const struct batch_head *head, const char *const *names, size_t count,
                  struct slice name);
/** By `except` and `only`. */
bool choice_takes(const struct batch_head *head, const struct field_choice *choice,
                  struct slice name);
bool choice_suits_policy(const struct batch_head *head, const struct field_choice *choice,
                         size_t field);
bool choice_as_text(const struct compiler *c, const struct field_choice *choice);
/** The nearest that says something: the word itself, its map, the object. */
struct null_policy choice_null(const struct compiler *c, const struct field_choice *choice,
                               bool omit);
enum err_code choice_no_memory(struct compiler *c);

#endif
