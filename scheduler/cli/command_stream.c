/*
 * sluice stream status, drop, sql: what streams do, and what they need and leave at their source.
 *
 * The scheduler that runs is asked how streams flow; without one the source itself says what is
 * there. Only `drop` changes anything, and nothing that a stream uses or that is not Sluice's.
 */
#include "protocol/base/json.h"
#include "scheduler/cli/cli.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/remote.h"
#include "scheduler/cli/stream_words.h"
#include "scheduler/source/pg_connect.h"
#include "scheduler/state/state.h"
#include "scheduler/stream/poll_sql.h"
#include "scheduler/stream/slots.h"
#include "scheduler/state/part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SQL_BYTES_MAX = 1 << 20 };

struct command_of_stream {
    const struct cli_options *opts;
    const struct project *project;
    json_t *live;      /* the scheduler's syncs; NULL: none runs */
    char state_id[64]; /* empty: there is no state yet */
};

static bool is_stream(const struct sync *s)
{
    return s->schedule.kind == SCHEDULE_STREAM;
}

static bool has_slot(const struct sync *s)
{
    enum stream_from from = s->schedule.stream.from;
    return is_stream(s) && (from == STREAM_CDC || from == STREAM_KEYS);
}

/* What Sluice names it names by its state. */
static bool has_names(const struct command_of_stream *c, const struct sync *s)
{
    const struct schedule_stream *stream = &s->schedule.stream;
    return *c->state_id || (is_stream(s) && stream->slot && stream->publication);
}

static enum err_code find_state(struct command_of_stream *c, struct err *err)
{
    struct state_options o = {.read_only = true};
    struct state *state = NULL;
    enum err_code rc = state_open(c->project->settings.state_dir, &o, &state, err);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    if (!rc)
        snprintf(c->state_id, sizeof c->state_id, "%s", state_id(state));
    state_close(state);
    return rc;
}

/* A sync that was moved here keeps the names it had. */
static void names_of(const struct command_of_stream *c, const struct sync *s,
                     struct slot_names *ret)
{
    struct state_options o = {.read_only = true};
    struct state *state = NULL;
    char origin[STATE_ID_BYTES];
    struct err err;
    bool found = *c->state_id && !state_open(c->project->settings.state_dir, &o, &state, &err) &&
                 !state_sync_origin(state, s->name, origin, &err);
    state_close(state);
    slot_names_of(s, found ? origin : c->state_id, ret);
}

static const json_t *live_of(const struct command_of_stream *c, const char *sync)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(c->live, "syncs"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), sync) == 0)
            return one;
    }
    return NULL;
}

static void print_object(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    if (text)
        puts(text);
    free(text);
}

static json_t *object_of(const struct sync *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "sync", json_string(s->name));
    if (is_stream(s))
        json_object_set_new(o, "from", json_string(stream_from_name(s->schedule.stream.from)));
    return o;
}

/* ---- status ---- */

static void show_live(const struct command_of_stream *c, const struct sync *s)
{
    char words[STREAM_WORDS_BYTES];
    json_t *stream = json_object_get(live_of(c, s->name), "stream");
    if (c->opts->json) {
        json_t *o = object_of(s);
        json_object_set_new(o, "running", json_true());
        if (json_is_object(stream))
            json_object_update(o, stream);
        print_object(o);
        json_decref(o);
        return;
    }
    printf("%s (%s): %s\n", s->name, stream_from_name(s->schedule.stream.from),
           json_is_object(stream) ? stream_words(stream, words)
                                  : "the scheduler that runs does not stream it");
    const char *slot = json_string_value(json_object_get(stream, "slot"));
    const char *publication = json_string_value(json_object_get(stream, "publication"));
    const char *place = json_string_value(json_object_get(stream, "place"));
    const char *note = json_string_value(json_object_get(stream, "note"));
    if (slot)
        printf("  slot %s, publication %s\n", slot, publication ? publication : "?");
    if (place)
        printf("  at %s\n", place);
    if (note)
        printf("  %s\n", note);
}

static void show_look(const struct command_of_stream *c, const struct sync *s,
                      const struct slot_names *n, const struct slot_look *l)
{
    char size[STREAM_SIZE_BYTES];
    if (c->opts->json) {
        json_t *o = object_of(s);
        json_object_set_new(o, "running", json_false());
        json_object_set_new(o, "slot", json_string(n->slot));
        json_object_set_new(o, "publication", json_string(n->publication));
        json_object_set_new(o, "slot_exists", json_boolean(l->slot_exists));
        json_object_set_new(o, "slot_active", json_boolean(l->slot_active));
        json_object_set_new(o, "slot_lost", json_boolean(l->slot_lost));
        json_object_set_new(o, "publication_exists", json_boolean(l->publication_exists));
        json_object_set_new(o, "lag_bytes",
                            l->held_bytes < 0 ? json_null() : json_integer(l->held_bytes));
        json_object_set_new(o, "place", *l->confirmed ? json_string(l->confirmed) : json_null());
        print_object(o);
        json_decref(o);
        return;
    }
    printf("%s (%s): no scheduler runs\n", s->name, stream_from_name(s->schedule.stream.from));
    printf("  slot %s %s", n->slot, l->slot_exists ? "is there" : "is not there");
    if (l->slot_lost)
        printf(" and lost: the model is read anew");
    else if (l->slot_active)
        printf(" and in use");
    if (l->held_bytes >= 0)
        printf("; it holds back %s of the source's log", stream_size(l->held_bytes, size));
    if (*l->confirmed)
        printf("; confirmed up to %s", l->confirmed);
    printf("\n  publication %s %s\n", n->publication,
           l->publication_exists ? "is there" : "is not there");
}

