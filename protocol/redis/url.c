#include "protocol/redis/url.h"

#include "protocol/base/slice.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, SENTINEL_PORT = 26379 };

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

/* One name=value behind the '?'. */
static enum err_code parse_option(struct slice o, struct redis_url *u, struct err *err)
{
    const char *equals = memchr(o.p, '=', o.n);
    struct slice name = slice_of(o.p, equals ? (size_t)(equals - o.p) : o.n);
    struct slice value = equals ? slice_of(equals + 1, o.n - name.n - 1) : slice_of("", 0);
    bool sentinel = u->shape == REDIS_SHAPE_SENTINEL;
    if (slice_eq_str(name, "db") && u->shape != REDIS_SHAPE_CLUSTER)
        return parse_db(value, u, err);
    if (sentinel && slice_eq_str(name, "sentinel_user"))
        return decode(value, u->sentinel_user, sizeof u->sentinel_user, "sentinel_user", err);
    if (sentinel && slice_eq_str(name, "sentinel_password"))
        return decode(value, u->sentinel_password, sizeof u->sentinel_password, "sentinel_password",
                      err);
    static const char *const known[] = {
        [REDIS_SHAPE_SERVER] = "only db=NUMBER is known",
        [REDIS_SHAPE_SENTINEL] = "only db=, sentinel_user= and sentinel_password= are known",
        [REDIS_SHAPE_CLUSTER] = "nothing is known of a cluster (it has no other database than 0)",
    };
    return err_set(err, ERR_CONFIG, "Redis URL: after the '?' %s", known[u->shape]);
}

static enum err_code parse_query(const char *q, struct redis_url *u, struct err *err)
{
    enum err_code rc = ERR_OK;
    while (q && *q && !rc) {
        size_t n = strcspn(q, "&");
        rc = parse_option(slice_of(q, n), u, err);
        q = q[n] ? q + n + 1 : NULL;
    }
    return rc;
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

static enum err_code parse_port(struct slice s, struct redis_node *node, struct err *err)
{
    long port = number_of(s, 65535);
    if (port <= 0)
        return err_set(err, ERR_CONFIG, "Redis URL: the port must be a number from 1 to 65535");
    node->port = (uint16_t)port;
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
static enum err_code parse_host(struct slice s, struct redis_node *node, struct err *err)
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
    if ((size_t)(stop - host) >= sizeof node->host)
        return err_set(err, ERR_CONFIG, "Redis URL: the host name is too long");
    memcpy(node->host, host, (size_t)(stop - host));
    if (!host_is_sane(node->host))
        return err_set(err, ERR_CONFIG, "Redis URL: it names no host, or not a plain one");
    if (stop < end && *stop == ']')
        stop++;
    if (stop == end)
        return ERR_OK;
    if (*stop != ':')
        return err_set(err, ERR_CONFIG, "Redis URL: after the address a port or '/' must follow");
    return parse_port(slice_of(stop + 1, (size_t)(end - stop) - 1), node, err);
}

/* Of one server, or several parted by commas. */
static enum err_code parse_hosts(struct slice s, struct redis_url *u, struct err *err)
{
    enum err_code rc = ERR_OK;
    bool one = u->shape == REDIS_SHAPE_SERVER;
    uint16_t port = u->shape == REDIS_SHAPE_SENTINEL ? SENTINEL_PORT : DEFAULT_PORT;
    for (bool more = true; more && !rc;) {
        const char *comma = one ? NULL : memchr(s.p, ',', s.n);
        size_t n = comma ? (size_t)(comma - s.p) : s.n;
        struct redis_node *node = &u->nodes[u->node_count];
        if (u->node_count == REDIS_NODES_MAX)
            return err_set(err, ERR_CONFIG, "Redis URL: it names more than %d nodes",
                           REDIS_NODES_MAX);
        node->port = port;
        rc = parse_host(slice_of(s.p, n), node, err);
        u->node_count++;
        more = comma != NULL;
        s = slice_of(s.p + n + more, s.n - n - more);
    }
    if (rc || u->shape == REDIS_SHAPE_SENTINEL)
        return rc;
    memcpy(u->host, u->nodes[0].host, sizeof u->host);
    u->port = u->nodes[0].port;
    if (one)
        u->node_count = 0;
    return ERR_OK;
}

/* What stands behind the first '/': a database, the name of a primary, or nothing. */
static enum err_code parse_path(struct slice path, struct redis_url *u, struct err *err)
{
    if (u->shape == REDIS_SHAPE_SENTINEL) {
        if (path.n == 0 || memchr(path.p, '/', path.n))
            return err_set(err, ERR_CONFIG,
                           "Redis URL: behind the sentinels the name of the primary must follow, "
                           "as in redis+sentinel://host:26379/mymaster?db=0");
        return decode(path, u->primary, sizeof u->primary, "name of the primary", err);
    }
    enum err_code rc = path.n ? parse_db(path, u, err) : ERR_OK;
    if (!rc && u->shape == REDIS_SHAPE_CLUSTER && u->db != 0)
        rc = err_set(err, ERR_CONFIG, "Redis URL: a cluster has no other database than 0");
    return rc;
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
        rc = parse_hosts(authority, u, err);
    if (!rc)
        rc = parse_path(path, u, err);
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

static const struct {
    const char *name;
    enum redis_shape shape;
    bool tls;
} schemes[] = {
    {"redis", REDIS_SHAPE_SERVER, false},
    {"rediss", REDIS_SHAPE_SERVER, true},
    {"redis+sentinel", REDIS_SHAPE_SENTINEL, false},
    {"rediss+sentinel", REDIS_SHAPE_SENTINEL, true},
    {"redis+cluster", REDIS_SHAPE_CLUSTER, false},
    {"rediss+cluster", REDIS_SHAPE_CLUSTER, true},
};

static enum err_code parse_main(struct slice scheme, struct slice rest, struct redis_url *u,
                                struct err *err)
{
    if (slice_eq_str(scheme, "unix"))
        return parse_unix(rest, u, err);
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (!slice_eq_str(scheme, schemes[i].name))
            continue;
        u->shape = schemes[i].shape;
        u->tls = schemes[i].tls;
        return parse_tcp(rest, u, err);
    }
    return err_set(err, ERR_CONFIG,
                   "Redis URL: it must begin with redis://, rediss://, unix://, "
                   "redis+sentinel:// or redis+cluster://");
}

enum err_code redis_url_parse(const char *text, struct redis_url *ret_url, struct err *err)
{
    struct redis_url u = {.port = DEFAULT_PORT};
    const char *rest = strstr(text, "://");
    struct slice scheme = slice_of(text, rest ? (size_t)(rest - text) : 0);
    rest = rest ? rest + 3 : "";
    const char *query = strchr(rest, '?');
    struct slice main_part = slice_of(rest, query ? (size_t)(query - rest) : strlen(rest));

