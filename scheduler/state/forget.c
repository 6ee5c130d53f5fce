/*
 * Reads and writes: all tables that can hold a key, an identity or a remote's words.
 * Invariant: what is sent to others does not change. A crash here: as everywhere in state.
 */
#include "scheduler/state/forget.h"

#include "protocol/base/json.h"
#include "scheduler/state/key.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"
#include "scheduler/state/rejected.h"
#include "scheduler/state/runs.h"
#include "scheduler/state/sync.h"

#include <ctype.h>
#include <stdlib.h>

enum {
    TEXTS_BYTES_MAX = 1 << 20,
    SCAN_STEP = 4096,
    REJECTED_STEP = 1000,
    MISC_NAMES_BYTES = 8 << 20
};

/* ---- how the person is named ---- */

void forget_init(struct forget *f, const char *key)
{
    *f = (struct forget){.key = key};
    buf_init(&f->texts, TEXTS_BYTES_MAX);
}

void forget_done(struct forget *f)
{
    buf_done(&f->texts);
}

static bool is_json(const struct forget *f)
{
    return *f->key == '{';
}

/* Short ones name too much else. */
static enum err_code add_text(struct forget *f, struct slice text, struct err *err)
{
    if (text.n < FORGET_TEXT_MIN || f->text_count == FORGET_TEXTS_MAX)
        return ERR_OK;
    const char *p = f->texts.p;
    for (size_t i = 0; i < f->text_count; i++, p += strlen(p) + 1)
        if (slice_eq_str(text, p))
            return ERR_OK;
    if (buf_put(&f->texts, text.p, text.n) || buf_putc(&f->texts, '\0'))
        return err_set(err, ERR_NOMEM, "state: no memory to forget with");
    f->text_count++;
    return ERR_OK;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool stands_in(struct slice text, const char *name)
{
    size_t n = strlen(name);
    const char *at = text.p, *end = text.p + text.n;
    while (at && (at = memmem(at, (size_t)(end - at), name, n))) {
        bool before = at > text.p && is_word(at[-1]) && is_word(*name);
        bool after = at + n < end && is_word(at[n]) && is_word(name[n - 1]);
        if (!before && !after)
            return true;
        at++;
    }
    return false;
}

bool forget_names_person(const struct forget *f, struct slice text)
{
    const char *p = f->texts.p;
    for (size_t i = 0; i < f->text_count; i++, p += strlen(p) + 1)
        if (text.n && stands_in(text, p))
            return true;
    return false;
}

/* ---- entries ---- */

/* The values of a key are names only where there is one; of a number no more than its key's JSON.
 */
static enum err_code learn(struct forget *f, struct slice bytes, struct err *err)
{
    struct value v;
    struct err ignored;
    if (key_decode(bytes, &v, 1, &ignored) || v.kind != VALUE_TEXT)
        return ERR_OK;
    return add_text(f, value_slice(v), err);
}

static bool is_named(const struct forget *f, struct slice text)
{
    const char *p = f->texts.p;
    if (slice_eq_str(text, f->key))
        return true;
    for (size_t i = 0; i < f->text_count; i++, p += strlen(p) + 1)
        if (slice_eq_str(text, p))
            return true;
    return false;
}

bool forget_is_person(const struct forget *f, struct slice bytes, const struct slice *names,
                      size_t count)
{
    struct value v;
    struct err ignored;
    CLEANUP(buf_done) struct buf json;
    buf_init(&json, 16 << 10);
    if (!bytes.n)
        return false;
    if (!key_decode(bytes, &v, 1, &ignored) && is_named(f, value_slice(v)))
        return true;
    return count && !key_json(&json, bytes, names, count, &ignored) &&
           is_named(f, buf_slice(&json));
}

static enum err_code learn_key(struct forget *f, struct slice key, const struct slice *names,
                               size_t count, struct err *err)
{
    CLEANUP(buf_done) struct buf json;
    struct err ignored;
    buf_init(&json, 16 << 10);
    enum err_code code = learn(f, key, err);
    if (!code && count && !key_json(&json, key, names, count, &ignored))
        code = add_text(f, buf_slice(&json), err);
    return code;
}

static enum err_code forget_slot(struct forget *f, struct state_sync *ss, struct slice key,
                                 uint32_t slot, struct err *err)
{
    struct identity_list list = {0};
    enum err_code code = state_identity_list(ss, slot, &list, err);
    for (size_t i = 0; i < list.count && !code; i++)
        code = learn(f, list.items[i].bytes, err);
    f->counts.identities += list.count;
    if (!code)
        code = state_entry_delete(ss, key, slot, err);
    f->counts.entries += !code;
    return code;
}

static enum err_code forget_key(struct forget *f, struct state_sync *ss, struct slice key,
                                const struct slice *names, size_t count, struct err *err)
{
    uint32_t slot;
    enum err_code code = state_key_find(ss, key, &slot, err);
    if (code || slot == SLOT_NONE)
        return code;
    code = learn_key(f, key, names, count, err);
    return code ? code : forget_slot(f, ss, key, slot, err);
}

/* It may be the value of an identity instead. */
static enum err_code forget_owner(struct forget *f, struct state_sync *ss, struct slice bytes,
                                  const struct slice *names, size_t count, struct err *err)
{
    struct identity_owner owner;
    struct identity_list list = {0};
    enum err_code code = state_identity_find(ss, bytes, &owner, err);
    if (code || owner.slot == SLOT_NONE)
        return code;
    code = state_identity_list(ss, owner.slot, &list, err);
    if (code)
        return code;
    CLEANUP(buf_done) struct buf key;
    buf_init(&key, KEY_BYTES_MAX);
    if (buf_put(&key, list.key.p, list.key.n))
        return err_set(err, ERR_NOMEM, "state: no memory to forget with");
    return forget_key(f, ss, buf_slice(&key), names, count, err);
}

/* The key or identity as text and, where it reads as one, as a number. */
static enum err_code forget_value(struct forget *f, struct state_sync *ss,
                                  const struct slice *names, size_t count, struct err *err)
{
    struct slice text = slice_str(f->key);
    enum err_code code = ERR_OK;
    for (int number = 0; number <= json_is_number(text) && !code; number++) {
        CLEANUP(buf_done) struct buf key;
        struct value v = value_of(number ? VALUE_NUMBER : VALUE_TEXT, text);
        buf_init(&key, KEY_BYTES_MAX);
        code = key_encode(&key, &v, 1, NULL, err);
        if (!code && count == 1)
            code = learn_key(f, buf_slice(&key), names, count, err); /* it may only be listed */
        if (!code)
            code = forget_key(f, ss, buf_slice(&key), names, count, err);
        if (!code)
            code = forget_owner(f, ss, buf_slice(&key), names, count, err);
    }
    return code;
}

struct search {
    struct slice want;
    const struct slice *names;
    size_t count;
    struct buf json;
    struct buf found; /* key bytes */
    enum err_code code;
};

static bool compare(void *ctx, uint32_t slot, struct slice key)
{
    struct search *s = ctx;
    struct err ignored;
    (void)slot;
    buf_reset(&s->json);
    if (key_json(&s->json, key, s->names, s->count, &ignored) ||
        !slice_eq(buf_slice(&s->json), s->want))
        return true;
    s->code = buf_put(&s->found, key.p, key.n);
    return false;
}

/* The key as its JSON text: looked for among all, since a number's text may be written in many
 * ways. */
static enum err_code forget_json(struct forget *f, struct state_sync *ss, const struct slice *names,
                                 size_t count, struct err *err)
{
    CLEANUP(buf_done) struct buf want;
    buf_init(&want, 64 << 10);
    if (json_put_compact(&want, slice_str(f->key)))
        return err_set(err, ERR_USAGE, "the key %s is not JSON", f->key);
    struct search s = {.want = buf_slice(&want), .names = names, .count = count};
    struct state_scan scan = {0};
    buf_init(&s.json, 64 << 10);
    buf_init(&s.found, KEY_BYTES_MAX);
    enum err_code code = add_text(f, s.want, err);
    while (!code && count && !scan.ended && !s.found.len)
        code = state_scan_unseen(ss, &scan, NULL, SCAN_STEP, compare, &s, err);
    if (!code && s.code)
        code = err_set(err, s.code, "state: no memory to forget with");
    if (!code && s.found.len)
        code = forget_key(f, ss, buf_slice(&s.found), names, count, err);
    buf_done(&s.json);
    buf_done(&s.found);
    return code;
}

enum err_code forget_entries(struct forget *f, struct state_sync *ss, const struct slice *names,
                             size_t count, struct err *err)
{
    enum err_code code = state_sync_touch(ss, err);
    if (!code && !is_json(f) && !json_is_number(slice_str(f->key)))
        code = add_text(f, slice_str(f->key), err);
    if (code)
        return code;
    return is_json(f) ? forget_json(f, ss, names, count, err)
                      : forget_value(f, ss, names, count, err);
}

/* Moves name, "n" and the sync's, to the next; ERR_NOTFOUND behind the last. */
static enum err_code next_name(struct state *s, char *name, size_t size, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    MDB_val k, v;
    size_t n = strlen(name);
    enum err_code code = store_cursor(s, TABLE_SYNCS, &c, err);
    if (!code)
        code = store_seek(s, c, slice_of(name, n), 1, &k, &v, err);
    if (!code && n > 1 && slice_eq(store_slice(k), slice_of(name, n)))
        code = store_step(s, c, MDB_NEXT, SLICE_LIT("n"), &k, &v, err);
    if (code)
        return code;
    if (k.mv_size >= size)
        return err_set(err, ERR_INVALID, "state: damaged: a sync's name");
    memcpy(name, k.mv_data, k.mv_size);
    name[k.mv_size] = '\0';
    return ERR_OK;
}

/* No cursor is open while the callback may commit: LMDB would close it. */
enum err_code forget_each_sync(struct state *s, forget_name_cb cb, void *ctx, struct err *err)
{
    char name[STATE_NAME_MAX + 2] = "n";
    enum err_code code = ERR_OK;
    while (!code) {
        code = next_name(s, name, sizeof name, err);
        if (!code)
            code = cb(ctx, name + 1, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

/* ---- words ---- */

static bool listed_names(void *ctx, const struct rejected *r)
{
    const struct forget *f = ctx;
    return forget_names_person(f, r->text) || forget_names_person(f, r->message);
}

/* A refusal whose words name the person keeps its hash and loses its words. */
static enum err_code next_refusal(struct forget *f, struct state_sync *ss, uint64_t *position,
                                  struct err *err)
{
    uint32_t slot;
    enum refusal_kind kind;
    struct refusal r;
    enum err_code code = sync_refusal_next(ss, position, &slot, &kind, &r, err);
    if (code || !forget_names_person(f, r.reason))
        return code;
    f->counts.texts++;
    r.reason = SLICE_LIT("(forgotten)");
    return state_refusal_put(ss, slot, kind, &r, err);
}

enum err_code forget_words(struct forget *f, struct state_sync *ss, struct err *err)
{
    uint64_t position = 0;
    bool more = true;
    enum err_code code = ERR_OK;
    while (!code && more)
        code = state_rejected_drop(ss, listed_names, f, &position, REJECTED_STEP,
                                   &f->counts.rejected, &more, err);
    position = 0;
    while (!code)
        code = next_refusal(f, ss, &position, err);
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

/* ---- runs and memos ---- */

struct ids {
    const struct forget *f;
    struct buf names; /* NUL behind each */
    enum err_code code;
};

static bool run_names(const struct forget *f, const struct run_record *r)
{
    return forget_names_person(f, slice_str(r->reason)) ||
           forget_names_person(f, slice_str(r->error)) ||
           forget_names_person(f, slice_str(r->warning));
}

static bool collect_run(void *ctx, const struct run_record *r)
{
    struct ids *ids = ctx;
    if (run_names(ids->f, r))
        ids->code = buf_put(&ids->names, r->id, strlen(r->id) + 1);
    return !ids->code;
}

static void blank(const struct forget *f, char *text)
{
    if (forget_names_person(f, slice_str(text)))
        strcpy(text, "(forgotten)");
}

static enum err_code forget_run(struct forget *f, struct state *s, const char *id, struct err *err)
{
    struct run_record r;
    enum err_code code = state_run_get(s, id, &r, err);
    if (code)
        return code;
    blank(f, r.reason);
    blank(f, r.error);
    blank(f, r.warning);
    f->counts.texts++;
    return state_run_put(s, &r, err);
}

/* Of the memos only these hold words. Others name syncs, columns and destinations, and what depends
 * on them would change. */
static const char audit_prefix[] = "audit:", resync_prefix[] = "resync:";

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool collect_memo(void *ctx, const char *name, struct slice value)
{
    struct ids *ids = ctx;
    bool words = has_prefix(name, audit_prefix) || has_prefix(name, resync_prefix);
    if (words && forget_names_person(ids->f, value))
        ids->code = buf_put(&ids->names, name, strlen(name) + 1);
    return !ids->code;
}

/* That a resync is wanted stays; why is lost. */
static enum err_code forget_memo(struct forget *f, struct state *s, const char *name,
                                 struct err *err)
{
    f->counts.texts++;
    return state_misc_put(
        s, name, has_prefix(name, resync_prefix) ? SLICE_LIT("(forgotten)") : (struct slice){0},
        err);
}

typedef enum err_code (*forget_one)(struct forget *, struct state *, const char *, struct err *);

static enum err_code each(struct forget *f, struct state *s, const struct ids *ids, forget_one one,
                          struct err *err)
{
    enum err_code code =
        ids->code ? err_set(err, ids->code, "state: no memory to forget with") : ERR_OK;
    for (const char *p = ids->names.p; !code && p && p < ids->names.p + ids->names.len;
         p += strlen(p) + 1)
        code = one(f, s, p, err);
    return code;
}

enum err_code forget_rest(struct forget *f, struct state *s, struct err *err)
{
    struct ids ids = {.f = f};
    buf_init(&ids.names, MISC_NAMES_BYTES);
    enum err_code code = state_run_list(s, NULL, 0, collect_run, &ids, err);
    if (!code)
        code = each(f, s, &ids, forget_run, err);
    buf_reset(&ids.names);
    if (!code)
        code = state_misc_list(s, "", collect_memo, &ids, err);
    if (!code)
        code = each(f, s, &ids, forget_memo, err);
    buf_done(&ids.names);
    return code;
}
