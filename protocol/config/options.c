/*
 * The values that a destination gives its connector's options.
 *
 * An option "a.b" is key b of the destination's map a. What is checked here is what the connector
 * says of its options, and what HTTP asks of addresses and credentials. No message here ever quotes
 * a value of a secret option.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/connector/connector.h"

#include <stdlib.h>
#include <strings.h>

enum { MAP_BYTES = 64 << 10 };

/* Where an option is written. */
struct spot {
    const struct option *option;
    const char *key;         /* last part of the name */
    const char *outer;       /* the map's key; NULL: none */
    const struct pair *map;  /* the map, where it is one and there */
    const struct pair *pair; /* NULL: not given */
};

static const char *address_problem(const char *url)
{
    size_t scheme = strncasecmp(url, "https://", 8) == 0  ? 8
                    : strncasecmp(url, "http://", 7) == 0 ? 7
                                                          : 0;
    if (scheme == 0)
        return "must begin with http:// or https://";
    const char *host = url + scheme;
    size_t n = strcspn(host, "/?#");
    if (n == 0 || *host == ':')
        return "names no host: write https://host/path";
    if (memchr(host, '@', n))
        return "must not hold credentials: use the keys for them";
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return "must not have white space or control characters in it: write %20 for a space";
    return strchr(url, '#') ? "must not have a fragment (#…): remove it" : NULL;
}

static bool is_address(const char *key)
{
    size_t n = strlen(key);
    return strcmp(key, "url") == 0 || (n > 4 && strcmp(key + n - 4, "_url") == 0);
}

static struct spot spot_of(struct reader *rd, const struct entry *of, const struct option *option)
{
    const char *dot = strchr(option->name, '.');
    struct spot s = {.option = option, .key = dot ? dot + 1 : option->name};
    if (!dot) {
        s.pair = node_get(of->node, option->name);
        return s;
    }
    s.outer = reader_printf(rd, "%.*s", (int)(dot - option->name), option->name);
    s.map = node_get(of->node, s.outer);
    s.pair = s.map ? node_get(s.map->value, s.key) : NULL;
    return s;
}

/* A password may be empty where the user's name is the secret. */
static bool may_be_empty(const struct connector *c, const struct option *option)
{
    for (size_t i = 0; i < c->auth_count; i++) {
        const struct template *password = &c->auths[i].password;
        if (c->auths[i].basic && password->count == 1 && password->pieces[0].kind == PIECE_OPTION &&
            &c->options[password->pieces[0].index] == option)
            return true;
    }
    return false;
}

static const char *map_text(struct reader *rd, const struct spot *s)
{
    const struct node *v = s->pair->value;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, MAP_BYTES);
    if (v->kind != NODE_MAP) {
        wrong_type(rd, v, s->key, "a map");
        return NULL;
    }
    enum err_code rc = node_put_json(&b, v);
    if (!rc)
        return reader_str(rd, buf_slice(&b));
    if (rc == ERR_NOMEM)
        rd->failed = rc;
    else
        mistake(rd, v->at, "`%s` is longer than %d bytes, or holds what JSON does not have", s->key,
                MAP_BYTES);
    return NULL;
}

static const char *text_value(struct reader *rd, const struct connector *c, const struct spot *s)
{
    const struct node *v = s->pair->value;
    if (node_is_text(v) && !*v->text && may_be_empty(c, s->option))
        return v->text;
    if (v->kind == NODE_SCALAR && (v->type == CORE_INT || v->type == CORE_FLOAT))
        return v->text; /* a number as it was written: an account, say */
    return text_of(rd, v, s->key);
}

static const char *digits_value(struct reader *rd, const struct connector *c, const struct spot *s)
{
    const char *text = text_value(rd, c, s);
    if (!text || text[strspn(text, "0123456789")] == '\0')
        return text;
    mistake(rd, s->pair->value->at, "`%s` is made of digits only%s%s%s", s->key,
            s->option->about ? " (" : "", s->option->about ? s->option->about : "",
            s->option->about ? ")" : "");
    return NULL;
}

static const char *word_value(struct reader *rd, const struct spot *s)
{
    const struct option *o = s->option;
    const char **words = reader_alloc(rd, (o->one_of_count + 1) * sizeof *words);
    const struct node *v = s->pair->value;
    for (size_t i = 0; words && i < o->one_of_count; i++) {
        words[i] = o->one_of[i];
        if (v->kind == NODE_SCALAR && strcmp(words[i], v->text) == 0)
            return words[i];
    }
    int which = words ? word_of(rd, v, s->key, words) : -1;
    return which < 0 ? NULL : words[which];
}

