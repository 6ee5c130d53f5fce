/* /api/v1/errors: records that were refused, failed or never sent, grouped or one by one. */
#include "scheduler/api/error_groups.h"
#include "scheduler/api/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What one request looks at, so that the scheduler is never held up for long. */
enum { GROUPED_MAX = 200000, LOOKED_AT_MAX = 50000 };

/* ---- groups ---- */

struct grouping {
    struct error_groups *groups;
    const char *sync;
    size_t looked;
    enum err_code failed;
};

static bool group_one(void *ctx, const struct rejected *r)
{
    struct grouping *g = ctx;
    g->failed = error_groups_add(g->groups, g->sync, r);
    return !g->failed && ++g->looked < GROUPED_MAX;
}

static void put_group(struct output *o, const struct error_group *g)
{
    output_open(o, NULL, '{');
    output_text(o, "sync", g->sync);
    output_text(o, "kind", g->kind);
    output_text(o, "message", g->message);
    output_count(o, "count", g->count);
    output_time(o, "first_at", g->first_ms);
    output_time(o, "last_at", g->last_ms);
    output_open(o, "sample_keys", '[');
    for (size_t i = 0; i < g->sample_count; i++)
        output_text(o, NULL, g->samples[i]);
    output_close(o, ']');
    output_close(o, '}');
}

static void answer_groups(struct api_call *c, struct grouping *g)
{
    struct output o;
    size_t count;
    uint64_t other;
    const struct error_group *groups = error_groups_list(g->groups, &count, &other);
    output_init(&o);
    output_open(&o, NULL, '{');
    output_open(&o, "groups", '[');
    for (size_t i = 0; i < count; i++)
        put_group(&o, &groups[i]);
    output_close(&o, ']');
    output_count(&o, "other", other);
    output_flag(&o, "partial", g->looked >= GROUPED_MAX);
    output_close(&o, '}');
    call_answer(c, 200, &o);
}

/* The sync that the query names; false where an answer was given. NULL: none is named. */
static bool named_sync(struct api_call *c, const struct sync **ret)
{
    const char *name = request_query(&c->target, "sync");
    *ret = NULL;
    if (!name || !*name)
        return true;
    *ret = call_sync(c, name);
    return *ret;
}

void answer_errors(struct api_call *c)
{
    const struct project *p = control_project(c->control);
    const struct sync *only;
    struct err err = {.code = ERR_NOMEM, .text = "no memory"};
    if (!named_sync(c, &only))
        return;
    struct grouping g = {.groups = error_groups_new()};
    enum err_code rc = g.groups ? ERR_OK : ERR_NOMEM;
    for (size_t i = 0; i < p->sync_count && !rc && g.looked < GROUPED_MAX; i++) {
        g.sync = p->syncs[i].name;
        if (!only || only == &p->syncs[i])
            rc = state_rejected_list(control_state(c->control), g.sync, 0, group_one, &g, &err);
        rc = rc ? rc : g.failed;
    }
    if (rc)
        call_fail(c, &err);
    else
        answer_groups(c, &g);
    error_groups_free(g.groups);
}

/* ---- single records ---- */

struct listing {
    struct output *o;
    const char *sync;
    const char *message, *key; /* NULL: any */
    size_t limit;
    size_t shown;
    size_t looked;
    uint64_t number; /* looked at last */
};

static bool contains(struct slice text, const char *part)
{
    return !part || memmem(text.p, text.n, part, strlen(part));
}

static bool list_record(void *ctx, const struct rejected *r)
{
    struct listing *l = ctx;
    l->looked++;
    l->number = r->number;
    if (contains(r->message, l->message) && contains(r->text, l->key)) {
        output_open(l->o, NULL, '{');
        output_text(l->o, "sync", l->sync);
        output_slice(l->o, "key", r->text);
        output_text(l->o, "kind", rejected_kind_name(r->kind));
        output_slice(l->o, "message", r->message);
        output_slice(l->o, "run", r->run);
        output_time(l->o, "at", r->time_ms);
        output_close(l->o, '}');
        l->shown++;
    }
    return l->shown < l->limit && l->looked < LOOKED_AT_MAX;
}

static bool is_full(const struct listing *l)
{
    return l->shown >= l->limit || l->looked >= LOOKED_AT_MAX;
}

/* "4711.orders": in this sync, those before this number. */
static bool read_cursor(struct api_call *c, uint64_t *ret_number, const char **ret_sync)
{
    const char *text = request_query(&c->target, "cursor");
    char *end = NULL;
    *ret_number = 0;
    *ret_sync = NULL;
    if (!text || !*text)
        return true;
    if (*text >= '0' && *text <= '9')
        *ret_number = strtoull(text, &end, 10);
    if (end && *end == '.' && project_sync(control_project(c->control), end + 1)) {
        *ret_sync = end + 1;
        return true;
    }
    call_refuse(c, 400, "invalid", "cursor must be a next_cursor of an earlier answer");
    return false;
}

static enum err_code list_syncs(struct api_call *c, struct listing *l, const struct sync *only,
                                uint64_t number, const char *from, struct err *err)
{
    const struct project *p = control_project(c->control);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->sync_count && !rc && !is_full(l); i++) {
        const char *name = p->syncs[i].name;
        if (from && strcmp(name, from) != 0)
            continue;
        uint64_t before = from ? number : 0;
        bool none = from && !number; /* the list of that sync ended at its first record */
        from = NULL;
        if (none || (only && only != &p->syncs[i]))
            continue;
        l->sync = name;
        rc = state_rejected_list_from(control_state(c->control), name, before, 0, list_record, l,
                                      err);
    }
    return rc;
}

void answer_error_records(struct api_call *c)
{
    struct listing l = {.message = request_query(&c->target, "message"),
                        .key = request_query(&c->target, "key")};
    const struct sync *only;
    uint64_t number;
    const char *from;
    if (!named_sync(c, &only) || !call_limit(c, &l.limit) || !read_cursor(c, &number, &from))
        return;
    struct output o;
    struct err err;
    char cursor[STATE_NAME_MAX + 32];
    output_init(&o);
    l.o = &o;
    output_open(&o, NULL, '{');
    output_open(&o, "records", '[');
    enum err_code rc = list_syncs(c, &l, only, number, from, &err);
    output_close(&o, ']');
    snprintf(cursor, sizeof cursor, "%" PRIu64 ".%s", l.number, l.sync ? l.sync : "");
    output_text(&o, "next_cursor", is_full(&l) ? cursor : NULL);
    output_close(&o, '}');
    if (!rc) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}
