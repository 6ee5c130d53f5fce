/*
 * The inside of a render plan, for the files that compile and run it.
 *
 * A plan is one array of instructions with several entries: the body, the url, each header. A run
 * is what changes while they are carried out over one batch. One thread.
 */
#ifndef SLUICE_DELIVER_RENDER_PARTS_H
#define SLUICE_DELIVER_RENDER_PARTS_H

#include "protocol/base/arena.h"
#include "worker/deliver/filter.h"
#include "worker/deliver/gzip.h"
#include "worker/deliver/render.h"
#include "worker/deliver/render_code.h"

enum {
    PLAN_BYTES_MAX = 16 << 20,
    PLAN_DEPTH_MAX = 32, /* objects made of dotted names, within each other */
    TREE_DEPTH_MAX = 64,
    JOIN_BYTES_MAX = 16 << 20,
    NO_EXPR = UINT32_MAX,
    NO_ENTRY = UINT32_MAX,
    TRACE_BYTES = 12,
    UID_BYTES = 36,
};

/* ---- the plan ---- */

struct header_plan {
    const char *name;
    const char *line; /* it never changes; NULL: made by the program */
    uint32_t entry;
    uint32_t only_if; /* left out where this expression is null; NO_EXPR: never */
    bool basic;       /* the program gives user:password, to be encoded */
};

/* A field that names the record: known where a removal has no fields. */
struct key_field {
    uint32_t field;
    uint32_t key;
};

/* Bytes that may be secret: wiped when the plan goes. */
struct kept {
    struct kept *next;
    size_t n;
    char bytes[];
};

struct signer {
    const struct hmac_sign *hmac; /* NULL: nothing is signed */
    const void *digest;           /* EVP_MD */
    uint32_t secret, of, prefix;  /* entries */
};

struct render_plan {
    struct arena arena;
    struct kept *kept;
    struct render_context context;
    const struct ins *code;
    const struct expr *exprs;
    const uint32_t (*by_op)[6];
    const struct admission *admissions;
    uint32_t body, url; /* entries; NO_ENTRY: none */
    struct header_plan *headers;
    size_t header_count;
    uint32_t *joins; /* entry of each that is used */
    struct buf *joined;
    size_t join_count;
    uint32_t sigv4[4];
    struct signer signer;
    struct expr group[OBJECT_GROUP_MAX]; /* per field of group_by, of any record */
    bool grouped;                        /* some are used */
    bool single; /* a record is needed outside a loop: the request's only one */
    bool signs_sigv4;
    bool packs; /* the body is compressed */
    uint64_t body_max;
    size_t key_count, field_count;
    struct key_field *key_fields;
    size_t key_field_count;
    uint8_t *left_bits;    /* per field; LEFT_NEVER: it has no policy */
    struct value *masked;  /* the fields of a record some of which are left out */
    struct value *none;    /* all absent */
    struct value *removed; /* as none, but for the fields that are keys */
    struct value *emptied; /* null, but for keys: absent; what a clear sends */
    struct value *cleared; /* null, but for keys: the key's value; what a clear knows */
    struct filters filters;
    struct gzip gzip;
    struct buf scratch;
    struct buf hashed;
    struct buf line;
};

enum { LEFT_NEVER = 0xFF };

/* ---- running (render_run.c) ---- */

struct run {
    struct render_plan *plan; /* NULL: a template alone */
    const struct render_input *in;
    struct filters *filters;
    struct rendered *out;
    struct err *err;
    struct batch_reader *reader; /* NULL: a request without records */
    bool collected;              /* every record's ordinal, op and key are in out */
    bool at_record;
    uint32_t position; /* of the present record, in the batch */
    uint32_t index;    /* and among those that the loop takes */
    uint32_t read;     /* records read in this pass */
    struct record record;
    const struct value *fields; /* what $fields sends */
    const struct value *named;  /* what {{fields.x}} is */
    struct value request[REQUEST_VALUES];
    struct value group[OBJECT_GROUP_MAX];
    char texts[REQUEST_VALUES][24];
    char trace[TRACE_BYTES], number[TRACE_BYTES], uid[UID_BYTES];
    size_t opened[PLAN_DEPTH_MAX + 1];
    size_t depth;
    size_t embed, form; /* where they began */
};

void run_init(struct run *r, struct filters *filters, const struct render_input *in,
              struct rendered *out, struct err *err);
/** Runs from an entry to its end. */
enum err_code run_program(struct run *r, uint32_t entry, struct buf *out) MUST_CHECK;
/** Reads what is left of the batch, for what must be known of every record; stays at the last one.
 */
enum err_code run_collect(struct run *r) MUST_CHECK;
/** Takes what all records share from the first one. */
enum err_code run_group(struct run *r) MUST_CHECK;

/* ---- the request's head (render_head.c) ---- */

/** Renders url, query and headers into r->out, whose body is there. */
enum err_code run_head(struct run *r) MUST_CHECK;

/* ---- expressions (render_expr.c) ---- */

/* Where a placeholder stands: what it may refer to. head NULL: there is no batch. */
struct scope {
    const struct render_context *context;
    const struct batch_head *head;
    struct filters *filters;
    struct slice conflicts;  /* names of the fields that conflict handling looks at */
    const struct expr *cell; /* within a cell of $row; NULL: not */
    struct slice column;
};

/** Compiles one placeholder; what is constant is folded (its bytes borrowed from the scope or,
 * where it has filters, from the filters until they are used again). */
enum err_code expr_compile(const struct scope *s, const struct piece *piece,
                           struct expr *ret_expr) MUST_CHECK;
/** What a record has in a field of group_by. */
void group_compile(const struct scope *s, const char *name, struct expr *ret_expr);
static inline bool expr_of_record(const struct expr *e)
{
    return e->origin >= FROM_OP;
}
enum err_code expr_value(struct run *r, const struct expr *e, struct value *ret_value) MUST_CHECK;
/** Index of the field whose dotted name this is; field_count where there is none. */
size_t field_named(const struct batch_head *head, struct slice dotted);
/** The dotted name of a field, in b, which is reset. */
enum err_code field_name(struct buf *b, const struct field_path *path) MUST_CHECK;

#endif