static const char *value_of_kind(struct reader *rd, const struct connector *c, const struct spot *s)
{
    const struct node *v = s->pair->value;
    if (v->broken)
        return NULL;
    if (s->option->one_of_count)
        return word_value(rd, s);
    switch (s->option->kind) {
    case OPTION_TEXT:
        return text_value(rd, c, s);
    case OPTION_DIGITS:
        return digits_value(rd, c, s);
    case OPTION_NUMBER:
        if (node_is_core(v, CORE_INT) || node_is_core(v, CORE_FLOAT))
            return v->text;
        wrong_type(rd, v, s->key, "a number");
        return NULL;
    case OPTION_BOOL:
        if (node_is_core(v, CORE_BOOL))
            return node_is_true(v) ? "true" : "false";
        wrong_type(rd, v, s->key, "true or false");
        return NULL;
    case OPTION_MAP:
        break;
    }
    return map_text(rd, s);
}

static void check_value(struct reader *rd, const struct connector *c, const struct spot *s,
                        const char *value)
{
    bool http = strcmp(c->driver, "http") == 0;
    const char *problem = http && is_address(s->key) ? address_problem(value) : NULL;
    if (problem)
        mistake(rd, s->pair->value->at, "`%s` %s", s->key, problem);
}

static void miss(struct reader *rd, const struct entry *of, const struct connector *c,
                 const struct spot *s)
{
    if (!s->option->required)
        return;
    if (!s->outer)
        mistake(rd, of->at, "the %s destination %s has no `%s`: add it", c->name,
                shown_text(rd, of->name), s->key);
    else if (s->map && s->map->value->kind == NODE_MAP)
        mistake(rd, s->map->at, "the `%s` map has no `%s`: add it", s->outer, s->key);
}

static const char *read_option(struct reader *rd, const struct entry *of, const struct connector *c,
                               const struct option *option)
{
    struct spot s = spot_of(rd, of, option);
    if (!s.pair) {
        miss(rd, of, c, &s);
        return option->preset;
    }
    const char *value = value_of_kind(rd, c, &s);
    if (value)
        check_value(rd, c, &s, value);
    return value;
}

/* Maps whose keys are options: a map each, and no other keys. Options of one map stand together. */
static void check_maps(struct reader *rd, const struct entry *of, const struct connector *c)
{
    const char **known = reader_alloc(rd, (c->option_count + 1) * sizeof *known);
    const char *before = "";
    for (size_t i = 0; known && i < c->option_count; i++) {
        struct spot s = spot_of(rd, of, &c->options[i]);
        if (!s.map || strcmp(s.outer, before) == 0)
            continue;
        before = s.outer;
        if (s.map->value->kind != NODE_MAP) {
            wrong_type(rd, s.map->value, s.outer, "a map");
            continue;
        }
        size_t n = 0, length = strlen(s.outer);
        for (size_t j = i; j < c->option_count; j++)
            if (strncmp(c->options[j].name, s.outer, length) == 0 &&
                c->options[j].name[length] == '.')
                known[n++] = c->options[j].name + length + 1;
        known[n] = NULL;
        for (size_t j = 0; j < s.map->value->count; j++) {
            const struct pair *pair = &s.map->value->pairs[j];
            size_t k = 0;
            while (known[k] && strcmp(known[k], pair->key) != 0)
                k++;
            if (!known[k])
                form_unknown(rd, reader_printf(rd, "`%s` map", s.outer), pair, known);
        }
    }
}

/* ---- authentication ---- */

static bool all_set(const struct auth *a, const char *const *values)
{
    for (size_t i = 0; i < a->when_count; i++)
        if (!values[a->when[i]] || !*values[a->when[i]])
            return false;
    return true;
}

static bool needs(const struct auth *a, uint32_t option)
{
    for (size_t i = 0; i < a->when_count; i++)
        if (a->when[i] == option)
            return true;
    return false;
}

static const char *first_part(struct reader *rd, const char *name)
{
    return reader_printf(rd, "%.*s", (int)strcspn(name, "."), name);
}

