/*
 * A project: the plain data that every other module reads, as written in the project folder's YAML.
 *
 * Loading reads all files, merges them, replaces ${…} inside string values and checks everything it
 * can without a network; mistakes are collected, not stopped at. Invariant: a project that loaded
 * without problems has no dangling reference and every default filled in. Read-only after loading;
 * any thread.
 */
#ifndef SLUICE_CONFIG_CONFIG_H
#define SLUICE_CONFIG_CONFIG_H

#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/base/log.h"
#include "protocol/config/inputs.h"
#include "protocol/config/schedule.h"
#include "protocol/redis/fleet.h"

#include <stdbool.h>
#include <stdint.h>

struct connector; /* protocol/connector/connector.h */
struct object;

/* Where in the project folder something is written; for messages. */
struct config_place {
    const char *file; /* relative to the project folder */
    uint32_t line;    /* from 1 */
    uint32_t col;     /* from 1 */
};

/* Whoever uses the API: a viewer reads; an operator also runs, stops, approves and retries; an
 * admin also reloads, forgets people and reads the audit log. Each includes those before it. */
enum role { ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };
const char *role_name(enum role role);

enum { TOKEN_DIGEST_BYTES = 32, TOKEN_NAME_MAX = 64 };
struct api_token {
    const char *name; /* for the audit log */
    enum role role;
    uint8_t sha256[TOKEN_DIGEST_BYTES]; /* of the token */
};

struct source;

struct settings {
    struct redis_member *redis; /* the servers, each with a name; none: a private one */
    size_t redis_count;
    const char *redis_ca;   /* file with the authorities for rediss://; NULL: the system's */
    const char *state_dir;  /* absolute path; of a shard: its own folder in state_root */
    const char *state_root; /* as it is written; without shards the same */
    uint32_t shards;        /* schedulers that share the project; 1: it is not sharded */
    int32_t shard;          /* which of them this process is for; -1: none in particular */
    const char *listen;     /* of the API and dashboard (listen.h), or "off" */
    const struct api_token *tokens; /* none: this machine's users may do everything */
    size_t token_count;
    uint64_t window_bytes;       /* ceiling of payloads in Redis, all syncs together */
    uint64_t disk_reserve_bytes; /* pause when the state directory's disk has less than this free */
    uint32_t limit_slack_ms;
    uint64_t history_bytes; /* what ended runs sent is kept as long as it fits; 0: not at all */
    const char *seal_key;   /* secret; seals what the fleet shares through Redis; NULL: none */
    enum log_format log_format;
    const char *worker_listen;          /* host:port of a worker's metrics; NULL: none */
    uint32_t worker_slots;              /* batches that a worker carries at a time */
    uint64_t drain_within_ms;           /* a backlog is to be sent in about this time */
    const struct source *warehouse_log; /* runs are logged in tables there; NULL: they are not */
    const char *warehouse_schema;
    struct config_place place;
};

struct param {
    const char *name;
    const char *value;
};

enum read_method { READ_AUTO, READ_COPY, READ_ROWS };

struct source {
    const char *name;
    const char *type;           /* "postgres", "redis" */
    const struct param *params; /* libpq parameters; `url` is passed as `dbname` */
    size_t param_count;
    uint64_t statement_timeout_ms; /* 0: the server's */
    enum read_method read;         /* auto: COPY, and rows where the server lacks it */
    uint32_t connections;          /* reads at the same time; default 4 */
    const char *redis;             /* redis: URL, as of settings.redis; secret */
    const char *redis_ca; /* redis: file with the authorities for rediss://; NULL: the system's */
    struct config_place place;
};
/** Redis: it has no rows to read, only streams of events. */
bool source_is_redis(const struct source *source);

/* What a field of an event holds, as text, and so what it must look like. */
enum event_type { EVENT_TEXT, EVENT_NUMBER, EVENT_BOOL, EVENT_JSON, EVENT_TIMESTAMP };

/* A field of the entries of a Redis stream. */
struct event_column {
    const char *name;
    enum event_type type;
};
/* Columns that every entry has: its id, and the time in its id. */
#define EVENT_ID "_id"
#define EVENT_TIME "_time"

struct model {
    const char *name;
    const struct source *source;
    const char *const *primary_key;
    size_t primary_key_count;
    const char *sql;   /* exactly one of sql and table is set after loading (sql_file is read) */
    const char *table; /* as written: schema.table */
    const char *dbt_manifest; /* absolute path; with dbt_model; resolved when the run starts */
    const char *dbt_model;
    const char *timezone;       /* of timestamps without one; NULL: UTC */
    const char *const *columns; /* with table: the columns to read; none: all */
    size_t column_count;
    const char *where;  /* with table: condition of the rows to read, SQL; NULL: all */
    const char *stream; /* of a redis source: the key of its stream; NULL: the model has rows */
    const struct event_column *event_columns; /* with stream */
    size_t event_column_count;
    struct config_place place;
};

