#include "tests/harness/redis_sentinels.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { START_DEADLINE_S = 40 };

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "redis_sentinels: %s: %s\n", what, detail);
    abort();
}

/* ---- servers ---- */

static void word(struct redis_sentinels *s, int server, const char *name, const char *value)
{
    size_t n = 0;
    while (s->args[server][n])
        n++;
    if (n + 2 > SENTINEL_WORDS)
        die("too many words", name);
    snprintf(s->words[server][n], SENTINEL_WORD_BYTES, "--%s", name);
    snprintf(s->words[server][n + 1], SENTINEL_WORD_BYTES, "%s", value);
    s->args[server][n] = s->words[server][n];
    s->args[server][n + 1] = s->words[server][n + 1];
}

static const char *text_of(uint16_t port)
{
    static char text[8];
    snprintf(text, sizeof text, "%u", port);
    return text;
}

static void tls_words(struct redis_sentinels *s, int i, const struct redis_sentinels_options *o)
{
    char path[SENTINEL_WORD_BYTES];
    snprintf(path, sizeof path, "%s/%s.crt", o->tls, o->certificate);
    word(s, i, "tls-cert-file", path);
    snprintf(path, sizeof path, "%s/%s.key", o->tls, o->certificate);
    word(s, i, "tls-key-file", path);
    snprintf(path, sizeof path, "%s/ca.crt", o->tls);
    word(s, i, "tls-ca-cert-file", path);
    word(s, i, "tls-auth-clients", "no");
    word(s, i, "tls-replication", "yes");
}

static void start_server(struct redis_sentinels *s, int i, const struct redis_sentinels_options *o)
{
    s->ports[i] = redis_server_free_port();
    word(s, i, o->tls ? "tls-port" : "port", text_of(s->ports[i]));
    word(s, i, "bind", "127.0.0.1");
    if (o->tls)
        tls_words(s, i, o);
    if (o->password) {
        word(s, i, "requirepass", o->password);
        word(s, i, "masterauth", o->password);
    }
    word(s, i, "repl-diskless-sync-delay", "0");
    if (i == 1) {
        char of[32];
        snprintf(of, sizeof of, "127.0.0.1 %u", s->ports[0]);
        word(s, i, "replicaof", of);
    }
    redis_server_start(&s->servers[i], s->args[i]);
}

/* ---- sentinels ---- */

static void write_config(const struct redis_sentinels *s, int i,
                         const struct redis_sentinels_options *o)
{
    char path[REDIS_SERVER_DIR_BYTES + 16];
    snprintf(path, sizeof path, "%s/s%d.conf", s->dir, i);
    FILE *f = fopen(path, "w");
    if (!f)
        die(path, strerror(errno));
    fprintf(f, "bind 127.0.0.1\n%s %u\n", o->tls ? "port 0\ntls-port" : "port",
            s->sentinel_ports[i]);
    if (o->tls)
        fprintf(f,
                "tls-cert-file %s/%s.crt\ntls-key-file %s/%s.key\ntls-ca-cert-file %s/ca.crt\n"
                "tls-auth-clients no\ntls-replication yes\n",
                o->tls, o->certificate, o->tls, o->certificate, o->tls);
    if (o->sentinel_password)
        fprintf(f, "requirepass %s\nsentinel sentinel-pass %s\n", o->sentinel_password,
                o->sentinel_password);
    fprintf(f, "sentinel myid %040d\nsentinel monitor prime 127.0.0.1 %u 2\n", i + 1, s->ports[0]);
    fprintf(f, "sentinel down-after-milliseconds prime 1000\n"
               "sentinel failover-timeout prime 6000\n");
    if (o->password)
        fprintf(f, "sentinel auth-pass prime %s\n", o->password);
    fprintf(f, "sentinel known-replica prime 127.0.0.1 %u\n", s->ports[1]);
    for (int k = 0; k < SENTINELS; k++)
        if (k != i)
            fprintf(f, "sentinel known-sentinel prime 127.0.0.1 %u %040d\n", s->sentinel_ports[k],
                    k + 1);
    if (fclose(f))
        die(path, strerror(errno));
}

