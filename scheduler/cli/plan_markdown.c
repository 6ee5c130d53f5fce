#include "scheduler/cli/plan_markdown.h"

#include "scheduler/cli/markdown.h"
#include "scheduler/cli/print.h"

#include <inttypes.h>
#include <stdlib.h>

/* Together less than PLAN_MARKDOWN_BYTES, with the lines between. */
enum {
    CHANGES_BYTES = 9000,
    TABLE_BYTES = 20000,
    HELD_BYTES = 7000,
    FAILED_BYTES = 6000,
    QUIET_BYTES = 3000,
    STREAMS_BYTES = 1500,
    SAMPLES_BYTES = 12000,
    MISTAKES_BYTES = 50000,
    ITEM_BYTES = 8192,
    NAME_SHOWN = 120,
    WORDS_SHOWN = 500,
    SAMPLE_SHOWN = 300,
};

static struct markdown_part part_of(size_t most)
{
    struct markdown_part part = {0};
    buf_init(&part.text, most);
    return part;
}

void plan_markdown_init(struct plan_markdown *m, bool with_samples)
{
    *m = (struct plan_markdown){
        .changes = part_of(CHANGES_BYTES),
        .table = part_of(TABLE_BYTES),
        .held = part_of(HELD_BYTES),
        .failed = part_of(FAILED_BYTES),
        .quiet = part_of(QUIET_BYTES),
        .streams = part_of(STREAMS_BYTES),
        .samples = part_of(SAMPLES_BYTES),
        .with_samples = with_samples,
    };
}

void plan_markdown_done(struct plan_markdown *m)
{
    struct markdown_part *parts[] = {&m->changes, &m->table,   &m->held,   &m->failed,
                                     &m->quiet,   &m->streams, &m->samples};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        buf_done(&parts[i]->text);
}

/* rc: how writing the item went. One that does not fit, or is too long itself, is left out. */
static enum err_code add(struct markdown_part *part, struct slice item, enum err_code rc)
{
    if (!rc)
        rc = buf_put(&part->text, item.p, item.n);
    part->items++;
    part->left_out += rc == ERR_FULL;
    return rc == ERR_FULL ? ERR_OK : rc;
}

/* ---- the table ---- */

/* Nothing where there is nothing: the eye finds what there is. */
static enum err_code put_count(struct buf *b, uint64_t n)
{
    char text[PRINT_NUMBER_BYTES];
    return n ? buf_printf(b, " %s |", print_number(n, text)) : buf_puts(b, " |");
}

static enum err_code put_target(struct buf *b, const struct sync *sync)
{
    enum err_code rc = buf_puts(b, " | ");
    if (sync) {
        PUT(rc, markdown_code(b, sync->destination->name, NAME_SHOWN));
        if (sync->object) {
            PUT(rc, buf_putc(b, ' '));
            PUT(rc, markdown_code(b, sync->object, NAME_SHOWN));
        }
    }
    PUT(rc, buf_puts(b, " |"));
    return rc;
}

static enum err_code put_row(struct buf *b, const struct run_record *r, const struct sync *sync,
                             const struct plan *plan)
{
    char time[PRINT_NUMBER_BYTES];
    const struct run_counts *c = &r->counts;
    const uint64_t counts[] = {c->added,     c->changed, c->removed,
                               c->unchanged, c->invalid, c->quarantined};
    enum err_code rc = buf_puts(b, "| ");
    PUT(rc, markdown_code(b, r->sync, NAME_SHOWN));
    PUT(rc, put_target(b, sync));
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        PUT(rc, put_count(b, counts[i]));
    PUT(rc, buf_printf(b, " %s |\n", plan->least_ms ? print_duration(plan->least_ms, time) : ""));
    return rc;
}

/* ---- lists ---- */

static enum err_code add_words(struct markdown_part *part, const char *sync, const char *words)
{
    CLEANUP(buf_done) struct buf item;
    buf_init(&item, ITEM_BYTES);
    enum err_code rc = buf_puts(&item, "- ");
    PUT(rc, markdown_code(&item, sync, NAME_SHOWN));
    PUT(rc, buf_puts(&item, ": "));
    PUT(rc, markdown_code(&item, words, WORDS_SHOWN));
    PUT(rc, buf_putc(&item, '\n'));
    return add(part, buf_slice(&item), rc);
}

