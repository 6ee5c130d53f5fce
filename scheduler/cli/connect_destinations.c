/*
 * Destinations: the address that their requests go to answers over HTTP. Connectors declare no
 * request that would do no harm, so credentials are not tried, and the line says so. A table in
 * Postgres is connected to.
 */
#include "protocol/base/buf.h"
#include "protocol/connector/connector.h"
#include "scheduler/cli/connect.h"
#include "scheduler/source/pg_connect.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { URL_BYTES = 2048 };
static const long connect_timeout_ms = 10000;

/* ---- the address ---- */

/* The text up to the first piece that only a batch knows. */
static void known_part(const struct template *t, const struct destination *d, char out[URL_BYTES])
{
    size_t n = 0;
    *out = '\0';
    for (size_t i = 0; i < t->count; i++) {
        const struct piece *p = &t->pieces[i];
        const char *text = p->kind == PIECE_TEXT     ? p->text
                           : p->kind == PIECE_OPTION ? d->options[p->index]
                                                     : NULL;
        if (!text)
            return;
        int more = snprintf(out + n, URL_BYTES - n, "%s", text);
        if (more < 0 || n + (size_t)more >= URL_BYTES)
            return;
        n += (size_t)more;
    }
}

/* scheme://host:port/ of an address, cut in place; false where it has none whole. */
static bool cut_to_origin(char url[URL_BYTES], bool whole)
{
    char *host = strstr(url, "://");
    if (!host || host == url)
        return false;
    char *end = host + 3 + strcspn(host + 3, "/?#");
    if (end == host + 3 || (!*end && !whole) || end + 2 > url + URL_BYTES)
        return false;
    end[0] = '/';
    end[1] = '\0';
    return true;
}

static bool origin_of(const struct template *t, const struct destination *d, char out[URL_BYTES])
{
    bool whole = true;
    for (size_t i = 0; i < t->count; i++)
        whole &= t->pieces[i].kind == PIECE_TEXT || t->pieces[i].kind == PIECE_OPTION;
    known_part(t, d, out);
    return cut_to_origin(out, whole);
}

static bool object_origin(const struct object *o, const struct destination *d, char out[URL_BYTES])
{
    for (size_t i = 0; i < o->request_count; i++)
        for (size_t j = 0; j < o->requests[i].step_count; j++)
            if (origin_of(&o->requests[i].steps[j].url, d, out))
                return true;
    return false;
}

/* Of its requests; where they go to an address that comes with the token, of the token's. */
static bool find_origin(const struct project *p, const struct destination *d, char out[URL_BYTES])
{
    for (size_t i = 0; i < p->sync_count; i++)
        if (p->syncs[i].destination == d && p->syncs[i].target &&
            object_origin(p->syncs[i].target, d, out))
            return true;
    for (size_t i = 0; i < d->connector->object_count; i++)
        if (object_origin(&d->connector->objects[i], d, out))
            return true;
    const struct auth *auth = connector_auth(d->connector, d->options);
    return auth && auth->token && origin_of(&auth->token->step.url, d, out);
}

/* ---- reaching it ---- */

static size_t ignore(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    (void)ctx;
    return size * n;
}

static enum err_code code_of(CURLcode rc)
{
    switch ((int)rc) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return ERR_CONFIG;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_UNREACHABLE;
    }
}

static enum err_code reach(const struct destination *d, const char *url, long *ret_status,
                           struct err *err)
{
    char words[CURL_ERROR_SIZE] = "";
    CURL *c = curl_easy_init();
    if (!c)
        return err_set(err, ERR_NOMEM, "no memory for a request");
    long timeout = d->timeout_ms && d->timeout_ms < (uint64_t)connect_timeout_ms
                       ? (long)d->timeout_ms
                       : connect_timeout_ms;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    if (d->ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, d->ca_file);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_cleanup(c);
    return rc ? err_set(err, code_of(rc), "%s: %s", url, *words ? words : curl_easy_strerror(rc))
              : ERR_OK;
}

static void check_http(struct connect_report *r, const struct project *p,
                       const struct destination *d)
{
    char url[URL_BYTES], text[URL_BYTES + 128];
    struct err err;
    long status = 0;
    if (!find_origin(p, d, url)) {
        connect_say(r, "destination", d->name, NULL,
                    "not tried: its address is known only to its requests");
        return;
    }
    enum err_code rc = reach(d, url, &status, &err);
    snprintf(text, sizeof text, "%s answers (HTTP %ld); credentials are not tried", url, status);
    connect_say(r, "destination", d->name, rc ? &err : NULL, text);
}

/* The words are those of a warehouse's connection. */
static void check_postgres(struct connect_report *r, const struct destination *d)
{
    struct param url = {"url", destination_option(d, "url")};
    struct source s = {.name = d->name, .type = "postgres", .params = &url, .param_count = 1};
    PGconn *conn = NULL;
    struct err err;
    enum err_code rc = pg_connect(&s, &conn, &err);
    static const char words[] = "cannot connect to the warehouse: ";
    if (rc && strncmp(err.text, words, sizeof words - 1) == 0)
        memmove(err.text, err.text + sizeof words - 1, strlen(err.text + sizeof words - 1) + 1);
    connect_say(r, "destination", d->name, rc ? &err : NULL, "connected");
    PQfinish(conn);
}

void connect_destinations(struct connect_report *r, const struct project *p)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < p->destination_count; i++) {
        const struct destination *d = &p->destinations[i];
        if (d->connector->driver && strcmp(d->connector->driver, "postgres") == 0)
            check_postgres(r, d);
        else
            check_http(r, p, d);
    }
    curl_global_cleanup();
}
