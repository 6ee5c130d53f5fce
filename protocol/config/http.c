/* Keys that all destinations spoken to by HTTP have: further headers, authorities. No message here
 * ever quotes a value. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/connector/connector.h"

#include <ctype.h>
#include <strings.h>
#include <unistd.h>

enum { HEADERS_MAX = 100 };

/* What Sluice writes itself. */
static const char *const own_headers[] = {
    "content-type", "content-length", "content-encoding", "transfer-encoding",
    "connection",   "expect",         "idempotency-key",  "x-sluice-signature",
};

bool has_control(const char *text)
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

/* The option that an authentication's header is made of, without what is below it; "auth" where
 * there is none in it. */
static const char *option_in(struct reader *rd, const struct connector *c, const struct template *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->pieces[i].kind != PIECE_OPTION)
            continue;
        const char *name = c->options[t->pieces[i].index].name;
        return reader_printf(rd, "%.*s", (int)strcspn(name, "."), name);
    }
    return "auth";
}

static const char *auth_option_of_header(struct reader *rd, const struct destination *d,
                                         const char *header)
{
    const struct auth *auth =
        d->connector && d->options ? connector_auth(d->connector, d->options) : NULL;
    if (!auth)
        return NULL;
    if (auth->basic && strcasecmp(header, "authorization") == 0)
        return option_in(rd, d->connector, &auth->user);
    for (size_t i = 0; i < auth->header_count; i++)
        if (strcasecmp(auth->headers[i].name, header) == 0)
            return option_in(rd, d->connector, &auth->headers[i].value);
    return NULL;
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
    const char *option = auth_option_of_header(rd, d, pair->key);
    if (option)
        mistake(rd, pair->at, "the header %s comes from `%s` here: remove one", pair->key, option);
    return !option;
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

static void read_ca_file(struct reader *rd, const struct pair *pair, struct destination *d)
{
    const char *path = reader_path(rd, d->ca_file);
    if (path && access(path, R_OK) != 0)
        mistake(rd, pair->value->at,
                "`ca_file` cannot be read: %s; correct the path (it starts at the project folder)",
                path);
    d->ca_file = path;
}

void destination_http_read(struct reader *rd, const struct entry *of, const struct node *headers,
                           struct destination *d)
{
    if (d->ca_file)
        read_ca_file(rd, node_get(of->node, "ca_file"), d);
    if (headers && !headers->broken)
        read_headers(rd, headers, d);
}
