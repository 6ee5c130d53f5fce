/* Where a quota is of which state remembers no place: it may be another state's, or this one's
 * from before places were noted, at a server that is not its home. Likewise where the place that
 * state remembers knows nothing: another state, or a later scheduler of this one, may have taken it
 * elsewhere long ago. Reads: every server of the list. Writes: nothing. Invariant: a quota is
 * opened at its home only once no server has it. A crash here: searched again. */
#include "scheduler/run/quota_private.h"

#include "protocol/base/clock.h"
#include "scheduler/state/state.h"

#include <stdio.h>
#include <string.h>

enum { RANK_NOTHING, RANK_KNOWN, RANK_EPOCH, RANK_PERMIT };
enum { AROUND_MS = 3000 };

/* One server: then it can be nowhere else. Servers of a cluster are no members. */
static bool has_several(const struct quota *q)
{
    const struct redis_fleet *f = q->host->fleet;
    size_t members = 0;
    for (size_t i = 0; i < redis_fleet_count(f); i++)
        members += redis_fleet_standing(f, redis_fleet_name(f, i)) != REDIS_MEMBER_UNKNOWN;
    return members > 1;
}

bool quota_must_search(const struct quota *q)
{
    return !*q->place.at && has_several(q);
}

bool quota_looks_around(struct quota *q)
{
    if (q->searched || q->place.arriving || !*q->place.at || !has_several(q))
        return false;
    q->searched = true;
    quota_search_begin(q);
    q->search.around = true;
    q->search.since_ms = clock_mono_ms();
    return true;
}

void quota_search_begin(struct quota *q)
{
    q->search = (struct quota_search){0};
    quota_go(q, STAGE_SEARCH);
}

/* Who has an epoch there has it; otherwise who was there last, by its count of commits. What an
 * earlier stay of this state left says nothing. */
static unsigned rank_of(const struct quota *q, const struct queue_opened *o)
{
    if (q->search.around &&
        (o->fresh || (o->same_state && o->commit <= state_commit_number(q->host->state))))
        return RANK_NOTHING;
    if (!o->fresh)
        return o->permit_left_ms > 0 ? RANK_PERMIT : RANK_EPOCH;
    return *o->other_state || o->commit ? RANK_KNOWN : RANK_NOTHING;
}

static void on_found(void *ctx, const struct queue_opened *o, const struct err *err)
{
    struct quota *q = ctx;
    struct quota_search *s = &q->search;
    if (q->stage != STAGE_SEARCH || !quota_passes(q, err))
        return;
    unsigned rank = rank_of(q, o);
    if (rank > s->rank || (rank && rank == s->rank && o->commit > s->commit)) {
        s->rank = rank;
        s->commit = o->commit;
        snprintf(s->at, sizeof s->at, "%s", queue_member(q->queue));
    }
    s->next++;
    quota_step_soon(q, 0);
}

/* One that was taken out of the list is asked while it can be reached. Looking around waits a
 * moment for each, no longer: what is away holds up only what is at it. */
static bool is_asked(const struct quota *q, size_t i)
{
    const struct redis_fleet *f = q->host->fleet;
    bool reached = redis_connected(redis_fleet_server(f, i));
    if (q->search.around && !reached && clock_mono_ms() - q->search.since_ms > AROUND_MS)
        return false;
    switch (redis_fleet_standing(f, redis_fleet_name(f, i))) {
    case REDIS_MEMBER_STAYS:
    case REDIS_MEMBER_LEAVES:
        return true;
    case REDIS_MEMBER_DROPPED:
        return reached;
    case REDIS_MEMBER_UNKNOWN:
        break;
    }
    return false;
}

/* The list may have changed since the step before: a server is asked once more rather than not at
 * all. */
static const char *next_member(struct quota *q)
{
    struct quota_search *s = &q->search;
    size_t count = redis_fleet_count(q->host->fleet);
    if (s->count != count) {
        s->count = count;
        s->next = 0;
    }
    while (s->next < count && !is_asked(q, s->next))
        s->next++;
    return s->next < count ? redis_fleet_name(q->host->fleet, s->next) : NULL;
}

enum err_code quota_search(struct quota *q, struct err *err)
{
    const char *member = next_member(q), *home = redis_fleet_home(q->host->fleet, quota_name(q));
    const char *found = *q->search.at ? q->search.at : *q->place.at ? q->place.at : home;
    enum err_code rc = queue_move(q->queue, member ? member : found, err);
    if (rc)
        return rc;
    const struct redis *redis = queue_redis(q->queue);
    if (member && q->search.around && !(redis && redis_connected(redis))) {
        quota_step_soon(q, WAIT_POLL_MS);
        return ERR_OK;
    }
    if (member)
        return queue_look(q->queue, state_id(q->host->state), on_found, q, err);
    if (*q->search.at && strcmp(found, home) != 0)
        log_event(q->host->log, LOG_INFO, "quota_found", LOG_STR("quota", quota_name(q)),
                  LOG_STR("server", found));
    quota_go(q, STAGE_LOOK);
    return ERR_OK;
}
