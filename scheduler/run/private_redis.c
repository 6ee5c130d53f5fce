#include "scheduler/run/private_redis.h"

#include "protocol/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_NAME "redis.sock"
#define LOG_NAME "redis.log"

enum {
    LOOK_AGAIN_MS = 2,         /* between two looks at a process that starts or ends */
    LOG_MAX_BYTES = 1 << 20,   /* a longer log is emptied at a restart */
    LOG_LINE_BYTES = 300,      /* of it in an error */
    URL_BYTES = 3 * 4096 + 32, /* each byte of the path may need three */
};

struct private_redis {
    pid_t pid;  /* 0: not running */
    int status; /* of its latest end */
    int dir;    /* the state directory, O_PATH: paths of any length */
    char url[URL_BYTES];
};

/* ---- the child: async-signal-safe calls only, other threads may have held locks at the fork ----
 */

static void reset_signals(void)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &standard, NULL); /* fails for SIGKILL and SIGSTOP: no matter */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool prepare_files(int dir)
{
    if (fchdir(dir))
        return false;
    int in = open("/dev/null", O_RDONLY);
    int log = open(LOG_NAME, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    if (in < 0 || log < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        return false;
    return close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 || errno == EINVAL || errno == ENOSYS;
}

/* Becomes redis-server, or tells errno through the pipe, which exec closes. */
static void run_child(int dir, pid_t parent, int tell)
{
    static char *const argv[] = {
        "redis-server", "--port", "0", "--unixsocket", SOCKET_NAME, "--unixsocketperm",
        "700",          "--save", "",  "--appendonly", "no",        "--maxmemory-policy",
        "noeviction",   "--dir",  ".", "--daemonize",  "no",        NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0);
    reset_signals();
    if (prepare_files(dir))
        execvp(argv[0], argv);
    int e = errno;
    ssize_t ignored = write(tell, &e, sizeof e);
    (void)ignored;
    _exit(127);
}

/* ---- starting ---- */

/* Reads what the child told: nothing (exec succeeded) or an errno. */
static int read_exec_error(int fd)
{
    int e = 0;
    ssize_t n;
    do
        n = read(fd, &e, sizeof e);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof e ? e : 0;
}

static enum err_code launch(struct private_redis *p, struct err *err)
{
    int fds[2];
    if (unlinkat(p->dir, SOCKET_NAME, 0) && errno != ENOENT)
        return err_errno(err, errno, "stale %s in the state directory", SOCKET_NAME);
    if (pipe2(fds, O_CLOEXEC))
        return err_errno(err, errno, "redis-server: pipe");
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(p->dir, parent, fds[1]);
    int saved = errno;
    close(fds[1]);
    int e = pid < 0 ? saved : read_exec_error(fds[0]);
    close(fds[0]);
    if (e == 0) {
        p->pid = pid;
        return ERR_OK;
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (e == ENOENT)
        return err_set(err, ERR_NOTFOUND,
                       "no redis-server found: install the package redis-server, or name a Redis "
                       "in settings.redis");
    return err_errno(err, e, "redis-server cannot be started");
}

/* unix:// and the folder's real path, percent-encoded. */
static enum err_code make_url(const char *state_dir, char *out, struct err *err)
{
    char path[4096];
    if (!realpath(state_dir, path))
        return err_errno(err, errno, "state directory %s", state_dir);
    size_t n = (size_t)snprintf(out, URL_BYTES, "unix://");
    for (const char *c = path; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("/-._~", *c))
            out[n++] = *c;
        else
            n += (size_t)snprintf(out + n, URL_BYTES - n, "%%%02X", (unsigned char)*c);
    }
    memcpy(out + n, "/" SOCKET_NAME, sizeof "/" SOCKET_NAME);
    return ERR_OK;
}

enum err_code private_redis_start(const char *state_dir, struct private_redis **ret,
                                  struct err *err)
{
    struct private_redis *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ERR_NOMEM, "no memory for a private Redis");
    p->dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    enum err_code rc = ERR_OK;
    if (p->dir < 0)
        rc = err_errno(err, errno, "state directory %s", state_dir);
    if (!rc)
        rc = make_url(state_dir, p->url, err);
    if (!rc) {
        unlinkat(p->dir, LOG_NAME, 0);
        rc = launch(p, err);
    }
    if (rc) {
        private_redis_stop(p, 0);
        return rc;
    }
    *ret = p;
    return ERR_OK;
}

enum err_code private_redis_restart(struct private_redis *p, struct err *err)
{
    struct stat st;
    if (private_redis_check(p, NULL) == ERR_OK)
        return err_set(err, ERR_BUSY, "the private redis-server still runs");
    if (fstatat(p->dir, LOG_NAME, &st, 0) == 0 && st.st_size > LOG_MAX_BYTES)
        unlinkat(p->dir, LOG_NAME, 0);
    return launch(p, err);
}

/* ---- watching ---- */

/* The last line of its log, or nothing. */
static const char *last_line(const struct private_redis *p, char *out, size_t n)
{
    int fd = openat(p->dir, LOG_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)n - 1 ? end - (off_t)n + 1 : 0;
    ssize_t got = end < 0 ? -1 : pread(fd, out, n - 1, from);
    if (fd >= 0)
        close(fd);
    size_t len = got > 0 ? (size_t)got : 0;
    while (len && isspace((unsigned char)out[len - 1]))
        len--;
    out[len] = '\0';
    const char *line = strrchr(out, '\n');
    return line ? line + 1 : out;
}

static enum err_code describe_end(const struct private_redis *p, struct err *err)
{
    char line[LOG_LINE_BYTES];
    const char *words = last_line(p, line, sizeof line);
    if (WIFSIGNALED(p->status))
        return err_set(err, ERR_UNREACHABLE, "the private redis-server was killed by signal %d: %s",
                       WTERMSIG(p->status), words);
    return err_set(err, ERR_UNREACHABLE, "the private redis-server ended with status %d: %s",
                   WEXITSTATUS(p->status), words);
}

enum err_code private_redis_check(struct private_redis *p, struct err *err)
{
    if (p->pid) {
        pid_t pid = waitpid(p->pid, &p->status, WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR))
            return ERR_OK;
        p->pid = 0;
    }
    return describe_end(p, err);
}