static void show_rest(const struct command_of_stream *c, const struct sync *s, const char *words)
{
    if (!c->opts->json) {
        printf("%s (%s): no scheduler runs%s\n", s->name, stream_from_name(s->schedule.stream.from),
               words);
        return;
    }
    json_t *o = object_of(s);
    json_object_set_new(o, "running", json_false());
    print_object(o);
    json_decref(o);
}

static enum err_code show_sync(const struct command_of_stream *c, const struct sync *s,
                               struct err *err)
{
    struct slot_names names;
    struct slot_look look = {.held_bytes = -1};
    PGconn *conn = NULL;
    if (c->live) {
        show_live(c, s);
        return ERR_OK;
    }
    if (!has_slot(s) || !has_names(c, s)) {
        show_rest(c, s, has_slot(s) ? "; it has not streamed yet" : "");
        return ERR_OK;
    }
    names_of(c, s, &names);
    enum err_code rc = pg_connect(s->model->source, &conn, err);
    if (!rc)
        rc = slot_look(conn, &names, &look, err);
    if (!rc)
        show_look(c, s, &names, &look);
    PQfinish(conn);
    return rc;
}

static bool is_asked_for(const struct cli_options *opts, const struct sync *s)
{
    for (size_t i = 1; i < opts->name_count; i++)
        if (strcmp(opts->names[i], s->name) == 0)
            return true;
    return opts->name_count == 1;
}

/* One that cannot be looked at does not hide the others. */
static int show_all(struct command_of_stream *c)
{
    int status = EXIT_OK;
    size_t count = 0;
    for (size_t i = 0; i < c->project->sync_count; i++) {
        const struct sync *s = &c->project->syncs[i];
        struct err err;
        if (!is_stream(s) || !is_asked_for(c->opts, s))
            continue;
        count++;
        fflush(stdout);
        if (!show_sync(c, s, &err))
            continue;
        (void)err_prefix(&err, "%s", s->name);
        status = cli_fail(&err);
    }
    if (!count && !c->opts->json)
        puts("no sync streams");
    return status;
}

static int show_status(struct command_of_stream *c)
{
    struct err err;
    for (size_t i = 1; i < c->opts->name_count; i++) {
        const struct sync *s = project_sync(c->project, c->opts->names[i]);
        enum err_code rc = s ? ERR_OK : project_no_sync(c->project, c->opts->names[i], &err);
        if (!rc && !is_stream(s))
            rc = err_set(&err, ERR_USAGE, "%s does not stream: its schedule is another", s->name);
        if (rc)
            return cli_fail(&err);
    }
    if (remote_is_running(c->project) && remote_get(c->project, "/api/v1/syncs", &c->live, &err))
        return cli_fail(&err);
    return show_all(c);
}

/* ---- drop ---- */

/* A scheduler may run with another project than the folder's. */
static enum err_code check_unused(struct command_of_stream *c, const char *sync, struct err *err)
{
    if (!remote_is_running(c->project))
        return ERR_OK;
    enum err_code rc = remote_get(c->project, "/api/v1/syncs", &c->live, err);
    if (!rc && json_is_object(json_object_get(live_of(c, sync), "stream")))
        rc = err_set(err, ERR_BUSY,
                     "the scheduler streams %s: give it another schedule and reload, or stop the "
                     "scheduler, before its slot is dropped",
                     sync);
    return rc;
}

static enum err_code check_own(const struct cli_options *opts, const struct sync *s,
                               const struct slot_names *n, struct err *err)
{
    const struct schedule_stream *stream = &s->schedule.stream;
    if (opts->force || !is_stream(s) || (!stream->slot && !stream->publication))
        return ERR_OK;
    return err_set(err, ERR_USAGE,
                   "%s names %s%s%s%s%s itself, which others may use: add --force to drop it all "
                   "the same",
                   s->name, stream->slot ? "the slot " : "", stream->slot ? n->slot : "",
                   stream->slot && stream->publication ? " and " : "",
                   stream->publication ? "the publication " : "",
                   stream->publication ? n->publication : "");
}

