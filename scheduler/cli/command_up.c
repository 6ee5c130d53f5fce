/* sluice up, sluice-scheduler: the service, with or without workers of its own. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/options.h"
#include "scheduler/cli/scheduler_main.h"
#include "scheduler/cli/shards.h"
#include "scheduler/service/service.h"
#include "scheduler/service/standby.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS_OPTION_MAX = 64 };
enum { EXIT_STOPPED_BY = -1 }; /* a signal ended the waiting: all is well */

static void on_up(void *ctx, const struct project *project, const char *url)
{
    (void)ctx;
    size_t by_schedule = 0, streams = 0;
    for (size_t i = 0; i < project->sync_count; i++) {
        enum schedule_kind kind = project->syncs[i].schedule.kind;
        streams += kind == SCHEDULE_STREAM;
        by_schedule += kind != SCHEDULE_MANUAL && kind != SCHEDULE_STREAM;
    }
    printf("sluice is up: %zu sync%s, %zu of them by schedule", project->sync_count,
           project->sync_count == 1 ? "" : "s", by_schedule);
    if (streams)
        printf(", %zu streaming", streams);
    puts("");
    if (url)
        printf("dashboard and API: %s\n", url);
    puts("Ctrl-C stops it; nothing is lost by that");
    fflush(stdout);
}

static void on_stopping(void *ctx)
{
    (void)ctx;
    puts("finishing what is in flight; Ctrl-C again stops at once (nothing is lost either way)");
    fflush(stdout);
}

static int load(const struct cli_options *opts, struct log *log, struct project **ret_project)
{
    struct project *project = NULL;
    int status = cli_load(opts, &project);
    if (!status)
        status = cli_check_shard(project);
    if (!status)
        status = cli_check_rotation(project, opts->workers);
    if (status) {
        project_free(project);
        return status;
    }
    if (!opts->log_format)
        log->format = project->settings.log_format;
    *ret_project = project;
    return EXIT_OK;
}

/* The project may have changed while it waited: it is read again once the lock is there. */
static int stand_by(const struct cli_options *opts, struct log *log, struct project **project,
                    struct state_lock *lock)
{
    struct err err;
    enum err_code rc = standby_wait(&(*project)->settings, log, lock, &err);
    if (rc)
        return rc == ERR_STOPPED ? EXIT_STOPPED_BY : cli_fail_in(opts->log, &err);
    struct project *now = NULL;
    int status = load(opts, log, &now);
    if (!status && strcmp(now->settings.state_dir, (*project)->settings.state_dir) != 0) {
        fputs("sluice: settings.state_dir changed while this one stood by: start it again\n",
              stderr);
        status = EXIT_CONFIG_BAD;
    }
    if (status) {
        state_lock_release(lock);
        project_free(now);
        return status;
    }
    project_free(*project);
    *project = now;
    return EXIT_OK;
}

/* Whoever reads the log by program gets no other lines. */
static const struct log *told(const struct log *log)
{
    return log->format == LOG_JSON ? log : NULL;
}

static int serve(struct cli_options *opts, struct log *log, bool own_workers)
{
    struct project *project = NULL;
    struct state_lock lock;
    struct err err = {0};
    opts->log = told(log);
    int status = load(opts, log, &project);
    if (status)
        return status;
    opts->log = told(log);
    if (opts->standby)
        status = stand_by(opts, log, &project, &lock);
    if (status) {
        project_free(project);
        return status == EXIT_STOPPED_BY ? EXIT_OK : status;
    }
    struct service_options o = {
        .lock = opts->standby ? &lock : NULL,
        .project = project,
        .no_workers = !own_workers && project->settings.redis && !opts->workers,
        .watch = opts->watch,
        .workers = cli_workers_for(project, opts->workers),
        .take_over = opts->take_over,
        .log = log,
        .on_up = opts->json ? NULL : on_up,
        .on_stopping = opts->json ? NULL : on_stopping,
    };
    enum err_code rc = service_run(&o, &err);
    return rc ? cli_fail_in(opts->log, &err) : EXIT_OK;
}

int command_up(const struct cli_options *opts)
{
    struct log log = {.program = "sluice", .level = LOG_INFO, .fd = STDERR_FILENO};
    if (opts->log_format && !log_format_parse(opts->log_format, &log.format)) {
        fputs("sluice: --log-format takes text or json\n", stderr);
        return EXIT_USAGE;
    }
    struct cli_options o = *opts;
    return serve(&o, &log, true);
}

