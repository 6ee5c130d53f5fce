/* /api/v1/records: what is known of one record at one destination. */
#include "protocol/base/json.h"
#include "scheduler/api/record_key.h"
#include "protocol/wire/ordset.h"
#include "scheduler/api/routes.h"
#include "scheduler/batch/batcher.h"
#include "scheduler/history/history.h"
#include "scheduler/state/entries.h"
#include "scheduler/state/key.h"

enum { SENT_MAX = 100, KEYS_BYTES_MAX = RECORD_KEYS_MAX * KEY_BYTES_MAX };

/* One reading of the key, and what was found of it. */
struct found {
    struct slice key;
    struct entry_view entry;
    bool known;
    struct output *o; /* its history is written here */
    size_t listed;
    bool shows_fields; /* to whom may see what was sent */
    size_t sent;
};

static bool put_sent(void *ctx, const struct history_hit *hit)
{
    struct found *f = ctx;
    char batch[BATCH_PART_ID_BYTES];
    output_open(f->o, NULL, '{');
    output_time(f->o, "at", hit->run->started_ms);
    output_text(f->o, "run", hit->run->id);
    output_text(f->o, "batch", batch_id(hit->run->id, hit->batch, batch));
    output_text(f->o, "op", record_op_name(hit->op));
    output_text(f->o, "verdict", history_verdict_name(hit->verdict));
    if (hit->message.n)
        output_slice(f->o, "message", hit->message);
    else
        output_null(f->o, "message");
    output_json(f->o, "fields", f->shows_fields ? hit->fields : (struct slice){0});
    output_close(f->o, '}');
    f->listed++;
    return ++f->sent < SENT_MAX;
}

static bool list_one(void *ctx, const struct rejected *r)
{
    struct found *f = ctx;
    output_open(f->o, NULL, '{');
    output_time(f->o, "at", r->time_ms);
    output_slice(f->o, "run", r->run);
    output_text(f->o, "kind", rejected_kind_name(r->kind));
    output_slice(f->o, "message", r->message);
    output_close(f->o, '}');
    f->listed++;
    return true;
}

/* Writes "history" into f->o and looks at the entry. */
static enum err_code look(struct control *c, const struct sync *sync, struct found *f,
                          struct err *err)
{
    struct state *s = control_state(c);
    enum err_code rc = state_entry_look(s, sync->name, f->key, &f->entry, err);
    f->known = !rc;
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    output_open(f->o, "history", '[');
    rc = state_rejected_of_key(s, sync->name, f->key, list_one, f, err);
    output_close(f->o, ']');
    output_open(f->o, "sent", '[');
    if (!rc)
        rc = history_find(control_project(c)->settings.state_dir, s, sync->name, f->key, put_sent,
                          f, err);
    output_close(f->o, ']');
    return rc;
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

static void put_entry(struct output *o, const struct found *f)
{
    output_flag(o, "accepted", f->entry.flags & ENTRY_ACCEPTED);
    output_flag(o, "in_doubt", f->entry.flags & ENTRY_DOUBT);
    output_flag(o, "absent", f->entry.flags & ENTRY_ABSENT);
    if (!(f->entry.flags & (ENTRY_REFUSED | ENTRY_REMOVAL_REFUSED))) {
        output_null(o, "refused");
        return;
    }
    output_open(o, "refused", '{');
    output_text(o, "message", f->entry.refused);
    output_flag(o, "removal", !(f->entry.flags & ENTRY_REFUSED));
    output_time(o, "due_at", f->entry.refused_due_ms);
    output_close(o, '}');
}

/* True where an answer was given: the key is known in this reading, or looking failed. */
static bool answer_key(struct api_call *c, const struct sync *sync, struct slice key)
{
    struct output o;
    struct err err;
    struct found f = {.key = key, .o = &o, .shows_fields = c->who.role >= ROLE_OPERATOR};
    output_init(&o);
    output_open(&o, NULL, '{');
    output_text(&o, "sync", sync->name);
    enum err_code rc = put_key(&o, sync, key, &err);
    rc = rc ? rc : look(c->control, sync, &f, &err);
    put_entry(&o, &f);
    output_close(&o, '}');
    if (!rc && (f.known || f.listed)) {
        call_answer(c, 200, &o);
        return true;
    }
    output_done(&o);
    if (rc)
        call_fail(c, &err);
    return rc;
}

void answer_record(struct api_call *c)
{
    const char *name = request_query(&c->target, "sync"), *key = request_query(&c->target, "key");
    CLEANUP(buf_done) struct buf bytes;
    size_t ends[RECORD_KEYS_MAX], count, from = 0;
    struct err err;
    buf_init(&bytes, KEYS_BYTES_MAX);
    if (!name || !key) {
        call_refuse(c, 400, "invalid", "say which record: ?sync=NAME&key=KEY");
        return;
    }
    const struct sync *sync = call_sync(c, name);
    if (!sync)
        return;
    if (record_keys(sync->model, key, &bytes, ends, &count, &err)) {
        call_invalid(c, &err);
        return;
    }
    for (size_t i = 0; i < count; from = ends[i++])
        if (answer_key(c, sync, slice_of(bytes.p + from, ends[i] - from)))
            return;
    call_refuse(c, 404, "not_found", "%s knows no such record", sync->name);
}
