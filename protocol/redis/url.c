#include "protocol/redis/redis.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_PORT = 6379 };

/* No message of this file repeats a piece of the URL: a password with a stray '/' may be any of
 * them. */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decodes (RFC 3986) into out; what names the part in messages. */
static enum err_code decode(struct slice in, char *out, size_t out_bytes, const char *what,
                            struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (c == '%') {
            int hi = i + 1 < in.n ? hex_digit(in.p[i + 1]) : -1;
            int lo = i + 2 < in.n ? hex_digit(in.p[i + 2]) : -1;
            if (hi < 0 || lo < 0 || hi + lo == 0)
                return err_set(err, ERR_CONFIG,
                               "Redis URL: the %s has a %% without two hexadecimal digits", what);
            c = (char)(hi * 16 + lo);
            i += 2;
        }
        if (n + 1 >= out_bytes)
            return err_set(err, ERR_CONFIG, "Redis URL: the %s is longer than %zu bytes", what,
                           out_bytes - 1);
        out[n++] = c;
    }
    out[n] = '\0';
    return ERR_OK;
}

/* A plain decimal number from 0 to max, or -1. */
static long number_of(struct slice s, long max)
{
    long v = 0;
    if (s.n == 0 || s.n > 10)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit((unsigned char)s.p[i]))
            return -1;
        v = v * 10 + (s.p[i] - '0');
    }
    return v <= max ? v : -1;
}

static enum err_code parse_db(struct slice s, struct redis_url *u, struct err *err)
{
    long db = number_of(s, INT_MAX);
    if (db < 0)
        return err_set(err, ERR_CONFIG,
                       "Redis URL: the database after the address must be a number (a '/' in the "
                       "password is written %%2F)");
    u->db = (int)db;
    return ERR_OK;
}

static enum err_code parse_query(struct slice q, struct redis_url *u, struct err *err)
{
    if (q.n == 0)
        return ERR_OK;
    if (q.n < 3 || memcmp(q.p, "db=", 3) != 0)
        return err_set(err, ERR_CONFIG, "Redis URL: after the '?' only db=NUMBER is known");
    return parse_db(slice_of(q.p + 3, q.n - 3), u, err);
}

static enum err_code parse_user(struct slice s, struct redis_url *u, struct err *err)
{
    const char *colon = memchr(s.p, ':', s.n);
    size_t n = colon ? (size_t)(colon - s.p) : s.n;
    enum err_code rc = decode(slice_of(s.p, n), u->user, sizeof u->user, "user", err);
    if (rc || !colon)
        return rc;
    return decode(slice_of(colon + 1, s.n - n - 1), u->password, sizeof u->password, "password",
                  err);
}

static enum err_code parse_port(struct slice s, struct redis_url *u, struct err *err)
{
    long port = number_of(s, 65535);
    if (port <= 0)
        return err_set(err, ERR_CONFIG, "Redis URL: the port must be a number from 1 to 65535");
    u->port = (uint16_t)port;
    return ERR_OK;
}

static bool host_is_sane(const char *host)
{
    if (!*host)
        return false;
    for (; *host; host++)
        if (!isalnum((unsigned char)*host) && !strchr(".-_:%", *host))
            return false;
    return true;
}

/* host, host:port, [v6] or [v6]:port. */
static enum err_code parse_host(struct slice s, struct redis_url *u, struct err *err)
{
    const char *end = s.p + s.n;
    const char *host = s.p;
    const char *stop;
    if (s.n && *host == '[') {
        host++;
        stop = memchr(host, ']', (size_t)(end - host));
        if (!stop)
            return err_set(err, ERR_CONFIG, "Redis URL: '[' without ']'");
    } else {
        stop = memchr(host, ':', s.n);
        stop = stop ? stop : end;
    }
    if ((size_t)(stop - host) >= sizeof u->host)
        return err_set(err, ERR_CONFIG, "Redis URL: the host name is too long");
    memcpy(u->host, host, (size_t)(stop - host));
    if (!host_is_sane(u->host))
        return err_set(err, ERR_CONFIG, "Redis URL: it names no host, or not a plain one");
    if (stop < end && *stop == ']')
        stop++;
    if (stop == end)
        return ERR_OK;
    if (*stop != ':')
        return err_set(err, ERR_CONFIG, "Redis URL: after the address a port or '/' must follow");
    return parse_port(slice_of(stop + 1, (size_t)(end - stop) - 1), u, err);
}