enum rate_kind { RATE_REQUESTS, RATE_RECORDS };

struct rate_limit {
    enum rate_kind kind;
    uint64_t count;
    uint64_t per_ms;
    uint32_t group; /* counts only what requests of this group cost; 0: every request's */
};

struct retry_policy {
    uint32_t attempts;         /* 5 */
    uint64_t base_ms;          /* 500 */
    uint64_t max_ms;           /* 30 000 */
    uint64_t throttled_max_ms; /* 3 600 000 */
};

struct destination {
    const char *name;
    const char *type; /* connector name */
    const struct connector *connector;
    const char *const *options; /* one value per connector->options, default included; NULL: not
                                   set. A map's value is JSON */
    const char *quota;          /* defaults to name */
    uint32_t shard;             /* of the quota */
    const struct rate_limit *limits;
    size_t limit_count;
    uint32_t concurrency; /* requests at the same time, fleet-wide */
    uint64_t timeout_ms;
    struct retry_policy retry;
    uint32_t batch_size;  /* records; 0: what the object says */
    uint64_t batch_bytes; /* ceiling of one request's body; 0: what the object says */
    const struct param *headers;
    size_t header_count;
    const char *ca_file;        /* authorities for https; NULL: the system's */
    const char *const *secrets; /* texts that no message may show */
    size_t secret_count;
    /* Hex digest of everything above that decides what is sent and how; no secret can be read from
     * it. */
    char fingerprint[33];
    struct config_place place;
};

enum sync_mode { MODE_UPSERT, MODE_INSERT, MODE_UPDATE, MODE_APPEND, MODE_FULL, MODE_MIRROR };
enum on_removed { REMOVED_IGNORE, REMOVED_DELETE, REMOVED_CLEAR };
enum first_run { FIRST_SEND, FIRST_SKIP };
enum priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH };

/* A number of records or a percentage; set is false where the guard is off. */
struct guard_limit {
    bool set;
    bool percent;
    double value;
};

struct guard {
    struct guard_limit max_removed;
    struct guard_limit max_changed;
    struct guard_limit min_rows;
    struct guard_limit max_rejected;
    bool allow_empty;
    bool columns_off; /* lost columns and changed types do not hold */
};

enum transform_kind {
    TRANSFORM_TRIM,
    TRANSFORM_LOWER,
    TRANSFORM_UPPER,
    TRANSFORM_SHA256, /* lower-case hex of the UTF-8 text */
    TRANSFORM_MD5,
    TRANSFORM_HEX, /* of the text's bytes; of a bytea column's bytes */
    TRANSFORM_BASE64,
    TRANSFORM_TO_STRING,
    TRANSFORM_TO_NUMBER,
    TRANSFORM_TO_BOOLEAN,
    TRANSFORM_DATE,      /* text: rfc3339 | date | unix | unix_ms */
    TRANSFORM_SUBSTRING, /* from (0-based, characters), length (-1: the rest) */
    TRANSFORM_REPLACE,   /* text: PCRE2 pattern, with: replacement ($1 …) */
    TRANSFORM_SPLIT,     /* text: separator → JSON array */
    TRANSFORM_JOIN,      /* text: separator; JSON array → text */
    TRANSFORM_JSON,      /* text that holds JSON → embedded JSON */
    TRANSFORM_MAP,       /* table; fallback when there is no row in it */
    TRANSFORM_REMOVE_SPACES,
    TRANSFORM_DIGITS,
    TRANSFORM_LETTERS,
    TRANSFORM_ASCII_LETTERS,
    TRANSFORM_NO_PUNCTUATION,
    TRANSFORM_STRIP_ZEROS,
    TRANSFORM_PREFIX, /* text */
    TRANSFORM_PHONE,  /* text: digits of the country's calling code, NULL: none */
    TRANSFORM_GMAIL_DOTS,
    TRANSFORM_EMAIL,
    TRANSFORM_FIRST,  /* length */
    TRANSFORM_BEFORE, /* text: separator */
    TRANSFORM_PAD,    /* length, with: one character */
    TRANSFORM_SHA1,
    TRANSFORM_SHA512,
    TRANSFORM_HASH, /* SHA-256 of what is not one already */
    TRANSFORM_HMAC, /* text: secret, with: sha256 | sha1 | sha512 */
    TRANSFORM_EMPTY_TO_NULL,
    TRANSFORM_COUNTRY2,
    TRANSFORM_GENDER,
    TRANSFORM_UNLESS_HASHED, /* inner */
};