static enum err_code add_name(struct markdown_part *part, const char *name)
{
    CLEANUP(buf_done) struct buf item;
    buf_init(&item, ITEM_BYTES);
    enum err_code rc = part->items ? buf_puts(&item, ", ") : ERR_OK;
    PUT(rc, markdown_code(&item, name, NAME_SHOWN));
    return add(part, buf_slice(&item), rc);
}

/* A warehouse that was asked for something wrong names tables and columns (class 42); one that met
 * a value it cannot take (22, 23, what a function raises) names the value. */
static bool may_name_values(const char *error)
{
    static const char *const harmless[] = {"08", "0A", "25", "28", "3D", "3F",
                                           "40", "42", "53", "57", "58"};
    const char *state = strstr(error, "SQLSTATE ");
    if (!state)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (strncmp(state + 9, harmless[i], 2) == 0)
            return false;
    return true;
}

const char *plan_markdown_words(const struct run_record *r, char *out, size_t n)
{
    const char *state = strstr(r->error, "SQLSTATE ");
    if (!may_name_values(r->error))
        return r->error;
    snprintf(out, n,
             "the warehouse refused a value (SQLSTATE %.5s): `sluice plan %s` shows its words",
             state + 9, r->sync);
    return out;
}

enum err_code plan_markdown_add_failed(struct plan_markdown *m, const struct run_record *r)
{
    char words[STATE_NAME_MAX + 128];
    return add_words(&m->failed, r->sync, plan_markdown_words(r, words, sizeof words));
}

enum err_code plan_markdown_add_change(struct plan_markdown *m, struct slice line)
{
    return add(&m->changes, line, ERR_OK);
}

enum err_code plan_markdown_add_stream(struct plan_markdown *m, const char *sync)
{
    return add_name(&m->streams, sync);
}

/* ---- samples ---- */

static enum err_code add_sample(struct plan_markdown *m, char mark, const struct plan_sample *s)
{
    CLEANUP(buf_done) struct buf item;
    buf_init(&item, ITEM_BYTES);
    enum err_code rc = buf_printf(&item, "%c ", mark);
    PUT(rc, markdown_text(&item, s->key ? s->key : "(a key too long to be shown)", SAMPLE_SHOWN));
    if (s->before) {
        PUT(rc, buf_puts(&item, "\n  before "));
        PUT(rc, markdown_text(&item, s->before, SAMPLE_SHOWN));
    }
    if (s->fields) {
        PUT(rc, buf_puts(&item, s->before ? "\n  after  " : " "));
        PUT(rc, markdown_text(&item, s->fields, SAMPLE_SHOWN));
    }
    PUT(rc, buf_putc(&item, '\n'));
    return add(&m->samples, buf_slice(&item), rc);
}

static enum err_code add_samples(struct plan_markdown *m, const char *sync, const struct plan *plan)
{
    static const char marks[PLAN_CLASSES] = {
        [RECORD_ADDED] = '+', [RECORD_CHANGED] = '~', [RECORD_REMOVED] = '-'};
    enum err_code rc = ERR_OK;
    CLEANUP(buf_done) struct buf head;
    buf_init(&head, ITEM_BYTES);
    PUT(rc, markdown_text(&head, sync, NAME_SHOWN));
    PUT(rc, buf_putc(&head, '\n'));
    rc = add(&m->samples, buf_slice(&head), rc);
    for (size_t class = 0; class < PLAN_CLASSES; class ++)
        for (size_t i = 0; i < plan->sample_count[class]; i++)
            PUT(rc, add_sample(m, marks[class], &plan->samples[class][i]));
    return rc;
}

/* ---- one plan ---- */

enum err_code plan_markdown_add(struct plan_markdown *m, const struct run_record *r,
                                const struct sync *sync, const struct plan *plan, bool would_hold)
{
    const struct run_counts *c = &r->counts;
    CLEANUP(buf_done) struct buf row;
    buf_init(&row, ITEM_BYTES);
    if (!c->planned && !c->invalid && !would_hold)
        return add_name(&m->quiet, r->sync);
    m->added += c->added;
    m->changed += c->changed;
    m->removed += c->removed;
    m->syncs += c->planned != 0;
    enum err_code rc = put_row(&row, r, sync, plan);
    rc = add(&m->table, buf_slice(&row), rc);
    if (would_hold)
        PUT(rc, add_words(&m->held, r->sync, r->reason));
    if (m->with_samples && c->planned)
        PUT(rc, add_samples(m, r->sync, plan));
    return rc;
}

/* ---- the whole ---- */

