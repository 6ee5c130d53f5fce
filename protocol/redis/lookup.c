#include "protocol/redis/lookup.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Shared by the loop and the thread; whoever lets go last frees it. */
struct job {
    atomic_int refs;
    char host[256];
    char port[8];
    int done_fd;      /* the thread closes it: that wakes the loop */
    atomic_bool done; /* and this hands over what is below */
    int result;       /* of getaddrinfo */
    int saved_errno;
    struct addrinfo *addrs;
};

struct lookup {
    struct job *job;
    struct event *done;
    int fd;
    lookup_cb cb;
    void *ctx;
};

static void job_release(struct job *j)
{
    if (!j || atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (j->addrs)
        freeaddrinfo(j->addrs);
    free(j);
}

static void *job_run(void *arg)
{
    struct job *j = arg;
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    j->result = getaddrinfo(j->host, j->port, &hints, &j->addrs);
    j->saved_errno = errno;
    atomic_store_explicit(&j->done, true, memory_order_release);
    close(j->done_fd);
    job_release(j);
    return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct lookup *l = arg;
    struct job *j = l->job;
    ensure(atomic_load_explicit(&j->done, memory_order_acquire));
    struct addrinfo *addrs = j->addrs;
    j->addrs = NULL;
    struct err err = {.code = ERR_OK};
    if (j->result == EAI_SYSTEM)
        err_errno(&err, j->saved_errno, "host name %s", j->host);
    else if (j->result)
        err_set(&err, ERR_UNREACHABLE, "host name %s: %s", j->host, gai_strerror(j->result));
    if (err.code)
        err.code = ERR_UNREACHABLE;
    l->cb(l->ctx, err.code ? NULL : addrs, err.code ? &err : NULL);
}

/* The thread takes no signals: they belong to the loop. */
static int start_thread(struct job *j)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, job_run, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

struct lookup *lookup_new(struct event_base *base, const char *host, uint16_t port, lookup_cb cb,
                          void *ctx, struct err *err)
{
    int fds[2] = {-1, -1};
    struct lookup *l = calloc(1, sizeof *l);
    struct job *j = calloc(1, sizeof *j);
    if (!l || !j || pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
        err_errno(err, errno, "host name %s", host);
        free(l);
        free(j);
        return NULL;
    }
    *l = (struct lookup){.job = j, .fd = fds[0], .cb = cb, .ctx = ctx};
    j->done_fd = fds[1];
    atomic_init(&j->refs, 1);
    snprintf(j->host, sizeof j->host, "%s", host);
    snprintf(j->port, sizeof j->port, "%u", port);
    l->done = event_new(base, l->fd, EV_READ, on_done, l);
    int rc = l->done && event_add(l->done, NULL) == 0 ? 0 : ENOMEM;
    if (!rc) {
        atomic_store(&j->refs, 2);
        rc = start_thread(j);
        if (rc)
            atomic_store(&j->refs, 1);
    }
    if (rc) {
        err_errno(err, rc, "host name %s", host);
        close(fds[1]);
        lookup_free(l);
        return NULL;
    }
    return l;
}

void lookup_free(struct lookup *l)
{
    if (!l)
        return;
    if (l->done)
        event_free(l->done);
    close(l->fd);
    job_release(l->job);
    free(l);
}
