/* Ways of authentication: what is added to every request. */
#include "protocol/connector/parts.h"

enum { AUTHS_MAX = 16 };

static const char *const encoding_words[] = {"hex", "base64", NULL};
static const char *const algorithm_words[] = {"sha256", "sha1", "sha512", NULL};

struct auth_form {
    const struct node *when, *headers, *query, *body, *basic, *hmac, *sigv4, *token;
};

#define MEMBER(m) .offset = offsetof(struct auth_form, m)
static const struct field fields[] = {
    {"when", FIELD_NODE, MEMBER(when)},   {"headers", FIELD_NODE, MEMBER(headers)},
    {"query", FIELD_NODE, MEMBER(query)}, {"body", FIELD_NODE, MEMBER(body)},
    {"basic", FIELD_NODE, MEMBER(basic)}, {"hmac", FIELD_NODE, MEMBER(hmac)},
    {"sigv4", FIELD_NODE, MEMBER(sigv4)}, {"token", FIELD_NODE, MEMBER(token)},
};
static const struct form form = {"`auth` map", fields, ARRAY_LEN(fields), false};

static void read_when(struct scope *s, const struct node *node, struct auth *out)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items);
    uint32_t *options = reader_alloc(s->rd, count * sizeof *options);
    for (size_t i = 0; options && i < count; i++) {
        int32_t option = option_of(s, items[i], "when");
        if (option >= 0)
            options[out->when_count++] = (uint32_t)option;
    }
    if (count == 0)
        mistake(s->rd, node->at, "`when` is empty: name an option or remove it");
    out->when = options;
}

/* Templates that are members of a small map. */
struct wanted {
    const char *key;
    struct template *to;
    bool required;
};

static bool read_templates(struct scope *s, const struct node *node, const char *what,
                           const struct wanted *wanted, size_t count)
{
    const struct node *nodes[8] = {0};
    struct field known[8] = {0};
    for (size_t i = 0; i < count; i++)
        known[i] = (struct field){wanted[i].key, FIELD_NODE, i * sizeof *nodes,
                                  .required = wanted[i].required};
    struct form of_map = {what, known, count, false};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &of_map, &of, nodes))
        return false;
    bool good = true;
    for (size_t i = 0; i < count; i++)
        if (nodes[i])
            good = template_of(s, nodes[i], wanted[i].key, wanted[i].to) && good;
    return good;
}

bool basic_read(struct scope *s, const struct node *node, struct template *user,
                struct template *password)
{
    const struct wanted wanted[] = {{"user", user, true}, {"password", password, false}};
    return read_templates(s, node, "`basic` map", wanted, ARRAY_LEN(wanted));
}

static void read_sigv4(struct scope *s, const struct node *node, struct sigv4 *out)
{
    const struct wanted wanted[] = {{"service", &out->service, true},
                                    {"region", &out->region, true},
                                    {"key", &out->key, true},
                                    {"secret", &out->secret, true}};
    out->given = read_templates(s, node, "`sigv4` map", wanted, ARRAY_LEN(wanted));
}

static void read_hmac(struct scope *s, const struct node *node, struct hmac_sign *out)
{
    struct hmac_form {
        const char *header, *query;
        const struct node *secret, *of, *prefix;
        int algorithm, encoding;
    } f = {0};
    static const struct field known[] = {
        {"header", FIELD_TEXT, .offset = offsetof(struct hmac_form, header)},
        {"query", FIELD_TEXT, .offset = offsetof(struct hmac_form, query)},
        {"algorithm", FIELD_WORD, .offset = offsetof(struct hmac_form, algorithm),
         .words = algorithm_words},
        {"secret", FIELD_NODE, .offset = offsetof(struct hmac_form, secret), .required = true},
        {"of", FIELD_NODE, .offset = offsetof(struct hmac_form, of)},
        {"encoding", FIELD_WORD, .offset = offsetof(struct hmac_form, encoding),
         .words = encoding_words},
        {"prefix", FIELD_NODE, .offset = offsetof(struct hmac_form, prefix)},
    };
    static const struct form hmac = {"`hmac` map", known, ARRAY_LEN(known), false};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &hmac, &of, &f))
        return;
    if (!f.header == !f.query)
        mistake(s->rd, node->at, "`hmac` must have one of `header` and `query`: where it goes");
    *out = (struct hmac_sign){.header = f.header,
                              .query = f.query,
                              .algorithm = algorithm_words[f.algorithm],
                              .encoding = (enum hmac_encoding)f.encoding};
    if (f.secret)
        (void)template_of(s, f.secret, "secret", &out->secret);
    if (f.prefix)
        (void)template_of(s, f.prefix, "prefix", &out->prefix);
    out->of_body = !f.of || node_is_word(f.of, "body");
    if (!out->of_body)
        (void)template_of(s, f.of, "of", &out->of);
}

static bool read_auth(struct scope *s, const struct node *node, struct auth *out)
{
    struct auth_form f = {0};
    struct entry of = {NULL, node->at, node};
    *out = (struct auth){.place = node->at};
    if (!form_read(s->rd, &form, &of, &f))
        return false;
    if (f.when)
        read_when(s, f.when, out);
    if (f.token) /* first: what follows may use what it captures */
        out->token = token_read(s, &(struct entry){NULL, node_get(node, "token")->at, f.token});
    size_t known = s->auth_vars.count;
    if (!f.token)
        s->auth_vars.count = 0; /* those of other ways */
    if (f.headers)
        templates_of(s, f.headers, "headers", &out->headers, &out->header_count);
    if (f.query)
        templates_of(s, f.query, "query", &out->query, &out->query_count);
    if (f.body)
        templates_of(s, f.body, "body", &out->body, &out->body_count);
    if (f.basic)
        out->basic = basic_read(s, f.basic, &out->user, &out->password);
    if (f.hmac)
        read_hmac(s, f.hmac, &out->hmac);
    if (f.sigv4)
        read_sigv4(s, f.sigv4, &out->sigv4);
    s->auth_vars.count = known;
    return true;
}

/* The first entry whose options are set is taken: behind one without `when`, or one that needs
 * fewer of the same options, nothing is ever reached. */
static bool auth_covers(const struct auth *a, const struct auth *b)
{
    for (size_t i = 0; i < a->when_count; i++) {
        size_t k = 0;
        while (k < b->when_count && b->when[k] != a->when[i])
            k++;
        if (k == b->when_count)
            return false;
    }
    return true;
}

void auth_read(struct scope *s, const struct node *node)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items);
    if (count > AUTHS_MAX) {
        mistake(s->rd, node->at, "there are more than %d ways of authentication: use fewer",
                AUTHS_MAX);
        return;
    }
    struct auth *list = reader_alloc(s->rd, count * sizeof *list);
    struct connector *c = s->c;
    c->auths = list;
    for (size_t i = 0; list && i < count; i++) {
        struct auth *a = &list[c->auth_count];
        if (!read_auth(s, items[i], a))
            continue;
        bool covered = false;
        for (size_t k = 0; k < c->auth_count; k++)
            covered = covered || auth_covers(&list[k], a);
        if (covered)
            mistake(s->rd, a->place,
                    "this way of authentication is never chosen: an earlier one needs no other "
                    "options; move or remove one");
        c->auth_count++;
    }
}
