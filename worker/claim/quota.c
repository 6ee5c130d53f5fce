#include "worker/claim/quota.h"

#include <stdlib.h>

#include "protocol/base/random.h"
#include "protocol/connector/connector.h"

enum { SLOTS_PER_QUOTA = 2 };

struct quota *quota_find(const struct quota_list *list, struct slice name)
{
    for (size_t i = 0; i < list->count; i++)
        if (slice_eq_str(name, list->items[i]->name))
            return list->items[i];
    return NULL;
}

static void quota_free(struct quota *q)
{
    if (!q)
        return;
    queue_free(q->queue);
    free(q->abilities);
    free(q->name);
    free(q);
}

static struct quota *quota_new(struct redis_fleet *fleet, const char *name)
{
    struct quota *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->ask_at_ms = QUOTA_ASK_WHEN_CALLED;
    q->name = strdup(name);
    q->queue = q->name ? queue_new_at(fleet, redis_fleet_home(fleet, name), q->name) : NULL;
    if (q->queue)
        return q;
    free(q->name);
    free(q);
    return NULL;
}

static struct quota *add_quota(struct quota_list *list, struct redis_fleet *fleet, const char *name)
{
    struct quota **longer = realloc(list->items, (list->count + 1) * sizeof *longer);
    if (!longer)
        return NULL;
    list->items = longer;
    struct quota *q = quota_new(fleet, name);
    if (q)
        list->items[list->count++] = q;
    return q;
}

/* The longest that one request may take: a step can have a timeout above the destination's. */
static uint64_t longest_ms(const struct destination *d)
{
    uint64_t ms = d->timeout_ms;
    for (size_t i = 0; i < d->connector->auth_count; i++) {
        const struct token_request *token = d->connector->auths[i].token;
        ms = token && token->step.timeout_ms > ms ? token->step.timeout_ms : ms;
    }
    for (size_t i = 0; i < d->connector->object_count; i++) {
        const struct object *o = &d->connector->objects[i];
        for (size_t k = 0; k < o->ensure_count; k++)
            ms = o->ensure[k].timeout_ms > ms ? o->ensure[k].timeout_ms : ms;
        for (size_t r = 0; r < o->request_count; r++)
            for (size_t k = 0; k < o->requests[r].step_count; k++)
                ms = o->requests[r].steps[k].timeout_ms > ms ? o->requests[r].steps[k].timeout_ms
                                                             : ms;
    }
    return ms;
}

static enum err_code add_ability(struct quota *q, const struct destination *d)
{
    struct queue_ability *longer = realloc(q->abilities, (q->ability_count + 1) * sizeof *longer);
    if (!longer)
        return ERR_NOMEM;
    q->abilities = longer;
    q->abilities[q->ability_count++] = (struct queue_ability){d->name, d->fingerprint};
    uint64_t lease_ms = longest_ms(d) + QUEUE_LEASE_MARGIN_MS;
    if (q->lease_ms < lease_ms)
        q->lease_ms = lease_ms;
    return ERR_OK;
}

static bool is_home(const struct quota *q, const struct redis_fleet *fleet)
{
    return strcmp(queue_member(q->queue), redis_fleet_home(fleet, q->name)) == 0;
}

enum err_code quota_list_follow(struct quota_list *list, struct redis_fleet *fleet,
                                const struct setup *setup, struct err *err)
{
    for (size_t i = 0; i < list->count; i++) {
        list->items[i]->ability_count = 0;
        list->items[i]->ask_at_ms = QUOTA_ASK_WHEN_CALLED;
        list->items[i]->moves = !is_home(list->items[i], fleet);
    }
    for (size_t i = 0; i < setup->target_count; i++) {
        const struct destination *d = setup->targets[i].destination;
        struct quota *q = quota_find(list, slice_str(d->quota));
        if (!q)
            q = add_quota(list, fleet, d->quota);
        if (!q || add_ability(q, d))
            return err_set(err, ERR_NOMEM, "no memory for quota %s", d->quota);
    }
    /* Workers that start together do not begin with the same ones. */
    if (list->count)
        list->turn = random_below(list->count);
    quota_list_ask(list, QUOTA_ASKS_FIRST, 0);
    return ERR_OK;
}

