#include "scheduler/cli/state_part.h"

#include "scheduler/run/lock.h"
#include "scheduler/state/entries.h"
#include "scheduler/state/part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SWEEP_STEP = 20000, COPY_BYTES = 1 << 16 };

/* The state with its lock. */
struct held {
    struct state_lock lock;
    struct state *state;
};

static enum err_code hold(const struct project *p, struct held *h, struct err *err)
{
    struct state_options o = {.reserve_bytes = p->settings.disk_reserve_bytes};
    *h = (struct held){0};
    enum err_code rc = state_lock_take(&h->lock, p->settings.state_dir, err);
    if (rc)
        return rc;
    rc = state_open(p->settings.state_dir, &o, &h->state, err);
    if (rc)
        state_lock_release(&h->lock);
    return rc;
}

static void let_go(struct held *h)
{
    state_close(h->state);
    state_lock_release(&h->lock);
}

/* ---- which syncs, and what goes with them ---- */

struct choice {
    const char **syncs, **quotas, **destinations;
    size_t sync_count, quota_count, destination_count;
};

/* Also of other shards: that is what they are moved for. */
static const struct sync *sync_at(const struct project *p, size_t i)
{
    return i < p->sync_count ? &p->syncs[i] : &p->elsewhere[i - p->sync_count];
}

static size_t all_syncs(const struct project *p)
{
    return p->sync_count + p->elsewhere_count;
}

static bool add(const char **list, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(list[i], name) == 0)
            return false;
    list[(*count)++] = name;
    return true;
}

static bool is_in(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static const struct sync *find(const struct project *p, const char *name)
{
    for (size_t i = 0; i < all_syncs(p); i++)
        if (strcmp(sync_at(p, i)->name, name) == 0)
            return sync_at(p, i);
    return NULL;
}

/* A quota has one owner: what it left behind could never be sent again. */
static enum err_code check_whole(const struct project *p, struct state *s, const struct choice *c,
                                 struct err *err)
{
    for (size_t i = 0; i < all_syncs(p); i++) {
        const struct sync *sync = sync_at(p, i);
        struct state_counts counts;
        struct err none;
        if (is_in(c->quotas, c->quota_count, sync->destination->quota) &&
            !is_in(c->syncs, c->sync_count, sync->name) &&
            !state_sync_look(s, sync->name, &counts, &none))
            return err_set(
                err, ERR_USAGE,
                "%s writes to the quota %s as well, and has its state here: name it too, "
                "since a quota and its syncs belong to one scheduler",
                sync->name, sync->destination->quota);
    }
    return ERR_OK;
}

static enum err_code choose(const struct cli_options *o, const struct project *p, struct choice *c,
                            struct err *err)
{
    size_t most = all_syncs(p) + o->name_count;
    *c = (struct choice){.syncs = calloc(most, sizeof *c->syncs),
                         .quotas = calloc(most, sizeof *c->quotas),
                         .destinations = calloc(most, sizeof *c->destinations)};
    if (!c->syncs || !c->quotas || !c->destinations)
        return err_set(err, ERR_NOMEM, "no memory for names");
    for (size_t i = 2; i < o->name_count; i++) {
        const struct sync *s = find(p, o->names[i]);
        if (!s)
            return project_no_sync(p, o->names[i], err);
        add(c->syncs, &c->sync_count, s->name);
        add(c->quotas, &c->quota_count, s->destination->quota);
    }
    for (size_t i = 0; i < all_syncs(p); i++) {
        const struct destination *d = sync_at(p, i)->destination;
        if (is_in(c->quotas, c->quota_count, d->quota))
            add(c->destinations, &c->destination_count, d->name);
    }
    return ERR_OK;
}

static void choice_done(struct choice *c)
{
    free(c->syncs);
    free(c->quotas);
    free(c->destinations);
}

/* ---- export ---- */

/* The mark comes after the file is on the disk: what may be dropped is somewhere else. */
static enum err_code write_part(struct state *s, const struct state_part *part, const char *path,
                                struct transfer_counts *ret, struct err *err)
{
    FILE *f;
    enum err_code rc = state_file_make(path, &f, err);
    if (!rc)
        rc = state_file_close(f, state_part_export(s, part, f, ret, err), path, err);
    if (!rc)
        rc = state_part_mark(s, part, err);
    return rc ? rc : state_commit(s, err);
}

enum err_code state_part_to_file(const struct cli_options *o, const struct project *p,
                                 struct transfer_counts *ret, struct err *err)
{
    struct choice c;
    struct held h;
    enum err_code rc = choose(o, p, &c, err);
    if (!rc)
        rc = hold(p, &h, err);
    if (!rc) {
        struct state_part part = {c.syncs,       c.sync_count,   c.quotas,
                                  c.quota_count, c.destinations, c.destination_count};
        rc = check_whole(p, h.state, &c, err);
        if (!rc)
            rc = write_part(h.state, &part, o->names[1], ret, err);
        let_go(&h);
    }
    choice_done(&c);
    return rc;
}

/* ---- import ---- */

/* What comes through a pipe is kept, since it is read twice: whole first, then for good. */
static enum err_code keep(FILE *from, FILE **ret, struct err *err)
{
    char bytes[COPY_BYTES];
    FILE *f = tmpfile();
    size_t n;
    if (!f)
        return err_errno(err, errno, "no file for what comes in");
    while ((n = fread(bytes, 1, sizeof bytes, from)) > 0)
        if (fwrite(bytes, 1, n, f) != n)
            break;
    if (ferror(from) || ferror(f) || fflush(f) || fseek(f, 0, SEEK_SET)) {
        err_errno(err, errno, "what comes in cannot be kept");
        fclose(f);
        return err->code;
    }
    *ret = f;
    return ERR_OK;
}

static enum err_code open_input(const char *path, FILE **ret, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "re");
    if (!f)
        return err_set(err, ERR_USAGE, "%s cannot be read: %s", path, strerror(errno));
    if (lseek(fileno(f), 0, SEEK_CUR) >= 0) {
        *ret = f;
        return ERR_OK;
    }
    enum err_code rc = keep(f, ret, err);
    if (!standard)
        fclose(f);
    return rc;
}

enum err_code state_part_from_file(const struct cli_options *o, const struct project *p,
                                   struct transfer_counts *ret, struct err *err)
{
    struct held h;
    FILE *f;
    enum err_code rc = open_input(o->names[1], &f, err);
    if (rc)
        return rc;
    rc = hold(p, &h, err);
    if (!rc) {
        rc = state_part_import(h.state, f, ret, err);
        let_go(&h);
    }
    if (f != stdin)
        fclose(f);
    return rc;
}

/* ---- drop ---- */

static enum err_code sweep(struct state *s, struct err *err)
{
    bool more = true;
    enum err_code rc = ERR_OK;
    while (more && !rc) {
        rc = state_sweep(s, SWEEP_STEP, &more, err);
        if (!rc)
            rc = state_commit(s, err);
    }
    return rc;
}

enum err_code state_part_drop_named(const struct cli_options *o, const struct project *p,
                                    struct transfer_counts *ret, struct err *err)
{
    struct held h;
    enum err_code rc = hold(p, &h, err);
    if (rc)
        return rc;
    *ret = (struct transfer_counts){0};
    for (size_t i = 1; i < o->name_count && !rc; i++)
        rc = state_part_drop(h.state, o->names[i], err);
    if (!rc)
        rc = state_commit(h.state, err);
    if (!rc)
        rc = sweep(h.state, err);
    let_go(&h);
    return rc;
}
