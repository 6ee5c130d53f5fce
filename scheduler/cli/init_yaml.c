#include "protocol/base/json.h"
#include "scheduler/cli/connector_print.h"
#include "scheduler/cli/init.h"

#include <ctype.h>
#include <string.h>

/* A word that YAML takes for nothing but text. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    if (!isalpha((unsigned char)*text) && *text != '_')
        return false;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-./", *p))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return true;
}

/* JSON strings are YAML; `${` as text is written `$${`. */
static enum err_code put_text(struct buf *b, const char *text)
{
    if (is_plain(text))
        return buf_puts(b, text);
    CLEANUP(buf_done) struct buf safe;
    buf_init(&safe, 16 << 20);
    for (const char *p = text; *p; p++)
        if (buf_puts(&safe, p[0] == '$' && p[1] == '{' ? "$" : "") || buf_putc(&safe, *p))
            return ERR_NOMEM;
    return json_put_string(b, buf_slice(&safe));
}

/* "# text" in one line. */
static enum err_code put_comment(struct buf *b, const char *text)
{
    enum err_code rc = buf_puts(b, "  # ");
    for (const char *p = text; *p && !rc; p++)
        rc = buf_putc(b, (unsigned char)*p < ' ' ? ' ' : *p);
    return rc;
}

static enum err_code put_model(struct buf *b, const struct init_plan *p)
{
    enum err_code rc = buf_puts(b, "models:\n  ");
    PUT(rc, put_text(b, p->model));
    PUT(rc, buf_puts(b, ":\n    source: warehouse\n    primary_key: "));
    if (p->key_count != 1)
        PUT(rc, buf_puts(b, "["));
    for (size_t i = 0; i < p->key_count; i++) {
        PUT(rc, buf_puts(b, i ? ", " : ""));
        PUT(rc, put_text(b, p->key[i]));
    }
    PUT(rc, buf_puts(b, p->key_count != 1 ? "]" : ""));
    PUT(rc, buf_puts(b, p->key_guessed
                            ? "  # a guess, since no key is declared: must be unique, never null"
                            : "  # tells rows apart: unique, never null"));
    PUT(rc, buf_puts(b, p->table ? "\n    table: " : "\n    sql: "));
    PUT(rc, put_text(b, p->table ? p->table : p->query));
    if (p->table)
        PUT(rc, buf_puts(b, "  # all its columns; or `sql:` with one SELECT"));
    return rc ? rc : buf_puts(b, "\n\n");
}

static bool is_given(const struct init_plan *p, const struct option *o)
{
    for (size_t i = 0; i < p->option_count; i++)
        if (p->options[i].option == o)
            return true;
    return false;
}

/* "a.b" is the key b of the map a. */
static enum err_code put_option(struct buf *b, const struct init_option *o)
{
    const char *dot = strchr(o->option->name, '.');
    enum err_code rc = dot ? buf_printf(b, "    %.*s: {%s: ", (int)(dot - o->option->name),
                                        o->option->name, dot + 1)
                           : buf_printf(b, "    %s: ", o->option->name);
    if (o->value)
        PUT(rc, put_text(b, o->value));
    else
        PUT(rc, buf_printf(b, "\"${%s}\"", o->variable));
    PUT(rc, buf_puts(b, dot ? "}" : ""));
    if (o->option->about)
        PUT(rc, put_comment(b, o->option->about));
    return rc ? rc : buf_puts(b, "\n");
}

static enum err_code put_other_option(struct buf *b, const struct option *o)
{
    enum err_code rc = buf_printf(b, "    # %s:", o->name);
    if (o->preset)
        PUT(rc, buf_printf(b, " %s", o->preset));
    if (o->about)
        PUT(rc, put_comment(b, o->about));
    return rc ? rc : buf_puts(b, "\n");
}

