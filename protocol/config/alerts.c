/*
 * `alerts`: who is told of what becomes of syncs.
 *
 * One form for all types; which keys belong to which of them stands in a table. No message quotes a
 * value that may be secret: addresses of chats are.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <strings.h>

enum { RECIPIENTS_MAX = 50, ADDRESS_MAX = 320 };

struct alert_form {
    struct alert a;
    int type;
    const struct node *on;
    const struct node *syncs;
    const struct node *warning_above;
    const struct node *sign;
    const struct node *to;
};

static const char *const types[] = {[ALERT_SLACK] = "slack",
                                    [ALERT_WEBHOOK] = "webhook",
                                    [ALERT_PAGERDUTY] = "pagerduty",
                                    [ALERT_EMAIL] = "email",
                                    NULL};
static const char *const events[] = {"failed", "warning", "held", "late", "recovered", NULL};

#define MEMBER(m) .offset = offsetof(struct alert_form, m)
static const struct field fields[] = {
    {"type", FIELD_WORD, MEMBER(type), .required = true, .words = types},
    {"on", FIELD_NODE, MEMBER(on)},
    {"syncs", FIELD_NODE, MEMBER(syncs)},
    {"warning_above", FIELD_NODE, MEMBER(warning_above)},
    {"url", FIELD_TEXT, MEMBER(a.url)},
    {"sign", FIELD_NODE, MEMBER(sign)},
    {"routing_key", FIELD_TEXT, MEMBER(a.routing_key)},
    {"smtp", FIELD_TEXT, MEMBER(a.smtp)},
    {"user", FIELD_TEXT, MEMBER(a.user)},
    {"password", FIELD_TEXT, MEMBER(a.password)},
    {"from", FIELD_TEXT, MEMBER(a.from)},
    {"to", FIELD_NODE, MEMBER(to)},
    {"ca_file", FIELD_TEXT, MEMBER(a.ca_file)},
};
static const struct form form = {"alert", fields, ARRAY_LEN(fields), false};

const char *alert_type_name(enum alert_type type)
{
    return types[type];
}

#define OF(t) (1u << ALERT_##t)

static const struct {
    const char *key;
    unsigned types;
    unsigned required; /* by these */
} belongings[] = {
    {"url", OF(SLACK) | OF(WEBHOOK) | OF(PAGERDUTY), OF(SLACK) | OF(WEBHOOK)},
    {"sign", OF(WEBHOOK), 0},
    {"routing_key", OF(PAGERDUTY), OF(PAGERDUTY)},
    {"smtp", OF(EMAIL), OF(EMAIL)},
    {"user", OF(EMAIL), 0},
    {"password", OF(EMAIL), 0},
    {"from", OF(EMAIL), OF(EMAIL)},
    {"to", OF(EMAIL), OF(EMAIL)},
};

static void check_belonging(struct reader *rd, const struct entry *of, unsigned type)
{
    for (size_t i = 0; i < ARRAY_LEN(belongings); i++) {
        const struct pair *pair = node_get(of->node, belongings[i].key);
        if (pair && !(belongings[i].types & 1u << type))
            mistake(rd, pair->at, "`%s` does not belong to an alert of type %s: remove it",
                    pair->key, types[type]);
        if (!pair && belongings[i].required & 1u << type)
            mistake(rd, of->at, "the alert %s has no `%s`: an alert of type %s needs it",
                    shown_text(rd, of->name), belongings[i].key, types[type]);
    }
}

static struct config_place place_of(const struct entry *of, const char *key)
{
    const struct pair *pair = node_get(of->node, key);
    return pair ? pair->value->at : of->at;
}

/* ---- lists ---- */

/* node is a list or one thing. */
static size_t length_of(const struct node *node)
{
    return node->kind == NODE_LIST ? node->count : 1;
}

static const struct node *item_of(const struct node *node, size_t i)
{
    return node->kind == NODE_LIST ? node->items[i] : node;
}

static unsigned read_on(struct reader *rd, const struct node *node)
{
    unsigned on = 0;
    for (size_t i = 0; i < length_of(node) && !node->broken; i++) {
        int which = word_of(rd, item_of(node, i), "on", events);
        on |= which >= 0 ? 1u << which : 0;
    }
    if (!length_of(node))
        mistake(rd, node->at, "`on` is empty: name one of %s", listed(rd, events));
    return on;
}

