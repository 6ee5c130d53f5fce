/*
 * The `sluice` command: one table of subcommands, each with its own options, help and exit status.
 *
 * People's output goes to standard error when standard output carries JSON, colour only to a
 * terminal. Exit statuses are those of the README.
 */
#ifndef SLUICE_CLI_CLI_H
#define SLUICE_CLI_CLI_H

#include "protocol/base/err.h"
#include "protocol/base/log.h"
#include "protocol/config/config.h"

enum exit_status {
    EXIT_OK = 0,
    EXIT_REJECTS = 1,    /* finished, but some records were rejected, failed or invalid */
    EXIT_RUN_FAILED = 2, /* a run failed or was stopped */
    EXIT_HELD = 3,       /* a run is held for approval */
    EXIT_USAGE = 64,
    EXIT_UNREACHABLE = 69,
    EXIT_BUSY = 75,
    EXIT_CONFIG_BAD = 78,
};

/* The values of an option that may be given several times. */
enum { CLI_LIST_MAX = 64 };
struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
};

/* What every subcommand understands. */
struct cli_options {
    const char *dir;         /* -C, default "." */
    bool json;               /* --json */
    bool full;               /* run --full */
    bool adopt;              /* send nothing: the command is adopt */
    uint32_t workers;        /* run --workers, 0: default */
    uint32_t limit;          /* --limit, rows of output */
    bool limit_set;          /* it was given */
    const char *output;      /* -o */
    const char *key;         /* --key */
    const char *message;     /* --message */
    const char *run;         /* --run */
    const char *log_format;  /* up --log-format; NULL: the project's */
    const struct log *log;   /* up: where mistakes are told as events; NULL: as lines for people */
    bool watch;              /* up --watch */
    const char *destination; /* --destination */
    const char *role;        /* token --role */
    bool markdown;           /* connectors, plan --markdown */
    const char *url;         /* init --url: a URL, or the name of a variable */
    const char *table;       /* init --table */
    const char *query;       /* init --query */
    const char *connector;   /* init --connector */
    const char *object;      /* init --object */
    const char *primary_key; /* init --primary-key: columns between commas */
    const char *identify_by; /* init --identify-by */
    struct cli_list maps;    /* init --map */
    struct cli_list syncs;   /* forget --sync */
    const char *export_to;   /* errors --export */
    bool connect;            /* check --connect */
    bool no_secrets;         /* check --no-secrets */
    const char *form;        /* check --format */
    const char *state_file;  /* plan --state */
    const char *against;     /* plan --against: a project folder */
    bool replace;            /* state import --replace */
    bool merge;              /* state import --merge */
    bool force;              /* stream drop --force */
    bool take_over;          /* run, up --take-over */
    bool standby;            /* up --standby */
    struct cli_list sets;    /* init --set */
    /* capacity, as given: numbers that may end in k, M or G */
    const char *records_per_day, *destinations, *rows, *request_ms, *runs_per_day, *growth;
    const char *const *names; /* what is left on the command line */
    size_t name_count;
};

struct command {
    const char *name;
    const char *arguments; /* "[SYNC…]" */
    const char *summary;   /* one line */
    const char *help;      /* the rest of --help */
    const char
        *options; /* letters of the options it takes besides -C, --json and --help: see cli.c */
    size_t names_min, names_max;
    int (*run)(const struct cli_options *opts);
};

/** The table of commands, as help lists them. */
const struct command *cli_commands(size_t *ret_count);

/** Parses the command line and runs the subcommand; returns the exit status. */
int cli_main(int argc, char **argv);

/** Loads the project, printing every problem as file:line:col; returns EXIT_OK or the exit status
 * to end with. */
int cli_load(const struct cli_options *opts, struct project **ret_project);
/** The same, and leaves the problems to the caller, who has made the list. */
int cli_load_with_problems(const struct cli_options *opts, struct project **ret_project,
                           struct problem_list *problems);
/** The same for connectors alone, in a project folder or outside of one. */
int cli_load_connectors(const struct cli_options *opts, struct project **ret_project);
/** Only the settings, whatever else the folder holds. */
int cli_load_settings(const struct cli_options *opts, struct project **ret_project);
/** EXIT_OK when the project has every sync named on the command line; else says which one not. */
int cli_check_names(const struct cli_options *opts, const struct project *project);
/** The command line names this sync, or none at all. */
bool cli_is_named(const struct cli_options *opts, const char *sync);
/** Prints "sluice: text" and returns the exit status that fits the error. */
int cli_fail(const struct err *err);
/** The same as an event of the log; NULL: as cli_fail. */
int cli_fail_in(const struct log *log, const struct err *err);
int cli_status_of(enum err_code code);

/** A refresh token that changes with each use must be shared by all workers: EXIT_OK, or says so.
 */
int cli_check_rotation(const struct project *p, uint32_t workers);
/** Where none was asked for (0), as many as can share what there is to share. */
uint32_t cli_workers_for(const struct project *p, uint32_t asked);

struct cli_session;
struct engine;
/** An engine that tells what it does as `sluice run` does. */
enum err_code cli_session_new(const struct cli_options *opts, const struct project *project,
                              struct cli_session **ret_session, struct engine **ret_engine,
                              struct err *err) MUST_CHECK;
/** Frees both; the exit status that follows from the runs that ended. Accepts NULL. */
int cli_session_end(struct cli_session *session, struct engine *engine);

int command_capacity(const struct cli_options *opts);
int command_forget(const struct cli_options *opts);
int command_completion(const struct cli_options *opts);
int command_state(const struct cli_options *opts);
int command_init(const struct cli_options *opts);
int command_check(const struct cli_options *opts);
int command_run(const struct cli_options *opts);
int command_adopt(const struct cli_options *opts);
int command_approve(const struct cli_options *opts);
int command_retry(const struct cli_options *opts);
int command_history(const struct cli_options *opts);
int command_plan(const struct cli_options *opts);
int command_apply(const struct cli_options *opts);
int command_up(const struct cli_options *opts);
int command_runs(const struct cli_options *opts);
int command_status(const struct cli_options *opts);
int command_errors(const struct cli_options *opts);
int command_stream(const struct cli_options *opts);
int command_alerts(const struct cli_options *opts);
int command_connectors(const struct cli_options *opts);
int command_pause(const struct cli_options *opts);
int command_resume(const struct cli_options *opts);
int command_cancel(const struct cli_options *opts);
int command_reject(const struct cli_options *opts);
int command_reload(const struct cli_options *opts);
int command_token(const struct cli_options *opts);
int command_version(const struct cli_options *opts);

#endif
