/* Reads: the list of members. Writes: nothing. Invariant: a quota's home depends on the names of
 * the members that stay and on nothing else, so that every process with the same list agrees. */
#include "protocol/redis/fleet_private.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SWEEP_MS = 1000 };

static const char WAKE_KEY[] = "sluice:wake";

/* ---- names and scores ---- */

enum err_code redis_member_name(const char *url, char *out, size_t n, struct err *err)
{
    struct redis_url u;
    enum err_code rc = redis_url_parse(url, &u, err);
    if (rc)
        return rc;
    explicit_bzero(u.user, sizeof u.user);
    redis_url_safe(&u, out, n);
    explicit_bzero(&u, sizeof u);
    return ERR_OK;
}

static uint64_t seed_of(const char *name)
{
    return XXH3_64bits(name, strlen(name));
}

static uint64_t score(const struct fleet_server *s, const char *quota, size_t n)
{
    return XXH3_64bits_withSeed(quota, n, s->seed);
}

static struct fleet_server *server_of(const struct redis_fleet *f, const char *member)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->servers[i]->name, member) == 0)
            return f->servers[i];
    return NULL;
}

static bool stays(const struct fleet_server *s)
{
    return !s->leaving && !s->dropped;
}

/* ---- connections ---- */

static void on_state(void *ctx, bool connected, const struct err *err)
{
    const struct fleet_server *s = ctx;
    if (s->fleet->opts.on_state)
        s->fleet->opts.on_state(s->fleet->opts.ctx, s->name, connected, err);
}

void fleet_server_free(struct fleet_server *s)
{
    if (!s)
        return;
    redis_free(s->redis);
    redis_free(s->wait);
    free(s->name);
    if (s->url)
        explicit_bzero(s->url, strlen(s->url));
    free(s->url);
    free(s);
}

static void list_free(struct fleet_server **servers, size_t count)
{
    for (size_t i = 0; servers && i < count; i++)
        fleet_server_free(servers[i]);
    free(servers);
}

static bool connect_server(struct fleet_server *s, const struct redis_url *url)
{
    struct redis_options o = s->fleet->opts.each;
    o.on_state = NULL;
    o.ctx = s;
    if (s->fleet->opts.waits)
        s->wait = redis_new(s->fleet->base, url, &o);
    o.on_state = on_state;
    s->redis = redis_new(s->fleet->base, url, &o);
    return s->redis && (s->wait || !s->fleet->opts.waits);
}

struct fleet_server *fleet_server_new(struct redis_fleet *f, const char *name,
                                      const struct redis_url *url)
{
    struct fleet_server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->fleet = f;
    s->name = strdup(name);
    s->seed = seed_of(name);
    snprintf(s->wake, sizeof s->wake, "%s", WAKE_KEY);
    if (s->name && connect_server(s, url))
        return s;
    fleet_server_free(s);
    return NULL;
}

static enum err_code member_new(struct redis_fleet *f, const struct redis_member *m,
                                const char *name, struct fleet_server **ret, struct err *err)
{
    struct redis_url url;
    enum err_code rc = redis_url_parse(m->url, &url, err);
    if (rc)
        return rc;
    struct fleet_server *s = fleet_server_new(f, name, &url);
    explicit_bzero(&url, sizeof url);
    if (s) {
        s->leaving = m->leaving;
        s->url = strdup(m->url);
    }
    if (!s || !s->url) {
        fleet_server_free(s);
        return err_set(err, ERR_NOMEM, "no memory for a Redis server");
    }
    *ret = s;
    return ERR_OK;
}

/* ---- servers that were replaced ---- */

static bool is_busy(const struct fleet_server *s)
{
    return redis_pending(s->redis) || (s->wait && redis_pending(s->wait));
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis_fleet *f = arg;
    struct timeval t = {SWEEP_MS / 1000, 0};
    for (struct fleet_server *s = TAILQ_FIRST(&f->retired), *next; s; s = next) {
        next = TAILQ_NEXT(s, retired);
        if (is_busy(s))
            continue;
        TAILQ_REMOVE(&f->retired, s, retired);
        fleet_server_free(s);
    }
    if (!TAILQ_EMPTY(&f->retired))
        event_add(f->sweep, &t);
}

void fleet_retire(struct redis_fleet *f, struct fleet_server *s)
{
    struct timeval t = {SWEEP_MS / 1000, 0};
    redis_mute(s->redis);
    TAILQ_INSERT_TAIL(&f->retired, s, retired);
    event_add(f->sweep, &t);
}

/* ---- the list ---- */

/* One entry of a list, judged; the server that it keeps or that was made for it. */
struct entry {
    char name[REDIS_MEMBER_NAME_MAX + 1];
    struct fleet_server *server;
    bool made;
};

