#include "scheduler/schedule/query_look.h"

#include "scheduler/source/source.h"

#include <event2/event.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    STATEMENT_MS = 60000, /* where the source says nothing */
    CONNECT_MS = 60000,   /* for everything around the statement, in all */
};

struct query_look {
    struct source source; /* the project's, read row by row */
    struct model model;   /* the query */
    struct query_look_events events;
    struct source_read *read;
    struct event *deadline;
    size_t rows;
    uint8_t token[QUERY_LOOK_TOKEN_BYTES];
};

static const char model_name[] = "on_change";

/* Sources speak of a model: here it is the query. The words are equally long. */
static void speak_of_query(struct err *err)
{
    static const char prefix[] = "model on_change: ", model[] = "the model", query[] = "the query";
    if (strncmp(err->text, prefix, strlen(prefix)) == 0)
        memmove(err->text, err->text + strlen("model "), strlen(err->text + strlen("model ")) + 1);
    for (char *at = err->text; (at = strstr(at, model)); at += strlen(query))
        memcpy(at, query, strlen(query));
}

static enum err_code on_columns(void *ctx, const struct column *columns, size_t count,
                                struct err *err)
{
    (void)ctx;
    (void)columns;
    if (count != 1)
        return err_set(err, ERR_CONFIG, "the query gives %zu columns; it must give one", count);
    return ERR_OK;
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    struct query_look *look = ctx;
    struct value v = row->values[0];
    if (++look->rows > 1)
        return err_set(err, ERR_CONFIG,
                       "the query gives several rows; it must give one, such as select max(…)");
    if (v.kind == VALUE_BAD)
        return err_set(err, ERR_INVALID, "the answer cannot be read: %.*s; cast it to text",
                       (int)v.n, v.p);
    XXH128_canonical_t token;
    XXH128_canonicalFromHash(
        &token, XXH3_128bits_withSeed(v.p ? v.p : "", v.p ? v.n : 0, (uint64_t)v.kind));
    memcpy(look->token, &token, sizeof look->token);
    return ERR_OK;
}

static void end(struct query_look *look, const struct err *err)
{
    event_del(look->deadline);
    look->events.on_end(look->events.ctx, err ? NULL : look->token, err);
}

static void on_end(void *ctx, const struct err *failed)
{
    struct query_look *look = ctx;
    struct err err;
    if (failed) {
        err = *failed;
        speak_of_query(&err);
    } else if (look->rows == 0) {
        err_set(&err, ERR_CONFIG,
                "on_change: the query gives no row; it must give one, such as select max(…)");
    }
    end(look, failed || look->rows == 0 ? &err : NULL);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct query_look *look = ctx;
    struct err err;
    source_read_free(look->read);
    look->read = NULL;
    err_set(&err, ERR_TIMEOUT, "on_change: the warehouse did not answer in time");
    end(look, &err);
}

enum err_code query_look_start(struct event_base *base, const struct source *source,
                               const char *query, const struct query_look_events *events,
                               struct query_look **ret_look, struct err *err)
{
    struct query_look *look = calloc(1, sizeof *look);
    if (!look)
        return err_set(err, ERR_NOMEM, "out of memory");
    look->events = *events;
    look->source = *source;
    look->source.read = READ_ROWS;
    if (!look->source.statement_timeout_ms)
        look->source.statement_timeout_ms = STATEMENT_MS;
    look->model = (struct model){.name = model_name, .source = &look->source, .sql = query};
    uint64_t ms = look->source.statement_timeout_ms + CONNECT_MS;
    struct timeval deadline = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
    const struct source_events source_events = {on_columns, on_row, on_end, look};
    look->deadline = evtimer_new(base, on_deadline, look);
    enum err_code rc =
        !look->deadline || evtimer_add(look->deadline, &deadline)
            ? err_set(err, ERR_NOMEM, "out of memory")
            : source_read_start(base, &look->model, &source_events, &look->read, err);
    if (rc) {
        if (err)
            speak_of_query(err);
        query_look_free(look);
        return rc;
    }
    *ret_look = look;
    return ERR_OK;
}

void query_look_free(struct query_look *look)
{
    if (!look)
        return;
    source_read_free(look->read);
    if (look->deadline)
        event_free(look->deadline);
    free(look);
}
