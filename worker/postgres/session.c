/* Reads: a shape and rows. Writes: one transaction. Invariant: the callback comes once; after it
 * the session is idle or closed. A crash here: the server rolls back, or the COMMIT had been sent.
 */
#include "worker/postgres/session.h"

#include <event2/event.h>
#include <libpq-fe.h>
#include <stdlib.h>

#include "worker/postgres/statements.h"

enum {
    SQL_BYTES_MAX = 8 << 20,
    TABLE_BYTES_MAX = 4 << 20,
    TABLES_KEPT = 16,
    PUT_BYTES = 1 << 20, /* rows handed to libpq at a time */
};

enum session_stage {
    STAGE_CLOSED,
    STAGE_CONNECTING,
    STAGE_COLUMNS,
    STAGE_LOAD,
    STAGE_ROWS,
    STAGE_WRITE,
    STAGE_ROLLBACK,
    STAGE_IDLE,
};

/* A table's columns, as learnt on this connection. */
struct known_table {
    struct arena arena;
    const char *asked; /* as the sync names it */
    struct table table;
};

struct session {
    struct event_base *base;
    const char *url;
    PGconn *conn;
    struct event *io;
    struct event *timer;
    struct event *start;
    enum session_stage stage;
    struct known_table tables[TABLES_KEPT];
    size_t next_table;
    const struct table *table; /* of the batch */

    const struct shape *shape;
    struct slice rows;
    size_t rows_put;
    uint64_t timeout_ms;
    struct buf sql;
    uint32_t *missing;
    size_t missing_count;
    session_cb cb;
    void *ctx;
    struct session_answer refusal; /* while rolling back */
    char words[1024];
};

static void advance(struct session *s);

/* ---- ends ---- */

static void forget_tables(struct session *s)
{
    for (size_t i = 0; i < TABLES_KEPT; i++) {
        arena_done(&s->tables[i].arena);
        arena_init(&s->tables[i].arena, TABLE_BYTES_MAX);
        s->tables[i].asked = NULL;
    }
}

static void disconnect(struct session *s)
{
    if (s->io)
        event_free(s->io);
    s->io = NULL;
    PQfinish(s->conn);
    s->conn = NULL;
    s->stage = STAGE_CLOSED;
    forget_tables(s);
}

static void answer(struct session *s, const struct session_answer *a)
{
    session_cb cb = s->cb;
    event_del(s->timer);
    s->cb = NULL;
    cb(s->ctx, a);
}

/* libpq's words may run over several lines; a password is never among them. */
static void keep_words(struct session *s, const char *text)
{
    snprintf(s->words, sizeof s->words, "%s", text && *text ? text : "the connection broke");
    for (char *p = s->words; *p; p++)
        if (*p == '\n')
            *p = ' ';
}

static void lose(struct session *s, const char *why)
{
    bool unsure = s->stage == STAGE_WRITE;
    keep_words(s, why);
    disconnect(s);
    answer(s,
           &(struct session_answer){.kind = SESSION_LOST, .unsure = unsure, .message = s->words});
}

static void done(struct session *s)
{
    s->stage = STAGE_IDLE;
    answer(s, &(struct session_answer){
                  .kind = SESSION_DONE, .missing = s->missing, .missing_count = s->missing_count});
}

static void send_sql(struct session *s, enum session_stage stage)
{
    const char *text = buf_cstr(&s->sql);
    s->stage = stage;
    if (!text || !PQsendQuery(s->conn, text))
        lose(s, text ? PQerrorMessage(s->conn) : "no memory for the statements of a batch");
}

static void refuse(struct session *s, const char *sqlstate, const char *message)
{
    keep_words(s, message);
    s->refusal = (struct session_answer){.kind = SESSION_REFUSED, .message = s->words};
    snprintf(s->refusal.sqlstate, sizeof s->refusal.sqlstate, "%s", sqlstate ? sqlstate : "");
    if (PQtransactionStatus(s->conn) == PQTRANS_IDLE) {
        s->stage = STAGE_IDLE;
        answer(s, &s->refusal);
        return;
    }
    buf_reset(&s->sql);
    if (buf_puts(&s->sql, "rollback"))
        lose(s, "no memory");
    else
        send_sql(s, STAGE_ROLLBACK);
}

/* ---- columns ---- */

static const struct table *known(const struct session *s, const char *asked)
{
    for (size_t i = 0; i < TABLES_KEPT; i++)
        if (s->tables[i].asked && strcmp(s->tables[i].asked, asked) == 0)
            return &s->tables[i].table;
    return NULL;
}

