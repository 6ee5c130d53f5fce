#include "tests/harness/redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { START_DEADLINE_MS = 10000, WORDS_MAX = 32 };

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "redis_server: %s: %s\n", what, detail);
    abort();
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void exec_server(const struct redis_server *s, pid_t parent)
{
    const char *argv[REDIS_SERVER_ARGS + 24] = {
        "redis-server", "--port", "0",    "--unixsocket", s->socket, "--unixsocketperm",
        "700",          "--save", "",     "--appendonly", "no",      "--maxmemory-policy",
        "noeviction",   "--dir",  s->dir, "--daemonize",  "no"};
    size_t n = 0;
    while (argv[n])
        n++;
    for (size_t i = 0; s->args[i]; i++)
        argv[n++] = s->args[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    int log = openat(AT_FDCWD, "redis.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp("redis-server", (char *const *)argv);
    _exit(127);
}

static int answers(const struct redis_server *s)
{
    redisContext *c = redisConnectUnix(s->socket);
    int ok = 0;
    if (c && !c->err) {
        redisReply *r = redisCommand(c, "PING");
        ok = r != NULL; /* NOAUTH is an answer, too */
        freeReplyObject(r);
    }
    if (c)
        redisFree(c);
    return ok;
}

static void launch(struct redis_server *s)
{
    unlink(s->socket);
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid < 0)
        die("fork", strerror(errno));
    if (s->pid == 0) {
        if (chdir(s->dir))
            _exit(1);
        exec_server(s, parent);
    }
    int64_t deadline = now_ms() + START_DEADLINE_MS;
    while (!answers(s)) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
            die("ended at its start, see the log in", s->dir);
        if (now_ms() > deadline)
            die("does not answer, see the log in", s->dir);
        poll(NULL, 0, 2); /* between two attempts to connect */
    }
}

void redis_server_folder(char *dir)
{
    snprintf(dir, REDIS_SERVER_DIR_BYTES, "/tmp/sluice-redis-XXXXXX");
    if (!mkdtemp(dir))
        die("mkdtemp", strerror(errno));
}

void redis_server_start_in(struct redis_server *s, const char *dir, const char *const *args)
{
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    snprintf(s->socket, sizeof s->socket, "%s/redis.sock", s->dir);
    snprintf(s->url, sizeof s->url, "unix://%s", s->socket);
    for (size_t i = 0; args && args[i]; i++) {
        if (i + 1 >= REDIS_SERVER_ARGS)
            die("too many arguments", args[i]);
        s->args[i] = args[i];
    }
    launch(s);
}

void redis_server_start(struct redis_server *s, const char *const *args)
{
    char dir[REDIS_SERVER_DIR_BYTES];
    redis_server_folder(dir);
    redis_server_start_in(s, dir, args);
}

void redis_server_signal(struct redis_server *s, int signal)
{
    if (!s->pid)
        return;
    kill(s->pid, signal);
    if (signal == SIGSTOP || signal == SIGCONT)
        return;
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    s->pid = 0;
}

void redis_server_restart(struct redis_server *s)
{
    if (s->pid)
        die("restart", "it still runs");
    launch(s);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void redis_server_stop(struct redis_server *s)
{
    redis_server_signal(s, SIGKILL);
    if (s->dir[0])
        nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    s->dir[0] = '\0';
}

static redisReply *ask(const struct redis_server *s, const char *word, va_list ap)
{
    const char *argv[WORDS_MAX];
    int argc = 0;
    for (; word; word = va_arg(ap, const char *)) {
        if (argc == WORDS_MAX)
            die("too many words", word);
        argv[argc++] = word;
    }
    redisContext *c = redisConnectUnix(s->socket);
    if (!c || c->err)
        die("connect", c ? c->errstr : "no memory");
    redisReply *r = redisCommandArgv(c, argc, argv, NULL);
    if (!r)
        die(argv[0], c->errstr);
    redisFree(c);
    return r;
}

struct redisReply *redis_server_ask(const struct redis_server *s, const char *word, ...)
{
    va_list ap;
    va_start(ap, word);
    redisReply *r = ask(s, word, ap);
    va_end(ap);
    return r;
}

int64_t redis_server_ask_int(const struct redis_server *s, const char *word, ...)
{
    va_list ap;
    va_start(ap, word);
    redisReply *r = ask(s, word, ap);
    va_end(ap);
    if (r->type != REDIS_REPLY_INTEGER)
        die(word, r->str ? r->str : "its reply is not a number");
    int64_t n = r->integer;
    freeReplyObject(r);
    return n;
}

uint16_t redis_server_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) || getsockname(fd, (struct sockaddr *)&a, &n))
        die("no free port", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}