/* rest: authority and path, without the query. */
static enum err_code parse_tcp(struct slice rest, struct redis_url *u, struct err *err)
{
    const char *slash = memchr(rest.p, '/', rest.n);
    struct slice authority = slice_of(rest.p, slash ? (size_t)(slash - rest.p) : rest.n);
    struct slice path = slash ? slice_of(slash + 1, rest.n - authority.n - 1) : slice_of("", 0);
    const char *at = memrchr(authority.p, '@', authority.n);
    enum err_code rc = ERR_OK;
    if (at) {
        size_t n = (size_t)(at - authority.p);
        rc = parse_user(slice_of(authority.p, n), u, err);
        authority = slice_of(at + 1, authority.n - n - 1);
    }
    if (!rc)
        rc = parse_host(authority, u, err);
    if (!rc && path.n)
        rc = parse_db(path, u, err);
    return rc;
}

static enum err_code parse_unix(struct slice rest, struct redis_url *u, struct err *err)
{
    const char *slash = memchr(rest.p, '/', rest.n);
    size_t n = slash ? (size_t)(slash - rest.p) : rest.n;
    if (!slash || (n && slash[-1] != '@'))
        return err_set(err, ERR_CONFIG,
                       "Redis URL: a unix socket needs a whole path, as in unix:///run/redis.sock");
    if (n) {
        enum err_code rc = parse_user(slice_of(rest.p, n - 1), u, err);
        if (rc)
            return rc;
    }
    return decode(slice_of(slash, rest.n - n), u->path, sizeof u->path, "path", err);
}

enum err_code redis_url_parse(const char *text, struct redis_url *ret_url, struct err *err)
{
    struct redis_url u = {.port = DEFAULT_PORT};
    const char *rest = strstr(text, "://");
    if (!rest)
        return err_set(err, ERR_CONFIG,
                       "Redis URL: it must begin with redis://, rediss:// or unix://");
    struct slice scheme = slice_of(text, (size_t)(rest - text));
    rest += 3;
    const char *query = strchr(rest, '?');
    struct slice main_part = slice_of(rest, query ? (size_t)(query - rest) : strlen(rest));

    u.tls = slice_eq_str(scheme, "rediss");
    enum err_code rc;
    if (u.tls || slice_eq_str(scheme, "redis"))
        rc = parse_tcp(main_part, &u, err);
    else if (slice_eq_str(scheme, "unix"))
        rc = parse_unix(main_part, &u, err);
    else
        rc = err_set(err, ERR_CONFIG,
                     "Redis URL: it must begin with redis://, rediss:// or unix://");
    if (!rc)
        rc = parse_query(slice_str(query ? query + 1 : NULL), &u, err);
    if (!rc)
        *ret_url = u;
    explicit_bzero(&u, sizeof u);
    return rc;
}

const char *redis_url_safe(const struct redis_url *url, char *out, size_t n)
{
    const char *at = url->user[0] ? "@" : "";
    if (url->path[0]) {
        int len = snprintf(out, n, "unix://%s%s%s", url->user, at, url->path);
        if (url->db && len > 0 && (size_t)len < n)
            snprintf(out + len, n - (size_t)len, "?db=%d", url->db);
        return out;
    }
    bool v6 = strchr(url->host, ':') != NULL;
    snprintf(out, n, "%s://%s%s%s%s%s:%u/%d", url->tls ? "rediss" : "redis", url->user, at,
             v6 ? "[" : "", url->host, v6 ? "]" : "", url->port, url->db);
    return out;
}