static void start_sentinel(struct redis_sentinels *s, int i)
{
    char conf[16], log[16];
    snprintf(conf, sizeof conf, "s%d.conf", i);
    snprintf(log, sizeof log, "s%d.log", i);
    pid_t parent = getpid();
    s->sentinels[i] = fork();
    if (s->sentinels[i] < 0)
        die("fork", strerror(errno));
    if (s->sentinels[i])
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || chdir(s->dir))
        _exit(1);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execlp("redis-server", "redis-server", conf, "--sentinel", (char *)NULL);
    _exit(127);
}

/* The replica copies, and a sentinel that a failover needs has heard of everybody. */
static void await(struct redis_sentinels *s, const struct redis_sentinels_options *o)
{
    time_t end = time(NULL) + START_DEADLINE_S;
    char command[1024];
    for (int i = 0; i < SENTINELS; i++) {
        snprintf(command, sizeof command,
                 "m=$(redis-cli %s%s%s %s%s -h 127.0.0.1 -p %u --no-auth-warning sentinel master "
                 "prime 2>&1 | paste -sd' ') && case $m in *' num-slaves 1 num-other-sentinels 2 "
                 "'*) ;; *) exit 1 ;; esac && case $m in *' flags master '*) ;; *) exit 1 ;; esac "
                 "&& redis-cli %s%s --no-auth-warning -s %s info replication | grep -q "
                 "'master_link_status:up'",
                 o->tls ? "--tls --cacert " : "", o->tls ? o->tls : "", o->tls ? "/ca.crt" : "",
                 o->sentinel_password ? "-a " : "",
                 o->sentinel_password ? o->sentinel_password : "", s->sentinel_ports[i],
                 o->password ? "-a " : "", o->password ? o->password : "", s->servers[1].socket);
        while (system(command) != 0) {
            if (time(NULL) > end)
                die("they do not find each other, see the logs in", s->dir);
            poll(NULL, 0, 50); /* between two looks */
        }
    }
}

void redis_sentinels_start(struct redis_sentinels *s, const struct redis_sentinels_options *o)
{
    memset(s, 0, sizeof *s);
    redis_server_folder(s->dir);
    start_server(s, 0, o);
    start_server(s, 1, o);
    for (int i = 0; i < SENTINELS; i++)
        s->sentinel_ports[i] = redis_server_free_port();
    for (int i = 0; i < SENTINELS; i++)
        write_config(s, i, o);
    for (int i = 0; i < SENTINELS; i++)
        start_sentinel(s, i);
    await(s, o);
}

void redis_sentinels_signal(struct redis_sentinels *s, size_t sentinel, int signal)
{
    if (!s->sentinels[sentinel])
        return;
    kill(s->sentinels[sentinel], signal);
    if (signal == SIGSTOP || signal == SIGCONT)
        return;
    while (waitpid(s->sentinels[sentinel], NULL, 0) < 0 && errno == EINTR)
        continue;
    s->sentinels[sentinel] = 0;
}

void redis_sentinels_stop(struct redis_sentinels *s)
{
    char command[REDIS_SERVER_DIR_BYTES + 16];
    for (size_t i = 0; i < SENTINELS; i++)
        redis_sentinels_signal(s, i, SIGKILL);
    redis_server_stop(&s->servers[1]);
    redis_server_stop(&s->servers[0]);
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    if (system(command) != 0)
        die(command, "failed");
}

const char *redis_sentinels_url(const struct redis_sentinels *s, const char *scheme,
                                const char *user_part, const char *query, char *out, size_t n)
{
    snprintf(out, n, "%s://%s127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u/prime%s", scheme, user_part,
             s->sentinel_ports[0], s->sentinel_ports[1], s->sentinel_ports[2], query);
    return out;
}
