/* The keys of a webhook: its address, headers and credentials. No message here ever quotes a value.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { HEADERS_MAX = 100 };

struct basic_form {
    const char *user;
    const char *password;
};

#define MEMBER(m) .offset = offsetof(struct basic_form, m)
static const struct field basic_fields[] = {
    {"user", FIELD_TEXT, MEMBER(user), .required = true},
    {"password", FIELD_TEXT, MEMBER(password), .required = true, .may_be_empty = true},
};
static const struct form basic_form = {"`basic` map", basic_fields, ARRAY_LEN(basic_fields), false};

struct sign_form {
    const char *secret;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct sign_form, m)
static const struct field sign_fields[] = {
    {"secret", FIELD_TEXT, MEMBER(secret), .required = true},
};
static const struct form sign_form = {"`sign` map", sign_fields, ARRAY_LEN(sign_fields), false};

/* What Sluice writes itself. */
static const char *const own_headers[] = {
    "content-type", "content-length", "content-encoding", "transfer-encoding",
    "connection",   "expect",         "idempotency-key",  "x-sluice-signature",
};

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (iscntrl((unsigned char)*text) && *text != '\t')
            return true;
    return false;
}

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i]))
            return false;
    return n > 0;
}

static const char *url_problem(const char *url)
{
    size_t scheme = strncasecmp(url, "https://", 8) == 0  ? 8
                    : strncasecmp(url, "http://", 7) == 0 ? 7
                                                          : 0;
    if (scheme == 0)
        return "`url` must begin with http:// or https://";
    const char *host = url + scheme;
    size_t n = strcspn(host, "/?#");
    if (n == 0 || *host == ':')
        return "`url` names no host: write https://host/path";
    if (memchr(host, '@', n))
        return "`url` must not hold credentials: use `basic` or `bearer`";
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return "`url` must not have white space or control characters in it: write %20 for a "
                   "space";
    return strchr(url, '#') ? "`url` must not have a fragment (#…): remove it" : NULL;
}

static bool check_header(struct reader *rd, const struct pair *pair, const struct destination *d)
{
    if (!is_token(pair->key)) {
        mistake(rd, pair->at, "this is no name of a header: use letters, digits and -");
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(own_headers); i++) {
        if (strcasecmp(own_headers[i], pair->key) == 0) {
            mistake(rd, pair->at, "the header %s is written by Sluice itself: remove it",
                    own_headers[i]);
            return false;
        }
    }
    for (size_t i = 0; i < d->header_count; i++) {
        if (strcasecmp(d->headers[i].name, pair->key) == 0) {
            mistake(rd, pair->at, "the header %s is given twice: remove one", d->headers[i].name);
            return false;
        }
    }
    if (strcasecmp(pair->key, "authorization") == 0 && (d->bearer || d->basic_user)) {
        mistake(rd, pair->at,
                "the header Authorization comes from `bearer` or `basic` here: remove one");
        return false;
    }
    return true;
}

static void read_headers(struct reader *rd, const struct node *map, struct destination *d)
{
    if (map->kind != NODE_MAP) {
        wrong_type(rd, map, "headers", "a map of names to values");
        return;
    }
    if (map->count > HEADERS_MAX) {
        mistake(rd, map->at, "there are more than %d headers: use fewer", HEADERS_MAX);
        return;
    }
    struct param *headers = reader_alloc(rd, map->count * sizeof *headers);
    d->headers = headers;
    for (size_t i = 0; headers && i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        const char *value = scalar_of(rd, pair->value, reader_printf(rd, "%s", pair->key));
        if (!check_header(rd, pair, d) || !value)
            continue;
        if (has_control(value))
            mistake(rd, pair->value->at,
                    "a header's value must not have line breaks or control characters in it");
        else
            headers[d->header_count++] = (struct param){pair->key, value};
    }
}

static void check_secret(struct reader *rd, const struct pair *pair, const char *value)
{
    if (pair && value && has_control(value))
        mistake(rd, pair->value->at, "`%s` must not have line breaks or control characters in it",
                pair->key);
}

static void read_basic(struct reader *rd, const struct pair *pair, struct destination *d)
{
    struct basic_form f = {.password = ""};
    struct entry of = {NULL, pair->at, pair->value};
    if (!form_read(rd, &basic_form, &of, &f))
        return;
    check_secret(rd, node_get(pair->value, "user"), f.user);
    check_secret(rd, node_get(pair->value, "password"), f.password);
    if (f.user && strchr(f.user, ':'))
        mistake(rd, node_get(pair->value, "user")->value->at,
                "`user` must not have a colon in it (RFC 7617)");
    d->basic_user = f.user;
    d->basic_password = f.password;
}

static void read_sign(struct reader *rd, const struct pair *pair, struct destination *d)
{
    struct sign_form f = {0};
    struct entry of = {NULL, pair->at, pair->value};
    if (form_read(rd, &sign_form, &of, &f))
        d->sign_secret = f.secret;
}

static void read_ca_file(struct reader *rd, const struct pair *pair, struct destination *d)
{
    const char *path = reader_path(rd, d->ca_file);
    if (path && access(path, R_OK) != 0)
        mistake(rd, pair->value->at,
                "`ca_file` cannot be read: %s; correct the path (it starts at the project folder)",
                path);
    d->ca_file = path;
}

void webhook_read(struct reader *rd, const struct entry *of, const struct webhook_nodes *nodes,
                  struct destination *d)
{
    const struct pair *bearer = node_get(of->node, "bearer");
    const char *problem = d->url ? url_problem(d->url) : NULL;
    if (problem)
        mistake(rd, node_get(of->node, "url")->value->at, "%s", problem);
    check_secret(rd, bearer, d->bearer);
    if (bearer && nodes->basic)
        mistake(rd, bearer->at, "`bearer` and `basic` exclude each other: keep one");
    if (nodes->basic)
        read_basic(rd, node_get(of->node, "basic"), d);
    if (nodes->sign)
        read_sign(rd, node_get(of->node, "sign"), d);
    if (d->ca_file)
        read_ca_file(rd, node_get(of->node, "ca_file"), d);
    if (nodes->headers && !nodes->headers->broken)
        read_headers(rd, nodes->headers, d);
}
