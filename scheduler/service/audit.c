/* Who asked for what, and what came of it. Writes: state, `audit:NUMBER`, numbers counting down so
 * that the newest come first. Invariant: at most AUDIT_MAX are kept. */
#include "scheduler/service/service_private.h"

#include "protocol/base/buf.h"
#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    AUDIT_MAX = 10000,
    AUDIT_NAME_BYTES = 40,
    AUDIT_TEXT_MAX = 1024,
    AUDIT_TARGET_MAX = 512, /* whoever asks may have named anything */
    AUDIT_BYTES = 2048,
};
static const char audit_prefix[] = "audit:";

static void audit_name(uint64_t number, char out[AUDIT_NAME_BYTES])
{
    snprintf(out, AUDIT_NAME_BYTES, "%s%020" PRIu64, audit_prefix, UINT64_MAX - number);
}

static bool take_newest(void *ctx, const char *name, struct slice value)
{
    (void)value;
    *(uint64_t *)ctx = UINT64_MAX - strtoull(name + sizeof audit_prefix - 1, NULL, 10);
    return false;
}

enum err_code audit_load(struct control *c, struct err *err)
{
    c->audit_next = 0;
    enum err_code rc = state_misc_list(c->state, audit_prefix, take_newest, &c->audit_next, err);
    c->audit_next++;
    return rc;
}

void audit_write(struct control *c, const struct control_actor *who, const char *action,
                 const char *target, const struct err *err)
{
    uint8_t bytes[AUDIT_BYTES];
    char name[AUDIT_NAME_BYTES], actor[160], outcome[AUDIT_TEXT_MAX];
    char named[AUDIT_TARGET_MAX];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    struct err failed;
    snprintf(actor, sizeof actor, "%.100s (%.20s)", who->name, who->role);
    snprintf(outcome, sizeof outcome, "%.*s", AUDIT_TEXT_MAX - 1, err ? err->text : "ok");
    snprintf(named, sizeof named, "%.*s", AUDIT_TARGET_MAX - 1, target);
    pack_u64(&k, (uint64_t)clock_wall_ms());
    pack_str(&k, actor);
    pack_str(&k, action);
    pack_str(&k, named);
    pack_str(&k, outcome);
    ensure(!k.full);
    log_event(c->opts.log, LOG_INFO, "asked", LOG_STR("by", actor), LOG_STR("action", action),
              LOG_STR("target", named), LOG_STR("outcome", outcome));
    audit_name(c->audit_next, name);
    enum err_code rc = state_misc_put(c->state, name, slice_of(bytes, k.n), &failed);
    if (!rc && c->audit_next > AUDIT_MAX) {
        audit_name(c->audit_next - AUDIT_MAX, name);
        rc = state_misc_put(c->state, name, (struct slice){0}, &failed);
    }
    c->audit_next++;
    if (rc)
        control_complain(c, "audit_not_kept", &failed);
}

struct listing {
    size_t left;
    control_audit_cb cb;
    void *ctx;
};

static struct slice text_at(struct unpack *u, char *out, size_t n)
{
    unpack_str(u, out, n);
    return slice_str(out);
}

static bool give(void *ctx, const char *name, struct slice value)
{
    struct listing *l = ctx;
    struct unpack u = {(const uint8_t *)value.p, value.n};
    char actor[AUDIT_TEXT_MAX], action[AUDIT_TEXT_MAX], target[AUDIT_TEXT_MAX];
    char outcome[AUDIT_TEXT_MAX];
    (void)name;
    if (!l->left--)
        return false;
    struct control_audit entry = {.time_ms = (int64_t)unpack_u64(&u)};
    entry.actor = text_at(&u, actor, sizeof actor);
    entry.action = text_at(&u, action, sizeof action);
    entry.target = text_at(&u, target, sizeof target);
    entry.outcome = text_at(&u, outcome, sizeof outcome);
    return l->cb(l->ctx, &entry);
}

enum err_code control_audit_list(struct control *c, size_t limit, control_audit_cb cb, void *ctx,
                                 struct err *err)
{
    struct listing l = {limit, cb, ctx};
    return state_misc_list(c->state, audit_prefix, give, &l, err);
}
