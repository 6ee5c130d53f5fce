/* Keys that are asked for. Reads: the model. Writes: what it answers into the run, or back into
 * what is pending. Invariant: a key that is asked for is held by its mark until its row, or that
 * there is none, was planned. */
#include "scheduler/run/stream_private.h"

#include "protocol/base/clock.h"
#include "scheduler/stream/events_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { ASK_AGAIN_MS = 500, ASKED_BYTES_MAX = KEY_ASK_MAX * (KEY_BYTES_MAX + 512) };

/* ---- the model's columns ---- */

static bool find_key_columns(struct stream_driver *d)
{
    const struct model *m = d->sync->model;
    for (size_t k = 0; k < m->primary_key_count; k++) {
        size_t i = 0;
        while (i < d->column_count && strcmp(d->columns[i].name, m->primary_key[k]) != 0)
            i++;
        if (i == d->column_count)
            return false;
        d->key_columns[k] = (uint16_t)i;
    }
    return true;
}

static bool copy_columns(struct stream_driver *d, const struct column *columns, size_t count)
{
    arena_reset(&d->arena);
    d->columns = arena_alloc(&d->arena, count * sizeof *d->columns);
    d->column_count = d->columns ? count : 0;
    for (size_t i = 0; i < d->column_count; i++) {
        const char *name = arena_str(&d->arena, slice_str(columns[i].name));
        const char *type = arena_str(&d->arena, slice_str(columns[i].type_name));
        if (!name || !type)
            return false;
        d->columns[i] = (struct column){name, type, columns[i].type};
    }
    return d->columns != NULL;
}

static bool same_columns(const struct stream_driver *d, const struct column *columns, size_t count)
{
    bool same = count == d->column_count;
    for (size_t i = 0; i < count && same; i++)
        same = strcmp(columns[i].name, d->columns[i].name) == 0 &&
               strcmp(columns[i].type_name, d->columns[i].type_name) == 0;
    return same;
}

static void on_columns(void *ctx, const struct column *columns, size_t count)
{
    struct stream_driver *d = ctx;
    d->columns_differ = d->feed && !same_columns(d, columns, count);
    d->ask_ready = copy_columns(d, columns, count) && find_key_columns(d);
    d->ask_failed = !d->ask_ready;
    if (d->ask_failed)
        snprintf(d->why, sizeof d->why,
                 "the model does not give the columns of its primary key, or memory is out");
    stream_soon(d, 0);
}

static void on_refused(void *ctx, const struct err *err)
{
    struct stream_driver *d = ctx;
    d->ask_failed = true;
    snprintf(d->why, sizeof d->why, "%.*s", STREAM_WHY_MAX, err->text);
    stream_soon(d, 0);
}

/* ---- what is asked for ---- */

static struct slice bytes_of(const struct asked *a, const struct asked_key *k)
{
    return slice_of(a->bytes.p + k->at, k->n);
}

static struct asked_key *find(struct asked *a, struct slice key)
{
    uint64_t at = XXH3_64bits(key.p, key.n) % ASKED_TABLE;
    for (; a->table[at]; at = (at + 1) % ASKED_TABLE) {
        struct asked_key *k = &a->keys[a->table[at] - 1];
        if (slice_eq(bytes_of(a, k), key))
            return k;
    }
    return NULL;
}

static void forget(struct asked *a)
{
    if (a->count)
        memset(a->table, 0, sizeof a->table);
    a->count = 0;
    a->stale = false;
    buf_reset(&a->bytes);
}

static struct pending_change change_of(const struct asked *a, const struct asked_key *k,
                                       enum change_kind kind)
{
    return (struct pending_change){.kind = kind,
                                   .key = bytes_of(a, k),
                                   .mark = k->mark,
                                   .tries = k->tries,
                                   .since_ms = k->since_ms};
}

/* Where a newer change of the key waits, this one is settled with it: it is asked for again. */
static enum err_code put_back(struct stream_driver *d, const struct pending_change *c,
                              const struct row *row, struct err *err)
{
    bool there;
    enum err_code rc = pending_put_back(d->pending, c, row, &there, err);
    if (!rc && there) {
        d->coalesced++;
        marks_release(d->marks, c->mark);
    }
    return rc;
}

