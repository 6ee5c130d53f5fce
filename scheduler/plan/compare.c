#include "scheduler/plan/compare.h"

#include "protocol/config/definitions.h"
#include "scheduler/run/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys that say when and how fast, not what. */
static const char *const sync_manner[] = {"schedule",    "priority", "batch_size",
                                          "batch_bytes", "lane_by",  "freshness"};
static const char *const destination_manner[] = {
    "rate_limits", "concurrency", "quota",      "timeout",    "retry",  "batch_size",
    "batch_bytes", "shard",       "token",      "bearer",     "basic",  "sign",
    "gzip",        "headers",     "poll_first", "poll_every", "ca_file"};
static const char *const source_manner[] = {"statement_timeout", "connections", "read", "redis_ca"};
/* What a scheduler that runs refuses to take (service/reload.c). */
static const char *const needs_restart[] = {"redis_ca", "shards", "state_dir", "listen"};

/* One list of words, ended by … where it becomes too long. */
struct words {
    char *text;
    size_t used, size;
    const char *head;            /* before the next word: "model m: " */
    const char *const *harmless; /* keys that alter nothing */
    size_t harmless_count;
    bool any;
    bool alters; /* a key that is not harmless was among them */
    bool spares; /* one that is was */
};

static void put(struct words *w, const char *text)
{
    static const char more[] = "…";
    size_t n = strlen(text), room = w->size - w->used;
    if (room < sizeof more + 1)
        return;
    if (n + sizeof more >= room) {
        text = more;
        n = sizeof more - 1;
        w->size = w->used + n + 1;
    }
    memcpy(w->text + w->used, text, n + 1);
    w->used += n;
}

static bool is_among(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

static void on_key(void *ctx, const char *key)
{
    struct words *w = ctx;
    put(w, *w->head ? w->used ? "; " : "" : w->used ? ", " : "");
    put(w, w->head);
    put(w, key);
    w->head = "";
    w->any = true;
    bool harmless = is_among(key, w->harmless, w->harmless_count);
    w->alters |= !harmless;
    w->spares |= harmless;
}

struct manner {
    const char *const *keys;
    size_t count;
};
#define MANNER(list) ((struct manner){list, ARRAY_LEN(list)})

static void compare(struct words *w, const struct project *was, const struct project *is,
                    const char *noun, const char *name, const char *head, struct manner manner)
{
    w->head = head;
    w->harmless = manner.keys;
    w->harmless_count = manner.count;
    definition_differs(definition_of(was, noun, name), definition_of(is, noun, name), on_key, w);
}

static bool is_same_text(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

/* A file keeps its name when what is in it changes. */
static void compare_file(struct words *w, const struct model *was, const struct model *is,
                         const char *head)
{
    if (w->any || is_same_text(was->sql, is->sql))
        return;
    w->head = head;
    on_key(w, "sql_file");
}

static void compare_model(struct words *w, const struct project *was, const struct project *is,
                          const struct sync_change *c)
{
    char head[160];
    const struct model *before = c->was->model, *after = c->is->model;
    if (strcmp(before->name, after->name) != 0)
        return; /* the sync's own `model` says so */
    struct words own = *w;
    own.any = false;
    snprintf(head, sizeof head, "model %s: ", after->name);
    compare(&own, was, is, "model", after->name, head, (struct manner){0});
    compare_file(&own, before, after, head);
    own.any |= w->any;
    *w = own;
    snprintf(head, sizeof head, "source %s: ", after->source->name);
    if (strcmp(before->source->name, after->source->name) == 0)
        compare(w, was, is, "source", after->source->name, head, MANNER(source_manner));
}

static void compare_destination(struct words *w, const struct project *was,
                                const struct project *is, const struct sync_change *c)
{
    char head[160];
    const struct destination *before = c->was->destination, *after = c->is->destination;
    if (strcmp(before->name, after->name) != 0)
        return;
    snprintf(head, sizeof head, "destination %s: ", after->name);
    compare(w, was, is, "destination", after->name, head, MANNER(destination_manner));
    snprintf(head, sizeof head, "connector %s: ", after->type);
    if (strcmp(before->type, after->type) == 0)
        compare(w, was, is, "connector", after->type, head, (struct manner){0});
}

static bool has_other_target(const struct sync *was, const struct sync *is)
{
    uint8_t a[RUN_TARGET_BYTES], b[RUN_TARGET_BYTES];
    return run_target(was, a) || run_target(is, b) || memcmp(a, b, sizeof a) != 0;
}

/* False: it is as it was. */
static bool compare_sync(struct sync_change *c, const struct project *was, const struct project *is)
{
    struct words w = {.text = c->what, .size = sizeof c->what};
    compare(&w, was, is, "sync", c->name, "", MANNER(sync_manner));
    compare_model(&w, was, is, c);
    compare_destination(&w, was, is, c);
    c->alters = w.alters;
    c->target = has_other_target(c->was, c->is);
    return w.any;
}

static void ignore(void *ctx, const char *key)
{
    (void)ctx;
    (void)key;
}

/* A sync of the earlier version that is gone, defined as this one is. */
static const struct sync *renamed_from(const struct project *was, const struct project *is,
                                       const char *name)
{
    const struct definition *d = definition_of(is, "sync", name);
    for (size_t i = 0; i < was->sync_count; i++) {
        const char *other = was->syncs[i].name;
        if (!project_sync(is, other) &&
            !definition_differs(definition_of(was, "sync", other), d, ignore, NULL))
            return &was->syncs[i];
    }
    return NULL;
}

static struct sync_change *next(struct comparison *c, const char *name, const struct sync *was,
                                const struct sync *is)
{
    struct sync_change *one = &c->changes[c->count++];
    *one = (struct sync_change){.name = name, .was = was, .is = is, .alters = true};
    one->kind = !was ? CHANGE_NEW : !is ? CHANGE_GONE : CHANGE_OTHER;
    return one;
}

static void compare_settings(struct comparison *c, const struct project *was,
                             const struct project *is)
{
    struct words w = {.text = c->settings, .size = sizeof c->settings};
    compare(&w, was, is, "settings", "", "", MANNER(needs_restart));
    c->restart = w.spares || !was->settings.redis_count != !is->settings.redis_count;
}

enum err_code comparison_make(const struct project *was, const struct project *is,
                              struct comparison *ret, struct err *err)
{
    *ret = (struct comparison){0};
    ret->changes = calloc(was->sync_count + is->sync_count + 1, sizeof *ret->changes);
    if (!ret->changes)
        return err_set(err, ERR_NOMEM, "no memory to compare two projects");
    for (size_t i = 0; i < is->sync_count; i++) {
        const struct sync *s = &is->syncs[i], *before = project_sync(was, s->name);
        struct sync_change *c = next(ret, s->name, before, s);
        if (!before) {
            c->renamed = renamed_from(was, is, s->name);
        } else if (!compare_sync(c, was, is)) {
            ret->count--;
            ret->same++;
        }
    }
    for (size_t i = 0; i < was->sync_count; i++)
        if (!project_sync(is, was->syncs[i].name))
            next(ret, was->syncs[i].name, &was->syncs[i], NULL);
    compare_settings(ret, was, is);
    return ERR_OK;
}

void comparison_done(struct comparison *c)
{
    free(c->changes);
    *c = (struct comparison){0};
}

const struct sync_change *comparison_of(const struct comparison *c, const char *sync)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->changes[i].name, sync) == 0)
            return &c->changes[i];
    return NULL;
}