static enum err_code name_entry(const struct redis_member *m, struct entry *e, struct err *err)
{
    char text[sizeof(struct redis_url)];
    enum err_code rc = redis_member_name(m->url, text, sizeof text, err);
    if (rc)
        return rc;
    const char *name = m->name ? m->name : text;
    if (!*name || strlen(name) > REDIS_MEMBER_NAME_MAX)
        return err_set(err, ERR_CONFIG, "the name of a Redis server must have 1 to %d bytes%s",
                       REDIS_MEMBER_NAME_MAX, m->name ? "" : ": give it a `name`");
    memcpy(e->name, name, strlen(name) + 1);
    return ERR_OK;
}

static enum err_code name_entries(const struct redis_member *members, size_t count,
                                  struct entry *entries, struct err *err)
{
    size_t staying = 0;
    for (size_t i = 0; i < count; i++) {
        enum err_code rc = name_entry(&members[i], &entries[i], err);
        if (rc)
            return rc;
        for (size_t k = 0; k < i; k++)
            if (strcmp(entries[k].name, entries[i].name) == 0)
                return err_set(err, ERR_CONFIG, "two Redis servers have the name %s",
                               entries[i].name);
        staying += !members[i].leaving;
    }
    return staying ? ERR_OK
                   : err_set(err, ERR_CONFIG, "every Redis server is leaving: one must stay");
}

/* Finds what there is already and makes the rest; nothing of the fleet changes yet. */
static enum err_code make_servers(struct redis_fleet *f, const struct redis_member *members,
                                  size_t count, struct entry *entries, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct fleet_server *had = server_of(f, entries[i].name);
        if (had && strcmp(had->url, members[i].url) == 0) {
            entries[i].server = had;
            continue;
        }
        enum err_code rc = member_new(f, &members[i], entries[i].name, &entries[i].server, err);
        if (rc)
            return rc;
        entries[i].made = true;
    }
    return ERR_OK;
}

static const struct entry *entry_of(const struct entry *entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

/* Takes the entries' servers; those of no entry stay behind them, dropped. */
static void take_entries(struct redis_fleet *f, struct fleet_server **servers,
                         const struct redis_member *members, const struct entry *entries,
                         size_t count)
{
    size_t n = 0;
    for (; n < count; n++) {
        servers[n] = entries[n].server;
        servers[n]->leaving = members[n].leaving;
        servers[n]->dropped = false;
    }
    for (size_t i = 0; i < f->count; i++) {
        struct fleet_server *s = f->servers[i];
        const struct entry *e = entry_of(entries, count, s->name);
        if (!e) {
            s->dropped = true;
            servers[n++] = s;
        } else if (e->made) {
            fleet_retire(f, s);
        }
    }
    free(f->servers);
    f->servers = servers;
    f->count = n;
}

enum err_code redis_fleet_set(struct redis_fleet *f, const struct redis_member *members,
                              size_t count, struct err *err)
{
    if (!count || count > REDIS_MEMBERS_MAX)
        return err_set(err, ERR_CONFIG, "1 to %d Redis servers can be listed", REDIS_MEMBERS_MAX);
    if (f->cluster || fleet_is_cluster(members, count))
        return fleet_cluster_set(f, members, count, err);
    struct entry *entries = calloc(count, sizeof *entries);
    struct fleet_server **servers = calloc(count + f->count, sizeof(struct fleet_server *));
    enum err_code rc = entries && servers ? name_entries(members, count, entries, err)
                                          : err_set(err, ERR_NOMEM, "no memory for Redis servers");
    if (!rc)
        rc = make_servers(f, members, count, entries, err);
    if (!rc) {
        take_entries(f, servers, members, entries, count);
        servers = NULL;
    }
    for (size_t i = 0; rc && entries && i < count; i++)
        if (entries[i].made)
            fleet_server_free(entries[i].server);
    free(servers);
    free(entries);
    return rc;
}

/* ---- life ---- */

enum err_code redis_fleet_new(struct event_base *base, const struct redis_member *members,
                              size_t count, const struct redis_fleet_options *opts,
                              struct redis_fleet **ret_fleet, struct err *err)
{
    struct redis_fleet *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ERR_NOMEM, "no memory for Redis servers");
    f->base = base;
    f->opts = *opts;
    TAILQ_INIT(&f->retired);
    f->ca_file = opts->each.ca_file ? strdup(opts->each.ca_file) : NULL;
    f->opts.each.ca_file = f->ca_file;
    f->sweep = evtimer_new(base, on_sweep, f);
    enum err_code rc = f->sweep && (f->ca_file || !opts->each.ca_file)
                           ? redis_fleet_set(f, members, count, err)
                           : err_set(err, ERR_NOMEM, "no memory for Redis servers");
    if (rc)
        redis_fleet_free(f);
    else
        *ret_fleet = f;
    return rc;
}

