#include "scheduler/report/warehouse_sql.h"

#include <inttypes.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "protocol/base/utf8.h"
#include "scheduler/state/rejected.h"

enum { PARAMS_BYTES_MAX = 16 << 20 };

/* ---- statements ---- */

/* %s is the quoted schema. */
static const char *const tables[][2] = {
    {"sluice_runs",
     "CREATE TABLE %s.sluice_runs (run text PRIMARY KEY, sync text NOT NULL, status text NOT NULL, "
     "trigger text, scheduled_at timestamptz, started_at timestamptz NOT NULL, ended_at "
     "timestamptz "
     "NOT NULL, rows bigint, added bigint, changed bigint, removed bigint, unchanged bigint, "
     "invalid bigint, quarantined bigint, planned bigint, succeeded bigint, rejected bigint, "
     "failed "
     "bigint, cancelled bigint, requests bigint, retries bigint, bytes bigint, error text, reason "
     "text, warning text)"},
    {"sluice_changes",
     "CREATE TABLE %s.sluice_changes (run text, sync text NOT NULL, class text, records bigint NOT "
     "NULL, PRIMARY KEY (run, class))"},
    {"sluice_rejected",
     "CREATE TABLE %s.sluice_rejected (run text, sync text NOT NULL, key text, kind text, message "
     "text, at timestamptz, PRIMARY KEY (run, key, kind))"},
};

/* CREATE … IF NOT EXISTS asks for the right to create even where everything is there. */
enum err_code warehouse_sql_setup(PGconn *conn, const char *schema, struct buf *out)
{
    char *name = PQescapeIdentifier(conn, schema, strlen(schema));
    char *text = name ? PQescapeLiteral(conn, name, strlen(name)) : NULL;
    enum err_code rc = text ? ERR_OK : ERR_NOMEM;
    if (!rc)
        rc = buf_printf(out,
                        "DO $sluice$ BEGIN IF to_regnamespace(%s) IS NULL THEN CREATE SCHEMA %s; "
                        "END IF;\n",
                        text, name);
    for (size_t i = 0; i < ARRAY_LEN(tables) && !rc; i++) {
        const char *column = strstr(tables[i][1], "%s") + 2;
        rc =
            buf_printf(out, "IF to_regclass(%s || '.%s') IS NULL THEN CREATE TABLE %s%s; END IF;\n",
                       text, tables[i][0], name, column);
    }
    if (!rc)
        rc = buf_puts(out, "END $sluice$");
    PQfreemem(text);
    PQfreemem(name);
    return rc;
}

static const char write_run[] =
    "WITH r AS (INSERT INTO %s.sluice_runs VALUES ($1, $2, $3, $4, $5::timestamptz, "
    "$6::timestamptz, $7::timestamptz, $8::bigint, $9::bigint, $10::bigint, $11::bigint, "
    "$12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint, $18::bigint, "
    "$19::bigint, $20::bigint, $21::bigint, $22::bigint, $23, $24, $25) ON CONFLICT DO NOTHING), "
    "c AS (INSERT INTO %s.sluice_changes SELECT $1, $2, x.class, x.records FROM (VALUES "
    "('added', $9::bigint), ('changed', $10::bigint), ('removed', $11::bigint), ('unchanged', "
    "$12::bigint), ('invalid', $13::bigint), ('quarantined', $14::bigint), ('coalesced', "
    "$27::bigint)) AS x (class, records) "
    "ON CONFLICT DO NOTHING) "
    "INSERT INTO %s.sluice_rejected SELECT $1, $2, x.key, x.kind, x.message, x.at FROM "
    "json_to_recordset($26::json) AS x (key text, kind text, message text, at timestamptz) "
    "ON CONFLICT DO NOTHING";

enum err_code warehouse_sql_run(PGconn *conn, const char *schema, struct buf *out)
{
    char *name = PQescapeIdentifier(conn, schema, strlen(schema));
    enum err_code rc = name ? ERR_OK : ERR_NOMEM;
    for (const char *p = write_run; *p && !rc;) {
        size_t plain = strcspn(p, "%");
        rc = buf_put(out, p, plain);
        p += plain;
        if (*p && !rc)
            rc = buf_puts(out, name);
        p += *p ? 2 : 0;
    }
    PQfreemem(name);
    return rc;
}

/* ---- parameters ---- */

/* Begins the next one; what is appended to text until end_param is its value. */
static void begin_param(struct warehouse_params *p)
{
    p->at[p->count++] = p->text.len;
}

static enum err_code end_param(struct warehouse_params *p)
{
    return buf_putc(&p->text, '\0');
}