static enum err_code put_destination(struct buf *b, const struct init_plan *p)
{
    const struct connector *c = p->connector;
    enum err_code rc = buf_printf(b, "destinations:\n  %s:\n    type: %s", c->name, c->name);
    if (c->title)
        PUT(rc, put_comment(b, c->title));
    PUT(rc, buf_puts(b, "\n"));
    for (size_t i = 0; i < p->option_count; i++)
        PUT(rc, put_option(b, &p->options[i]));
    for (size_t i = 0; i < c->option_count; i++)
        if (!is_given(p, &c->options[i]))
            PUT(rc, put_other_option(b, &c->options[i]));
    PUT(rc, buf_puts(b, "    # rate_limits: [{requests: 50, per: 1s}]  # instead of the connector's"
                        " own\n    # concurrency: 4  # requests at the same time\n\n"));
    return rc;
}

static enum err_code put_mode(struct buf *b, const struct init_plan *p)
{
    const char *between = "  # can also: ";
    enum err_code rc = buf_printf(b, "    mode: %s", sync_mode_name(p->mode));
    for (int mode = MODE_UPSERT; mode <= MODE_MIRROR; mode++) {
        if ((enum sync_mode)mode == p->mode || !(p->object->modes & 1u << mode))
            continue;
        PUT(rc, buf_printf(b, "%s%s", between, sync_mode_name((enum sync_mode)mode)));
        between = ", ";
    }
    PUT(rc, buf_puts(b, "\n"));
    if (p->mode == MODE_APPEND)
        PUT(rc,
            buf_puts(b, "    first_run: skip  # take the rows of today as sent; `send` sends them"
                        "\n"));
    return rc;
}

static enum err_code put_mapping(struct buf *b, const struct init_match *m)
{
    enum err_code rc = buf_puts(b, m->field ? "      - {from: " : "      # - {from: ");
    PUT(rc, put_text(b, m->column));
    PUT(rc, buf_puts(b, ", to: "));
    PUT(rc, put_text(b, m->field ? m->field : m->column));
    return rc ? rc : buf_puts(b, m->field ? "}\n" : "}  # no field of this name is known\n");
}

static enum err_code put_sync(struct buf *b, const struct init_plan *p)
{
    enum err_code rc = buf_puts(b, "syncs:\n  ");
    CLEANUP(buf_done) struct buf name;
    buf_init(&name, 1 << 10);
    PUT(rc, buf_printf(&name, "%s_to_%s", p->model, p->connector->name));
    PUT(rc, put_text(b, rc ? "" : buf_cstr(&name)));
    PUT(rc, buf_puts(b, ":\n    model: "));
    PUT(rc, put_text(b, p->model));
    PUT(rc, buf_printf(b, "\n    destination: %s\n", p->connector->name));
    if (p->object_name) {
        PUT(rc, buf_puts(b, "    object: "));
        PUT(rc, put_text(b, p->object_name));
        if (p->object->about)
            PUT(rc, put_comment(b, p->object->about));
        PUT(rc, buf_puts(b, "\n"));
    }
    PUT(rc, put_mode(b, p));
    if (p->identify_by) {
        PUT(rc, buf_puts(b, "    identify_by: "));
        PUT(rc, put_text(b, p->identify_by));
        PUT(rc, buf_puts(b, "  # the field that names a record there\n"));
    }
    PUT(rc, buf_puts(b, "    mappings:\n"));
    for (size_t i = 0; i < p->match_count; i++)
        PUT(rc, put_mapping(b, &p->matches[i]));
    PUT(rc,
        buf_puts(b, "    # guard: {max_changed: 50%, max_removed: 10%}  # held for approval above"
                    "\n    # schedule: {every: 15m}  # for the scheduler; `sluice run` runs it now"
                    "\n"));
    return rc;
}

enum err_code init_yaml(struct buf *out, const struct init_plan *p)
{
    enum err_code rc = buf_puts(
        out,
        "# Written by `sluice init`. `sluice check` names every mistake; sluice.yaml(5) explains "
        "every key.\n# ${NAME} comes from the environment: no secret belongs into this file.\n\n"
        "sources:\n  warehouse:\n    type: postgres\n");
    PUT(rc, buf_printf(out,
                       "    url: \"${%s}\"  # postgresql://user@host:5432/database; SELECT is all "
                       "it needs\n\n",
                       p->variable));
    PUT(rc, put_model(out, p));
    PUT(rc, put_destination(out, p));
    return rc ? rc : put_sync(out, p);
}
