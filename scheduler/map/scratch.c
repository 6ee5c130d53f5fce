#include "scheduler/map/scratch.h"

#include <stdlib.h>

enum { SCRATCH_FIRST_BYTES = 64 << 10 };

struct scratch_block {
    struct scratch_block *next;
    size_t cap;
    size_t len;
    char bytes[];
};

void scratch_done(struct scratch *s)
{
    while (s->head) {
        struct scratch_block *next = s->head->next;
        free(s->head);
        s->head = next;
    }
    s->total = 0;
}

static enum err_code add_block(struct scratch *s, size_t cap, struct err *err)
{
    if (cap > SCRATCH_BYTES_MAX || s->total > SCRATCH_BYTES_MAX - cap)
        return err_set(err, ERR_INVALID, "the mapped values of one row need more than %d MiB",
                       SCRATCH_BYTES_MAX >> 20);
    struct scratch_block *b = malloc(sizeof *b + cap);
    if (!b)
        return err_set(err, ERR_NOMEM, "no memory for the values of a row");
    *b = (struct scratch_block){.next = s->head, .cap = cap};
    s->head = b;
    s->total += cap;
    return ERR_OK;
}

void scratch_reset(struct scratch *s)
{
    if (!s->head)
        return;
    if (s->head->next) {
        size_t total = s->total;
        scratch_done(s);
        /* Without memory now, the next row asks again and says so. */
        if (add_block(s, total, NULL))
            return;
    }
    s->head->len = 0;
}

enum err_code scratch_room(struct scratch *s, size_t n, char **ret, struct err *err)
{
    if (!s->head || s->head->cap - s->head->len < n) {
        size_t cap = n > SCRATCH_FIRST_BYTES ? n : SCRATCH_FIRST_BYTES;
        enum err_code rc = add_block(s, cap, err);
        if (rc)
            return rc;
    }
    *ret = s->head->bytes + s->head->len;
    return ERR_OK;
}

void scratch_keep(struct scratch *s, size_t n)
{
    s->head->len += n;
}
