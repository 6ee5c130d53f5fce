#include "protocol/config/form.h"
#include "protocol/config/listen.h"
#include "protocol/config/parts.h"
#include "protocol/config/shard.h"

#include <stdlib.h>

enum { SEAL_KEY_LEAST = 32 };

struct settings_form {
    struct settings s;
    const char *state_dir;
    const struct node *redis;
    const struct node *tokens;
    uint64_t limit_slack_ms;
    int log_format;
    const struct node *warehouse_log;
};

static const char *const log_formats[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json", NULL};

#define MEMBER(m) .offset = offsetof(struct settings_form, m)
static const struct field fields[] = {
    {"redis", FIELD_NODE, MEMBER(redis)},
    {"redis_ca", FIELD_TEXT, MEMBER(s.redis_ca), .may_be_empty = true},
    {"state_dir", FIELD_TEXT, MEMBER(state_dir)},
    {"shards", FIELD_COUNT, MEMBER(s.shards), .min = 1, .max = SHARDS_MAX},
    {"listen", FIELD_TEXT, MEMBER(s.listen)},
    {"tokens", FIELD_NODE, MEMBER(tokens)},
    {"window", FIELD_SIZE, MEMBER(s.window_bytes), .min = 1 << 20, .max = 1ull << 40},
    {"disk_reserve", FIELD_SIZE, MEMBER(s.disk_reserve_bytes), .max = 1ull << 50},
    {"history", FIELD_SIZE, MEMBER(s.history_bytes), .max = 1ull << 50},
    {"seal_key", FIELD_TEXT, MEMBER(s.seal_key), .may_be_empty = true},
    {"limit_slack", FIELD_DURATION, MEMBER(limit_slack_ms), .max = 60000},
    {"log_format", FIELD_WORD, MEMBER(log_format), .words = log_formats},
    {"worker_listen", FIELD_TEXT, MEMBER(s.worker_listen)},
    {"worker_slots", FIELD_COUNT, MEMBER(s.worker_slots), .min = 1, .max = 1024},
    {"drain_within", FIELD_DURATION, MEMBER(s.drain_within_ms), .min = 1000, .max = 86400000},
    {"warehouse_log", FIELD_NODE, MEMBER(warehouse_log)},
};
static const struct form form = {"`settings` map", fields, ARRAY_LEN(fields), false};

static const char default_state_dir[] = ".sluice";

static struct config_place place_of_value(const struct entry *of, const char *key)
{
    const struct pair *pair = of ? node_get(of->node, key) : NULL;
    return pair ? pair->value->at : (struct config_place){".", 0, 0};
}

/* 32 characters that are not chosen by a machine are little enough. */
static void check_seal_key(struct reader *rd, const struct entry *of, const char *key)
{
    if (strlen(key) < SEAL_KEY_LEAST)
        mistake(rd, place_of_value(of, "seal_key"),
                "`seal_key` must be %d characters or more, or 64 hex digits: openssl rand -hex 32 "
                "makes one",
                SEAL_KEY_LEAST);
}

/* What other machines can reach must ask who it is; half-read tokens are a mistake of their own. */
static void check_listen(struct reader *rd, const struct entry *of, const struct settings *s,
                         bool has_tokens)
{
    struct listen_address at;
    if (strcmp(s->listen, "off") == 0)
        return;
    if (!listen_parse(s->listen, &at))
        mistake(rd, place_of_value(of, "listen"),
                "`listen` must be an address and a port, 127.0.0.1:8470, or off");
    else if (!at.loopback && !has_tokens)
        mistake(rd, place_of_value(of, "listen"),
                "`listen` is an address that other machines can reach, so `settings.tokens` must "
                "say who may use it: `sluice token` makes one; or write 127.0.0.1:%u",
                at.port);
}

/* Nothing is asked of who reads a worker's metrics: they hold names and numbers only. */
static void read_worker_listen(struct reader *rd, const struct entry *of, struct settings *s)
{
    struct listen_address at;
    if (strcmp(s->worker_listen, "off") == 0)
        s->worker_listen = NULL;
    else if (!listen_parse(s->worker_listen, &at))
        mistake(rd, place_of_value(of, "worker_listen"),
                "`worker_listen` must be an address and a port, 127.0.0.1:9470, or off");
}

/* Takes . and .. out of an absolute path without looking at the disk: the folder need not exist
 * yet. */
static void tidy_path(char *path)
{
    char *out = path;
    for (const char *p = path; *p;) {
        const char *part = p + strspn(p, "/");
        size_t n = strcspn(part, "/");
        p = part + n;
        if (n == 2 && strncmp(part, "..", 2) == 0) {
            while (out > path && *--out != '/') {
            }
        } else if (n > 0 && !(n == 1 && *part == '.')) {
            *out++ = '/';
            memmove(out, part, n);
            out += n;
        }
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

/* dir is in folder, or is it. */
static bool holds(const char *folder, const char *dir)
{
    size_t n = strlen(folder);
    return strcmp(folder, "/") == 0 ||
           (strncmp(dir, folder, n) == 0 && (dir[n] == '/' || dir[n] == '\0'));
}

static char *whole_path(struct reader *rd, const char *written)
{
    const char *path = reader_path(rd, written);
    char *tidy = path ? reader_str(rd, slice_str(path)) : NULL;
    if (tidy)
        tidy_path(tidy);
    return tidy;
}

static void set_state_dir(struct reader *rd, const struct entry *of, const char *written)
{
    char *tidy = whole_path(rd, written);
    if (!tidy)
        return;
    if (!holds(tidy, rd->project->dir)) {
        rd->project->settings.state_dir = tidy;
        return;
    }
    rd->project->settings.state_dir = whole_path(rd, default_state_dir);
    mistake(rd, place_of_value(of, "state_dir"),
            "`state_dir` must be a folder of its own, not one that holds the "
            "project: write .sluice, or a path elsewhere");
}

/* A worker serves all shards: what it is told of one only says where its parent's state lies. */
static void set_shard(struct reader *rd)
{
    struct settings *s = &rd->project->settings;
    const char *text = getenv(SHARD_VARIABLE);
    struct config_place place = {SHARD_VARIABLE, 0, 0};
    uint32_t shard;
    struct err err;
    s->state_root = s->state_dir;
    if (!text || !*text)
        return;
    if (shard_parse(text, NULL, &shard, &err)) {
        if (!rd->is_worker)
            mistake(rd, place, "%s", err.text);
    } else if (shard >= s->shards) {
        if (!rd->is_worker)
            mistake(rd, place, "there is no shard %u: `settings.shards` is %u, so the last is %u",
                    shard, s->shards, s->shards - 1);
    } else {
        s->shard = (int32_t)shard;
        if (s->shards > 1 && s->state_root)
            s->state_dir = reader_printf(rd, "%s/shard-%u", s->state_root, shard);
    }
}

void settings_read(struct reader *rd, const struct entry *settings)
{
    struct settings_form f = {
        .s = {.listen = "127.0.0.1:8470",
              .shards = 1,
              .shard = -1,
              .window_bytes = 64000000,
              .disk_reserve_bytes = 64000000,
              .history_bytes = 128000000,
              .worker_slots = 32,
              .drain_within_ms = 120000},
        .state_dir = default_state_dir,
        .limit_slack_ms = 20,
    };
    f.s.place = settings ? settings->at : (struct config_place){".", 0, 0};
    if (settings && !node_is_core(settings->node, CORE_NULL))
        form_read(rd, &form, settings, &f);
    f.s.limit_slack_ms = (uint32_t)f.limit_slack_ms;
    f.s.log_format = (enum log_format)f.log_format;
    rd->warehouse_log = f.warehouse_log;
    if (f.s.worker_listen)
        read_worker_listen(rd, settings, &f.s);
    if (f.redis)
        redis_servers_read(rd, f.redis, &f.s);
    if (f.s.redis_ca)
        f.s.redis_ca = reader_path(rd, f.s.redis_ca);
    if (f.s.seal_key)
        check_seal_key(rd, settings, f.s.seal_key);
    if (f.tokens)
        tokens_read(rd, f.tokens, &f.s);
    check_listen(rd, settings, &f.s, f.tokens && (f.tokens->broken || f.tokens->count));
    rd->project->settings = f.s;
    set_state_dir(rd, settings, f.state_dir);
    set_shard(rd);
}
