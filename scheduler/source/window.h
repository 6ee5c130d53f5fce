/*
 * A read of that part of a model which a cursor column says is new, in the cursor's order.
 *
 * Like source.h, and tells besides which transactions were open at the rows' snapshot: what these
 * commit later may lie below cursors that were seen, so that a place is only passed once they have
 * ended. Rows without a cursor (NULL) are not part of any window.
 */
#ifndef SLUICE_SOURCE_WINDOW_H
#define SLUICE_SOURCE_WINDOW_H

#include "scheduler/source/source.h"

/* Transactions that were open. Texts are borrowed. */
struct window_open {
    const char *xmax; /* the server's first transaction number that was not given out */
    const char *running;
};

/* What the server told before the first row. */
struct window_place {
    bool known;      /* it tells about transactions; false: nothing else here is set */
    bool ended;      /* before the snapshot of these rows, all of options.earlier had ended */
    const char *now; /* the server's clock, as rows give times */
    struct window_open open; /* not ended when the snapshot was taken; borrowed for the call */
};

enum window_part {
    WINDOW_ROWS,    /* all of it */
    WINDOW_TOP,     /* only the row with the greatest cursor */
    WINDOW_NOTHING, /* only what is told of transactions */
};

struct window_options {
    enum window_part part;
    const char *cursor;  /* column */
    const char *from;    /* the cursor's value as rows give it, included; NULL: the beginning */
    uint64_t overlap_ms; /* of times: as much before from */
    struct window_open earlier; /* of an earlier look; xmax NULL: none */
};

/** place: before on_columns; once, or again where the statement had to be put another way. Errors
 * as source_read_start, and by on_end ERR_CONFIG: no such column, or not one with an order. The
 * options are copied but for their texts, which are borrowed until the end. */
enum err_code window_read_start(struct event_base *base, const struct model *model,
                                const struct window_options *options,
                                const struct source_events *events,
                                void (*place)(void *ctx, const struct window_place *place),
                                struct source_read **ret_read, struct err *err) MUST_CHECK;

#endif