struct map_entry {
    const char *from;
    const char *to;
    bool to_null;
};

struct transform {
    enum transform_kind kind;
    const char *text;
    const char *with;
    int64_t from;
    int64_t length;
    const struct map_entry *table;
    size_t table_count;
    bool has_fallback; /* `default` of a map table: otherwise an unknown value passes unchanged */
    const char *fallback;          /* NULL with has_fallback: null */
    const struct transform *inner; /* applied only to some values */
    size_t inner_count;
    struct config_place place;
};

enum mapping_kind { MAPPING_COLUMN, MAPPING_CONSTANT, MAPPING_TEMPLATE };
enum if_null { IF_NULL_SEND, IF_NULL_SKIP };
/* What a field does where the destination has a value, or the record, already. */
enum on_conflict { ON_CONFLICT_OVERWRITE, ON_CONFLICT_SET_IF_EMPTY, ON_CONFLICT_CREATE_ONLY };

struct mapping {
    enum mapping_kind kind;
    const char *from;        /* column, or the template's text */
    const char *constant;    /* JSON literal of `value:` (YAML 1.2 core types) */
    const char *to;          /* as written */
    const char *const *path; /* `to` split at its dots; "\." is a dot in a name */
    size_t path_count;
    enum if_null if_null;
    enum on_conflict on_conflict;
    bool merge_arrays;    /* a list is added to the destination's instead of replacing it */
    bool recipe_off;      /* the object's recipe for this field is not applied */
    const char *fallback; /* JSON literal of `default:`, used for NULL; NULL: none */
    const struct transform *transforms;
    size_t transform_count;
    size_t recipe_count; /* the last so many are the object's recipe, which a default goes through
                            as well */
    struct config_place place;
};

/* What becomes of a field of `mappings: all` for the object's sake. */
struct field_recipe {
    const char *field;
    const struct transform *transforms;
    size_t transform_count;
};

struct sync {
    const char *name;
    const struct model *model;
    const struct destination *destination;
    const char *object; /* NULL: the connector's only one */
    const struct object *target;
    struct slice star; /* what * stands for in the target's name, or the name */
    enum sync_mode mode;
    enum on_removed on_removed;
    const char *identify_by; /* destination field; NULL: the primary key */
    bool map_all;            /* `mappings: all` */
    const struct mapping *mappings;
    size_t mapping_count;
    const struct field_recipe *recipes; /* with map_all */
    size_t recipe_count;
    const char *newest_wins; /* destination field with the record's timestamp; NULL: none */
    uint32_t batch_size;     /* records; already limited by the object's maximum */
    uint64_t batch_bytes;    /* likewise */
    bool first_run_set;
    enum first_run first_run;
    struct schedule schedule;
    enum priority priority;
    /* Equal values never share two requests in flight; at most one of the two is set. */
    const char *lane_by;    /* column; NULL: none */
    const char *lane_field; /* destination field; NULL: none */
    bool one_lane;          /* batches go one at a time, in order */
    struct guard guard;
    uint64_t freshness_ms; /* a change is to be accepted within; 0: no objective */
    struct config_place place;
};

/** Its model has events: they come as they happen, and no run can read them. */
bool sync_only_streams(const struct sync *sync);

enum alert_type { ALERT_SLACK, ALERT_WEBHOOK, ALERT_PAGERDUTY, ALERT_EMAIL };
enum alert_on {
    ALERT_ON_FAILED = 1,
    ALERT_ON_WARNING = 2,
    ALERT_ON_HELD = 4,
    ALERT_ON_LATE = 8,
    ALERT_ON_RECOVERED = 16,
    ALERT_ON_ALL = 31,
};

/* Who is told when a sync fails, and by which way. */
struct alert {
    const char *name;
    enum alert_type type;
    unsigned on;               /* enum alert_on */
    const struct sync **syncs; /* none: all */
    size_t sync_count;
    struct guard_limit warning_above; /* not set: any warning */
    const char *url;                  /* secret; not of an e-mail */
    const char *secret;               /* webhook: key of the signature; NULL: not signed */
    const char *routing_key;          /* pagerduty; secret */
    const char *smtp;                 /* email: smtp://host:port, smtps://… */
    const char *user;                 /* NULL: none */
    const char *password;             /* secret */
    const char *from;
    const char *const *to;
    size_t to_count;
    const char *ca_file; /* NULL: the system's */
    struct config_place place;
};
const char *alert_type_name(enum alert_type type);

