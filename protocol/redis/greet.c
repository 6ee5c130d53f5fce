/*
 * What is said first on a fresh connection, one step after the other:
 *
 *   AUTH (with a user or a password) → SELECT (db > 0) → ROLE (found by sentinels)
 *     → CONFIG GET maxmemory-policy → [INFO memory] → ready
 *
 * With any_policy, PING takes the place of the policy: it says whether we may speak at all.
 *
 * Redis must never evict: batches and windows would vanish unseen. A server where CONFIG is
 * forbidden is asked by INFO; where that is forbidden too the connection stands and on_state
 * carries a note.
 */
#include "protocol/redis/internal.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

static const char POLICY[] = "maxmemory_policy:";

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static void say(struct redis *r, const struct slice *argv, size_t argc, redis_cb cb)
{
    struct err err;
    if (command_send_now(r, argv, argc, cb, &err))
        redis_break(r, &err);
}

/* A connection that is being given up fails its commands, too: nothing is left to do then. */
static bool over(const struct redis *r)
{
    return r->state != REDIS_GREETING;
}

/* Errors that say nothing about us: the same greeting may work later. */
static bool passing(const struct err *err)
{
    static const char *const words[] = {"LOADING ", "BUSY ", "MASTERDOWN ", "TRYAGAIN ",
                                        "ERR max number of clients"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (starts(err->text, words[i]))
            return true;
    return false;
}

/* ---- the policy ---- */

static void policy_known(struct redis *r, const char *policy, size_t n)
{
    struct err err;
    if (slice_eq_str(slice_of(policy, n), "noeviction")) {
        redis_greeted(r, NULL);
        return;
    }
    err_set(&err, ERR_CONFIG,
            "its maxmemory-policy is %.*s and would drop work unseen: set maxmemory-policy to "
            "noeviction",
            (int)(n < 64 ? n : 64), policy);
    redis_break(r, &err);
}

static void policy_unknown(struct redis *r, const char *why)
{
    struct err note;
    err_set(&note, ERR_DENIED,
            "Redis at %s does not tell its maxmemory-policy (%.200s): see that it is noeviction",
            r->name, why);
    redis_greeted(r, &note);
}

static void on_info(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct redis *r = ctx;
    if (over(r))
        return;
    const char *at = reply && reply->str ? strstr(reply->str, POLICY) : NULL;
    if (at) {
        at += strlen(POLICY);
        policy_known(r, at, strcspn(at, "\r\n"));
    } else if (err && passing(err)) {
        redis_break(r, err);
    } else {
        policy_unknown(r, err ? err->text : "INFO memory has no such line");
    }
}

static void on_config(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct redis *r = ctx;
    if (over(r))
        return;
    if (err && (passing(err) || starts(err->text, "NOAUTH ") || starts(err->text, "DENIED "))) {
        struct err why = *err;
        if (!passing(err))
            why.code = ERR_DENIED;
        redis_break(r, &why);
    } else if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
               reply->element[1]->type == REDIS_REPLY_STRING) {
        policy_known(r, reply->element[1]->str, (size_t)reply->element[1]->len);
    } else {
        say(r, (const struct slice[]){SLICE_LIT("INFO"), SLICE_LIT("memory")}, 2, on_info);
    }
}

/* Whoever may not PING is somebody; whoever must say who he is, is nobody yet. */
static void on_ping(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct redis *r = ctx;
    (void)reply;
    if (over(r))
        return;
    if (err && !starts(err->text, "NOPERM "))
        redis_break(r, err);
    else
        redis_greeted(r, NULL);
}

static void ask_policy(struct redis *r)
{
    if (r->opts.any_policy) {
        say(r, (const struct slice[]){SLICE_LIT("PING")}, 1, on_ping);
        return;
    }
    const struct slice argv[] = {SLICE_LIT("CONFIG"), SLICE_LIT("GET"),
                                 SLICE_LIT("maxmemory-policy")};
    say(r, argv, ARRAY_LEN(argv), on_config);
}

/* ---- the role ---- */

static void on_role(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct redis *r = ctx;
    struct err why;
    if (over(r))
        return;
    bool tells = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                 reply->element[0]->type == REDIS_REPLY_STRING;
    if (tells && strcmp(reply->element[0]->str, "master") == 0) {
        ask_policy(r);
        return;
    }
    if (err)
        why = *err;
    else
        err_set(&why, ERR_UNREACHABLE, "sentinels name it, and it says that it is no primary");
    redis_break(r, &why);
}

/* Sentinels may know less than the server itself. */
static void ask_role(struct redis *r)
{
    if (r->sentinel)
        say(r, (const struct slice[]){SLICE_LIT("ROLE")}, 1, on_role);
    else
        ask_policy(r);
}

/* ---- the database ---- */

static void on_selected(void *ctx, const struct redisReply *reply, const struct err *err)
{
    (void)reply;
    struct redis *r = ctx;
    if (over(r))
        return;
    if (!err) {
        ask_role(r);
        return;
    }
    struct err why = *err;
    if (!passing(err) && why.code == ERR_REMOTE)
        why.code = ERR_CONFIG;
    err_prefix(&why, "database %d", r->url.db);
    redis_break(r, &why);
}

static void ask_db(struct redis *r)
{
    char db[16];
    if (r->url.db == 0) {
        ask_role(r);
        return;
    }
    snprintf(db, sizeof db, "%d", r->url.db);
    say(r, (const struct slice[]){SLICE_LIT("SELECT"), slice_str(db)}, 2, on_selected);
}

/* ---- who we are ---- */

/*
 * Words that are known not to repeat what was sent. A server without AUTH answers "unknown command"
 * and the password.
 */
static const char *words_without_secret(const char *text)
{
    static const char *const known[] = {"WRONGPASS ",
                                        "NOAUTH ",
                                        "NOPERM ",
                                        "ERR AUTH <password>",
                                        "ERR invalid password",
                                        "ERR wrong number of arguments",
                                        "ERR Client sent AUTH"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (starts(text, known[i]))
            return text;
    return "AUTH is refused";
}

static void on_auth(void *ctx, const struct redisReply *reply, const struct err *err)
{
    (void)reply;
    struct redis *r = ctx;
    if (over(r))
        return;
    if (!err) {
        ask_db(r);
        return;
    }
    struct err why = *err;
    if (!passing(err))
        err_set(&why, ERR_DENIED, "%s", words_without_secret(err->text));
    redis_break(r, &why);
}

void greet_start(struct redis *r)
{
    if (!r->url.user[0] && !r->url.password[0]) {
        ask_db(r);
        return;
    }
    struct slice argv[3] = {SLICE_LIT("AUTH")};
    size_t n = 1;
    if (r->url.user[0])
        argv[n++] = slice_str(r->url.user);
    argv[n++] = slice_str(r->url.password);
    say(r, argv, n, on_auth);
}