/* ---- sluice-scheduler ---- */

static const char usage[] =
    "Usage: sluice-scheduler [OPTION…]\n\n"
    "Runs the project's syncs as their schedules say, serves the API and the dashboard, until a\n"
    "signal stops it. SIGHUP reads the project folder again; with --watch a change of it does.\n\n"
    "Without `settings.redis` it brings a private Redis and workers of its own, as `sluice up`\n"
    "does; with it, workers are started elsewhere (sluice-worker) unless --workers says how many\n"
    "to start here.\n\n"
    "Options:\n"
    "  -C, --directory DIR  the project folder (default: the current one)\n"
    "      --shard K        the shard, of a project that has several: a number, or hostname for\n"
    "                       the number at the end of the host's name (default: SLUICE_SHARD)\n"
    "      --workers N      worker processes to start here\n"
    "      --standby        where another scheduler has the state, wait until it is gone and go "
    "on\n"
    "                       in its place\n"
    "      --take-over      go on where Redis knows a later scheduler of this state, or another\n"
    "                       state of these syncs, that is gone for good; rows are sent again\n"
    "      --watch          read the project folder again whenever it has changed\n"
    "      --log-format F   text or json (default: settings.log_format)\n"
    "      --help           this text\n"
    "      --version        print the version\n\n"
    "Exit status: 0 stopped by a signal, 2 it cannot go on, 64 bad usage, 69 it cannot listen,\n"
    "75 the state directory is in use, 78 bad configuration.\n";

enum {
    OPT_HELP = 256,
    OPT_VERSION,
    OPT_SHARD,
    OPT_STANDBY,
    OPT_TAKE_OVER,
    OPT_WORKERS,
    OPT_WATCH,
    OPT_LOG_FORMAT
};

static const struct option options[] = {
    {"directory", required_argument, NULL, 'C'},
    {"shard", required_argument, NULL, OPT_SHARD},
    {"standby", no_argument, NULL, OPT_STANDBY},
    {"take-over", no_argument, NULL, OPT_TAKE_OVER},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"watch", no_argument, NULL, OPT_WATCH},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static int bad_usage(const char *what)
{
    fprintf(stderr, "sluice-scheduler: %s; see sluice-scheduler --help\n", what);
    return EXIT_USAGE;
}

/* EXIT_OK and *ret_run, or the status to end with. */
static int parse(int argc, char **argv, struct cli_options *o, bool *ret_run)
{
    int letter;
    *ret_run = false;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, "C:", options, NULL)) != -1) {
        char *end;
        switch (letter) {
        case 'C':
            o->dir = optarg;
            break;
        case OPT_SHARD:
            if (!cli_set_shard(optarg))
                return bad_usage("no memory for --shard");
            break;
        case OPT_STANDBY:
            o->standby = true;
            break;
        case OPT_TAKE_OVER:
            o->take_over = true;
            break;
        case OPT_WORKERS:
            o->workers = (uint32_t)strtoul(optarg, &end, 10);
            if (*end || end == optarg || !o->workers || o->workers > WORKERS_OPTION_MAX)
                return bad_usage("--workers takes a number from 1 to 64");
            break;
        case OPT_WATCH:
            o->watch = true;
            break;
        case OPT_LOG_FORMAT:
            o->log_format = optarg;
            break;
        case OPT_HELP:
            fputs(usage, stdout);
            return EXIT_OK;
        case OPT_VERSION:
            printf("sluice-scheduler %s\n", SLUICE_VERSION);
            return EXIT_OK;
        default:
            return bad_usage("there is no such option, or it lacks its value");
        }
    }
    if (optind < argc)
        return bad_usage("it takes no arguments");
    *ret_run = true;
    return EXIT_OK;
}

int scheduler_main(int argc, char **argv)
{
    struct cli_options o = {.dir = ".", .json = true};
    struct log log = {.program = "sluice-scheduler", .level = LOG_INFO, .fd = STDERR_FILENO};
    bool run;
    int status = parse(argc, argv, &o, &run);
    if (run && o.log_format && !log_format_parse(o.log_format, &log.format))
        return bad_usage("--log-format takes text or json");
    return run ? serve(&o, &log, false) : status;
}