static enum err_code put_totals(struct buf *b, const struct plan_markdown *m)
{
    char n[5][PRINT_NUMBER_BYTES];
    uint64_t all = m->added + m->changed + m->removed;
    if (!all)
        return buf_puts(b, "Nothing would be sent.");
    return buf_printf(b,
                      "**%s record%s** would be sent by %s sync%s: %s added, %s changed, %s "
                      "removed.",
                      print_number(all, n[0]), all == 1 ? "" : "s", print_number(m->syncs, n[1]),
                      m->syncs == 1 ? "" : "s", print_number(m->added, n[2]),
                      print_number(m->changed, n[3]), print_number(m->removed, n[4]));
}

static enum err_code put_left_out(struct buf *b, const struct markdown_part *part)
{
    return part->left_out ? buf_printf(b, "\n… and %zu more.\n", part->left_out) : ERR_OK;
}

static enum err_code put_part(struct buf *b, const char *head, const struct markdown_part *part,
                              const char *end)
{
    if (!part->items)
        return ERR_OK;
    enum err_code rc = buf_puts(b, head);
    PUT(rc, buf_put(b, part->text.p, part->text.len));
    PUT(rc, buf_puts(b, end));
    PUT(rc, put_left_out(b, part));
    return rc;
}

enum err_code plan_markdown_put(struct buf *b, const struct plan_markdown *m, const char *basis)
{
    enum err_code rc = buf_puts(b, "### Sluice plan\n\n");
    PUT(rc, put_totals(b, m));
    if (m->held.items)
        PUT(rc, buf_printf(b, " **%zu run%s would be held.**", m->held.items,
                           m->held.items == 1 ? "" : "s"));
    if (m->failed.items)
        PUT(rc, buf_printf(b, " **%zu sync%s cannot be planned.**", m->failed.items,
                           m->failed.items == 1 ? "" : "s"));
    PUT(rc, buf_printf(b, "%s%s\n", basis ? " " : "", basis ? basis : ""));
    PUT(rc, put_part(b, "\n**What changes**\n\n", &m->changes, ""));
    PUT(rc, put_part(b,
                     "\n| Sync | To | Added | Changed | Removed | Unchanged | Invalid | "
                     "Quarantined | Takes at least |\n"
                     "|:--|:--|--:|--:|--:|--:|--:|--:|--:|\n",
                     &m->table, ""));
    PUT(rc, put_part(b, "\n**Cannot be planned**\n\n", &m->failed, ""));
    PUT(rc, put_part(b, "\n**Would be held for approval**\n\n", &m->held, ""));
    PUT(rc, put_part(b, "\nNothing to send: ", &m->quiet, "\n"));
    PUT(rc, put_part(b, "\nNot planned, as they only stream: ", &m->streams, "\n"));
    PUT(rc, put_part(b, "\n<details><summary>Samples</summary>\n\n<pre>\n", &m->samples,
                     "</pre>\n</details>\n"));
    return rc;
}

/* ---- mistakes ---- */

static enum err_code add_mistake(struct markdown_part *part, const struct problem *p)
{
    char place[512];
    CLEANUP(buf_done) struct buf item;
    buf_init(&item, ITEM_BYTES);
    if (p->place.line)
        snprintf(place, sizeof place, "%s:%u:%u", p->place.file, p->place.line, p->place.col);
    else
        snprintf(place, sizeof place, "%s", p->place.file);
    enum err_code rc = buf_puts(&item, "- ");
    PUT(rc, markdown_code(&item, place, sizeof place));
    PUT(rc, buf_putc(&item, ' '));
    PUT(rc, markdown_code(&item, p->text, WORDS_SHOWN));
    PUT(rc, buf_putc(&item, '\n'));
    return add(part, buf_slice(&item), rc);
}

enum err_code plan_markdown_put_mistakes(struct buf *b, const struct problem_list *problems)
{
    struct markdown_part part = part_of(MISTAKES_BYTES);
    enum err_code rc = buf_printf(b,
                                  "### Sluice plan\n\n**The project has %zu mistake%s**, and was "
                                  "not planned.\n",
                                  problems->mistakes, problems->mistakes == 1 ? "" : "s");
    for (size_t i = 0; i < problems->count && !rc; i++)
        if (problems->items[i].kind != PROBLEM_NOTE)
            rc = add_mistake(&part, &problems->items[i]);
    part.left_out += problems->dropped;
    PUT(rc, put_part(b, "\n", &part, ""));
    buf_done(&part.text);
    return rc;
}