void quota_list_ask(struct quota_list *list, size_t asks, int64_t now_ms)
{
    for (size_t looked = 0; asks && looked < list->count; looked++) {
        struct quota *q = list->items[list->turn];
        list->turn = (list->turn + 1) % list->count;
        if (!q->ability_count || q->ask_at_ms != QUOTA_ASK_WHEN_CALLED)
            continue;
        q->ask_at_ms = now_ms;
        asks--;
    }
}

void quota_list_move(struct quota_list *list, const struct redis_fleet *fleet)
{
    struct err err;
    for (size_t i = 0; i < list->count; i++) {
        struct quota *q = list->items[i];
        if (!q->moves || q->held || q->asking)
            continue;
        q->moves = queue_move(q->queue, redis_fleet_home(fleet, q->name), &err) != ERR_OK;
        q->ask_at_ms = 0;
    }
}

bool quota_list_is_at(const struct quota_list *list, const char *member)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(queue_member(list->items[i]->queue), member) == 0)
            return true;
    return false;
}

void quota_list_done(struct quota_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        quota_free(list->items[i]);
    free(list->items);
    *list = (struct quota_list){0};
}

/* What a quota has to leave to the others: counted once for all of them, itself among them. */
struct needs {
    size_t reserved; /* a slot for each that holds none */
    size_t runnable; /* could run, and have less than their half */
};

static bool is_reserved_for(const struct quota *q)
{
    return q->ability_count && q->held == 0;
}

static bool is_runnable(const struct quota *q, size_t slots, int64_t now_ms)
{
    return quota_due(q, now_ms) && !q->asking && q->held < slots / 2;
}

static struct needs needs_of(const struct quota_list *list, size_t slots, int64_t now_ms)
{
    struct needs n = {0};
    for (size_t i = 0; i < list->count; i++) {
        n.reserved += is_reserved_for(list->items[i]);
        n.runnable += is_runnable(list->items[i], slots, now_ms);
    }
    return n;
}

static bool may_take(const struct needs *n, const struct quota *q, uint32_t held, size_t slots,
                     size_t free, int64_t now_ms)
{
    size_t reserved = n->reserved - is_reserved_for(q);
    bool others = n->runnable > is_runnable(q, slots, now_ms);
    if (free == 0 || (others && held >= slots / 2))
        return false;
    return held == 0 || free > reserved;
}

bool quota_may_take(const struct quota_list *list, const struct quota *q, uint32_t held,
                    size_t slots, size_t free, int64_t now_ms)
{
    struct needs n = needs_of(list, slots, now_ms);
    return may_take(&n, q, held, slots, free, now_ms);
}

struct quota *quota_next(const struct quota_list *list, size_t slots, size_t free, int64_t now_ms)
{
    struct quota *best = NULL;
    struct needs n = needs_of(list, slots, now_ms);
    for (size_t i = 0; i < list->count; i++) {
        struct quota *q = list->items[i];
        if (!q->asking && quota_due(q, now_ms) && (!best || q->held < best->held) &&
            may_take(&n, q, q->held, slots, free, now_ms))
            best = q;
    }
    return best;
}

size_t quota_slots(const struct quota_list *list, size_t wanted)
{
    size_t least = list->count * SLOTS_PER_QUOTA;
    return wanted > least ? wanted : least;
}

int64_t quota_wait_ms(const struct quota_list *list, int64_t now_ms)
{
    int64_t least = -1;
    for (size_t i = 0; i < list->count; i++) {
        const struct quota *q = list->items[i];
        /* One that is due and was not allowed a slot waits for a slot, not for the clock. */
        if (!q->ability_count || q->ask_at_ms == QUOTA_ASK_WHEN_CALLED || quota_due(q, now_ms))
            continue;
        if (least < 0 || q->ask_at_ms - now_ms < least)
            least = q->ask_at_ms - now_ms;
    }
    return least;
}
