#include "scheduler/api/request.h"

#include "protocol/base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes percent-encoding of n bytes in place and ends them with NUL, for which there is room.
 * plus_is_space: in a query. */
static bool decode(char *p, size_t n, bool plus_is_space)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_digit(p[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (!c)
            return false;
        p[out++] = c;
    }
    p[out] = '\0';
    return utf8_valid(slice_of(p, out));
}

static enum err_code take_path(struct request_target *t, char *path, struct err *err)
{
    if (path[0] == '/' && !path[1])
        return ERR_OK;
    for (char *next = path; next;) {
        char *segment = next + 1;
        next = strchr(segment, '/');
        size_t n = next ? (size_t)(next - segment) : strlen(segment);
        if (t->segment_count == REQUEST_SEGMENTS_MAX)
            return err_set(err, ERR_INVALID, "the path has more than %d parts",
                           REQUEST_SEGMENTS_MAX);
        if (!decode(segment, n, false))
            return err_set(err, ERR_INVALID, "the path is not percent-encoded UTF-8");
        t->segments[t->segment_count++] = segment;
    }
    return ERR_OK;
}

static enum err_code take_query(struct request_target *t, char *query, struct err *err)
{
    for (char *next = query; next;) {
        char *name = next;
        next = strchr(name, '&');
        if (next)
            *next++ = '\0';
        if (!*name)
            continue;
        if (t->query_count == REQUEST_QUERY_MAX)
            return err_set(err, ERR_INVALID, "there are more than %d parameters",
                           REQUEST_QUERY_MAX);
        char *value = strchr(name, '=');
        if (value)
            *value++ = '\0';
        else
            value = name + strlen(name);
        if (!decode(name, strlen(name), true) || (*value && !decode(value, strlen(value), true)))
            return err_set(err, ERR_INVALID, "the query is not percent-encoded UTF-8");
        t->query[t->query_count++] = (struct request_parameter){name, value};
    }
    return ERR_OK;
}

enum err_code request_target_parse(const char *uri, struct request_target *ret, struct err *err)
{
    ret->segment_count = ret->query_count = 0;
    if (strncasecmp(uri, "http://", 7) == 0 || strncasecmp(uri, "https://", 8) == 0) {
        uri = strstr(uri, "://") + 3;
        uri += strcspn(uri, "/?#");
    }
    size_t n = strlen(uri);
    if (n > REQUEST_TARGET_MAX)
        return err_set(err, ERR_INVALID, "the path is longer than %d bytes", REQUEST_TARGET_MAX);
    if (uri[0] != '/')
        return err_set(err, ERR_INVALID, "the path does not begin with /");
    memcpy(ret->bytes, uri, n + 1);
    ret->bytes[strcspn(ret->bytes, "#")] = '\0';
    char *query = strchr(ret->bytes, '?');
    if (query)
        *query++ = '\0';
    enum err_code rc = take_path(ret, ret->bytes, err);
    return rc || !query ? rc : take_query(ret, query, err);
}

const char *request_query(const struct request_target *t, const char *name)
{
    for (size_t i = 0; i < t->query_count; i++)
        if (strcmp(t->query[i].name, name) == 0)
            return t->query[i].value;
    return NULL;
}

enum err_code request_query_number(const struct request_target *t, const char *name, uint64_t min,
                                   uint64_t max, uint64_t *ret, struct err *err)
{
    const char *text = request_query(t, name);
    if (!text)
        return ERR_OK;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < min || n > max)
        return err_set(err, ERR_INVALID, "%s must be a whole number from %llu to %llu", name,
                       (unsigned long long)min, (unsigned long long)max);
    *ret = n;
    return ERR_OK;
}

/* ---- headers ---- */

bool request_cookie(const char *header, const char *name, struct slice *ret)
{
    size_t n = strlen(name);
    while (header && *header) {
        header += strspn(header, " \t;");
        size_t pair = strcspn(header, ";");
        if (pair > n && strncmp(header, name, n) == 0 && header[n] == '=') {
            struct slice value = {header + n + 1, pair - n - 1};
            while (value.n && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
                value.n--;
            *ret = value;
            return true;
        }
        header += pair;
    }
    return false;
}

bool request_bearer(const char *header, struct slice *ret)
{
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return false;
    header += 7 + strspn(header + 7, " ");
    *ret = slice_of(header, strcspn(header, " \t"));
    return true;
}

#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

bool request_host(const char *header, char *out, size_t out_bytes)
{
    if (!header)
        return false;
    bool brackets = *header == '[';
    const char *host = header + brackets;
    size_t n = strcspn(host, brackets ? "]" : ":");
    const char *rest = host + n;
    if (brackets) {
        if (*rest != ']')
            return false;
        rest++;
    }
    if (*rest && (*rest != ':' || strspn(rest + 1, "0123456789") != strlen(rest + 1)))
        return false;
    if (!n || n >= out_bytes)
        return false;
    memcpy(out, host, n);
    out[n] = '\0';
    return out[strspn(out, HOST_LETTERS ":")] == '\0';
}

bool request_origin_is(const char *origin, const char *host)
{
    const char *at = strstr(origin, "://");
    return at && host && strcasecmp(at + 3, host) == 0;
}