void redis_fleet_free(struct redis_fleet *f)
{
    struct fleet_server *s;
    if (!f)
        return;
    while ((s = TAILQ_FIRST(&f->retired))) {
        TAILQ_REMOVE(&f->retired, s, retired);
        fleet_server_free(s);
    }
    list_free(f->servers, f->count);
    fleet_cluster_free(f->cluster);
    if (f->sweep)
        event_free(f->sweep);
    free(f->ca_file);
    free(f);
}

void redis_fleet_forget(struct redis_fleet *f, const char *member)
{
    for (size_t i = 0; i < f->count; i++) {
        struct fleet_server *s = f->servers[i];
        if (!s->dropped || strcmp(s->name, member) != 0 || is_busy(s))
            continue;
        fleet_server_free(s);
        memmove(&f->servers[i], &f->servers[i + 1], (--f->count - i) * sizeof *f->servers);
        return;
    }
}

/* ---- where a quota is ---- */

static bool is_the_cluster(const struct redis_fleet *f, const char *name)
{
    return f->cluster && strcmp(f->cluster->name, name) == 0;
}

enum redis_standing redis_fleet_standing(const struct redis_fleet *f, const char *member)
{
    const struct fleet_server *s = server_of(f, member);
    if (is_the_cluster(f, member))
        return REDIS_MEMBER_STAYS;
    if (!s || f->cluster)
        return REDIS_MEMBER_UNKNOWN;
    if (s->dropped)
        return REDIS_MEMBER_DROPPED;
    return s->leaving ? REDIS_MEMBER_LEAVES : REDIS_MEMBER_STAYS;
}

/* Equal scores: the name decides, so that the order of the list does not. */
const char *redis_fleet_home(const struct redis_fleet *f, const char *quota)
{
    const struct fleet_server *best = NULL;
    uint64_t most = 0;
    size_t n = strlen(quota);
    if (f->cluster)
        return f->cluster->name;
    for (size_t i = 0; i < f->count; i++) {
        const struct fleet_server *s = f->servers[i];
        if (!stays(s))
            continue;
        uint64_t points = score(s, quota, n);
        if (!best || points > most || (points == most && strcmp(s->name, best->name) > 0)) {
            best = s;
            most = points;
        }
    }
    ensure(best);
    return best->name;
}

static struct fleet_server *serving(const struct redis_fleet *f, const char *member,
                                    const char *quota)
{
    return is_the_cluster(f, member) ? fleet_cluster_node(f, quota) : server_of(f, member);
}

struct redis *redis_fleet_at(const struct redis_fleet *f, const char *member, const char *quota)
{
    const struct fleet_server *s = serving(f, member, quota);
    return s ? s->redis : NULL;
}

const char *redis_fleet_server_of(const struct redis_fleet *f, const char *member,
                                  const char *quota)
{
    const struct fleet_server *s = serving(f, member, quota);
    return s ? s->name : member;
}

const char *redis_fleet_wake_of(const struct redis_fleet *f, const char *member, const char *quota)
{
    const struct fleet_server *s = serving(f, member, quota);
    return s ? s->wake : WAKE_KEY;
}

/* ---- its servers ---- */

size_t redis_fleet_count(const struct redis_fleet *f)
{
    return f->count;
}

const char *redis_fleet_name(const struct redis_fleet *f, size_t i)
{
    return f->servers[i]->name;
}

struct redis *redis_fleet_server(const struct redis_fleet *f, size_t i)
{
    return f->servers[i]->redis;
}

struct redis *redis_fleet_wait(const struct redis_fleet *f, size_t i)
{
    return f->servers[i]->wait;
}

const char *redis_fleet_wake_key(const struct redis_fleet *f, size_t i)
{
    return f->servers[i]->wake;
}

bool redis_fleet_stays(const struct redis_fleet *f, size_t i)
{
    return stays(f->servers[i]);
}

bool redis_fleet_has(const struct redis_fleet *f, const char *name)
{
    return is_the_cluster(f, name) || server_of(f, name);
}

const char *redis_fleet_title(const struct redis_fleet *f)
{
    return f->cluster ? f->cluster->name : f->servers[0]->name;
}

bool redis_fleet_is_all(const struct redis_fleet *f, const char *server)
{
    return strcmp(redis_fleet_title(f), server) == 0 && (f->cluster || f->count == 1);
}

bool redis_fleet_connected(const struct redis_fleet *f)
{
    if (redis_fleet_down(f))
        return false;
    for (size_t i = 0; i < f->count; i++)
        if (stays(f->servers[i]) && !redis_connected(f->servers[i]->redis))
            return false;
    return true;
}