static const struct table *learn(struct session *s, const PGresult *r)
{
    struct known_table *k = &s->tables[s->next_table++ % TABLES_KEPT];
    int n = PQntuples(r);
    arena_reset(&k->arena);
    k->asked = NULL;
    struct table_column *columns = arena_alloc(&k->arena, (size_t)n * sizeof *columns);
    const char *asked = arena_str(&k->arena, slice_str(s->shape->table));
    k->table.name = arena_str(&k->arena, slice_str(PQgetvalue(r, 0, 4)));
    if (!columns || !asked || !k->table.name)
        return NULL;
    for (int i = 0; i < n; i++) {
        columns[i] = (struct table_column){
            .name = arena_str(&k->arena, slice_str(PQgetvalue(r, i, 0))),
            .type = arena_str(&k->arena, slice_str(PQgetvalue(r, i, 1))),
            .is_array = *PQgetvalue(r, i, 2) == 't',
            .is_bytes = *PQgetvalue(r, i, 3) == 't',
        };
        if (!columns[i].name || !columns[i].type)
            return NULL;
    }
    k->table.columns = columns;
    k->table.count = (size_t)n;
    k->asked = asked;
    return &k->table;
}

static void ask_columns(struct session *s)
{
    const char *values[] = {s->shape->table};
    s->stage = STAGE_COLUMNS;
    if (!PQsendQueryParams(s->conn, statements_columns, 1, NULL, values, NULL, NULL, 0))
        lose(s, PQerrorMessage(s->conn));
}

/* ---- the batch ---- */

static void load(struct session *s)
{
    buf_reset(&s->sql);
    if (statements_put_load(&s->sql, s->shape, s->timeout_ms - s->timeout_ms / 10))
        lose(s, "no memory for the statements of a batch");
    else
        send_sql(s, STAGE_LOAD);
}

static void begin(struct session *s)
{
    s->table = known(s, s->shape->table);
    if (s->table)
        load(s);
    else
        ask_columns(s);
}

static void write_rows(struct session *s)
{
    while (s->rows_put < s->rows.n) {
        size_t left = s->rows.n - s->rows_put;
        int n = (int)(left < PUT_BYTES ? left : PUT_BYTES);
        int put = PQputCopyData(s->conn, s->rows.p + s->rows_put, n);
        if (put < 0) {
            lose(s, PQerrorMessage(s->conn));
            return;
        }
        if (put == 0)
            return; /* until the socket takes more */
        s->rows_put += (size_t)n;
    }
    int put = PQputCopyEnd(s->conn, NULL);
    if (put < 0)
        lose(s, PQerrorMessage(s->conn));
    else if (put > 0)
        s->stage = STAGE_LOAD; /* the COPY's own result comes now */
}

static void write_statements(struct session *s)
{
    struct err err;
    buf_reset(&s->sql);
    enum err_code rc = statements_put_write(&s->sql, s->shape, s->table, &err);
    if (rc == ERR_CONFIG)
        refuse(s, "42703", err.text);
    else if (rc)
        lose(s, err.text);
    else
        send_sql(s, STAGE_WRITE);
}

static void take_missing(struct session *s, const PGresult *r)
{
    size_t n = (size_t)PQntuples(r);
    free(s->missing);
    s->missing_count = 0;
    s->missing = calloc(n + 1, sizeof *s->missing);
    for (size_t i = 0; s->missing && i < n; i++)
        s->missing[s->missing_count++] = (uint32_t)strtoul(PQgetvalue(r, (int)i, 0), NULL, 10);
}

/* A result of the statements under way. False: the session went on by itself. */
static bool take_result(struct session *s, const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_COPY_IN) {
        s->stage = STAGE_ROWS;
        write_rows(s);
        return false;
    }
    if (status == PGRES_TUPLES_OK && s->stage == STAGE_COLUMNS)
        s->table = PQntuples(r) ? learn(s, r) : NULL;
    else if (status == PGRES_TUPLES_OK && s->stage == STAGE_WRITE)
        take_missing(s, r);
    else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !*s->refusal.sqlstate) {
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        const char *words = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
        keep_words(s, words ? words : PQresultErrorMessage(r));
        snprintf(s->refusal.sqlstate, sizeof s->refusal.sqlstate, "%s", state ? state : "XX000");
    }
    return true;
}

/* All results of what was sent have come. */
static void next(struct session *s)
{
    if (s->stage == STAGE_ROLLBACK) {
        s->stage = STAGE_IDLE;
        answer(s, &s->refusal);
        return;
    }
    if (*s->refusal.sqlstate) {
        char state[sizeof s->refusal.sqlstate], words[sizeof s->words];
        memcpy(state, s->refusal.sqlstate, sizeof state);
        memcpy(words, s->words, sizeof words);
        refuse(s, state, words);
        return;
    }
    if (s->stage == STAGE_COLUMNS && !s->table)
        refuse(s, "42P01", "there is no such table, or it is not this user's to see");
    else if (s->stage == STAGE_COLUMNS)
        load(s);
    else if (s->stage == STAGE_LOAD)
        write_statements(s);
    else if (s->stage == STAGE_WRITE)
        done(s);
}

/* ---- the loop ---- */

