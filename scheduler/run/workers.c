#include "scheduler/run/workers.h"

#include "protocol/base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUICK_DEATH_MS = 2000, RESTART_PAUSE_MS = 200, IN_A_ROW_MS = 60000 };

struct worker_slot {
    pid_t pid; /* 0: none */
    int64_t started_ms;
};

struct workers {
    struct workers_options opts;
    struct worker_slot slots[WORKERS_MAX];
    struct event *child; /* SIGCHLD */
    struct event *restart;
    uint32_t quick_deaths;
    int64_t died_ms; /* the last one */
    bool draining;
};

enum err_code sibling_program(const char *name, char *out, struct err *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return err_errno(err, errno, "cannot find the folder of this program");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    if (snprintf(out, PATH_MAX, "%s/%s", self, name) < PATH_MAX && access(out, X_OK) == 0)
        return ERR_OK;
    /* a build tree keeps each program in its own folder */
    if (snprintf(out, PATH_MAX, "%s/../../worker/%s", self, name) < PATH_MAX &&
        access(out, X_OK) == 0)
        return ERR_OK;
    return err_set(err, ERR_IO,
                   "%s is missing beside %s/sluice: install both programs into one folder", name,
                   self);
}

/* Ends in a dot, so that worker 1 is no prefix of worker 10. */
static void worker_name(const struct workers_options *o, uint32_t index, char *out, size_t n)
{
    snprintf(out, n, "%s%u.", o->name_prefix, index);
}

/* The loop's handlers write to a pipe that is the parent's too: a signal meant for this child would
 * be taken for one of the parent's own. */
static void default_signals(void)
{
    static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    sigset_t none;
    for (size_t i = 0; i < ARRAY_LEN(handled); i++)
        signal(handled[i], SIG_DFL);
    signal(SIGHUP, SIG_IGN); /* until it has its own handler: it reads the folder anyway */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child, signals blocked: nothing but exec on the way. */
static NORETURN void become_worker(const struct workers_options *o, uint32_t index, pid_t parent)
{
    char name[128], parent_text[32];
    default_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0); /* Ctrl-C is for the run, which then drains its workers */
    worker_name(o, index, name, sizeof name);
    snprintf(parent_text, sizeof parent_text, "%ld", (long)parent);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    char log[PATH_MAX];
    snprintf(log, sizeof log, "%s/workers.log", o->log_dir ? o->log_dir : "");
    int fd = o->log_dir ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd >= 0)
        dup2(fd, STDERR_FILENO);
    const char *format = o->log && o->log->format == LOG_JSON ? "json" : "text";
    execl(o->program, "sluice-worker", "-C", o->project_dir, "--name", name, "--parent",
          parent_text, "--log-format", format, o->redis_url ? "--redis" : (char *)NULL,
          o->redis_url, (char *)NULL);
    _exit(127);
}

static enum err_code start_one(struct workers *w, uint32_t index, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become_worker(&w->opts, index, parent);
    int failed = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return err_errno(err, failed, "a worker cannot be started");
    w->slots[index] = (struct worker_slot){.pid = pid, .started_ms = clock_mono_ms()};
    return ERR_OK;
}

static void schedule_restart(struct workers *w)
{
    struct timeval pause = {0, RESTART_PAUSE_MS * 1000};
    event_add(w->restart, &pause);
}

static void note_death(struct workers *w, struct worker_slot *slot, int status)
{
    int64_t now = clock_mono_ms();
    bool quick = now - slot->started_ms < QUICK_DEATH_MS;
    if (now - w->died_ms > IN_A_ROW_MS)
        w->quick_deaths = 0;
    w->died_ms = now;
    /* A batch that kills its workers takes many with it before it stands alone: that is no broken
     * start. */
    uint32_t weight = WIFSIGNALED(status) ? 1 : WORKERS_KILLED_MAX / WORKERS_START_FAILURES;
    w->quick_deaths = quick ? w->quick_deaths + weight : 0;
    slot->pid = 0;
    if (w->draining)
        return;
    log_event(w->opts.log, LOG_WARN, "worker_died",
              LOG_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
              LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    char name[128];
    worker_name(&w->opts, (uint32_t)(slot - w->slots), name, sizeof name);
    w->opts.on_death(w->opts.ctx, name);
    if (w->quick_deaths < WORKERS_KILLED_MAX) {
        schedule_restart(w);
        return;
    }
    struct err err;
    err_set(&err, ERR_BUG,
            "workers die as soon as they are started (exit status %d); run %s by hand to see why",
            WIFEXITED(status) ? WEXITSTATUS(status) : -1, w->opts.program);
    w->opts.on_broken(w->opts.ctx, &err);
}

static void on_child(evutil_socket_t sig, short what, void *arg)
{
    (void)sig;
    (void)what;
    struct workers *w = arg;
    for (uint32_t i = 0; i < w->opts.count; i++) {
        int status;
        if (w->slots[i].pid && waitpid(w->slots[i].pid, &status, WNOHANG) == w->slots[i].pid)
            note_death(w, &w->slots[i], status);
    }
}

static void on_restart(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct workers *w = arg;
    for (uint32_t i = 0; i < w->opts.count && !w->draining; i++) {
        struct err err;
        if (!w->slots[i].pid && start_one(w, i, &err)) {
            schedule_restart(w);
            return;
        }
    }
}

enum err_code workers_start(struct event_base *base, const struct workers_options *opts,
                            struct workers **ret_workers, struct err *err)
{
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(err, ERR_NOMEM, "workers: no memory");
    w->opts = *opts;
    if (w->opts.count > WORKERS_MAX)
        w->opts.count = WORKERS_MAX;
    w->child = evsignal_new(base, SIGCHLD, on_child, w);
    w->restart = evtimer_new(base, on_restart, w);
    enum err_code rc = w->child && w->restart && !event_add(w->child, NULL)
                           ? ERR_OK
                           : err_set(err, ERR_NOMEM, "workers: no memory for events");
    char log[PATH_MAX];
    snprintf(log, sizeof log, "%s/workers.log", opts->log_dir ? opts->log_dir : "");
    if (!rc && opts->log_dir && truncate(log, 0) && errno != ENOENT)
        rc = err_errno(err, errno, "%s cannot be written", log);
    for (uint32_t i = 0; i < w->opts.count && !rc; i++)
        rc = start_one(w, i, err);
    if (rc) {
        workers_free(w);
        return rc;
    }
    *ret_workers = w;
    return ERR_OK;
}

void workers_drain(struct workers *w)
{
    w->draining = true;
    for (uint32_t i = 0; i < w->opts.count; i++)
        if (w->slots[i].pid)
            kill(w->slots[i].pid, SIGTERM);
}

void workers_reload(struct workers *w)
{
    for (uint32_t i = 0; i < w->opts.count; i++)
        if (w->slots[i].pid)
            kill(w->slots[i].pid, SIGHUP);
}

uint32_t workers_alive(const struct workers *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->opts.count; i++)
        n += w->slots[i].pid != 0;
    return n;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->opts.count; i++) {
        if (!w->slots[i].pid)
            continue;
        kill(w->slots[i].pid, SIGKILL);
        while (waitpid(w->slots[i].pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (w->child)
        event_free(w->child);
    if (w->restart)
        event_free(w->restart);
    free(w);
}