/* A key's row, or that it is gone. */
static enum err_code take(struct stream_driver *d, struct asked_key *k, const struct row *row,
                          struct err *err)
{
    struct pending_change c = change_of(d->asked, k, row ? CHANGE_ROW : CHANGE_GONE);
    k->answered = true;
    if (d->asked->stale)
        c.kind = CHANGE_KEY;
    return put_back(d, &c, row, err);
}

/* Of the keys that have no answer yet, which hold their marks. */
static uint64_t earliest_mark(const struct stream_driver *d)
{
    uint64_t mark = marks_open(d->marks);
    for (size_t i = 0; i < d->asked->count; i++)
        if (!d->asked->keys[i].answered && d->asked->keys[i].mark < mark)
            mark = d->asked->keys[i].mark;
    return mark;
}

/* A key that its table writes in another way than the model: '7' and 7, 'a' and 'a  '. The row goes
 * under its own, and as early as the one that led to it. */
static enum err_code take_other(struct stream_driver *d, struct slice key, const struct row *row,
                                struct err *err)
{
    struct pending_change c = {.kind = d->asked->stale ? CHANGE_KEY : CHANGE_ROW,
                               .key = key,
                               .mark = earliest_mark(d),
                               .since_ms = clock_mono_ms()};
    if (!key.n)
        return ERR_OK; /* invalid: the next read of the whole model counts it */
    marks_hold(d->marks, c.mark);
    return put_back(d, &c, row, err);
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    struct stream_driver *d = ctx;
    struct slice key = {0};
    struct asked_key *k = stream_key_of(d, row, &key) ? find(d->asked, key) : NULL;
    if (!k)
        return take_other(d, key, row, err);
    if (k->answered) /* a second row of one key: the next read of the whole model counts it */
        return ERR_OK;
    return take(d, k, row, err);
}

static enum err_code take_gone(struct stream_driver *d, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < d->asked->count && !rc; i++)
        if (!d->asked->keys[i].answered)
            rc = take(d, &d->asked->keys[i], NULL, err);
    return rc;
}

/* The answer to come may be older than what was given now, which may be planned and even sent
 * before it comes. */
void stream_ask_overtaken(struct stream_driver *d, struct slice key)
{
    struct asked *a = d->asked;
    struct asked_key *k = a && a->count ? find(a, key) : NULL;
    if (!k || k->answered)
        return;
    k->answered = true;
    d->coalesced++;
    marks_release(d->marks, k->mark);
}

void stream_ask_take_back(struct stream_driver *d)
{
    struct err err;
    for (size_t i = 0; d->asked && i < d->asked->count; i++) {
        struct asked_key *k = &d->asked->keys[i];
        struct pending_change c = change_of(d->asked, k, CHANGE_KEY);
        if (!k->answered && put_back(d, &c, NULL, &err)) {
            stream_rest(d, err.text);
            return;
        }
    }
    if (d->asked)
        forget(d->asked);
}

/* Said once per failure, and taken back with the next answer. */
static void tell(struct stream_driver *d, const struct err *failed)
{
    bool same = failed && d->ask_ails && strncmp(d->why, failed->text, STREAM_WHY_MAX) == 0;
    if (failed && !same)
        log_event(d->host.log, LOG_WARN, "keys_not_answered", LOG_STR("sync", d->sync->name),
                  LOG_STR("reason", failed->text));
    if (failed)
        snprintf(d->why, sizeof d->why, "%.*s", STREAM_WHY_MAX, failed->text);
    else if (d->ask_ails)
        d->why[0] = '\0';
    d->ask_ails = failed != NULL;
}

/* What the feed gives from now on may be older than the answer: the feed is told up to where. */
static void on_horizon(void *ctx, uint64_t horizon)
{
    struct stream_driver *d = ctx;
    if (d->feed && d->ops->horizon)
        d->ops->horizon(d->feed, horizon);
}

static void on_answer(void *ctx, const struct err *failed)
{
    struct stream_driver *d = ctx;
    struct err err;
    if (!failed && take_gone(d, &err)) {
        stream_rest(d, err.text);
        return;
    }
    tell(d, failed);
    stream_ask_take_back(d);
    if (failed && failed->code == ERR_STALE) {
        d->columns_stale = true;
        stream_want_read(d, "the model's columns changed", NULL);
    }
    d->ask_again_ms = failed ? clock_mono_ms() + ASK_AGAIN_MS : 0;
    stream_soon(d, failed ? ASK_AGAIN_MS : 0);
}