static enum err_code add_text(struct warehouse_params *p, const char *text)
{
    begin_param(p);
    enum err_code rc = utf8_put(&p->text, slice_str(text));
    return rc ? rc : end_param(p);
}

static enum err_code add_time(struct warehouse_params *p, int64_t ms)
{
    char when[CLOCK_TEXT_BYTES];
    return add_text(p, clock_text(ms, when));
}

static enum err_code add_number(struct warehouse_params *p, uint64_t n)
{
    begin_param(p);
    enum err_code rc = buf_printf(&p->text, "%" PRIu64, n);
    return rc ? rc : end_param(p);
}

static enum err_code add_numbers(struct warehouse_params *p, const struct run_counts *c)
{
    const uint64_t numbers[] = {c->rows,    c->added,       c->changed,  c->removed,   c->unchanged,
                                c->invalid, c->quarantined, c->planned,  c->succeeded, c->rejected,
                                c->failed,  c->cancelled,   c->requests, c->retries,   c->bytes};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(numbers) && !rc; i++)
        rc = add_number(p, numbers[i]);
    return rc;
}

/* ---- records that were not accepted, as a JSON list ---- */

struct rejected_list {
    struct buf *out;
    const struct run_record *run;
    size_t count;
    enum err_code failed;
};

static enum err_code put_field(struct buf *out, const char *before, struct slice text)
{
    enum err_code rc = buf_puts(out, before);
    return rc ? rc : json_put_words(out, text);
}

static enum err_code put_rejected(struct rejected_list *l, const struct rejected *r)
{
    char when[CLOCK_TEXT_BYTES];
    enum err_code rc = put_field(l->out, l->count ? ",{\"key\":" : "{\"key\":", r->text);
    if (!rc)
        rc = put_field(l->out, ",\"kind\":", slice_str(rejected_kind_name(r->kind)));
    if (!rc)
        rc = put_field(l->out, ",\"message\":", r->message);
    if (!rc)
        rc = put_field(l->out, ",\"at\":", slice_str(clock_text(r->time_ms, when)));
    return rc ? rc : buf_putc(l->out, '}');
}

/* Newest first, so what is older than the run ends the list. */
static bool take_rejected(void *ctx, const struct rejected *r)
{
    struct rejected_list *l = ctx;
    if (r->time_ms < l->run->started_ms)
        return false;
    if (!slice_eq_str(r->run, l->run->id))
        return true;
    l->failed = put_rejected(l, r);
    l->count++;
    return !l->failed && l->count < WAREHOUSE_REJECTED_MAX;
}

static enum err_code add_rejected(struct state *s, struct warehouse_params *p,
                                  const struct run_record *r, struct err *err)
{
    struct rejected_list l = {.out = &p->text, .run = r};
    begin_param(p);
    l.failed = buf_putc(&p->text, '[');
    enum err_code rc = state_rejected_list(s, r->sync, 0, take_rejected, &l, err);
    if (!rc)
        rc = l.failed;
    if (!rc)
        rc = buf_putc(&p->text, ']');
    return rc ? rc : end_param(p);
}

enum err_code warehouse_params_make(struct state *s, const struct run_record *r,
                                    struct warehouse_params *ret, struct err *err)
{
    int64_t due_ms = r->scheduled_ms ? r->scheduled_ms : r->started_ms;
    *ret = (struct warehouse_params){0};
    buf_init(&ret->text, PARAMS_BYTES_MAX);
    *err = (struct err){0};
    const char *const names[] = {r->id, r->sync, run_status_name(r->status), r->trigger};
    const char *const words[] = {r->error, r->reason, r->warning};
    const int64_t times[] = {due_ms, r->started_ms, r->ended_ms};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(names) && !rc; i++)
        rc = add_text(ret, names[i]);
    for (size_t i = 0; i < ARRAY_LEN(times) && !rc; i++)
        rc = add_time(ret, times[i]);
    if (!rc)
        rc = add_numbers(ret, &r->counts);
    for (size_t i = 0; i < ARRAY_LEN(words) && !rc; i++)
        rc = add_text(ret, words[i]);
    if (!rc)
        rc = add_rejected(s, ret, r, err);
    if (!rc)
        rc = add_number(ret, r->counts.coalesced);
    if (rc)
        return err->code ? rc : err_set(err, rc, "the log of run %s: %s", r->id, err_name(rc));
    ensure(ret->count == WAREHOUSE_PARAMS);
    for (size_t i = 0; i < ret->count; i++)
        ret->values[i] = ret->text.p + ret->at[i];
    return ERR_OK;
}

void warehouse_params_done(struct warehouse_params *p)
{
    buf_done(&p->text);
}