struct project {
    struct arena arena;
    const char *dir; /* absolute, links resolved */
    const char
        *named; /* the same as it was named, absolute: links are followed anew by each load */
    struct inputs inputs; /* what it was read from */
    struct settings settings;
    struct source *sources;
    size_t source_count;
    struct model *models;
    size_t model_count;
    const struct connector **connectors; /* the project's own */
    size_t connector_count;
    struct destination *destinations; /* where there are shards, and this is one: its own */
    size_t destination_count;
    struct sync *syncs; /* likewise */
    size_t sync_count;
    const struct sync *elsewhere; /* syncs of other shards */
    size_t elsewhere_count;
    struct alert *alerts; /* a worker has none */
    size_t alert_count;
    const struct definition *definitions; /* what was written of each name (definitions.h) */
    size_t definition_count;
    const char *const *skipped_files; /* YAML files without any of our words */
    size_t skipped_count;
};

enum problem_kind {
    PROBLEM_MISTAKE,     /* exit 78 */
    PROBLEM_UNSUPPORTED, /* right, but not carried out by this version: exit 78 as well */
    PROBLEM_NOTE,        /* worth saying; not an error */
};

struct problem {
    enum problem_kind kind;
    struct config_place place; /* line 0: the folder as a whole */
    const char *text;          /* what is wrong, and what to do; never a secret */
};

struct problem_list {
    struct arena arena;
    struct problem *items; /* in file, line order */
    size_t count;
    size_t mistakes;      /* those that are not notes */
    size_t dropped;       /* beyond the first 1000: counted above, not kept */
    struct inputs inputs; /* what was read, where no project came of it */
};

void problem_list_init(struct problem_list *list);
void problem_list_done(struct problem_list *list);
/** An event config_problem of each mistake, for programs that run by themselves. */
void problem_list_log(const struct problem_list *list, const struct log *log);

/**
 * Reads the project in dir. Every mistake goes into problems; *ret_project is set only when there
 * is none. Environment variables come from getenv. Returns ERR_CONFIG when problems->mistakes > 0,
 * ERR_IO or ERR_NOMEM when reading itself failed. Owned by the caller: project_free.
 */
enum err_code project_load(const char *dir, struct project **ret_project,
                           struct problem_list *problems, struct err *err) MUST_CHECK;
/**
 * The same for a worker, which reads no warehouse and tells nobody: what `sources` and `alerts`
 * need from the environment or from files may be missing there. Such a source is incomplete, there
 * are no alerts, and everything else is as project_load gives it.
 */
enum err_code project_load_worker(const char *dir, struct project **ret_project,
                                  struct problem_list *problems, struct err *err) MUST_CHECK;
/**
 * The same where the secrets are not: what the environment and ${file:…} do not give is passed
 * over, with whatever hangs on it. Such a project is complete in its names alone.
 */
enum err_code project_load_alone(const char *dir, struct project **ret_project,
                                 struct problem_list *problems, struct err *err) MUST_CHECK;
/**
 * Only the connectors: project->connectors has those of the folder, if it is a project, and then
 * all that are built in. Nothing else of the folder is looked at or complained of. dir NULL: only
 * what is built in.
 */
enum err_code project_load_connectors(const char *dir, struct project **ret_project,
                                      struct problem_list *problems, struct err *err) MUST_CHECK;
/** Only the settings, as far as they can be read: for commands that speak to a scheduler that runs
 * and must not stand still for mistakes in the folder. */
enum err_code project_load_settings(const char *dir, struct project **ret_project,
                                    struct problem_list *problems, struct err *err) MUST_CHECK;
void project_free(struct project *project);

const struct sync *project_sync(const struct project *project, const char *name);
/** Says that there is no such sync, and which one may be meant. Returns ERR_USAGE. */
enum err_code project_no_sync(const struct project *project, const char *name, struct err *err);
const struct destination *project_destination(const struct project *project, const char *name);
/** The value of one of its connector's options, NULL where it is not set or there is none. */
const char *destination_option(const struct destination *destination, const char *name);

/** True where its refresh token changes with each use, so that all workers must share it. */
bool destination_rotates(const struct destination *destination);

const char *sync_mode_name(enum sync_mode mode);
const char *priority_name(enum priority priority);

/** The candidate nearest to word (edit distance), NULL when none is near. For "did you mean". */
const char *nearest_name(const char *word, const char *const *candidates, size_t count);

#endif
