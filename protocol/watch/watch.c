#include "protocol/watch/watch.h"

#include "protocol/base/clock.h"
#include "protocol/watch/settle.h"
#include "protocol/watch/tripwire.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LOOK_EVERY_MS = 2000,
    LOOK_SOON_MS = 100, /* while a change is not quiet yet */
    STIR_MS = 20,       /* what stirs together is looked at once */
    SHARE = 50,         /* it looks for a fiftieth of the time at most */
};

/* Shared by the loop and the thread; whoever lets go last frees it. */
struct shared {
    pthread_mutex_t lock; /* of what follows */
    int refs;
    bool stop;
    bool fresh; /* loaded is newer than what the thread has */
    struct inputs loaded;
    /* not locked */
    char *named;
    int wake_fd; /* the loop writes: the thread turns */
    int told_fd; /* the thread writes: the loop calls back */
};

struct watch {
    struct shared *shared;
    struct event *told;
    watch_cb cb;
    void *ctx;
};

/* The thread's own. */
struct watcher {
    struct shared *shared;
    struct settle settle;
    struct inputs last, now; /* what the last load opened; what the last look saw */
    int wire_fd;
    int64_t took_ms; /* the last look */
};

static void release(struct shared *s)
{
    pthread_mutex_lock(&s->lock);
    bool last = --s->refs == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    inputs_done(&s->loaded);
    pthread_mutex_destroy(&s->lock);
    close(s->wake_fd);
    close(s->told_fd);
    free(s->named);
    free(s);
}

static void ring(int fd)
{
    uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static void hush(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
}

/* ---- the thread ---- */

/* False when it is to end. */
static bool listen_to_loop(struct watcher *t)
{
    struct shared *s = t->shared;
    pthread_mutex_lock(&s->lock);
    bool goes_on = !s->stop;
    if (s->fresh) {
        s->fresh = false;
        inputs_move(&t->last, &s->loaded);
        settle_loaded(&t->settle, t->last.digest);
    }
    pthread_mutex_unlock(&s->lock);
    return goes_on;
}

/* The wire lies where the files were by the last look. */
static void stretch_wire(struct watcher *t)
{
    if (t->wire_fd >= 0)
        close(t->wire_fd);
    t->wire_fd = tripwire_open(t->shared->named, &t->now);
}

/* Gives whether it saw anything new. */
static bool look(struct watcher *t)
{
    struct inputs now;
    struct err err;
    int64_t began = clock_mono_ms();
    inputs_init(&now);
    enum err_code rc = inputs_look(t->shared->named, &t->last, &now, &err);
    int64_t ended = clock_mono_ms();
    t->took_ms = ended - began;
    if (rc) { /* no memory: the next look may have some */
        inputs_done(&now);
        return false;
    }
    bool differs = !inputs_same(&now, &t->now);
    inputs_move(&t->now, &now);
    if (settle_look(&t->settle, t->now.digest, !t->now.dir, ended))
        ring(t->shared->told_fd);
    return differs;
}

static void rest(struct watcher *t)
{
    struct pollfd fds[] = {{.fd = t->shared->wake_fd, .events = POLLIN},
                           {.fd = t->wire_fd, .events = POLLIN}};
    int64_t least = t->took_ms * SHARE;
    int64_t most = settle_is_restless(&t->settle) ? LOOK_SOON_MS : LOOK_EVERY_MS;
    int timeout = (int)(most > least ? most : least);
    if (poll(fds, 2, timeout) <= 0)
        return;
    hush(t->shared->wake_fd);
    if (!fds[1].revents)
        return;
    if (least < STIR_MS)
        least = STIR_MS;
    poll(fds, 1, (int)least);
    tripwire_drain(t->wire_fd);
}

static void *run(void *arg)
{
    struct watcher t = {.shared = arg, .wire_fd = -1};
    inputs_init(&t.last);
    inputs_init(&t.now);
    settle_init(&t.settle, t.shared->loaded.digest);
    while (listen_to_loop(&t)) {
        if (look(&t)) {
            stretch_wire(&t);
            continue; /* what changed before it was stretched */
        }
        rest(&t);
    }
    if (t.wire_fd >= 0)
        close(t.wire_fd);
    inputs_done(&t.last);
    inputs_done(&t.now);
    release(t.shared);
    return NULL;
}

/* It takes no signals: they belong to the loop. */
static int start_thread(struct shared *s)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

/* ---- the loop ---- */

static void on_told(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct watch *w = arg;
    hush(fd);
    w->cb(w->ctx);
}

static struct shared *share(const char *named)
{
    struct shared *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    inputs_init(&s->loaded);
    s->refs = 1;
    s->named = strdup(named);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->named && s->wake_fd >= 0 && s->told_fd >= 0)
        return s;
    release(s);
    return NULL;
}

enum err_code watch_new(struct event_base *base, const char *named, const struct inputs *loaded,
                        watch_cb cb, void *ctx, struct watch **ret_watch, struct err *err)
{
    struct watch *w = calloc(1, sizeof *w);
    struct shared *s = w ? share(named) : NULL;
    if (!s) {
        free(w);
        return err_set(err, ERR_NOMEM, "no memory to watch %s", named);
    }
    *w = (struct watch){.shared = s, .cb = cb, .ctx = ctx};
    watch_loaded(w, loaded);
    w->told = event_new(base, s->told_fd, EV_READ | EV_PERSIST, on_told, w);
    int rc = w->told && event_add(w->told, NULL) == 0 ? 0 : ENOMEM;
    if (!rc) {
        s->refs = 2;
        rc = start_thread(s);
        if (rc)
            s->refs = 1;
    }
    if (rc) {
        watch_free(w);
        return err_errno(err, rc, "%s cannot be watched", named);
    }
    *ret_watch = w;
    return ERR_OK;
}

void watch_loaded(struct watch *w, const struct inputs *loaded)
{
    struct inputs copy;
    inputs_init(&copy);
    if (!inputs_copy(&copy, loaded))
        return; /* the next look says that it differs: it is loaded once more */
    pthread_mutex_lock(&w->shared->lock);
    inputs_move(&w->shared->loaded, &copy);
    w->shared->fresh = true;
    pthread_mutex_unlock(&w->shared->lock);
    ring(w->shared->wake_fd);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    if (w->told)
        event_free(w->told);
    pthread_mutex_lock(&w->shared->lock);
    w->shared->stop = true;
    pthread_mutex_unlock(&w->shared->lock);
    ring(w->shared->wake_fd);
    release(w->shared);
    free(w);
}