    enum err_code rc = parse_main(scheme, main_part, &u, err);
    if (!rc)
        rc = parse_query(query ? query + 1 : NULL, &u, err);
    if (!rc)
        *ret_url = u;
    explicit_bzero(&u, sizeof u);
    return rc;
}

/* ---- for messages ---- */

/* Appends at *at, which stays within n. */
static void put(char *out, size_t n, size_t *at, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void put(char *out, size_t n, size_t *at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(out + *at, n - *at, fmt, ap);
    va_end(ap);
    size_t room = n - *at - 1;
    *at += len > 0 ? ((size_t)len < room ? (size_t)len : room) : 0;
}

static void put_host(char *out, size_t n, size_t *at, const char *host, unsigned port)
{
    bool v6 = strchr(host, ':') != NULL;
    put(out, n, at, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

const char *redis_url_safe(const struct redis_url *url, char *out, size_t n)
{
    static const char *const kinds[] = {
        [REDIS_SHAPE_SERVER] = "",
        [REDIS_SHAPE_SENTINEL] = "+sentinel",
        [REDIS_SHAPE_CLUSTER] = "+cluster",
    };
    size_t at = 0;
    const char *sign = url->user[0] ? "@" : "";
    if (url->path[0]) {
        put(out, n, &at, "unix://%s%s%s", url->user, sign, url->path);
        if (url->db)
            put(out, n, &at, "?db=%d", url->db);
        return out;
    }
    put(out, n, &at, "%s%s://%s%s", url->tls ? "rediss" : "redis", kinds[url->shape], url->user,
        sign);
    for (size_t i = 0; i < url->node_count; i++) {
        put(out, n, &at, "%s", i ? "," : "");
        put_host(out, n, &at, url->nodes[i].host, url->nodes[i].port);
    }
    if (url->node_count == 0)
        put_host(out, n, &at, url->host, url->port);
    if (url->shape == REDIS_SHAPE_SENTINEL)
        put(out, n, &at, "/%s?db=%d", url->primary, url->db);
    else if (url->shape == REDIS_SHAPE_SERVER)
        put(out, n, &at, "/%d", url->db);
    return out;
}