static void show_dropped(const struct command_of_stream *c, const struct sync *s,
                         const struct slot_names *n, const struct slot_dropped *d)
{
    if (c->opts->json) {
        json_t *o = object_of(s);
        json_object_set_new(o, "slot", d->slot ? json_string(n->slot) : json_null());
        json_object_set_new(o, "publication",
                            d->publication ? json_string(n->publication) : json_null());
        print_object(o);
        json_decref(o);
        return;
    }
    if (d->slot)
        printf("dropped the slot %s\n", n->slot);
    if (d->publication)
        printf("dropped the publication %s\n", n->publication);
    if (!d->slot && !d->publication)
        printf("nothing to drop: neither the slot %s nor the publication %s is there\n", n->slot,
               n->publication);
}

static enum err_code drop(struct command_of_stream *c, const struct sync *s, struct err *err)
{
    struct slot_names names;
    struct slot_dropped dropped = {false, false};
    PGconn *conn = NULL;
    if (source_is_redis(s->model->source) || (is_stream(s) && !has_slot(s)))
        return err_set(err, ERR_USAGE, "%s has no slot: only streams from cdc and keys have one",
                       s->name);
    if (!has_names(c, s))
        return err_set(err, ERR_USAGE, "%s has not streamed yet: there is nothing to drop",
                       s->name);
    names_of(c, s, &names);
    enum err_code rc = check_own(c->opts, s, &names, err);
    rc = rc ? rc : check_unused(c, s->name, err);
    rc = rc ? rc : pg_connect(s->model->source, &conn, err);
    rc = rc ? rc : slot_drop(conn, &names, &dropped, err);
    if (!rc)
        show_dropped(c, s, &names, &dropped);
    PQfinish(conn);
    return rc;
}

/* ---- sql ---- */

/* Triggers that wake a poll early. */
static enum err_code put_poll_sql(const struct sync *s, struct buf *out, struct err *err)
{
    PGconn *conn = NULL;
    enum err_code rc = pg_connect(s->model->source, &conn, err);
    rc = rc ? rc : poll_feed_sql(s, conn, out, err);
    PQfinish(conn);
    return rc;
}

static enum err_code put_sql(const struct command_of_stream *c, const struct sync *s,
                             struct buf *out, struct err *err)
{
    struct slot_names names;
    PGconn *conn = NULL;
    if (s->schedule.stream.from == STREAM_POLL)
        return put_poll_sql(s, out, err);
    if (!has_slot(s))
        return err_set(err, ERR_USAGE, "%s needs nothing that SQL makes", s->name);
    if (!has_names(c, s))
        return err_set(err, ERR_USAGE,
                       "%s has not run yet, so its slot has no name: start the scheduler once, or "
                       "name both `slot` and `publication`",
                       s->name);
    names_of(c, s, &names);
    enum err_code rc = pg_connect(s->model->source, &conn, err);
    rc = rc ? rc : slot_sql(conn, s, &names, out, err);
    PQfinish(conn);
    return rc;
}

static enum err_code show_sql(struct command_of_stream *c, const struct sync *s, struct err *err)
{
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, SQL_BYTES_MAX);
    if (!is_stream(s))
        return err_set(err, ERR_USAGE, "%s does not stream: its schedule is another", s->name);
    enum err_code rc = put_sql(c, s, &out, err);
    if (rc)
        return rc;
    if (c->opts->json) {
        json_t *o = object_of(s);
        json_object_set_new(o, "sql", json_stringn(out.p ? out.p : "", out.len));
        print_object(o);
        json_decref(o);
    } else {
        fwrite(out.p, 1, out.len, stdout);
    }
    return ERR_OK;
}

/* ---- the command ---- */

static int about_one(struct command_of_stream *c,
                     enum err_code (*what)(struct command_of_stream *, const struct sync *,
                                           struct err *))
{
    struct err err;
    if (c->opts->name_count != 2) {
        err_set(&err, ERR_USAGE, "stream %s needs the name of one sync", c->opts->names[0]);
        return cli_fail(&err);
    }
    const struct sync *s = project_sync(c->project, c->opts->names[1]);
    enum err_code rc = s ? what(c, s, &err) : project_no_sync(c->project, c->opts->names[1], &err);
    return rc ? cli_fail(&err) : EXIT_OK;
}

int command_stream(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct command_of_stream c = {.opts = opts};
    struct err err;
    const char *what = opts->names[0];
    int status = cli_load(opts, &project);
    c.project = project;
    if (!status && find_state(&c, &err))
        status = cli_fail(&err);
    if (!status && strcmp(what, "status") == 0) {
        status = show_status(&c);
    } else if (!status && strcmp(what, "drop") == 0) {
        status = about_one(&c, drop);
    } else if (!status && strcmp(what, "sql") == 0) {
        status = about_one(&c, show_sql);
    } else if (!status) {
        err_set(&err, ERR_USAGE, "there is no stream %s: write status, drop or sql", what);
        status = cli_fail(&err);
    }
    json_decref(c.live);
    project_free(project);
    return status;
}
