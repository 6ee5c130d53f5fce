#include "tests/harness/postgres_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_DEADLINE_MS = 30000, ARGS_MAX = 32 };

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "postgres_server: %s: %s\n", what, detail);
    abort();
}

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Debian keeps the server's programs out of PATH, one folder per version. */
static void program_path(const char *name, char *out, size_t size)
{
    for (int version = 20; version >= 13; version--) {
        snprintf(out, size, "/usr/lib/postgresql/%d/bin/%s", version, name);
        if (access(out, X_OK) == 0)
            return;
    }
    snprintf(out, size, "%s", name);
}

static void become_postgres(void)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (geteuid() == 0 &&
        (!user || setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
}

/* In the child; does not return. The programs look for each other beside their own argv[0]. */
static void exec_program(const struct postgres_server *s, const char **args, pid_t parent)
{
    char path[128];
    program_path(args[0], path, sizeof path);
    args[0] = path;
    become_postgres();
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent || chdir(s->dir))
        _exit(1);
    int log = openat(AT_FDCWD, "log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execvp(path, (char *const *)args);
    _exit(127);
}

static pid_t launch(const struct postgres_server *s, const char **args)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        die("fork", strerror(errno));
    if (pid == 0)
        exec_program(s, args, parent);
    return pid;
}

static void init_cluster(const struct postgres_server *s)
{
    const char *args[] = {"initdb",    "-D",
                          "data",      "-U",
                          "postgres",  "-A",
                          "trust",     "-E",
                          "UTF8",      "--locale=C.UTF-8",
                          "--no-sync", "--no-instructions",
                          NULL};
    int status = 0;
    waitpid(launch(s, args), &status, 0);
    if (status)
        die("initdb failed, see the log in", s->dir);
}

/* Everyone is trusted but the role needs_password. */
static void write_hba(const struct postgres_server *s)
{
    char path[POSTGRES_SERVER_DIR_BYTES + 32];
    snprintf(path, sizeof path, "%s/data/pg_hba.conf", s->dir);
    FILE *f = fopen(path, "w");
    if (!f || fputs("local all needs_password scram-sha-256\nlocal all all trust\n", f) < 0 ||
        fclose(f))
        die("cannot write", path);
}

static int ended_within(pid_t pid, int pidfd, int ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, ms) > 0 && waitpid(pid, NULL, WNOHANG) == pid;
}

static int answers(const struct postgres_server *s)
{
    const char *names[] = {"host", "user", "dbname", NULL};
    const char *values[] = {s->dir, "postgres", "postgres", NULL};
    return PQpingParams(names, values, 0) == PQPING_OK;
}

static void start_server(struct postgres_server *s)
{
    char sockets[POSTGRES_SERVER_DIR_BYTES + 32];
    snprintf(sockets, sizeof sockets, "unix_socket_directories=%s", s->dir);
    const char *args[] = {"postgres",
                          "-D",
                          "data",
                          "-c",
                          "listen_addresses=",
                          "-c",
                          sockets,
                          "-c",
                          "fsync=off",
                          "-c",
                          "full_page_writes=off",
                          "-c",
                          "shared_buffers=32MB",
                          "-c",
                          "wal_level=logical",
                          NULL};
    s->pid = launch(s, args);
    int pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
    if (pidfd < 0)
        die("pidfd_open", strerror(errno));
    long deadline = now_ms() + START_DEADLINE_MS;
    while (!answers(s)) {
        if (ended_within(s->pid, pidfd, 5))
            die("ended at its start, see the log in", s->dir);
        if (now_ms() > deadline)
            die("does not answer, see the log in", s->dir);
    }
    close(pidfd);
}

void postgres_server_start(struct postgres_server *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/sluice-postgres-XXXXXX");
    if (!mkdtemp(s->dir) || chmod(s->dir, 0755))
        die("mkdtemp", strerror(errno));
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (geteuid() == 0 && (!user || chown(s->dir, user->pw_uid, user->pw_gid)))
        die("chown", "there must be a user postgres");
    init_cluster(s);
    write_hba(s);
    start_server(s);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void postgres_server_halt(struct postgres_server *s, int immediate)
{
    if (!s->pid)
        return;
    kill(s->pid, immediate ? SIGQUIT : SIGINT);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    s->pid = 0;
}

void postgres_server_go_on(struct postgres_server *s)
{
    start_server(s);
}

void postgres_server_stop(struct postgres_server *s)
{
    postgres_server_halt(s, 1);
    if (s->dir[0])
        nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    s->dir[0] = '\0';
}

PGconn *postgres_server_connect(const struct postgres_server *s, const char *database)
{
    const char *names[] = {"host", "user", "dbname", NULL};
    const char *values[] = {s->dir, "postgres", database ? database : "postgres", NULL};
    PGconn *conn = PQconnectdbParams(names, values, 0);
    if (PQstatus(conn) != CONNECTION_OK)
        die("connect", PQerrorMessage(conn));
    return conn;
}

static PGresult *run(const struct postgres_server *s, const char *database, const char *sql)
{
    PGconn *conn = postgres_server_connect(s, database);
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        die(sql, PQerrorMessage(conn));
    PQfinish(conn);
    return result;
}

void postgres_server_run(const struct postgres_server *s, const char *database, const char *sql)
{
    PQclear(run(s, database, sql));
}

long postgres_server_number(const struct postgres_server *s, const char *database, const char *sql)
{
    PGresult *result = run(s, database, sql);
    if (PQntuples(result) < 1)
        die(sql, "no row");
    long n = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return n;
}
