/* What the engine begins with: runs that an earlier process left, and what of theirs lies about;
 * and how many may be under way. */
#include "scheduler/run/engine_private.h"

#include "scheduler/batch/spool.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    DROP_BATCHES = 1000,
    FILES_MAX = 65536,
    FILES_OF_OTHERS = 512, /* of the API, mostly */
    FILES_OF_RUN = 4,
    RUNS_LEAST = 16,
    RUNS_MOST = 1000,
};

/* Nothing here uses select(2), for which the lower limit is there. */
size_t engine_runs_that_fit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return RUNS_LEAST;
    limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
        return RUNS_LEAST;
    size_t files = (size_t)limit.rlim_cur;
    size_t runs = files > FILES_OF_OTHERS ? (files - FILES_OF_OTHERS) / FILES_OF_RUN : 0;
    return runs < RUNS_LEAST ? RUNS_LEAST : runs < RUNS_MOST ? runs : RUNS_MOST;
}

struct unfinished {
    struct run_record *items;
    size_t count;
    bool no_memory;
};

static bool take_unfinished(void *ctx, const struct run_record *r)
{
    struct unfinished *u = ctx;
    if (run_status_ended(r->status) || r->status == RUN_HELD)
        return true;
    struct run_record *items = realloc(u->items, (u->count + 1) * sizeof *items);
    if (!items) {
        u->no_memory = true;
        return false;
    }
    u->items = items;
    u->items[u->count++] = *r;
    return true;
}

static bool is_elsewhere(const struct project *p, const char *sync)
{
    for (size_t i = 0; i < p->elsewhere_count; i++)
        if (strcmp(p->elsewhere[i].name, sync) == 0)
            return true;
    return false;
}

static enum err_code recover(struct engine *e, struct err *err)
{
    struct unfinished u = {0};
    enum err_code rc = state_run_list(e->state, NULL, 0, take_unfinished, &u, err);
    if (!rc && u.no_memory)
        rc = err_set(err, ERR_NOMEM, "no memory for unfinished runs");
    for (size_t i = u.count; i > 0 && !rc; i--) { /* oldest first */
        struct sync_run *run = NULL;
        const struct run_record *r = &u.items[i - 1];
        if (is_elsewhere(e->project, r->sync)) {
            log_event(e->opts.log, LOG_WARN, "run_left", LOG_STR("run", r->id),
                      LOG_STR("sync", r->sync),
                      LOG_STR("reason", "its sync belongs to another shard: go back to the shards "
                                        "it began with, let it end, and move the sync then"));
            continue;
        }
        log_event(e->opts.log, LOG_INFO, "run_recovers", LOG_STR("run", r->id),
                  LOG_STR("sync", r->sync));
        rc = sync_run_recover(&e->run_host, r, project_sync(e->project, r->sync), &run, err);
        if (!rc)
            rc = engine_run_add(e, run, err);
        if (!rc)
            e->runs[e->run_count - 1].recovered = true;
    }
    free(u.items);
    return rc;
}

/* So that Redis is ready when they begin. */
static enum err_code open_quotas(struct engine *e, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->ask_count && !rc; i++) {
        const struct sync *s = project_sync(e->project, e->asks[i].sync);
        if (s)
            rc = engine_quota_add(e, s->destination, err);
    }
    return rc;
}

/* Spools of runs that ended, or that never got a record: a crash came between the two. */
static enum err_code drop_orphan(struct engine *e, const char *folder, const char *name,
                                 struct err *err)
{
    struct run_record r;
    char path[PATH_MAX];
    enum err_code rc =
        strlen(name) <= STATE_RUN_ID_MAX ? state_run_get(e->state, name, &r, err) : ERR_NOTFOUND;
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    if (!rc && !run_status_ended(r.status))
        return ERR_OK;
    bool more = true;
    rc = ERR_OK;
    while (more && !rc)
        rc = state_batch_drop(e->state, name, DROP_BATCHES, &more, err);
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return rc;
    return rc ? rc : spool_remove(path, err);
}

static enum err_code drop_orphans(struct engine *e, struct err *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/spool", e->project->settings.state_dir);
    DIR *d = opendir(folder);
    if (!d)
        return err_errno(err, errno, "%s cannot be read", folder);
    enum err_code rc = ERR_OK;
    for (struct dirent *entry = readdir(d); entry && !rc; entry = readdir(d))
        if (*entry->d_name != '.')
            rc = drop_orphan(e, folder, entry->d_name, err);
    closedir(d);
    return rc;
}

enum err_code engine_runs_load(struct engine *e, struct err *err)
{
    enum err_code rc = drop_orphans(e, err);
    if (!rc && !e->opts.offline)
        rc = recover(e, err);
    if (!rc)
        rc = open_quotas(e, err);
    return rc ? rc : engine_commit(e, err);
}
