#include "scheduler/api/aside.h"

#include "scheduler/api/api_private.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NICE = 10, READ_BYTES = 64 << 10, CLIENT_BYTES = 4096 };

struct job {
    struct asides *all;
    struct api *api;
    struct evhttp_request *req;
    struct evhttp_connection *connection;
    enum evhttp_cmd_type method;
    pid_t pid; /* 0: the place is free */
    struct event *readable;
    struct buf bytes; /* "ok" or an error's number, a line end, and the answer or its words */
};

struct asides {
    struct event_base *base;
    struct job jobs[ASIDE_MAX];
};

/* ---- the child ---- */

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno != EINTR)
            return false;
        p += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

static void write_answer(int fd, enum err_code rc, const struct output *o, const struct err *err)
{
    char head[32];
    int n = snprintf(head, sizeof head, "%d\n", (int)rc);
    if (!write_all(fd, head, (size_t)n))
        return;
    if (rc)
        write_all(fd, err->text, strlen(err->text));
    else
        write_all(fd, o->buf.p, o->buf.len);
}

/* Everything of the parent's but the pipe is closed; at the parent's end, and at the deadline, the
 * kernel ends this. */
NORETURN static void run_child(int fd, aside_work *work, void *ctx)
{
    struct output o;
    struct err err = {.code = ERR_NOMEM, .text = "no memory"};
    signal(SIGALRM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(ASIDE_SECONDS);
    setpriority(PRIO_PROCESS, 0, NICE);
    if (fd > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0u, 0);
    output_init(&o);
    enum err_code rc = work(ctx, &o, &err);
    if (!rc && o.failed)
        rc = err_set(&err, o.failed, "the answer cannot be written: %s", err_name(o.failed));
    write_answer(fd, rc, &o, &err);
    _exit(0);
}

/* ---- the parent ---- */

/* Ends the child, also one that is at its end already. */
static void job_end(struct job *j)
{
    event_free(j->readable);
    kill(j->pid, SIGKILL);
    while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    buf_done(&j->bytes);
    *j = (struct job){.all = j->all};
}

static void answer(struct api_call *c, struct buf *bytes)
{
    const char *text = buf_cstr(bytes);
    char *end = NULL;
    long code = text ? strtol(text, &end, 10) : 0;
    if (!text || end == text || *end != '\n') {
        call_refuse(c, 503, "timeout", "looking took longer than %d s", ASIDE_SECONDS);
        return;
    }
    end++;
    if (code) {
        struct err err;
        err_set(&err, (enum err_code)code, "%s", end);
        call_fail(c, &err);
        return;
    }
    struct output o;
    output_init(&o);
    o.failed = buf_puts(&o.buf, end);
    call_answer(c, 200, &o);
}

/* evhttp reads nothing between a request and its answer, and would not see that the client left.
 * What comes meanwhile is kept for it, up to a limit. */
static void watch_client(struct evhttp_connection *connection, bool on)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
    bufferevent_data_cb reads, writes;
    bufferevent_event_cb events;
    void *arg;
    bufferevent_setwatermark(bev, EV_READ, 0, on ? CLIENT_BYTES : 0);
    if (!on)
        return;
    bufferevent_getcb(bev, &reads, &writes, &events, &arg);
    bufferevent_setcb(bev, NULL, writes, events, arg);
    bufferevent_enable(bev, EV_READ);
}

static void finish(struct job *j)
{
    struct api_call c = {.api = j->api, .req = j->req, .method = j->method};
    struct buf bytes = j->bytes;
    int fd = event_get_fd(j->readable);
    j->bytes = (struct buf){0};
    evhttp_connection_set_closecb(j->connection, NULL, NULL);
    watch_client(j->connection, false);
    job_end(j);
    close(fd);
    answer(&c, &bytes);
    buf_done(&bytes);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct job *j = ctx;
    char part[READ_BYTES];
    (void)what;
    ssize_t n = read((int)fd, part, sizeof part);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && !buf_put(&j->bytes, part, (size_t)n))
        return;
    finish(j);
}

/* The client leaves: see streams.c. */
static void on_close(struct evhttp_connection *connection, void *ctx)
{
    struct job *j = ctx;
    struct evhttp_request *req = j->req;
    int fd = event_get_fd(j->readable);
    (void)connection;
    job_end(j);
    close(fd);
    if (!evhttp_request_get_connection(req))
        evhttp_send_reply_end(req);
}

static struct job *free_job(struct asides *a)
{
    for (size_t i = 0; i < ASIDE_MAX; i++)
        if (!a->jobs[i].pid)
            return &a->jobs[i];
    return NULL;
}

static bool job_start(struct job *j, struct api_call *c, const int pipe_fds[2], aside_work *work,
                      void *ctx)
{
    j->readable = event_new(j->all->base, pipe_fds[0], EV_READ | EV_PERSIST, on_readable, j);
    if (!j->readable || event_add(j->readable, NULL))
        return false;
    pid_t pid = fork();
    if (!pid)
        run_child(pipe_fds[1], work, ctx);
    if (pid < 0)
        return false;
    j->pid = pid;
    j->api = c->api;
    j->req = c->req;
    j->method = c->method;
    j->connection = evhttp_request_get_connection(c->req);
    buf_init(&j->bytes, ASIDE_BYTES_MAX);
    evhttp_connection_set_closecb(j->connection, on_close, j);
    watch_client(j->connection, true);
    return true;
}

void call_aside(struct api_call *c, aside_work *work, void *ctx)
{
    struct job *j = free_job(c->api->asides);
    int fds[2];
    if (!j) {
        call_header(c, "Retry-After", "1");
        call_refuse(c, 503, "full", "%d such requests are under way already", ASIDE_MAX);
        return;
    }
    if (pipe2(fds, O_CLOEXEC)) {
        call_refuse(c, 503, "full", "no pipe can be made");
        return;
    }
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 && job_start(j, c, fds, work, ctx)) {
        close(fds[1]);
        return;
    }
    if (j->readable)
        event_free(j->readable);
    j->readable = NULL;
    close(fds[0]);
    close(fds[1]);
    call_refuse(c, 503, "full", "no process can be made");
}

/* ---- life ---- */

enum err_code asides_new(struct event_base *base, struct asides **ret, struct err *err)
{
    struct asides *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(err, ERR_NOMEM, "api: no memory");
    a->base = base;
    for (size_t i = 0; i < ASIDE_MAX; i++)
        a->jobs[i].all = a;
    *ret = a;
    return ERR_OK;
}

void asides_free(struct asides *a)
{
    for (size_t i = 0; a && i < ASIDE_MAX; i++)
        if (a->jobs[i].pid) {
            int fd = event_get_fd(a->jobs[i].readable);
            job_end(&a->jobs[i]);
            close(fd);
        }
    free(a);
}
