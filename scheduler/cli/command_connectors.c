/* sluice connectors: what can be written to, as the connectors say themselves. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/connector_print.h"

#include <stdio.h>

/* Opens worker/connectors/README.md, which is this command's output. */
static const char intro[] =
    "# Connectors\n\n"
    "What each connector that is built in can do, printed by `sluice connectors --markdown`. A "
    "destination\nnames one with `type:`; its options are keys of the destination, besides the "
    "[common ones](../../protocol/config/README.md#destinations).\nSyncs name one of its objects "
    "with `object:`; `*` in a name stands for any text. `type: http` is a JSON API described in\n"
    "the destination itself, and a project can have connectors of its own: "
    "[the grammar](../../protocol/connector/README.md).\n\n"
    "Every connector retries what may pass (5 attempts with growing pauses, unless `retry` says "
    "otherwise), slows down when\nthe destination asks for it, and refuses single records without "
    "holding up the others.\n\n";

static enum err_code put_markdown(struct buf *b, const struct project *p)
{
    enum err_code rc = buf_puts(b, intro);
    for (size_t i = 0; i < p->connector_count; i++)
        if (p->connectors[i]->builtin)
            PUT(rc, connector_put_markdown(b, p->connectors[i]));
    while (!rc && b->len > 1 && b->p[b->len - 1] == '\n' && b->p[b->len - 2] == '\n')
        b->len--;
    return rc;
}

/* One line for each object that differs in what it can do. */
static enum err_code put_list(struct buf *b, const struct project *p)
{
    enum err_code rc = buf_printf(b, "%-14s%-8s%s\n", "NAME", "", "TITLE, OBJECTS: MODES");
    for (size_t i = 0; i < p->connector_count; i++) {
        const struct connector *c = p->connectors[i];
        PUT(rc, buf_printf(b, "%-14s%-8s%s\n", c->name, c->builtin ? "" : "project",
                           c->title ? c->title : ""));
        for (size_t j = 0; j < c->object_count; j++) {
            const struct object *o = &c->objects[j];
            const char *between = ": ";
            PUT(rc, buf_printf(b, "%-22s%s", "", o->name));
            for (size_t k = 0; k < ARRAY_LEN(connector_mode_words); k++)
                if (o->modes & 1u << k) {
                    PUT(rc, buf_printf(b, "%s%s", between, connector_mode_words[k]));
                    between = ", ";
                }
            PUT(rc, buf_puts(b, "\n"));
        }
    }
    PUT(rc, buf_puts(b, "\nsluice connectors show NAME tells everything about one.\n"));
    return rc;
}

static enum err_code put_one(struct buf *b, const struct connector *c,
                             const struct cli_options *opts)
{
    if (!opts->json)
        return connector_put_markdown(b, c);
    enum err_code rc = connector_put_json(b, c, true);
    PUT(rc, buf_putc(b, '\n'));
    return rc;
}

static enum err_code put_all(struct buf *b, const struct project *p, const struct cli_options *opts)
{
    enum err_code rc = ERR_OK;
    if (opts->markdown)
        return put_markdown(b, p);
    if (!opts->json)
        return put_list(b, p);
    for (size_t i = 0; i < p->connector_count; i++) {
        PUT(rc, connector_put_json(b, p->connectors[i], false));
        PUT(rc, buf_putc(b, '\n'));
    }
    return rc;
}

static int no_connector(const struct project *p, const char *name)
{
    const char *names[256];
    size_t count = 0;
    for (size_t i = 0; i < p->connector_count && count < ARRAY_LEN(names); i++)
        names[count++] = p->connectors[i]->name;
    const char *near = nearest_name(name, names, count);
    struct err err;
    err_set(&err, ERR_USAGE, "there is no connector %s%s%s%s; sluice connectors lists them", name,
            near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return cli_fail(&err);
}

static int print(const struct project *p, const struct cli_options *opts)
{
    CLEANUP(buf_done) struct buf b;
    const struct connector *one = NULL;
    const char *name = opts->name_count == 2 ? opts->names[1] : NULL;
    buf_init(&b, 64 * (size_t)CONNECTOR_TEXT_BYTES);
    for (size_t i = 0; name && i < p->connector_count && !one; i++)
        if (strcmp(p->connectors[i]->name, name) == 0)
            one = p->connectors[i];
    if (name && !one)
        return no_connector(p, name);
    enum err_code rc = one ? put_one(&b, one, opts) : put_all(&b, p, opts);
    struct err err;
    if (rc) {
        err_set(&err, rc, "no memory for the connectors' texts");
        return cli_fail(&err);
    }
    fwrite(b.p, 1, b.len, stdout);
    return EXIT_OK;
}

int command_connectors(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct err err = {0};
    bool show = opts->name_count > 0;
    if (show && (strcmp(opts->names[0], "show") != 0 || opts->name_count != 2)) {
        err_set(&err, ERR_USAGE, "write sluice connectors, or sluice connectors show NAME");
        return cli_fail(&err);
    }
    struct cli_options where = *opts;
    if (opts->markdown && !show)
        where.dir = NULL;
    int status = cli_load_connectors(&where, &project);
    if (!status)
        status = print(project, opts);
    project_free(project);
    return status;
}