static void read_syncs(struct reader *rd, const struct node *node, struct alert *a)
{
    size_t count = length_of(node);
    a->syncs = reader_alloc(rd, (count + 1) * sizeof *a->syncs);
    if (!a->syncs || node->broken)
        return;
    if (!count)
        mistake(rd, node->at, "`syncs` is empty: name one, or remove it for all");
    for (size_t i = 0; i < count; i++) {
        const struct entry *found = reader_find(rd, SECTION_SYNCS, item_of(node, i));
        if (found)
            a->syncs[a->sync_count++] = &rd->project->syncs[entry_index(rd, SECTION_SYNCS, found)];
    }
}

/* What stands between < and > of an e-mail's head and in the dialogue with its server. */
static bool is_address(const char *text)
{
    const char *at = strchr(text, '@');
    return at && at != text && at[1] && strlen(text) <= ADDRESS_MAX &&
           !strpbrk(text, " \t\r\n<>,;\"") && !has_control(text);
}

static void read_to(struct reader *rd, const struct node *node, struct alert *a)
{
    size_t count = length_of(node);
    const char **to = reader_alloc(rd, (count + 1) * sizeof *to);
    if (!to || node->broken)
        return;
    if (!count || count > RECIPIENTS_MAX)
        mistake(rd, node->at, "`to` must name one to %d addresses", RECIPIENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct node *item = item_of(node, i);
        const char *address = text_of(rd, item, "to");
        if (address && !is_address(address))
            mistake(rd, item->at, "this is no e-mail address: write ana@example.com");
        to[a->to_count++] = address ? address : "";
    }
    a->to = to;
}

/* ---- one alert ---- */

static void read_sign(struct reader *rd, const struct node *node, struct alert *a)
{
    const struct pair *secret = node_get(node, "secret");
    if (node->broken)
        return;
    if (node->kind != NODE_MAP || node->count != 1 || !secret)
        mistake(rd, node->at, "`sign` must be a map with the key of the signature: {secret: …}");
    else
        a->secret = text_of(rd, secret->value, "secret");
}

static bool starts(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0 && text[strlen(with)];
}

static void check_addresses(struct reader *rd, const struct entry *of, const struct alert *a)
{
    if (a->url &&
        ((!starts(a->url, "http://") && !starts(a->url, "https://")) || has_control(a->url)))
        mistake(rd, place_of(of, "url"), "`url` must begin with https:// or http://");
    if (a->smtp && ((!starts(a->smtp, "smtp://") && !starts(a->smtp, "smtps://")) ||
                    has_control(a->smtp) || strchr(a->smtp, '@')))
        mistake(rd, place_of(of, "smtp"),
                "`smtp` must be smtp://host:port or smtps://host:port; user and password have keys "
                "of their own");
    if (a->from && !is_address(a->from))
        mistake(rd, place_of(of, "from"), "this is no e-mail address: write sluice@example.com");
    if (a->password && !a->user)
        mistake(rd, place_of(of, "password"), "`password` needs a `user`");
}

static void alert_read(struct reader *rd, const struct entry *of, struct alert *out)
{
    struct alert_form f = {.type = -1};
    out->name = of->name;
    out->place = of->at;
    if (!form_read(rd, &form, of, &f) || f.type < 0)
        return;
    f.a.name = of->name;
    f.a.place = of->at;
    f.a.type = (enum alert_type)f.type;
    check_belonging(rd, of, (unsigned)f.type);
    f.a.on = f.on ? read_on(rd, f.on) : ALERT_ON_ALL;
    if (f.syncs)
        read_syncs(rd, f.syncs, &f.a);
    if (f.sign)
        read_sign(rd, f.sign, &f.a);
    if (f.to)
        read_to(rd, f.to, &f.a);
    guard_limit_read(rd, f.warning_above, "warning_above", &f.a.warning_above);
    check_addresses(rd, of, &f.a);
    if (f.a.type == ALERT_PAGERDUTY && !f.a.url)
        f.a.url = "https://events.pagerduty.com/v2/enqueue";
    if (f.a.ca_file)
        f.a.ca_file = reader_path(rd, f.a.ca_file);
    *out = f.a;
}

/* A worker tells nobody, and need not have the secrets. */
void alerts_read(struct reader *rd)
{
    const struct section *s = &rd->sections[SECTION_ALERTS];
    struct project *p = rd->project;
    if (rd->is_worker)
        return;
    p->alerts = reader_alloc(rd, (s->count + 1) * sizeof *p->alerts);
    for (size_t i = 0; p->alerts && i < s->count && !rd->failed; i++) {
        p->alert_count = i + 1;
        if (!s->entries[i].node->broken)
            alert_read(rd, &s->entries[i], &p->alerts[i]);
    }
}
