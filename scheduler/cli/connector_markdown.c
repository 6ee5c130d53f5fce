#include "scheduler/cli/connector_print.h"

#include <inttypes.h>

const char *const connector_mode_words[6] = {"upsert", "insert", "update",
                                             "append", "full",   "mirror"};
const char *const connector_removal_words[3] = {"ignore", "delete", "clear"};
const char *const connector_type_words[8] = {"any",  "text",      "number", "bool",
                                             "date", "timestamp", "json",   "list"};

const char *connector_repeat_words(enum repeat_kind repeat)
{
    switch (repeat) {
    case REPEAT_SAFE:
        return "at least once; a repeat has no effect";
    case REPEAT_KEYED:
        return "at least once; a repeat has no effect as long as the vendor remembers its key";
    case REPEAT_DOUBLE:
        break;
    }
    return "at least once; a repeat may double a record";
}

static enum err_code put_duration(struct buf *b, uint64_t ms)
{
    static const struct {
        uint64_t factor;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (units[i].factor > 1 && ms % units[i].factor != 0)
        i++;
    return buf_printf(b, "%" PRIu64 "%s", ms / units[i].factor, units[i].unit);
}

static enum err_code put_size(struct buf *b, uint64_t bytes)
{
    static const struct {
        uint64_t factor;
        const char *unit;
    } units[] = {{1 << 20, "MiB"}, {1000000, "MB"}, {1 << 10, "KiB"}, {1000, "kB"}, {1, " bytes"}};
    size_t i = 0;
    while (units[i].factor > 1 && bytes % units[i].factor != 0)
        i++;
    return buf_printf(b, "%" PRIu64 "%s", bytes / units[i].factor, units[i].unit);
}

/* Text of a table's cell: what would end it is written so that it does not. */
static enum err_code put_cell(struct buf *b, const char *text)
{
    enum err_code rc = ERR_OK;
    for (; *text; text++) {
        if (*text == '|')
            PUT(rc, buf_putc(b, '\\'));
        PUT(rc, buf_putc(b, *text == '\n' ? ' ' : *text));
    }
    return rc;
}

static enum err_code put_bits(struct buf *b, uint32_t bits, const char *const *words, size_t n)
{
    enum err_code rc = ERR_OK;
    const char *between = "";
    for (size_t i = 0; i < n; i++) {
        if (!(bits & 1u << i))
            continue;
        PUT(rc, buf_printf(b, "%s%s", between, words[i]));
        between = ", ";
    }
    return rc;
}

/* ---- options and authentication ---- */

static enum err_code put_option(struct buf *b, const struct option *o)
{
    static const char *const kinds[] = {"text", "number", "true or false", "map", "digits"};
    enum err_code rc = buf_printf(b, "| `%s` | ", o->name);
    if (o->one_of_count)
        for (size_t i = 0; i < o->one_of_count; i++)
            PUT(rc, buf_printf(b, "%s`%s`", i ? ", " : "", o->one_of[i]));
    else
        PUT(rc, buf_puts(b, kinds[o->kind]));
    PUT(rc, buf_puts(b, o->secret ? ", secret | " : " | "));
    if (o->preset && *o->preset)
        PUT(rc, buf_printf(b, "`%s`", o->preset));
    else
        PUT(rc, buf_puts(b, o->required ? "required" : ""));
    PUT(rc, buf_puts(b, " | "));
    PUT(rc, put_cell(b, o->about ? o->about : ""));
    PUT(rc, buf_puts(b, " |\n"));
    return rc;
}

static enum err_code put_options(struct buf *b, const struct connector *c)
{
    enum err_code rc = ERR_OK;
    if (!c->option_count)
        return rc;
    PUT(rc, buf_puts(b, "| option | kind | default | |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < c->option_count; i++)
        PUT(rc, put_option(b, &c->options[i]));
    PUT(rc, buf_puts(b, "\n"));
    return rc;
}

static enum err_code put_way(struct buf *b, const struct auth *a)
{
    static const char *const grants[] = {
        [GRANT_REFRESH] = "an access token, renewed with a refresh token",
        [GRANT_CLIENT] = "an access token for the client's credentials",
        [GRANT_JWT] = "an access token for a signed JWT",
        [GRANT_REQUEST] = "an access token, asked for",
    };
    enum err_code rc = ERR_OK;
    const char *between = "";
    if (a->token) {
        PUT(rc, buf_puts(b, grants[a->token->grant]));
        if (a->token->rotates)
            PUT(rc,
                buf_puts(b, " that changes with every use (`settings.seal_key`, or one worker)"));
        return rc;
    }
    const struct {
        bool is;
        const char *words;
    } ways[] = {
        {a->basic, "user and password (basic)"},
        {a->header_count > 0, "in a header"},
        {a->query_count > 0, "in the address"},
        {a->body_count > 0, "in the body"},
        {a->hmac.header || a->hmac.query, "a signature (HMAC)"},
        {a->sigv4.given, "a signature (AWS SigV4)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        if (!ways[i].is)
            continue;
        PUT(rc, buf_printf(b, "%s%s", between, ways[i].words));
        between = ", ";
    }
    return *between ? rc : buf_puts(b, "none");
}

static enum err_code put_auths(struct buf *b, const struct connector *c)
{
    enum err_code rc = ERR_OK;
    if (!c->auth_count)
        return rc;
    PUT(rc, buf_puts(b, "Authentication"));
    PUT(rc, buf_puts(b, c->auth_count > 1 ? ", the first whose options are set:\n\n" : ":\n\n"));
    for (size_t i = 0; i < c->auth_count; i++) {
        const struct auth *a = &c->auths[i];
        PUT(rc, buf_puts(b, "- "));
        for (size_t j = 0; j < a->when_count; j++)
            PUT(rc, buf_printf(b, "%s`%s`", j ? ", " : "", c->options[a->when[j]].name));
        PUT(rc, buf_puts(b, a->when_count ? ": " : ""));
        PUT(rc, put_way(b, a));
        PUT(rc, buf_puts(b, "\n"));
    }
    PUT(rc, buf_puts(b, "\n"));
    return rc;
}

/* ---- limits ---- */

static enum err_code put_limit(struct buf *b, const struct connector *c, const struct rate_limit *l)
{
    enum err_code rc = buf_printf(b, "%" PRIu64 " %s per ", l->count,
                                  l->kind == RATE_RECORDS ? "records" : "requests");
    PUT(rc, put_duration(b, l->per_ms));
    if (l->group && l->group <= c->group_count)
        PUT(rc, buf_printf(b, " (group `%s`)", c->groups[l->group - 1]));
    return rc;
}

static enum err_code put_case(struct buf *b, const struct connector *c, const struct limit_case *k)
{
    enum err_code rc = buf_puts(b, "- ");
    if (k->value)
        PUT(rc, buf_printf(b, "`%s: %s`: ", c->options[c->limit_option].name, k->value));
    if (!k->count)
        PUT(rc, buf_puts(b, "no rate limit"));
    for (size_t i = 0; i < k->count; i++) {
        PUT(rc, buf_puts(b, i ? ", " : ""));
        PUT(rc, put_limit(b, c, &k->limits[i]));
    }
    PUT(rc, buf_puts(b, "\n"));
    return rc;
}

static enum err_code put_limits(struct buf *b, const struct connector *c)
{
    enum err_code rc = buf_puts(b, "Limits, where a destination states none of its own:\n\n");
    for (size_t i = 0; i < c->limit_case_count; i++)
        PUT(rc, put_case(b, c, &c->limit_cases[i]));
    PUT(rc,
        buf_printf(b, "- %" PRIu32 " requests at a time, ", c->concurrency ? c->concurrency : 8));
    PUT(rc, put_duration(b, c->timeout_ms ? c->timeout_ms : 30000));
    PUT(rc, buf_puts(b, " each\n"));
    if (c->open_jobs)
        PUT(rc, buf_printf(b, "- %" PRIu32 " jobs at a time\n", c->open_jobs));
    PUT(rc, buf_puts(b, "\n"));
    return rc;
}

/* ---- objects ---- */

static enum err_code put_field(struct buf *b, const struct object_field *f)
{
    enum err_code rc = ERR_OK;
    const char *between = " (";
    if (strcmp(f->name, "*") == 0)
        PUT(rc, buf_puts(b, "any"));
    else
        PUT(rc, buf_printf(b, "`%s`", f->name));
    const struct {
        bool is;
        const char *before, *text;
    } facts[] = {
        {f->type != FIELD_ANY, "", connector_type_words[f->type]},
        {f->required, "", "required"},
        {f->recipe != NULL, "recipe ", f->recipe},
        {f->about != NULL, "", f->about},
    };
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        if (!facts[i].is)
            continue;
        PUT(rc, buf_printf(b, "%s%s", between, facts[i].before));
        PUT(rc, put_cell(b, facts[i].text));
        between = ", ";
    }
    return rc || *between == ' ' ? rc : buf_putc(b, ')');
}

static enum err_code put_fields(struct buf *b, const char *what, const struct object_field *fields,
                                size_t count)
{
    enum err_code rc = ERR_OK;
    if (!count)
        return rc;
    PUT(rc, buf_printf(b, "| %s | ", what));
    for (size_t i = 0; i < count; i++) {
        PUT(rc, buf_puts(b, i ? ", " : ""));
        PUT(rc, put_field(b, &fields[i]));
    }
    PUT(rc, buf_puts(b, " |\n"));
    return rc;
}

static enum err_code put_any_of(struct buf *b, const struct object *o)
{
    enum err_code rc = ERR_OK;
    if (!o->any_of_count)
        return rc;
    PUT(rc, buf_puts(b, "| one of | "));
    for (size_t i = 0; i < o->any_of_count; i++)
        PUT(rc, buf_printf(b, "%s`%s`", i ? ", " : "", o->any_of[i]));
    PUT(rc, buf_puts(b, " |\n"));
    return rc;
}

static enum err_code put_needs(struct buf *b, const struct connector *c, const struct object *o)
{
    enum err_code rc = ERR_OK;
    if (!o->need_count)
        return rc;
    PUT(rc, buf_puts(b, "| needs | "));
    for (size_t i = 0; i < o->need_count; i++)
        PUT(rc, buf_printf(b, "%s`%s`", i ? ", " : "", c->options[o->needs[i]].name));
    PUT(rc, buf_puts(b, " of the destination |\n"));
    return rc;
}

static enum err_code put_conflicts(struct buf *b, const struct object *o)
{
    const struct {
        enum object_conflict how;
        const char *words;
    } all[] = {{o->set_if_empty, "`on_conflict: set_if_empty`"},
               {o->create_only, "`on_conflict: create_only`"},
               {o->newest_wins, "`newest_wins`"},
               {o->merge_arrays, "`arrays: merge`"}};
    enum err_code rc = buf_puts(b, "| conflicts | overwrite");
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i].how)
            PUT(rc, buf_printf(b, ", %s%s", all[i].words,
                               all[i].how == CONFLICT_LOOKUP ? " (asks first)" : ""));
    PUT(rc, buf_puts(b, " |\n"));
    return rc;
}

static enum err_code put_maximums(struct buf *b, const struct object *o)
{
    enum err_code rc = buf_printf(b, "| maximums | %" PRIu32 " record%s", o->max_records,
                                  o->max_records == 1 ? "" : "s");
    if (o->batch_records && o->batch_records < o->max_records)
        PUT(rc, buf_printf(b, " (%" PRIu32 " by default)", o->batch_records));
    PUT(rc, buf_puts(b, " and "));
    PUT(rc, put_size(b, o->max_bytes));
    PUT(rc, buf_puts(b, " a request"));
    if (o->max_item_bytes) {
        PUT(rc, buf_puts(b, ", "));
        PUT(rc, put_size(b, o->max_item_bytes));
        PUT(rc, buf_puts(b, " a record"));
    }
    if (o->max_values)
        PUT(rc, buf_printf(b, ", %" PRIu32 " values a request", o->max_values));
    PUT(rc, buf_puts(b, " |\n"));
    return rc;
}

static enum err_code put_order(struct buf *b, const struct object *o)
{
    enum err_code rc = ERR_OK;
    if (!o->session && !o->one_lane && !o->lane_field && !o->hold_ms)
        return rc;
    PUT(rc, buf_puts(b, "| order | "));
    if (o->session)
        PUT(rc, buf_puts(b, "the batches of a run are one session, sent one after another"));
    else if (o->one_lane)
        PUT(rc, buf_puts(b, "one batch at a time"));
    else if (o->lane_field)
        PUT(rc, buf_printf(b, "records of one `%s` go one batch at a time", o->lane_field));
    if (o->hold_ms) {
        PUT(rc, buf_puts(b, ", then a pause of "));
        PUT(rc, put_duration(b, o->hold_ms));
    }
    PUT(rc, buf_puts(b, " |\n"));
    return rc;
}

static enum err_code put_by(struct buf *b, const char *words, const char *field, bool first)
{
    if (!field)
        return ERR_OK;
    bool key = strcmp(field, "{{identify_by}}") == 0;
    return buf_printf(b, "%s%s %s%s%s", first ? "" : "; ", words, key ? "" : "`",
                      key ? "key" : field, key ? "" : "`");
}

static enum err_code put_sharing(struct buf *b, const struct object *o)
{
    enum err_code rc = ERR_OK;
    if (!o->group_count && !o->order_by && !o->unique_by)
        return rc;
    PUT(rc, buf_puts(b, o->group_count ? "| a request | only records with the same "
                                       : "| a request | "));
    for (size_t i = 0; i < o->group_count; i++)
        PUT(rc, buf_printf(b, "%s`%s`", i ? " and " : "", o->group_by[i]));
    PUT(rc, put_by(b, "sorted by", o->order_by, !o->group_count));
    PUT(rc,
        put_by(b, "no two records with the same", o->unique_by, !o->group_count && !o->order_by));
    PUT(rc, buf_puts(b, " |\n"));
    return rc;
}

static enum err_code put_object(struct buf *b, const struct connector *c, const struct object *o)
{
    enum err_code rc = strcmp(o->name, "*") == 0 ? buf_puts(b, "### any object\n\n")
                                                 : buf_printf(b, "### `%s`\n\n", o->name);
    if (o->about)
        PUT(rc, buf_printf(b, "%s\n\n", o->about));
    PUT(rc, buf_puts(b, "| | |\n|---|---|\n"));
    PUT(rc, put_fields(b, "keys", o->keys, o->key_count));
    PUT(rc, put_fields(b, "fields", o->fields, o->field_count));
    PUT(rc, put_any_of(b, o));
    PUT(rc, put_needs(b, c, o));
    PUT(rc, buf_puts(b, "| modes | "));
    PUT(rc, put_bits(b, o->modes, connector_mode_words, ARRAY_LEN(connector_mode_words)));
    PUT(rc, buf_puts(b, " |\n| removal | "));
    PUT(rc, put_bits(b, o->removals | 1u << REMOVED_IGNORE, connector_removal_words,
                     ARRAY_LEN(connector_removal_words)));
    PUT(rc, buf_puts(b, " |\n"));
    PUT(rc, put_conflicts(b, o));
    PUT(rc, put_maximums(b, o));
    PUT(rc, put_sharing(b, o));
    PUT(rc, put_order(b, o));
    PUT(rc, buf_printf(b, "| delivery | %s |\n\n", connector_repeat_words(o->repeat)));
    return rc;
}

enum err_code connector_put_markdown(struct buf *b, const struct connector *c)
{
    enum err_code rc = buf_printf(b, "## %s\n\n", c->name);
    if (c->title)
        PUT(rc, buf_printf(b, "%s.", c->title));
    if (c->docs)
        PUT(rc, buf_printf(b, " Documentation: <%s>", c->docs));
    if (c->docs && c->checked)
        PUT(rc, buf_printf(b, ", compared %s", c->checked));
    if (c->docs)
        PUT(rc, buf_puts(b, "."));
    PUT(rc, buf_puts(b, c->title || c->docs ? "\n\n" : ""));
    if (c->notes)
        PUT(rc, buf_printf(b, "%s\n\n", c->notes));
    PUT(rc, put_options(b, c));
    PUT(rc, put_auths(b, c));
    PUT(rc, put_limits(b, c));
    for (size_t i = 0; i < c->object_count; i++)
        PUT(rc, put_object(b, c, &c->objects[i]));
    return rc;
}
