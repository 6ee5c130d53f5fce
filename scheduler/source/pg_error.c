#include "scheduler/source/pg_error.h"

#include "protocol/base/utf8.h"
#include "scheduler/source/sql_text.h"

#include <stdio.h>
#include <stdlib.h>

/* The text may have been cut inside a character, and a server without encoding may send anything.
 */
static void make_utf8(struct err *err)
{
    for (size_t n = strlen(err->text), cut = 0; cut < 4 && cut <= n; cut++)
        if (utf8_valid(slice_of(err->text, n - cut))) {
            err->text[n - cut] = '\0';
            return;
        }
    for (char *p = err->text; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
}

/* err->text without line breaks at its end and with single spaces for those inside. */
static void one_line(struct err *err)
{
    char *out = err->text;
    for (const char *p = err->text; *p; p++) {
        bool space = *p == '\n' || *p == '\t' || *p == ' ';
        if (space && (out == err->text || out[-1] == ' '))
            continue;
        *out++ = space ? ' ' : *p;
    }
    while (out > err->text && out[-1] == ' ')
        out--;
    *out = '\0';
    make_utf8(err);
}

/* Servers do not repeat passwords; this keeps it so for anything that stands between. */
static void strike_out(struct err *err, const char *secret)
{
    size_t n = secret ? strlen(secret) : 0;
    if (n == 0)
        return;
    for (char *at = err->text; (at = strstr(at, secret)); at += n)
        memset(at, '*', n);
}

/* libpq gives no SQLSTATE for a refused connection, only words. */
static bool tells_of_credentials(PGconn *conn, const char *message)
{
    return PQconnectionNeedsPassword(conn) || strstr(message, "password authentication failed") ||
           strstr(message, "no pg_hba.conf entry") ||
           strstr(message, "Peer authentication failed") ||
           (strstr(message, "FATAL:") && strstr(message, "does not exist"));
}

enum err_code pg_error_connection(PGconn *conn, enum err_code code, struct err *err)
{
    const char *message = PQerrorMessage(conn);
    /* Refused at once, a connection looks like a wrong option but for its words. */
    if (code == ERR_CONFIG &&
        (strstr(message, "connection to server") || strstr(message, "translate host name")))
        code = ERR_UNREACHABLE;
    if (code == ERR_UNREACHABLE && tells_of_credentials(conn, message))
        code = ERR_DENIED;
    if (code == ERR_TIMEOUT)
        message = "the server did not answer in time (connect_timeout)";
    else if (code == ERR_NOMEM)
        message = "no memory for the connection";
    err_set(err, code, "cannot connect to the warehouse: %s",
            *message ? message : "no reason given");
    one_line(err);
    const char *password = PQpass(conn);
    if (password && strcmp(password, PQuser(conn) ? PQuser(conn) : "") != 0)
        strike_out(err, password);
    return code;
}

static enum err_code code_of(const char *state)
{
    if (strcmp(state, "57014") == 0)
        return ERR_TIMEOUT;
    if (strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0)
        return ERR_UNREACHABLE;
    if (strncmp(state, "53", 2) == 0 || strncmp(state, "40", 2) == 0 ||
        strncmp(state, "58", 2) == 0)
        return ERR_REMOTE;
    if (strncmp(state, "28", 2) == 0)
        return ERR_DENIED;
    return ERR_SQL;
}

/* The server counts characters of the whole statement from 1. Empty where the place is not in the
 * model. */
static void put_place(const PGresult *result, const struct pg_statement_place *place, char *out,
                      size_t size)
{
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    size_t n = position ? strtoul(position, NULL, 10) : 0;
    *out = '\0';
    if (!place || n <= place->chars_before ||
        n - place->chars_before > sql_text_chars(place->model) + 1)
        return;
    struct sql_place at = sql_text_place(place->model, n - place->chars_before - 1);
    snprintf(out, size, " at %u:%u of the model", at.line, at.col);
}

enum err_code pg_error_result(const PGresult *result, const struct pg_statement_place *place,
                              struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (!state) {
        /* libpq's own words: the connection broke. */
        const char *words = result ? PQresultErrorMessage(result) : "";
        err_set(err, ERR_UNREACHABLE, "connection to the warehouse lost: %s",
                *words ? words : "no reason given");
        one_line(err);
        return ERR_UNREACHABLE;
    }
    char at[64];
    put_place(result, place, at, sizeof at);
    err_set(err, code_of(state), "%s (SQLSTATE %s)%s%s%s%s%s", message ? message : "error", state,
            at, detail ? "; detail: " : "", detail ? detail : "", hint ? "; hint: " : "",
            hint ? hint : "");
    one_line(err);
    return code_of(state);
}