enum err_code stream_columns_of_events(struct stream_driver *d, struct err *err)
{
    struct column columns[EVENTS_COLUMNS_MAX];
    size_t n = events_columns(d->sync->model, columns);
    d->ask_ready = copy_columns(d, columns, n) && find_key_columns(d);
    return d->ask_ready
               ? ERR_OK
               : err_set(err, ERR_CONFIG, "the model's events have no columns for its primary key");
}

enum err_code stream_ask_open(struct stream_driver *d, struct err *err)
{
    const struct key_ask_events events = {on_columns, on_horizon, on_row, on_answer, on_refused, d};
    if (!d->asked) {
        d->asked = calloc(1, sizeof *d->asked);
        if (!d->asked)
            return err_set(err, ERR_NOMEM, "stream: no memory");
        buf_init(&d->asked->bytes, ASKED_BYTES_MAX);
    }
    d->ask_ready = d->ask_failed = false;
    return key_ask_start(d->host.base, d->sync->model, &events, &d->ask, err);
}

void stream_ask_close(struct stream_driver *d)
{
    key_ask_free(d->ask);
    d->ask = NULL;
    d->ask_ready = d->ask_failed = d->ask_ails = false;
    if (!d->asked)
        return;
    buf_done(&d->asked->bytes);
    free(d->asked->values);
    free(d->asked);
    d->asked = NULL;
}

uint64_t stream_given(const struct stream_driver *d)
{
    return d->feed && d->ops->given_rows ? d->ops->given_rows(d->feed) : 0;
}

bool stream_sees(struct stream_driver *d, uint64_t given)
{
    return !given || !d->feed || d->ops->sees(d->feed, given);
}

bool stream_may_ask(struct stream_driver *d)
{
    return d->ask && d->ask_ready && !key_ask_busy(d->ask) && clock_mono_ms() >= d->ask_again_ms &&
           stream_sees(d, d->ask_given);
}

bool stream_ask_add(struct stream_driver *d, const struct pending_change *c)
{
    struct asked *a = d->asked;
    if (a->count == KEY_ASK_MAX)
        return false;
    struct asked_key k = {
        .at = a->bytes.len,
        .n = (uint32_t)c->key.n,
        .tries = c->tries,
        .mark = c->mark,
        .since_ms = c->since_ms,
    };
    if (buf_put(&a->bytes, c->key.p, c->key.n))
        return false;
    uint64_t at = XXH3_64bits(c->key.p, c->key.n) % ASKED_TABLE;
    while (a->table[at])
        at = (at + 1) % ASKED_TABLE;
    a->keys[a->count++] = k;
    a->table[at] = (uint32_t)a->count;
    return true;
}

static enum err_code decode_keys(struct stream_driver *d, struct err *err)
{
    struct asked *a = d->asked;
    size_t each = d->sync->model->primary_key_count, n = a->count * each;
    if (n > a->value_cap) {
        struct value *values = realloc(a->values, n * sizeof *values);
        if (!values)
            return err_set(err, ERR_NOMEM, "stream: no memory");
        a->values = values;
        a->value_cap = n;
    }
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < a->count && !rc; i++)
        rc = key_decode(bytes_of(a, &a->keys[i]), a->values + i * each, each, err);
    return rc;
}

void stream_ask_send(struct stream_driver *d)
{
    struct err err;
    if (!d->asked || !d->asked->count || key_ask_busy(d->ask))
        return;
    enum err_code rc = decode_keys(d, &err);
    if (!rc)
        rc = key_ask_send(d->ask, d->asked->values, d->asked->count, &err);
    if (!rc)
        return;
    log_event(d->host.log, LOG_WARN, "keys_not_asked", LOG_STR("sync", d->sync->name),
              LOG_STR("reason", err.text));
    d->ask_again_ms = clock_mono_ms() + ASK_AGAIN_MS;
    stream_ask_take_back(d);
    stream_soon(d, ASK_AGAIN_MS);
}