static bool is_waiting(const struct session *s)
{
    return s->conn && s->stage >= STAGE_COLUMNS && s->stage <= STAGE_ROLLBACK;
}

static void advance(struct session *s)
{
    if (!PQconsumeInput(s->conn)) {
        lose(s, PQerrorMessage(s->conn));
        return;
    }
    if (s->stage == STAGE_ROWS) {
        write_rows(s);
        if (!is_waiting(s) || s->stage == STAGE_ROWS)
            return;
    }
    while (is_waiting(s) && !PQisBusy(s->conn)) {
        PGresult *r = PQgetResult(s->conn);
        bool more = r != NULL;
        bool goes_on = more && take_result(s, r);
        PQclear(r);
        if (more && !goes_on)
            return;
        if (!more)
            next(s);
    }
}

static void watch(struct session *s);

static void connected(struct session *s)
{
    PQsetnonblocking(s->conn, 1);
    begin(s);
}

static void connect_step(struct session *s)
{
    PostgresPollingStatusType status = PQconnectPoll(s->conn);
    if (status == PGRES_POLLING_OK)
        connected(s);
    else if (status == PGRES_POLLING_FAILED)
        lose(s, PQerrorMessage(s->conn));
}

static void on_io(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct session *s = ctx;
    if (s->stage == STAGE_CONNECTING)
        connect_step(s);
    else if (s->stage == STAGE_IDLE)
        disconnect(s); /* the server has closed it, or speaks unasked */
    else
        advance(s);
    watch(s);
}

/* Waits for what the connection waits for. The socket may be another one after each step of
 * connecting. */
static void watch(struct session *s)
{
    if (s->io)
        event_free(s->io);
    s->io = NULL;
    if (!s->conn)
        return;
    int unsent = s->stage == STAGE_CONNECTING ? 0 : PQflush(s->conn);
    bool writes = s->stage == STAGE_CONNECTING || s->stage == STAGE_ROWS || unsent > 0;
    s->io =
        event_new(s->base, PQsocket(s->conn), (short)(EV_READ | (writes ? EV_WRITE : 0)), on_io, s);
    if (unsent < 0 || !s->io || event_add(s->io, NULL)) {
        if (s->cb)
            lose(s, "the connection broke");
        else
            disconnect(s);
    }
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct session *s = ctx;
    if (s->cb)
        lose(s, s->stage == STAGE_CONNECTING ? "no connection came about in time"
                                             : "the statements of this batch took too long");
}

/* Notices may quote rows; nobody reads them. */
static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx, (void)result;
}

static bool is_connection_string(const char *url)
{
    return strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0 ||
           strchr(url, '=');
}

static void open_connection(struct session *s)
{
    static const char *const names[] = {"fallback_application_name", "dbname", "client_encoding",
                                        NULL};
    const char *const values[] = {"sluice", s->url, "UTF8", NULL};
    s->conn = is_connection_string(s->url) ? PQconnectStartParams(names, values, 1) : NULL;
    s->stage = STAGE_CONNECTING;
    if (!s->conn || PQstatus(s->conn) == CONNECTION_BAD)
        /* libpq quotes a URL that it cannot read, password included. */
        lose(s, "`url` is no connection string that libpq can read");
    else
        PQsetNoticeReceiver(s->conn, ignore_notice, NULL);
}

static void on_start(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct session *s = ctx;
    if (s->conn)
        begin(s);
    else
        open_connection(s);
    watch(s);
}

/* ---- life ---- */

struct session *session_new(struct event_base *base, const char *url)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->base = base;
    s->url = url;
    buf_init(&s->sql, SQL_BYTES_MAX);
    for (size_t i = 0; i < TABLES_KEPT; i++)
        arena_init(&s->tables[i].arena, TABLE_BYTES_MAX);
    s->timer = evtimer_new(base, on_timeout, s);
    s->start = evtimer_new(base, on_start, s);
    if (s->timer && s->start)
        return s;
    session_free(s);
    return NULL;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    disconnect(s);
    for (size_t i = 0; i < TABLES_KEPT; i++)
        arena_done(&s->tables[i].arena);
    if (s->timer)
        event_free(s->timer);
    if (s->start)
        event_free(s->start);
    buf_done(&s->sql);
    free(s->missing);
    free(s);
}

bool session_is_idle(const struct session *s)
{
    return !s->cb;
}

void session_carry(struct session *s, const struct shape *shape, struct slice rows,
                   uint64_t timeout_ms, session_cb cb, void *ctx)
{
    struct timeval now = {0},
                   limit = {(time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000 * 1000)};
    s->shape = shape;
    s->rows = rows;
    s->rows_put = 0;
    s->timeout_ms = timeout_ms;
    s->missing_count = 0;
    s->refusal = (struct session_answer){0};
    s->cb = cb;
    s->ctx = ctx;
    event_add(s->timer, &limit);
    event_add(s->start, &now);
}