/* "`token`, or `client_id` and `client_secret`". */
static const char *ways_of(struct reader *rd, const struct connector *c)
{
    const char *text = "";
    for (size_t i = 0; i < c->auth_count; i++)
        for (size_t j = 0; j < c->auths[i].when_count; j++)
            text = reader_printf(rd, "%s%s`%s`", text,
                                 j   ? " and "
                                 : i ? ", or "
                                     : "",
                                 c->options[c->auths[i].when[j]].name);
    return text;
}

/* Two ways at once would leave it to chance which credentials are used. */
static void check_other_ways(struct reader *rd, const struct entry *of, const struct destination *d,
                             const struct auth *chosen)
{
    const struct connector *c = d->connector;
    for (size_t i = 0; i < c->auth_count; i++) {
        const struct auth *other = &c->auths[i];
        if (other == chosen || !all_set(other, d->options))
            continue;
        for (size_t j = 0; j < other->when_count; j++) {
            const char *name = c->options[other->when[j]].name;
            if (needs(chosen, other->when[j]) || !node_get(of->node, first_part(rd, name)))
                continue;
            const char *mine = first_part(rd, c->options[chosen->when[0]].name);
            const struct pair *at = node_get(of->node, mine);
            mistake(rd, at ? at->at : of->at, "`%s` and `%s` exclude each other: keep one", mine,
                    first_part(rd, name));
            return;
        }
    }
}

/* What goes into a header as it is must fit there. */
static void check_header_value(struct reader *rd, const struct entry *of,
                               const struct destination *d, const struct template *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct piece *p = &t->pieces[i];
        if (p->kind != PIECE_OPTION || p->filter_count || !d->options[p->index])
            continue;
        struct spot s = spot_of(rd, of, &d->connector->options[p->index]);
        if (s.pair && has_control(d->options[p->index]))
            mistake(rd, s.pair->value->at,
                    "`%s` must not have line breaks or control characters in it", s.key);
    }
}

static void check_user(struct reader *rd, const struct entry *of, const struct destination *d,
                       const struct template *t)
{
    const struct piece *p = t->pieces;
    const char *value = t->count == 1 && p->kind == PIECE_OPTION ? d->options[p->index] : NULL;
    if (!value || !strchr(value, ':'))
        return;
    struct spot s = spot_of(rd, of, &d->connector->options[p->index]);
    if (s.pair)
        mistake(rd, s.pair->value->at, "`%s` must not have a colon in it (RFC 7617)", s.key);
}

/* What it would have is not known: it may be just what seems to be missing. */
static bool has_broken_value(const struct node *destination)
{
    for (size_t i = 0; i < destination->count; i++)
        if (destination->pairs[i].value->broken)
            return true;
    return false;
}

static void check_auth(struct reader *rd, const struct entry *of, const struct destination *d)
{
    const struct connector *c = d->connector;
    const struct auth *auth = connector_auth(c, d->options);
    if (!auth) {
        if (c->auth_count && !has_broken_value(of->node))
            mistake(rd, of->at, "the %s destination %s has no credentials: add %s", c->name,
                    shown_text(rd, of->name), ways_of(rd, c));
        return;
    }
    if (auth->when_count)
        check_other_ways(rd, of, d, auth);
    for (size_t i = 0; i < auth->header_count; i++)
        check_header_value(rd, of, d, &auth->headers[i].value);
    if (auth->basic) {
        check_header_value(rd, of, d, &auth->user);
        check_header_value(rd, of, d, &auth->password);
        check_user(rd, of, d, &auth->user);
    }
}

void destination_options_read(struct reader *rd, const struct entry *of, struct destination *d)
{
    const struct connector *c = d->connector;
    const char **values = reader_alloc(rd, (c->option_count + 1) * sizeof *values);
    if (!values)
        return;
    size_t mistakes = rd->problems->mistakes;
    check_maps(rd, of, c);
    for (size_t i = 0; i < c->option_count; i++)
        values[i] = read_option(rd, of, c, &c->options[i]);
    d->options = values;
    if (rd->problems->mistakes == mistakes)
        check_auth(rd, of, d);
}

const char *destination_option(const struct destination *d, const char *name)
{
    for (size_t i = 0; d->options && i < d->connector->option_count; i++)
        if (strcmp(d->connector->options[i].name, name) == 0)
            return d->options[i];
    return NULL;
}

bool destination_rotates(const struct destination *d)
{
    const struct auth *auth =
        d->connector && d->options ? connector_auth(d->connector, d->options) : NULL;
    return auth && auth->token && auth->token->rotates;
}
