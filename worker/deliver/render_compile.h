/*
 * Compiling a step into a render plan's instructions.
 *
 * render_emit.c writes single instructions, the others read the connector's trees and templates and
 * call it. Constant text is gathered until something else must be written.
 */
#ifndef SLUICE_DELIVER_RENDER_COMPILE_H
#define SLUICE_DELIVER_RENDER_COMPILE_H

#include "worker/deliver/render_parts.h"

struct compiler {
    struct scope scope;
    struct render_plan *plan;
    struct err *err;
    struct buf text; /* constant text that is not an instruction yet */
    struct buf code, exprs, by_op, admissions;
    struct buf scratch;
    bool in_loop;
    int depth;
};

/* How placeholders are written within text. */
enum template_form { FORM_RAW, FORM_URL, FORM_QUERY, FORM_JSON };

uint32_t emit_here(struct compiler *c); /* flushes; the next instruction's place */
enum err_code emit(struct compiler *c, struct ins ins) MUST_CHECK;
enum err_code emit_text(struct compiler *c, struct slice s) MUST_CHECK;
enum err_code emit_texts(struct compiler *c, const char *s) MUST_CHECK;
enum err_code emit_json_string(struct compiler *c, struct slice s) MUST_CHECK;
/** An instruction whose target (a) is told later by emit_land. */
enum err_code emit_jump(struct compiler *c, enum code code, uint32_t expr,
                        uint32_t *ret_at) MUST_CHECK;
/** The jump at `at` lands here. */
enum err_code emit_land(struct compiler *c, uint32_t at) MUST_CHECK;
enum err_code emit_expr(struct compiler *c, const struct expr *e, uint32_t *ret_index) MUST_CHECK;
enum err_code emit_piece(struct compiler *c, const struct piece *piece,
                         struct expr *ret_expr) MUST_CHECK;
enum err_code emit_template(struct compiler *c, const struct template *t,
                            enum template_form form) MUST_CHECK;
/** Copies bytes into the plan. */
/** Ends a program that began at the entry. */
enum err_code emit_end(struct compiler *c) MUST_CHECK;
/** A template as a program of its own. */
enum err_code emit_program(struct compiler *c, const struct template *t,
                           uint32_t *ret_entry) MUST_CHECK;
/** A template's only placeholder is null: *ret_skip is landed after what is left out then.
 * *ret_may: there is something to land; *ret_never: it is always null. */
enum err_code emit_unless_null(struct compiler *c, const struct template *t, uint32_t *ret_skip,
                               bool *ret_may, bool *ret_never) MUST_CHECK;
enum err_code emit_keep(struct compiler *c, struct slice s, struct slice *ret_kept) MUST_CHECK;
enum err_code emit_loop(struct compiler *c, const struct record_filter *only,
                        uint32_t *ret_next) MUST_CHECK;
enum err_code emit_loop_end(struct compiler *c, uint32_t next) MUST_CHECK;
bool expr_is_null(const struct expr *e); /* a constant that is nothing */

/* ---- trees and fields ---- */

/* What is known, while compiling, of the JSON container that is being written. */
enum filling { FILLING_NONE, FILLING_SOME, FILLING_UNSURE };

/** root: an object gets the members that auth adds. */
enum err_code compile_tree(struct compiler *c, const struct tree *t, bool root) MUST_CHECK;
/** One line per record, but for those whose guards leave them out. */
enum err_code compile_lines(struct compiler *c, const struct tree *t) MUST_CHECK;
enum err_code compile_fields(struct compiler *c, const struct tree *map,
                             const struct field_choice *choice, enum filling *filling) MUST_CHECK;
enum err_code compile_keys(struct compiler *c, const struct field_choice *choice,
                           enum filling *filling) MUST_CHECK;
enum err_code compile_columns(struct compiler *c, const struct field_choice *choice) MUST_CHECK;
enum err_code compile_row(struct compiler *c, const struct tree *t) MUST_CHECK;
enum err_code compile_csv(struct compiler *c, const struct csv_form *form) MUST_CHECK;
enum err_code emit_comma(struct compiler *c, enum filling *filling) MUST_CHECK;

/* ---- the request's head (render_head.c) ---- */

/** Compiles url, query and headers. */
enum err_code compile_url(struct compiler *c) MUST_CHECK;
enum err_code compile_headers(struct compiler *c) MUST_CHECK;

#endif
