/*
 * The parts of loading, in the order load.c calls them: each reads one section's entries into the
 * project and reports what is wrong there. References go backwards only, so they are pointers at
 * once.
 */
#ifndef SLUICE_CONFIG_PARTS_H
#define SLUICE_CONFIG_PARTS_H

#include "protocol/config/reader.h"

/** node: the map under `settings`, NULL for the defaults. */
void settings_read(struct reader *rd, const struct entry *settings);
/** node: `settings.redis`, a URL or a list. */
void redis_servers_read(struct reader *rd, const struct node *node, struct settings *s);
/** list: `settings.tokens`. */
void tokens_read(struct reader *rd, const struct node *list, struct settings *s);
void sources_read(struct reader *rd);
/** The part of settings that names a source. */
void warehouse_log_read(struct reader *rd);
/** A source of type redis into s. */
void source_redis_read(struct reader *rd, const struct entry *of, struct source *s);
/** True for text in one of the forms of a Redis URL. */
bool is_redis_url(const char *text);
bool is_redis_cluster(const char *url);
/** Fills project->definitions from what was gathered. */
void definitions_note(struct reader *rd);
/** The names of a section, of count entries in file order: the first definition of each. Repeated
 * ones are mistakes. */
void section_index(struct reader *rd, struct section *s, const struct entry *all, size_t count);
void models_read(struct reader *rd);
/** A model of a redis source: `stream` and `columns`, and nothing that asks for rows. m has its
 * stream and its primary key. */
void model_events_read(struct reader *rd, const struct entry *of, const struct node *columns,
                       struct model *m);
/** The project's own. */
void connectors_read(struct reader *rd);
/** And behind them those that are built in. */
void connectors_add_builtin(struct reader *rd);
void destinations_read(struct reader *rd);
/** Destinations of one quota must state the same limits. */
void quotas_check(struct reader *rd);
void syncs_read(struct reader *rd);
void alerts_read(struct reader *rd);
/** Leaves a shard its own destinations and syncs. */
void shards_apply(struct reader *rd);

/** The connector that a destination's `type` names; NULL where there is none, with a mistake.
 * ret_definition: its YAML in the project, untouched where it is built in. */
const struct connector *connector_of(struct reader *rd, const struct entry *of,
                                     const struct node **ret_definition);
/** Values of the connector's options into d->options; d->connector is set. */
void destination_options_read(struct reader *rd, const struct entry *of, struct destination *d);
/** list: `rate_limits`; NULL: those of the connector. The options are read. */
void destination_limits_read(struct reader *rd, const struct node *list, struct destination *d);
/** headers: a node or NULL; d->ca_file is as written. The options are read. */
void destination_http_read(struct reader *rd, const struct entry *of, const struct node *headers,
                           struct destination *d);
/** Fills d->secrets. definition: the connector's YAML in the project, or NULL. */
void secrets_gather(struct reader *rd, const struct node *definition, struct destination *d);
/** Fills d->fingerprint; everything else is there. */
void fingerprint_make(struct reader *rd, const struct node *definition, struct destination *d);
/** Something that HTTP does not allow in a header. */
bool has_control(const char *text);

/** Mappings into sync, `all` included. */
void mappings_read(struct reader *rd, const struct node *node, struct sync *sync);
/** One mapping's `transform`. */
void transforms_read(struct reader *rd, const struct node *node, struct mapping *mapping);
struct transform_list {
    struct transform *items;
    size_t count;
};
/** node: one transform or a list of them; names of recipes become their transforms. */
void transform_list_read(struct reader *rd, const struct node *node, struct transform_list *ret);
/** True where name is a transform's. */
bool transform_is(const char *name);
/** Two mappings must not fill the same field, nor one field inside another's. */
void mappings_check(struct reader *rd, const struct sync *sync);
bool mapping_is_to(const struct mapping *mapping, const char *field);

/** Sets sync->target from `object`. */
void sync_resolve(struct reader *rd, const struct entry *of, struct sync *sync);
/** What follows from the target, and what it cannot do. Everything else of the sync is there. */
void sync_target(struct reader *rd, const struct entry *of, struct sync *sync);
/** Reports recipes that there are not; c may be NULL. */
void connector_check_recipes(struct reader *rd, const struct connector *c);
/** The object's recipe for the field, behind the mapping's own transforms. */
void mapping_add_recipe(struct reader *rd, const struct object *o, struct mapping *mapping);
/** All recipes of the target, for `mappings: all`. */
void sync_add_recipes(struct reader *rd, struct sync *sync);

/** A number, a percentage or off into out; v may be NULL. */
void guard_limit_read(struct reader *rd, const struct node *v, const char *key,
                      struct guard_limit *out);
/** guard may be NULL; sync->mode is set. */
void guard_read(struct reader *rd, const struct node *node, struct sync *sync);
/** node may be NULL; sync->model is set where there is one. `after` is resolved by after_link, when
 * all syncs are known. */
void schedule_read(struct reader *rd, const struct node *node, struct sync *sync);
void after_link(struct reader *rd);
/** A sync of a model with events streams them, and no other does. Names its group where none is
 * given. Everything else of the sync is there. */
void sync_events(struct reader *rd, const struct entry *of, struct sync *sync);
/** No two syncs share a group of one stream: each would see only a part of the events. */
void event_groups_check(struct reader *rd);
/** node: the value of `stream`; the sync's model, mode and target are set where they are right. */
void stream_schedule_read(struct reader *rd, const struct node *node, struct sync *sync,
                          struct schedule_stream *ret);
/** No two syncs may use one slot of a source. */
void stream_slots_check(struct reader *rd);

/** Reads a cron line of five fields or a word such as @daily. Returns NULL, or what is wrong with
 * it. */
const char *cron_read(const char *text, struct cron *ret);
/** A mistake where the time zone database is installed and does not have this zone. */
void timezone_check(struct reader *rd, const struct node *node);
/** A mistake where the database is not installed: for zones that the scheduler itself reads. */
void timezone_check_database(struct reader *rd, const struct node *node);

#endif