/* One attempt; a unix socket is accepted or refused at once. */
static bool accepts(const struct private_redis *p)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, p->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

enum err_code private_redis_wait(struct private_redis *p, uint64_t timeout_ms, struct err *err)
{
    int64_t began = clock_mono_ms();
    while (!accepts(p)) {
        if (private_redis_check(p, err))
            return ERR_UNREACHABLE;
        if ((uint64_t)(clock_mono_ms() - began) >= timeout_ms)
            return err_set(err, ERR_TIMEOUT,
                           "the private redis-server accepts no connection after %llu ms",
                           (unsigned long long)timeout_ms);
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return ERR_OK;
}

pid_t private_redis_pid(const struct private_redis *p)
{
    return p->pid;
}

const char *private_redis_url(const struct private_redis *p)
{
    return p->url;
}

/* ---- stopping ---- */

void private_redis_stop(struct private_redis *p, uint64_t grace_ms)
{
    if (!p)
        return;
    if (p->pid)
        kill(p->pid, SIGTERM);
    int64_t began = clock_mono_ms();
    while (p->pid && private_redis_check(p, NULL) == ERR_OK) {
        if ((uint64_t)(clock_mono_ms() - began) >= grace_ms) {
            kill(p->pid, SIGKILL);
            while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
                continue;
            p->pid = 0;
        } else {
            poll(NULL, 0, LOOK_AGAIN_MS);
        }
    }
    if (p->dir >= 0) {
        unlinkat(p->dir, SOCKET_NAME, 0);
        close(p->dir);
    }
    free(p);
}
