/*
 * What happens to syncs: their runs, the ends of others' runs, what looks have seen, and blocks.
 *
 * Invariant: a run's start and its end count once, however often they are told.
 */
#include "scheduler/schedule/schedule_private.h"

#include "scheduler/schedule/words.h"

/* ---- after ---- */

bool item_after_fits(const struct item *item, enum schedule_status status)
{
    switch (item->sync->schedule.after_on) {
    case AFTER_ON_SUCCESS:
        return status == SCHEDULE_RAN_SUCCESS;
    case AFTER_ON_WARNING:
        return status == SCHEDULE_RAN_SUCCESS || status == SCHEDULE_RAN_WARNING;
    case AFTER_ON_ANY:
        return status != SCHEDULE_RAN_HELD;
    }
    return false;
}

/* A turn is whole when each predecessor's last end was as it must be; then it is owed, whatever
 * they do next. */
void item_after(struct item *item, const struct sync *ended, enum schedule_status status,
                int64_t now_ms)
{
    const struct schedule *s = &item->sync->schedule;
    struct memory *m = &item->memory;
    size_t i = 0;
    while (i < s->after_count && s->after[i] != ended)
        i++;
    if (i == s->after_count || now_ms <= m->until_ms)
        return;
    if (item_after_fits(item, status))
        m->turns |= 1ull << i;
    else
        m->turns &= ~(1ull << i);
    if (m->turns == UINT64_MAX >> (SCHEDULE_AFTER_MAX - s->after_count)) {
        m->turns = 0;
        m->due_ms = now_ms;
    }
}

static void tell_others(struct schedule_table *table, const struct item *ended,
                        enum schedule_status status, int64_t now_ms)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].sync->schedule.kind == SCHEDULE_AFTER)
            item_after(&table->items[i], ended->sync, status, now_ms);
}

/* ---- runs ---- */

static void end(struct schedule_table *table, struct item *item, enum schedule_status status,
                int64_t now_ms)
{
    item->memory.run_state = ITEM_RUN_ENDED;
    item->memory.status = status;
    if (!item->old_run)
        tell_others(table, item, status, now_ms);
}

static void take_run(struct item *item, const char *run, int64_t now_ms)
{
    memcpy(item->memory.run, run, strlen(run) + 1);
    item->memory.run_ms = now_ms;
    item->memory.run_state = ITEM_RUN_UNDER_WAY;
}

void schedule_started(struct schedule_table *table, const char *sync, const char *run,
                      int64_t now_ms)
{
    struct item *item = item_find(table, sync);
    if (!item || strlen(run) > SCHEDULE_RUN_MAX)
        return;
    struct memory *m = &item->memory;
    if (m->run_state != ITEM_RUN_NONE && strcmp(m->run, run) == 0) {
        if (m->run_state == ITEM_RUN_HELD) /* approved: it goes on */
            m->run_state = ITEM_RUN_UNDER_WAY;
        return;
    }
    /* The known run was accepted and may never have begun. If it does, that is told as well. */
    item->old_run = item->recalled && m->run_state != ITEM_RUN_NONE && now_ms < m->run_ms;
    if (item->old_run) {
        take_run(item, run, now_ms);
        return;
    }
    item_advance(item, now_ms, false);
    if (m->run_state == ITEM_RUN_HELD) /* superseded */
        end(table, item, SCHEDULE_RAN_CANCELLED, now_ms);
    take_run(item, run, now_ms);
    if (!m->due_ms || m->due_ms > now_ms)
        return;
    m->due_ms = 0;
    if (m->seen.set)
        m->taken = m->seen;
}

void schedule_ran(struct schedule_table *table, const char *sync, const char *run,
                  enum schedule_status status, int64_t now_ms)
{
    struct item *item = item_find(table, sync);
    if (!item || strcmp(item->memory.run, run) != 0)
        return;
    enum item_run state = item->memory.run_state;
    if (state == ITEM_RUN_NONE || state == ITEM_RUN_ENDED)
        return;
    item_advance(item, now_ms, false);
    if (status == SCHEDULE_RAN_HELD)
        item->memory.run_state = ITEM_RUN_HELD;
    else
        end(table, item, status, now_ms);
}

void schedule_block(struct schedule_table *table, const char *sync, enum schedule_block why,
                    bool on)
{
    struct item *item = item_find(table, sync);
    if (item)
        item->blocks = on ? item->blocks | why : item->blocks & ~(unsigned)why;
}

/* ---- looks ---- */

static struct item *end_look(struct schedule_table *table, const char *sync, int64_t now_ms)
{
    struct item *item = item_find(table, sync);
    if (!item || !item_has_looks(item))
        return NULL;
    item->looking = false;
    item->look_ms = now_ms + (int64_t)item->sync->schedule.every_ms;
    item->failed[0] = '\0';
    return item;
}

static bool is_token(const struct token *token, const uint8_t *bytes)
{
    return token->set && memcmp(token->bytes, bytes, sizeof token->bytes) == 0;
}

void schedule_looked(struct schedule_table *table, const char *sync,
                     const uint8_t token[SCHEDULE_TOKEN_BYTES], int64_t now_ms)
{
    struct item *item = end_look(table, sync, now_ms);
    if (!item)
        return;
    struct memory *m = &item->memory;
    if (is_token(&m->taken, token))
        m->due_ms = 0;
    else if (!m->due_ms || !is_token(&m->seen, token))
        m->due_ms = now_ms;
    m->seen.set = true;
    memcpy(m->seen.bytes, token, sizeof m->seen.bytes);
}

void schedule_look_failed(struct schedule_table *table, const char *sync, const char *why,
                          int64_t now_ms)
{
    struct item *item = end_look(table, sync, now_ms);
    if (!item)
        return;
    struct words words = words_into(item->failed, sizeof item->failed);
    words_put(&words, "%s", why);
}
