#include "worker/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char usage[] =
    "usage: sluice-worker [-C DIR] [--redis URL]… [--slots N] [--listen ADDRESS] [OPTION…]\n"
    "       sluice-worker render [-C DIR]\n"
    "\n"
    "Delivers queued batches to their destinations until it is told to stop. Any number of "
    "workers\n"
    "may run, on any machine that reaches Redis and has the project folder.\n"
    "\n"
    "render reads one sealed batch on stdin and prints the requests that it would begin with, one "
    "JSON\n"
    "object a line, with secrets starred out; it sends nothing.\n"
    "\n"
    "  -C, --directory DIR  the project folder (default: the current one)\n"
    "      --redis URL      redis://, rediss:// or unix://; once for each of several servers\n"
    "                       (default: settings.redis)\n"
    "      --slots N        requests at the same time, 1 to 1024 (default: "
    "settings.worker_slots)\n"
    "      --listen ADDRESS serve metrics at host:port, off: nowhere (default: "
    "settings.worker_listen)\n"
    "      --watch          read the project folder again whenever it has changed\n"
    "      --log-format F   text or json (default: settings.log_format)\n"
    "      --name PREFIX    first part of this worker's name (default: the host's name)\n"
    "      --parent PID     end when this process, which must be the parent, ends\n"
    "  -h, --help           this text\n"
    "      --version        the version\n"
    "\n"
    "SIGTERM and SIGINT finish what is in flight and end; a second one ends at once. SIGHUP reads\n"
    "the project again. Exit status: 0 asked to end, 64 bad usage, 69 Redis cannot be reached,\n"
    "78 bad configuration.\n";

static int bad_usage(const char *what, const char *word)
{
    fprintf(stderr, "sluice-worker: %s%s%s\nTry sluice-worker --help.\n", what, word ? ": " : "",
            word ? word : "");
    return EX_USAGE;
}

/* A whole number of at most max; false otherwise. */
static bool parse_number(const char *text, long max, long *ret_number)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < 1 || n > max)
        return false;
    *ret_number = n;
    return true;
}

/* Letters, digits and . _ - only: the name is part of keys in Redis. */
static bool is_name(const char *s)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(s);
    return n > 0 && n <= WORKER_PREFIX_MAX && strspn(s, allowed) == n;
}

enum {
    OPT_REDIS = 256,
    OPT_SLOTS,
    OPT_NAME,
    OPT_LISTEN,
    OPT_WATCH,
    OPT_LOG_FORMAT,
    OPT_PARENT,
    OPT_VERSION
};

static int take(int opt, struct worker_options *o)
{
    long n;
    switch (opt) {
    case 'C':
        o->dir = optarg;
        return OPTIONS_RUN;
    case OPT_REDIS:
        if (o->redis_count == REDIS_MEMBERS_MAX)
            return bad_usage("--redis is there too often", NULL);
        o->redis[o->redis_count++] = optarg;
        return OPTIONS_RUN;
    case OPT_SLOTS:
        if (!parse_number(optarg, WORKER_SLOTS_MAX, &n))
            return bad_usage("--slots wants a number from 1 to 1024", optarg);
        o->slots = (size_t)n;
        return OPTIONS_RUN;
    case OPT_NAME:
        if (!is_name(optarg))
            return bad_usage("--name wants letters, digits and . _ - only", optarg);
        o->prefix = optarg;
        return OPTIONS_RUN;
    case OPT_LISTEN:
        o->listen = optarg;
        return OPTIONS_RUN;
    case OPT_WATCH:
        o->watch = true;
        return OPTIONS_RUN;
    case OPT_LOG_FORMAT:
        o->log_format_set = log_format_parse(optarg, &o->log_format);
        return o->log_format_set ? OPTIONS_RUN
                                 : bad_usage("--log-format wants text or json", optarg);
    case OPT_PARENT:
        if (!parse_number(optarg, INT32_MAX, &n))
            return bad_usage("--parent wants a process id", optarg);
        o->parent = (pid_t)n;
        return OPTIONS_RUN;
    case OPT_VERSION:
        puts("sluice-worker " SLUICE_VERSION);
        return 0;
    case 'h':
        fputs(usage, stdout);
        return 0;
    default:
        return bad_usage("unknown option, or one without its value", NULL);
    }
}

int worker_options_parse(int argc, char **argv, struct worker_options *ret_options)
{
    static const struct option known[] = {
        {"directory", required_argument, NULL, 'C'},
        {"redis", required_argument, NULL, OPT_REDIS},
        {"slots", required_argument, NULL, OPT_SLOTS},
        {"name", required_argument, NULL, OPT_NAME},
        {"listen", required_argument, NULL, OPT_LISTEN},
        {"watch", no_argument, NULL, OPT_WATCH},
        {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
        {"parent", required_argument, NULL, OPT_PARENT},
        {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    *ret_options = (struct worker_options){.dir = "."};
    opterr = 0;
    int opt;
    while ((opt = getopt_long(argc, argv, "C:h", known, NULL)) != -1) {
        int status = take(opt, ret_options);
        if (status != OPTIONS_RUN)
            return status;
    }
    if (optind < argc && strcmp(argv[optind], "render") == 0) {
        ret_options->render = true;
        optind++;
    }
    return optind < argc ? bad_usage("unexpected word", argv[optind]) : OPTIONS_RUN;
}
