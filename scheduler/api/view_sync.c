#include "scheduler/api/views.h"
#include "scheduler/schedule/schedule.h"
#include "scheduler/state/entries.h"

#include <stdio.h>

static void put_head(struct output *o, const struct sync *s)
{
    char words[SCHEDULE_WORDS_BYTES];
    output_text(o, "name", s->name);
    output_text(o, "model", s->model->name);
    output_text(o, "source", s->model->source->name);
    output_text(o, "destination", s->destination->name);
    output_text_or_null(o, "object", s->object);
    output_text(o, "mode", sync_mode_name(s->mode));
    output_text(o, "schedule", schedule_words(s, words));
    output_text(o, "priority", priority_name(s->priority));
}

static void put_now(struct output *o, const struct control_sync_view *v)
{
    output_text(o, "phase", control_phase_name(v->phase));
    output_text_or_null(o, "run", v->run);
    output_flag(o, "paused", v->paused);
    output_flag(o, "destination_paused", v->destination_paused);
    output_flag(o, "held", v->held);
    output_time(o, "next_at", v->next_ms);
    output_time(o, "fresh_at", v->fresh_ms);
    output_text_or_null(o, "waits_for", v->waits_for);
}

/* What is not known, below 0, is null. */
static void put_seconds(struct output *o, const char *name, int64_t ms)
{
    if (ms < 0)
        output_null(o, name);
    else
        output_decimal(o, name, (double)ms / 1000);
}

static void put_amount(struct output *o, const char *name, int64_t n)
{
    if (n < 0)
        output_null(o, name);
    else
        output_count(o, name, (uint64_t)n);
}

static void put_stream(struct output *o, const struct control_sync_view *v)
{
    const struct stream_view *s = &v->stream;
    if (!v->streams) {
        output_null(o, "stream");
        return;
    }
    output_open(o, "stream", '{');
    output_text(o, "phase", stream_phase_name(s->phase));
    output_text_or_null(o, "why", s->why);
    put_seconds(o, "lag_seconds", s->lag.behind_ms);
    put_amount(o, "lag_bytes", s->lag.bytes);
    put_amount(o, "lag_records", s->lag.records);
    output_count(o, "pending", s->pending);
    output_count(o, "in_flight", s->in_flight);
    put_seconds(o, "waits_seconds", s->waits_ms);
    output_text_or_null(o, "slot", s->slot);
    output_text_or_null(o, "publication", s->publication);
    output_text_or_null(o, "place", s->lag.place);
    output_text_or_null(o, "note", s->lag.note);
    output_time(o, "since", s->since_ms);
    output_time(o, "reconcile", s->reconcile_ms);
    put_amount(o, "drift", s->drift);
    output_close(o, '}');
}

/* The run under way is newer than its record. */
static enum err_code put_last_run(struct output *o, struct control *c, const struct sync *s,
                                  struct err *err)
{
    struct run_record last, now;
    struct err none;
    enum err_code rc = state_run_last(control_state(c), s->name, &last, err);
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    if (rc)
        output_null(o, "last_run");
    else
        view_run(o, "last_run", c, control_run_get(c, last.id, &now, &none) ? &last : &now);
    return ERR_OK;
}

/* ---- detail ---- */

static bool is_secret(const struct destination *d, const char *text)
{
    for (size_t i = 0; i < d->secret_count; i++)
        if (*d->secrets[i] && strstr(text, d->secrets[i]))
            return true;
    return false;
}

static void put_mapping(struct output *o, const struct sync *s, const struct mapping *m)
{
    output_open(o, NULL, '{');
    switch (m->kind) {
    case MAPPING_COLUMN:
        output_text(o, "from", m->from);
        break;
    case MAPPING_TEMPLATE:
        output_text(o, "template", m->from);
        break;
    case MAPPING_CONSTANT:
        if (is_secret(s->destination, m->constant))
            output_text(o, "value", "(secret)");
        else
            output_raw(o, "value", m->constant);
        break;
    }
    output_text(o, "to", m->to);
    output_close(o, '}');
}

static void put_mappings(struct output *o, const struct sync *s)
{
    output_open(o, "mappings", '[');
    if (s->map_all) {
        output_open(o, NULL, '{');
        output_text(o, "from", "*");
        output_text(o, "to", "*");
        output_close(o, '}');
    }
    for (size_t i = 0; i < s->mapping_count; i++)
        put_mapping(o, s, &s->mappings[i]);
    output_close(o, ']');
}

static void put_limit(struct output *o, const char *name, const struct guard_limit *l)
{
    char text[64];
    snprintf(text, sizeof text, "%.15g%s", l->value, l->percent ? "%" : "");
    output_text(o, name, l->set ? text : NULL);
}

static void put_guard(struct output *o, const struct guard *g)
{
    output_open(o, "guard", '{');
    put_limit(o, "max_removed", &g->max_removed);
    put_limit(o, "max_changed", &g->max_changed);
    put_limit(o, "min_rows", &g->min_rows);
    put_limit(o, "max_rejected", &g->max_rejected);
    output_flag(o, "allow_empty", g->allow_empty);
    output_close(o, '}');
}

static enum err_code put_detail(struct output *o, struct control *c, const struct sync *s,
                                struct err *err)
{
    struct state_counts counts = {0};
    enum err_code rc = state_sync_look(control_state(c), s->name, &counts, err);
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    put_mappings(o, s);
    put_guard(o, &s->guard);
    output_open(o, "primary_key", '[');
    for (size_t i = 0; i < s->model->primary_key_count; i++)
        output_text(o, NULL, s->model->primary_key[i]);
    output_close(o, ']');
    output_text(o, "identify_by", s->identify_by);
    output_open(o, "counts", '{');
    output_count(o, "accepted", counts.accepted);
    output_count(o, "refused", counts.refused);
    output_count(o, "doubt", counts.doubt);
    output_close(o, '}');
    return ERR_OK;
}

enum err_code view_sync(struct output *o, const char *name, struct control *c,
                        const struct sync *sync, bool detail, struct err *err)
{
    struct control_sync_view v;
    enum err_code rc = control_sync_look(c, sync->name, &v, err);
    if (rc)
        return rc;
    output_open(o, name, '{');
    put_head(o, sync);
    put_now(o, &v);
    put_stream(o, &v);
    rc = put_last_run(o, c, sync, err);
    if (!rc && detail)
        rc = put_detail(o, c, sync, err);
    output_close(o, '}');
    return rc;
}
