/* `settings.redis`: a URL, or a list of them. No message repeats anything of a URL, which may hold
 * a password. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <stddef.h>

enum { URL_NAME_BYTES = 5120 };

struct server_form {
    const char *url;
    const char *name;
    bool leaving;
};

#define MEMBER(m) .offset = offsetof(struct server_form, m)
static const struct field fields[] = {
    {"url", FIELD_TEXT, MEMBER(url), .required = true},
    {"name", FIELD_TEXT, MEMBER(name)},
    {"leaving", FIELD_FLAG, MEMBER(leaving)},
};
static const struct form form = {"Redis server", fields, ARRAY_LEN(fields), false};

static const char *const cluster_schemes[] = {"redis+cluster://", "rediss+cluster://"};

bool is_redis_url(const char *text)
{
    static const char *const schemes[] = {
        "redis://",           "rediss://",        "unix://",          "redis+sentinel://",
        "rediss+sentinel://", "redis+cluster://", "rediss+cluster://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0 && text[strlen(schemes[i])])
            return true;
    return false;
}

bool is_redis_cluster(const char *url)
{
    for (size_t i = 0; i < ARRAY_LEN(cluster_schemes); i++)
        if (strncmp(url, cluster_schemes[i], strlen(cluster_schemes[i])) == 0)
            return true;
    return false;
}

static struct config_place place_of(const struct node *node, const char *key)
{
    const struct pair *pair = node_get(node, key);
    return pair ? pair->value->at : node->at;
}

/* The name that the URL gives, "" after a mistake. */
static const char *name_of_url(struct reader *rd, struct config_place at, const char *url,
                               bool alone)
{
    char name[URL_NAME_BYTES];
    struct err err;
    if (!is_redis_url(url)) {
        mistake(
            rd, at,
            "%s must be redis://host:port, rediss://host:port, unix:///path or "
            "redis+sentinel://host:port,host:port/NAME or redis+cluster://host:port,host:port%s",
            alone ? "`redis`" : "a Redis server's `url`",
            alone ? "; leave it empty for a private server" : "");
        return "";
    }
    if (redis_member_name(url, name, sizeof name, &err)) {
        mistake(rd, at, "%s", err.text);
        return "";
    }
    return reader_printf(rd, "%s", name);
}

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= REDIS_MEMBER_NAME_MAX && !has_control(name);
}

/* One item of the list; false where it is none. Its name is given in any case. */
static bool read_item(struct reader *rd, const struct node *node, struct redis_member *out)
{
    struct server_form f = {0};
    struct entry of = {NULL, node->at, node};
    if (node->kind == NODE_SCALAR)
        f.url = text_of(rd, node, "redis");
    else if (!form_read(rd, &form, &of, &f))
        return false;
    if (!f.url)
        return false;
    struct config_place at = node->kind == NODE_SCALAR ? node->at : place_of(node, "url");
    const char *own = name_of_url(rd, at, f.url, false);
    *out = (struct redis_member){f.url, f.name ? f.name : own, f.leaving};
    if (!*own)
        return false;
    if (is_name(out->name))
        return true;
    mistake(rd, f.name ? place_of(node, "name") : at,
            "a Redis server's `name` must have 1 to %d bytes without control characters%s",
            REDIS_MEMBER_NAME_MAX, f.name ? "" : ": this URL is too long for one, so give it one");
    return false;
}

static void check_name(struct reader *rd, const struct node *node, const struct settings *s,
                       const struct redis_member *m)
{
    for (size_t i = 0; i < s->redis_count; i++)
        if (strcmp(s->redis[i].name, m->name) == 0) {
            bool given = node_get(node, "name") != NULL;
            mistake(rd, place_of(node, given ? "name" : "url"),
                    "two Redis servers have the name %s: destinations are spread by their names, "
                    "so %s",
                    given ? shown(rd, node_get(node, "name")->value) : "of one address",
                    given ? "give one of them another" : "list it once, or give each a `name`");
            return;
        }
}

/* What only the whole list can tell. */
static void check_list(struct reader *rd, const struct node *list, const struct settings *s)
{
    size_t staying = 0;
    for (size_t i = 0; i < s->redis_count; i++) {
        staying += !s->redis[i].leaving;
        if (is_redis_cluster(s->redis[i].url) && list->count > 1)
            mistake(rd, list->items[i]->at,
                    "a cluster spreads destinations by itself: it cannot stand beside other Redis "
                    "servers");
    }
    if (s->redis_count == list->count && !staying)
        mistake(rd, list->at, "every Redis server is `leaving`: one must stay");
}

static void read_list(struct reader *rd, const struct node *list, struct settings *s)
{
    struct redis_member *members = reader_alloc(rd, (list->count + 1) * sizeof *members);
    if (!members)
        return;
    if (!list->count) {
        mistake(rd, list->at,
                "`redis` is an empty list: name at least one server, or leave it out for a private "
                "one");
        return;
    }
    if (list->count > REDIS_MEMBERS_MAX) {
        mistake(rd, list->at, "`redis` can list at most %d servers", REDIS_MEMBERS_MAX);
        return;
    }
    s->redis = members;
    bool all = true;
    for (size_t i = 0; i < list->count; i++) {
        struct redis_member m;
        if (!read_item(rd, list->items[i], &m)) {
            all = false;
            continue;
        }
        check_name(rd, list->items[i], s, &m);
        members[s->redis_count++] = m;
    }
    if (all)
        check_list(rd, list, s);
}

static bool is_empty(const struct node *node)
{
    return node->kind == NODE_SCALAR && (!*node->text || node_is_core(node, CORE_NULL));
}

void redis_servers_read(struct reader *rd, const struct node *node, struct settings *s)
{
    if (node->broken || is_empty(node))
        return;
    if (node->kind == NODE_LIST) {
        read_list(rd, node, s);
        return;
    }
    if (node->kind == NODE_MAP) {
        wrong_type(rd, node, "redis", "a URL, or a list of them");
        return;
    }
    struct redis_member *member = reader_alloc(rd, sizeof *member);
    const char *url = text_of(rd, node, "redis");
    if (!member || !url)
        return;
    *member = (struct redis_member){.url = url, .name = name_of_url(rd, node->at, url, true)};
    s->redis = member;
    s->redis_count = 1;
}
