#include "scheduler/run/target.h"

#include "protocol/connector/connector.h"

#include <xxhash.h>

static void hash_text(XXH3_state_t *h, const char *s)
{
    size_t n = s ? strlen(s) : 0;
    XXH3_128bits_update(h, &n, sizeof n);
    if (n)
        XXH3_128bits_update(h, s, n);
}

/* Options that say how, not where. */
static bool is_manner(const struct connector *c, size_t option)
{
    if (c->options[option].kind == OPTION_BOOL || c->limit_option == (int32_t)option)
        return true;
    for (size_t i = 0; i < c->object_count; i++)
        for (size_t j = 0; j < c->objects[i].request_count; j++)
            for (size_t k = 0; k < c->objects[i].requests[j].step_count; k++) {
                const struct poll *poll = &c->objects[i].requests[j].steps[k].poll;
                if (poll->given && (poll->first_option == (int32_t)option ||
                                    poll->every_option == (int32_t)option))
                    return true;
            }
    return false;
}

/* A connector of the project may have its addresses written out. */
static void hash_addresses(XXH3_state_t *h, const struct object *o)
{
    for (size_t i = 0; i < o->request_count; i++)
        for (size_t j = 0; j < o->requests[i].step_count; j++) {
            const struct template *url = &o->requests[i].steps[j].url;
            for (size_t k = 0; k < url->count; k++)
                if (url->pieces[k].kind == PIECE_TEXT)
                    hash_text(h, url->pieces[k].text);
        }
}

/* What tells one account from another: the address, and what else was chosen that is no secret. A
 * default counts as nothing, so that a later version may have another. */
static void hash_account(XXH3_state_t *h, const struct destination *d, const struct object *target)
{
    const struct connector *c = d->connector;
    if (strcmp(d->type, "webhook") == 0) {
        hash_text(h, destination_option(d, "url"));
        return;
    }
    if (!c->builtin)
        hash_addresses(h, target);
    for (size_t i = 0; i < c->option_count; i++) {
        const struct option *o = &c->options[i];
        const char *value = d->options[i];
        bool chosen = value && (!o->preset || strcmp(o->preset, value) != 0);
        if (o->secret || !chosen || is_manner(c, i))
            continue;
        hash_text(h, o->name);
        hash_text(h, value);
    }
}

/* Account, object, identity and primary key: what makes an accepted record mean something. */
enum err_code run_target(const struct sync *sync, uint8_t *out)
{
    XXH3_state_t *h = XXH3_createState();
    if (!h)
        return ERR_NOMEM;
    XXH3_128bits_reset(h);
    hash_text(h, sync->destination->type);
    hash_account(h, sync->destination, sync->target);
    hash_text(h, sync->object);
    hash_text(h, sync->identify_by);
    for (size_t i = 0; i < sync->model->primary_key_count; i++)
        hash_text(h, sync->model->primary_key[i]);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(h));
    memcpy(out, canonical.digest, sizeof canonical.digest);
    XXH3_freeState(h);
    return ERR_OK;
}
