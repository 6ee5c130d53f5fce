/*
 * Reads: the table's looks; warehouses, files. Writes: what was seen, to the table. Invariant: each
 * sync that the table gave is answered once, unless the looks are ended as a whole. A crash here
 * loses nothing.
 */
#include "scheduler/schedule/watch.h"

#include "protocol/base/clock.h"
#include "scheduler/schedule/query_look.h"
#include "scheduler/schedule/run_results.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { GIVEN_AT_ONCE = 64 };

/* A file that is the same as before need not be read again. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

/* What is remembered of a sync from look to look. */
struct watched {
    struct watched *next;
    const struct sync *sync;
    struct watched *next_asker; /* of the same question */
    uint64_t failed;            /* digest of the words told last; 0: it was well */
    bool read;                  /* the file was, as the stamp says, and meant what follows */
    struct stamp stamp;
    struct err outcome; /* ERR_OK: the model was built */
    uint8_t token[SCHEDULE_TOKEN_BYTES];
};

/* A question to a warehouse, and the syncs that want its answer. */
struct question {
    struct question *next;
    struct schedule_watch *watch;
    const struct source *source;
    const char *query;
    struct watched *askers;
    struct query_look *look; /* NULL: it waits */
    bool ended;
};

struct schedule_watch {
    struct event_base *base;
    struct schedule_table *table;
    struct schedule_watch_events events;
    struct watched *watched;
    struct question *questions; /* in the order they were asked */
    size_t under_way;
    int64_t turn_ms;     /* the moment of the turn, 0 between turns */
    struct event *sweep; /* frees what has ended, outside its callbacks, and begins what waits */
};

/* ---- telling ---- */

static int64_t now_of(const struct schedule_watch *w)
{
    return w->turn_ms ? w->turn_ms : clock_wall_ms();
}

static void tell_seen(struct schedule_watch *w, struct watched *s, const uint8_t *token)
{
    s->failed = 0;
    schedule_looked(w->table, s->sync->name, token, now_of(w));
}

static void tell_failed(struct schedule_watch *w, struct watched *s, const struct err *err)
{
    uint64_t words = XXH64(err->text, strlen(err->text), 1);
    bool known = words == s->failed;
    s->failed = words;
    schedule_look_failed(w->table, s->sync->name, err->text, now_of(w));
    if (!known && w->events.on_failed)
        w->events.on_failed(w->events.ctx, s->sync->name, err);
}

/* That dbt built other models is worth a reason, and no word in the log. */
static void tell_unbuilt(struct schedule_watch *w, struct watched *s, const struct err *err)
{
    s->failed = 0;
    schedule_look_failed(w->table, s->sync->name, err->text, now_of(w));
}

static void tell_end(struct schedule_watch *w)
{
    if (w->events.on_looked)
        w->events.on_looked(w->events.ctx);
}

/* ---- questions ---- */

static void answer(struct question *q, const uint8_t *token, const struct err *err)
{
    struct watched *next;
    for (struct watched *s = q->askers; s; s = next) {
        next = s->next_asker;
        s->next_asker = NULL;
        if (err)
            tell_failed(q->watch, s, err);
        else
            tell_seen(q->watch, s, token);
    }
    q->askers = NULL;
    q->ended = true;
    event_active(q->watch->sweep, EV_TIMEOUT, 0);
}

static void on_end(void *ctx, const uint8_t *token, const struct err *err)
{
    struct question *q = ctx;
    q->watch->under_way--;
    answer(q, token, err);
    tell_end(q->watch);
}

static void begin(struct question *q)
{
    const struct query_look_events events = {on_end, q};
    struct err err;
    if (query_look_start(q->watch->base, q->source, q->query, &events, &q->look, &err))
        answer(q, NULL, &err);
    else
        q->watch->under_way++;
}

static void begin_waiting(struct schedule_watch *w)
{
    for (struct question *q = w->questions; q && w->under_way < WATCH_LOOKS_MAX; q = q->next)
        if (!q->look && !q->ended)
            begin(q);
}

static void free_question(struct question *q)
{
    query_look_free(q->look);
    free(q);
}

static void on_sweep(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct schedule_watch *w = ctx;
    for (struct question **at = &w->questions; *at;) {
        struct question *q = *at;
        if (q->ended) {
            *at = q->next;
            free_question(q);
        } else {
            at = &q->next;
        }
    }
    begin_waiting(w);
}

/* The question that asks the same, or a new one at the end. */
static struct question *find_question(struct schedule_watch *w, const struct sync *sync)
{
    const struct source *source = sync->model->source;
    struct question **at = &w->questions;
    for (; *at; at = &(*at)->next) {
        struct question *q = *at;
        if (!q->ended && q->source == source && strcmp(q->query, sync->schedule.query) == 0)
            return q;
    }
    struct question *q = calloc(1, sizeof *q);
    if (q)
        *q = (struct question){.watch = w, .source = source, .query = sync->schedule.query};
    return *at = q;
}

