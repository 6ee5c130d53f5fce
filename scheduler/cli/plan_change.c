#include "scheduler/cli/plan_change.h"

#include "protocol/base/json.h"
#include "scheduler/cli/markdown.h"
#include "scheduler/cli/print.h"

enum { NAME_SHOWN = 120 };

static enum err_code put_name(struct buf *b, enum change_form form, const char *name)
{
    return form == CHANGE_MARKDOWN ? markdown_code(b, name, NAME_SHOWN) : buf_puts(b, name);
}

static enum err_code put_what(struct buf *b, enum change_form form, const char *what)
{
    return form == CHANGE_MARKDOWN ? markdown_code(b, what, CHANGE_WHAT_BYTES) : buf_puts(b, what);
}

static enum err_code put_head(struct buf *b, enum change_form form, const char *name)
{
    enum err_code rc = buf_puts(b, form == CHANGE_MARKDOWN ? "- " : "");
    PUT(rc, put_name(b, form, name));
    PUT(rc, buf_puts(b, ": "));
    return rc;
}

/* ---- in words ---- */

static enum err_code put_new(struct buf *b, enum change_form form, const struct sync_change *c)
{
    enum err_code rc = ERR_OK;
    if (!c->renamed)
        return buf_puts(b, c->is->first_run_set && c->is->first_run == FIRST_SKIP
                               ? "new; its first run takes the present rows as synced"
                               : "new; its first run sends every row");
    PUT(rc, buf_puts(b, "new, and defined as "));
    PUT(rc, put_name(b, form, c->renamed->name));
    PUT(rc, buf_puts(b, " was, which is gone: what was accepted is kept by a sync's name, so that "
                        "every row is sent again"));
    return rc;
}

static bool has_slot(const struct sync *s)
{
    return s->schedule.kind == SCHEDULE_STREAM &&
           (s->schedule.stream.from == STREAM_CDC || s->schedule.stream.from == STREAM_KEYS);
}

static enum err_code put_gone(struct buf *b, enum change_form form, const struct sync_change *c)
{
    enum err_code rc = buf_puts(b, "gone; it runs no more, and what it sent stays at ");
    PUT(rc, put_name(b, form, c->was->destination->name));
    if (has_slot(c->was))
        PUT(rc, buf_puts(b, ". Its slot holds back the warehouse's log: give it another schedule "
                            "first, and drop its stream"));
    return rc;
}

static enum err_code put_other(struct buf *b, enum change_form form, const struct sync_change *c)
{
    enum err_code rc = put_what(b, form, c->what);
    if (c->target)
        PUT(rc, buf_puts(b, "; this is another target (account, object, identify_by or primary "
                            "key): a run is held, its approval sends every row there, and what "
                            "the old one has stays"));
    else if (!c->alters)
        PUT(rc, buf_puts(b, "; what is sent stays the same"));
    return rc;
}

static enum err_code put_words(struct buf *b, enum change_form form, const struct sync_change *c)
{
    enum err_code rc = put_head(b, form, c->name);
    switch (c->kind) {
    case CHANGE_NEW:
        PUT(rc, put_new(b, form, c));
        break;
    case CHANGE_GONE:
        PUT(rc, put_gone(b, form, c));
        break;
    case CHANGE_OTHER:
        PUT(rc, put_other(b, form, c));
        break;
    }
    PUT(rc, buf_putc(b, '\n'));
    return rc;
}

/* ---- JSON ---- */

static enum err_code put_json(struct buf *b, const struct sync_change *c)
{
    static const char *const kinds[] = {
        [CHANGE_NEW] = "new", [CHANGE_GONE] = "gone", [CHANGE_OTHER] = "changed"};
    enum err_code rc = buf_printf(b, "{\"change\":\"%s\",\"sync\":", kinds[c->kind]);
    PUT(rc, json_put_string(b, slice_str(c->name)));
    PUT(rc, buf_puts(b, ",\"what\":"));
    PUT(rc, json_put_string(b, slice_str(c->what)));
    PUT(rc, buf_printf(b, ",\"alters\":%s,\"target\":%s,\"renamed_from\":",
                       c->alters ? "true" : "false", c->target ? "true" : "false"));
    PUT(rc, c->renamed ? json_put_string(b, slice_str(c->renamed->name)) : buf_puts(b, "null"));
    PUT(rc, buf_puts(b, "}\n"));
    return rc;
}

enum err_code change_put(struct buf *b, enum change_form form, const struct sync_change *c)
{
    return form == CHANGE_JSON ? put_json(b, c) : put_words(b, form, c);
}

enum err_code change_put_settings(struct buf *b, enum change_form form, const struct comparison *c)
{
    enum err_code rc = ERR_OK;
    if (!*c->settings)
        return ERR_OK;
    if (form == CHANGE_JSON) {
        PUT(rc, buf_puts(b, "{\"change\":\"settings\",\"what\":"));
        PUT(rc, json_put_string(b, slice_str(c->settings)));
        PUT(rc, buf_printf(b, ",\"restart\":%s}\n", c->restart ? "true" : "false"));
        return rc;
    }
    PUT(rc, put_head(b, form, "settings"));
    PUT(rc, put_what(b, form, c->settings));
    if (c->restart)
        PUT(rc, buf_puts(b, "; a scheduler that runs refuses this project until it is started "
                            "anew"));
    PUT(rc, buf_putc(b, '\n'));
    return rc;
}

enum err_code change_put_unread(struct buf *b, enum change_form form, const char *sync,
                                const char *reason)
{
    enum err_code rc = ERR_OK;
    if (form == CHANGE_JSON) {
        PUT(rc, buf_puts(b, "{\"change\":\"unread\",\"sync\":"));
        PUT(rc, json_put_string(b, slice_str(sync)));
        PUT(rc, buf_puts(b, ",\"what\":"));
        PUT(rc, json_put_string(b, slice_str(reason)));
        PUT(rc, buf_puts(b, "}\n"));
        return rc;
    }
    PUT(rc, put_head(b, form, sync));
    PUT(rc, buf_puts(b, "its rows cannot be read to the end as it was, so that the others count as "
                        "added: "));
    PUT(rc, put_what(b, form, reason));
    PUT(rc, buf_putc(b, '\n'));
    return rc;
}
