/* Notes: (batch, ordinal, verdict, message)*, little endian, behind a head that says whether they
 * are all. Kept in memory until the run ends; a crash before that loses them, and says so. */
#include "scheduler/history/history_private.h"

#include "scheduler/state/pack.h"

void history_notes_init(struct history_notes *n)
{
    *n = (struct history_notes){0};
    buf_init(&n->bytes, HISTORY_NOTES_MAX);
}

void history_notes_done(struct history_notes *n)
{
    buf_done(&n->bytes);
}

void history_note(struct history_notes *n, uint64_t batch, uint32_t ordinal, enum tally_count what,
                  const struct tally_verdict *v)
{
    uint8_t bytes[NOTE_BYTES_MAX];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    size_t words = v->message.n < NOTE_MESSAGE_MAX ? v->message.n : NOTE_MESSAGE_MAX;
    n->count++;
    pack_u64(&k, batch);
    pack_u32(&k, ordinal);
    pack_u8(&k, (uint8_t)what);
    pack_u32(&k, (uint32_t)words);
    pack_bytes(&k, v->message.p, words);
    if (!n->full && buf_put(&n->bytes, (const char *)bytes, k.n))
        n->full = true;
}

bool note_next(struct slice *rest, struct note *ret)
{
    struct unpack u = {(const uint8_t *)rest->p, rest->n};
    if (rest->n < NOTE_HEAD_BYTES)
        return false;
    ret->batch = unpack_u64(&u);
    ret->ordinal = unpack_u32(&u);
    ret->what = (enum tally_count)unpack_u8(&u);
    size_t words = unpack_u32(&u);
    if (words > NOTE_MESSAGE_MAX || words > u.n)
        return false;
    ret->message = slice_of((const char *)u.p, words);
    *rest = slice_of((const char *)u.p + words, u.n - words);
    return true;
}