static void ask(struct schedule_watch *w, struct watched *s)
{
    struct err err;
    struct question *q = find_question(w, s->sync);
    if (!q) {
        err_set(&err, ERR_NOMEM, "out of memory");
        tell_failed(w, s, &err);
        return;
    }
    s->next_asker = q->askers;
    q->askers = s;
}

/* ---- files ---- */

static bool stamp_of(const char *path, struct stamp *ret)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    *ret = (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
    return true;
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void tell_outcome(struct schedule_watch *w, struct watched *s)
{
    if (s->outcome.code == ERR_OK)
        tell_seen(w, s, s->token);
    else if (s->outcome.code == ERR_NOTFOUND)
        tell_unbuilt(w, s, &s->outcome);
    else
        tell_failed(w, s, &s->outcome);
}

static void take_results(struct schedule_watch *w, struct watched *s, const struct stamp *stamp,
                         const struct run_results *results)
{
    enum err_code rc =
        run_results_built(results, s->sync->schedule.dbt_model, s->token, &s->outcome);
    if (!rc)
        s->outcome.code = ERR_OK;
    s->read = true;
    s->stamp = *stamp;
    tell_outcome(w, s);
}

/* All of these syncs that wait for one file, from its one reading. Answered ones become NULL. */
static void read_file(struct schedule_watch *w, const char *path, struct watched **files,
                      size_t count)
{
    struct stamp stamp = {0};
    struct run_results *results = NULL;
    struct err err = {.code = ERR_OK};
    bool there = stamp_of(path, &stamp); /* before it is read: a change meanwhile shows next time */
    for (size_t i = 0; i < count; i++) {
        struct watched *s = files[i];
        if (!s || strcmp(s->sync->schedule.run_results, path) != 0)
            continue;
        files[i] = NULL;
        if (there && s->read && is_same(&s->stamp, &stamp)) {
            tell_outcome(w, s);
            continue;
        }
        s->read = false;
        if (!results && err.code == ERR_OK && run_results_read(path, &results, &err))
            results = NULL;
        if (results)
            take_results(w, s, &stamp, results);
        else
            tell_failed(w, s, &err);
    }
    run_results_free(results);
}

/* ---- turns ---- */

static struct watched *watched_of(struct schedule_watch *w, const struct sync *sync)
{
    for (struct watched *s = w->watched; s; s = s->next)
        if (s->sync == sync)
            return s;
    struct watched *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct watched){.next = w->watched, .sync = sync};
    return w->watched = s;
}

/* Returns whether some look ended at once. */
static bool look_at(struct schedule_watch *w, const struct sync *const *given, size_t count)
{
    struct watched *files[GIVEN_AT_ONCE];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct watched *s = watched_of(w, given[i]);
        if (!s)
            schedule_look_failed(w->table, given[i]->name, "out of memory", now_of(w));
        else if (given[i]->schedule.kind == SCHEDULE_DBT)
            files[n++] = s;
        else
            ask(w, s);
    }
    for (size_t i = 0; i < n; i++)
        if (files[i])
            read_file(w, files[i]->sync->schedule.run_results, files + i, n - i);
    return n > 0;
}

void schedule_watch_turn(struct schedule_watch *watch, int64_t now_ms)
{
    const struct sync *given[GIVEN_AT_ONCE];
    size_t n;
    bool ended = false;
    watch->turn_ms = now_ms;
    do {
        n = schedule_looks(watch->table, now_ms, given, GIVEN_AT_ONCE);
        ended |= look_at(watch, given, n);
    } while (n == GIVEN_AT_ONCE);
    begin_waiting(watch);
    watch->turn_ms = 0;
    if (ended)
        tell_end(watch);
}

/* ---- life ---- */

enum err_code schedule_watch_new(struct event_base *base, struct schedule_table *table,
                                 const struct schedule_watch_events *events,
                                 struct schedule_watch **ret_watch, struct err *err)
{
    struct schedule_watch *w = calloc(1, sizeof *w);
    if (w) {
        *w = (struct schedule_watch){.base = base, .table = table, .events = *events};
        w->sweep = event_new(base, -1, 0, on_sweep, w);
    }
    if (!w || !w->sweep) {
        free(w);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *ret_watch = w;
    return ERR_OK;
}

void schedule_watch_reset(struct schedule_watch *watch)
{
    for (struct question *q = watch->questions, *next; q; q = next) {
        next = q->next;
        free_question(q);
    }
    for (struct watched *s = watch->watched, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    watch->questions = NULL;
    watch->watched = NULL;
    watch->under_way = 0;
}

void schedule_watch_free(struct schedule_watch *watch)
{
    if (!watch)
        return;
    schedule_watch_reset(watch);
    event_free(watch->sweep);
    free(watch);
}
