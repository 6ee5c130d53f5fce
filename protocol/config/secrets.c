/*
 * The texts of a destination that nobody may see: values of secret options, headers, and what the
 * environment put into a project's own connector. An answer may repeat them, so the worker stars
 * them out.
 */
#include "protocol/config/parts.h"
#include "protocol/connector/connector.h"

#include <openssl/evp.h>
#include <stdio.h>

struct gathering {
    struct reader *rd;
    const char **texts; /* NULL: counting */
    size_t count;
};

static void add(struct gathering *g, const char *text)
{
    if (!text || !*text)
        return;
    if (g->texts)
        g->texts[g->count] = text;
    g->count++;
}

/* As it stands in the Authorization header. */
static void add_basic(struct gathering *g, const struct destination *d)
{
    const struct auth *auth = connector_auth(d->connector, d->options);
    if (!auth || !auth->basic || auth->user.count != 1 || auth->password.count > 1 ||
        auth->user.pieces[0].kind != PIECE_OPTION)
        return;
    const char *user = d->options[auth->user.pieces[0].index], *password = "";
    if (auth->password.count && auth->password.pieces[0].kind == PIECE_OPTION)
        password = d->options[auth->password.pieces[0].index];
    else if (auth->password.count)
        password = auth->password.pieces[0].text;
    if (!user)
        return;
    const char *plain = reader_printf(g->rd, "%s:%s", user, password ? password : "");
    size_t n = strlen(plain);
    char *coded = g->texts ? reader_alloc(g->rd, n * 4 / 3 + 8) : NULL;
    if (coded)
        EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)plain, (int)n);
    add(g, coded ? coded : "-");
}

/* Aliases make a node's weight, not its depth, so this ends as soon as reading did. */
static void add_outside(struct gathering *g, const struct node *node)
{
    if (node->kind == NODE_SCALAR && node->substituted)
        add(g, node->text);
    for (size_t i = 0; i < node->count && node->kind != NODE_SCALAR; i++)
        add_outside(g, node->kind == NODE_MAP ? node->pairs[i].value : node->items[i]);
}

static void gather(struct gathering *g, const struct node *definition, const struct destination *d)
{
    g->count = 0;
    for (size_t i = 0; d->options && i < d->connector->option_count; i++)
        if (d->connector->options[i].secret && d->options[i] != d->connector->options[i].preset)
            add(g, d->options[i]);
    for (size_t i = 0; i < d->header_count; i++)
        add(g, d->headers[i].value);
    if (d->options)
        add_basic(g, d);
    if (definition)
        add_outside(g, definition);
}

void secrets_gather(struct reader *rd, const struct node *definition, struct destination *d)
{
    struct gathering g = {.rd = rd};
    gather(&g, definition, d);
    g.texts = reader_alloc(rd, g.count * sizeof *g.texts);
    if (!g.texts)
        return;
    gather(&g, definition, d);
    d->secrets = g.texts;
    d->secret_count = g.count;
}
