/* /api/v1/records: what is known of one record at one destination, and what was sent of it. The
 * state says how it stands; history is files that may be long, which a child process reads. */
#include "protocol/base/json.h"
#include "protocol/wire/ordset.h"
#include "scheduler/api/aside.h"
#include "scheduler/api/record_key.h"
#include "scheduler/api/routes.h"
#include "scheduler/batch/batcher.h"
#include "scheduler/history/history.h"
#include "scheduler/state/entries.h"
#include "scheduler/state/key.h"

enum { SENT_MAX = 100, KEYS_BYTES_MAX = RECORD_KEYS_MAX * KEY_BYTES_MAX };

/* The readings of the key, and how the state has each. */
struct record_ask {
    const struct sync *sync;
    const char *state_dir;
    struct buf keys;
    size_t ends[RECORD_KEYS_MAX];
    size_t count;
    struct entry_view entries[RECORD_KEYS_MAX];
    bool known[RECORD_KEYS_MAX];
    bool shows_fields; /* to whom may see what was sent */
};

/* ---- one reading, in the child ---- */

struct telling {
    struct output *o;
    bool shows_fields;
    size_t listed, sent;
};

static bool put_sent(void *ctx, const struct history_hit *hit)
{
    struct telling *t = ctx;
    char batch[BATCH_PART_ID_BYTES];
    output_open(t->o, NULL, '{');
    output_time(t->o, "at", hit->run->started_ms);
    output_text(t->o, "run", hit->run->id);
    output_text(t->o, "batch", batch_id(hit->run->id, hit->batch, batch));
    output_text(t->o, "op", record_op_name(hit->op));
    output_text(t->o, "verdict", history_verdict_name(hit->verdict));
    if (hit->message.n)
        output_slice(t->o, "message", hit->message);
    else
        output_null(t->o, "message");
    output_json(t->o, "fields", t->shows_fields ? hit->fields : (struct slice){0});
    output_close(t->o, '}');
    return ++t->sent < SENT_MAX;
}

static bool put_refusal(void *ctx, const struct rejected *r)
{
    struct telling *t = ctx;
    output_open(t->o, NULL, '{');
    output_time(t->o, "at", r->time_ms);
    output_slice(t->o, "run", r->run);
    output_text(t->o, "kind", rejected_kind_name(r->kind));
    output_slice(t->o, "message", r->message);
    output_close(t->o, '}');
    t->listed++;
    return true;
}

static enum err_code put_key(struct output *o, const struct sync *sync, struct slice key,
                             struct err *err)
{
    struct slice names[KEY_VALUES_MAX];
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, json_string_max(2 * KEY_BYTES_MAX));
    for (size_t i = 0; i < sync->model->primary_key_count; i++)
        names[i] = slice_str(sync->model->primary_key[i]);
    enum err_code rc = key_json(&text, key, names, sync->model->primary_key_count, err);
    if (!rc)
        output_slice(o, "key", buf_slice(&text));
    return rc;
}

static void put_entry(struct output *o, const struct entry_view *e)
{
    output_flag(o, "accepted", e->flags & ENTRY_ACCEPTED);
    output_flag(o, "in_doubt", e->flags & ENTRY_DOUBT);
    output_flag(o, "absent", e->flags & ENTRY_ABSENT);
    if (!(e->flags & (ENTRY_REFUSED | ENTRY_REMOVAL_REFUSED))) {
        output_null(o, "refused");
        return;
    }
    output_open(o, "refused", '{');
    output_text(o, "message", e->refused);
    output_flag(o, "removal", !(e->flags & ENTRY_REFUSED));
    output_time(o, "due_at", e->refused_due_ms);
    output_close(o, '}');
}

/* *ret_found: anything at all is known of the key. */
static enum err_code put_record(struct output *o, struct state *s, const struct record_ask *ask,
                                size_t reading, bool *ret_found, struct err *err)
{
    size_t from = reading ? ask->ends[reading - 1] : 0;
    struct slice key = slice_of(ask->keys.p + from, ask->ends[reading] - from);
    struct telling t = {.o = o, .shows_fields = ask->shows_fields};
    output_open(o, NULL, '{');
    output_text(o, "sync", ask->sync->name);
    enum err_code rc = put_key(o, ask->sync, key, err);
    put_entry(o, &ask->entries[reading]);
    output_open(o, "history", '[');
    if (!rc)
        rc = state_rejected_of_key(s, ask->sync->name, key, put_refusal, &t, err);
    output_close(o, ']');
    output_open(o, "sent", '[');
    if (!rc)
        rc = history_find(ask->state_dir, s, ask->sync->name, key, put_sent, &t, err);
    output_close(o, ']');
    output_close(o, '}');
    *ret_found = ask->known[reading] || t.listed || t.sent;
    return rc;
}

static enum err_code read_record(void *ctx, struct output *o, struct err *err)
{
    const struct record_ask *ask = ctx;
    struct state_options options = {.read_only = true};
    struct state *s = NULL;
    bool found = false;
    enum err_code rc = state_open(ask->state_dir, &options, &s, err);
    for (size_t i = 0; i < ask->count && !rc && !found; i++) {
        output_done(o);
        output_init(o);
        rc = put_record(o, s, ask, i, &found, err);
    }
    state_close(s);
    if (!rc && !found)
        rc = err_set(err, ERR_NOTFOUND, "%s knows no such record", ask->sync->name);
    return rc;
}

/* ---- asking ---- */

/* Entries may be open, and newer than what a child can read. */
static enum err_code look(struct control *c, struct record_ask *ask, struct err *err)
{
    enum err_code rc = ERR_OK;
    size_t from = 0;
    for (size_t i = 0; i < ask->count && !rc; from = ask->ends[i++]) {
        struct slice key = slice_of(ask->keys.p + from, ask->ends[i] - from);
        rc = state_entry_look(control_state(c), ask->sync->name, key, &ask->entries[i], err);
        ask->known[i] = !rc;
        rc = rc == ERR_NOTFOUND ? ERR_OK : rc;
    }
    return rc;
}

void answer_record(struct api_call *c)
{
    const char *name = request_query(&c->target, "sync"), *key = request_query(&c->target, "key");
    struct record_ask ask = {.state_dir = control_project(c->control)->settings.state_dir,
                             .shows_fields = c->who.role >= ROLE_OPERATOR};
    struct err err;
    if (!name || !key) {
        call_refuse(c, 400, "invalid", "say which record: ?sync=NAME&key=KEY");
        return;
    }
    ask.sync = call_sync(c, name);
    if (!ask.sync)
        return;
    buf_init(&ask.keys, KEYS_BYTES_MAX);
    if (record_keys(ask.sync->model, key, &ask.keys, ask.ends, &ask.count, &err))
        call_invalid(c, &err);
    else if (look(c->control, &ask, &err))
        call_fail(c, &err);
    else
        call_aside(c, read_record, &ask);
    buf_done(&ask.keys);
}
