#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "protocol/watch/watch.h"
#include "worker/engine.h"
#include "worker/listener.h"

enum {
    START_TIMEOUT_MS = 5000, /* Redis must have answered by then */
    BEAT_EVERY_MS = 3000,    /* well below the shortest lease */
    NAME_RANDOM_DIGITS = 8,
};

struct worker {
    struct engine engine;
    const struct worker_options *options;
    char redis_ca[PATH_MAX];
    struct event *signals[3];
    struct event *start_timer;
    bool started; /* Redis was reached once */
    int status;
    int lock_fd; /* -1: none */
};

/* ---- parent and lock ---- */

/* The next run of a scheduler takes this lock exclusively to know that no worker of a dead one is
 * left. */
static enum err_code hold_lock(struct worker *w, const char *state_dir, struct err *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/workers.lock", state_dir) >= sizeof path)
        return err_set(err, ERR_CONFIG, "state_dir has too long a path");
    w->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (w->lock_fd < 0)
        return err_errno(err, errno, "%s", path);
    while (flock(w->lock_fd, LOCK_SH))
        if (errno != EINTR)
            return err_errno(err, errno, "%s", path);
    return ERR_OK;
}

/* False when the parent is already gone. */
static bool follow_parent(pid_t parent)
{
    return !parent || (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent);
}

/* ---- signals ---- */

static void on_stop(evutil_socket_t fd, short what, void *ctx)
{
    (void)what;
    struct worker *w = ctx;
    struct engine *e = &w->engine;
    if (e->draining || !w->started) {
        log_event(&e->log, LOG_WARN, "worker_stops_now", LOG_INT("signal", fd));
        event_base_loopbreak(e->base);
        return;
    }
    e->draining = true;
    log_event(&e->log, LOG_INFO, "worker_drains", LOG_INT("signal", fd),
              LOG_INT("in_flight", e->slot_count - e->free_count));
    engine_kick(e);
}

static void on_hangup(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct worker *w = ctx;
    engine_reload(&w->engine);
    engine_kick(&w->engine);
}

/* ---- Redis ---- */

static void on_redis(void *ctx, const char *server, bool connected, const struct err *err)
{
    struct worker *w = ctx;
    struct engine *e = &w->engine;
    if (connected) {
        log_event(&e->log, LOG_INFO, "redis_connected", LOG_STR("server", server));
        w->started = true;
        event_del(w->start_timer);
        engine_kick(e);
        return;
    }
    log_event(&e->log, LOG_WARN, "redis_lost", LOG_STR("server", server),
              LOG_STR("error", err->text));
    if (!w->started && err->code == ERR_CONFIG && e->fleet &&
        redis_fleet_is_all(e->fleet, server)) {
        w->status = EX_CONFIG;
        event_base_loopbreak(e->base);
    }
}

static void on_start_timeout(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct worker *w = ctx;
    char out[ENGINE_WHY_BYTES];
    const char *why;
    engine_servers_reached(&w->engine, out, sizeof out, &why);
    log_event(&w->engine.log, LOG_ERROR, "redis_unreachable",
              LOG_STR("server", redis_fleet_title(w->engine.fleet)), LOG_STR("reason", why));
    w->status = EX_UNAVAILABLE;
    event_base_loopbreak(w->engine.base);
}

static enum err_code connect_redis(struct worker *w, struct err *err)
{
    struct engine *e = &w->engine;
    const char *ca = e->setup->project->settings.redis_ca;
    if (ca)
        snprintf(w->redis_ca, sizeof w->redis_ca, "%s", ca);
    struct redis_fleet_options o = {
        .each = {.ca_file = w->redis_ca[0] ? w->redis_ca : NULL},
        .waits = true,
        .on_state = on_redis,
        .ctx = w,
    };
    return engine_servers_open(e, &o, err);
}

/* ---- slots ---- */

bool engine_grow_slots(struct engine *e)
{
    size_t wanted = quota_slots(&e->quotas, e->slots_wanted);
    if (wanted <= e->slot_count)
        return true;
    struct slot **longer = realloc(e->slots, wanted * sizeof *longer);
    if (!longer)
        return false;
    e->slots = longer;
    while (e->slot_count < wanted) {
        struct slot *s = slot_new(e);
        if (!s)
            return false;
        e->slots[e->slot_count++] = s;
        slot_set_next_free(s, e->free_slots);
        e->free_slots = s;
        e->free_count++;
    }
    return true;
}

bool engine_is_ready(const struct engine *e, char out[ENGINE_WHY_BYTES])
{
    char text[ENGINE_WHY_BYTES];
    const char *why;
    bool reached = engine_servers_reached(e, text, sizeof text, &why);
    if (e->draining)
        why = "it finishes what is in flight, and then ends";
    snprintf(out, ENGINE_WHY_BYTES, "%s", why ? why : "");
    return reached && !e->draining;
}

/* What the command line asks for must work. Of the project's address one of several workers gets
 * hold on each machine, and the others do without. */
static enum err_code listen_for_metrics(struct worker *w, struct err *err)
{
    struct engine *e = &w->engine;
    const char *asked = w->options->listen;
    const char *address = asked ? asked : e->setup->project->settings.worker_listen;
    if (!address || strcmp(address, "off") == 0)
        return ERR_OK;
    enum err_code rc = listener_new(e, address, &e->listener, err);
    if (!rc) {
        log_event(&e->log, LOG_INFO, "worker_listens", LOG_STR("url", listener_url(e->listener)));
        return ERR_OK;
    }
    if (asked)
        return rc;
    log_event(&e->log, LOG_WARN, "worker_does_not_listen", LOG_STR("error", err->text));
    return ERR_OK;
}

/* ---- life ---- */

static void name_worker(struct engine *e, const char *prefix)
{
    char host[WORKER_PREFIX_MAX + 1] = "worker", random[NAME_RANDOM_DIGITS + 1];
    if (!prefix && gethostname(host, sizeof host - 1))
        snprintf(host, sizeof host, "worker");
    random_hex(random, NAME_RANDOM_DIGITS);
    snprintf(e->name, sizeof e->name, "%s-%d-%s", prefix ? prefix : host, (int)getpid(), random);
}

static bool make_events(struct worker *w)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    struct engine *e = &w->engine;
    e->base = event_base_new();
    if (!e->base)
        return false;
    e->pump = event_new(e->base, -1, 0, engine_on_pump, e);
    e->beat = event_new(e->base, -1, EV_PERSIST, engine_on_beat, e);
    w->start_timer = evtimer_new(e->base, on_start_timeout, w);
    if (!e->pump || !e->beat || !w->start_timer)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        w->signals[i] =
            evsignal_new(e->base, numbers[i], numbers[i] == SIGHUP ? on_hangup : on_stop, w);
        if (!w->signals[i] || event_add(w->signals[i], NULL))
            return false;
    }
    struct timeval start = {START_TIMEOUT_MS / 1000, 0}, beat = {BEAT_EVERY_MS / 1000, 0};
    return event_add(w->start_timer, &start) == 0 && event_add(e->beat, &beat) == 0;
}

static enum err_code worker_open(struct worker *w, struct err *err)
{
    struct engine *e = &w->engine;
    enum err_code rc = setup_load(e->dir, &e->log, &e->setup, NULL, err);
    if (!rc && !w->options->log_format_set)
        e->log.format = e->setup->project->settings.log_format;
    if (!rc && !w->options->slots)
        e->slots_wanted = e->setup->project->settings.worker_slots;
    if (!rc && w->options->parent)
        rc = hold_lock(w, e->setup->project->settings.state_dir, err);
    if (rc)
        return rc;
    if (!make_events(w))
        return err_set(err, ERR_NOMEM, "no memory to start");
    rc = connect_redis(w, err);
    if (rc)
        return rc;
    e->http = http_new(e->base, e->slots_wanted);
    rc = quota_list_follow(&e->quotas, e->fleet, e->setup, err);
    if (!rc && (!e->http || !engine_grow_slots(e)))
        rc = err_set(err, ERR_NOMEM, "no memory to start");
    if (!rc)
        rc = engine_watch_folder(e, w->options->watch, err);
    return rc ? rc : listen_for_metrics(w, err);
}

static void free_event(struct event *ev)
{
    if (ev)
        event_free(ev);
}

static void worker_close(struct worker *w)
{
    struct engine *e = &w->engine;
    watch_free(e->folder);
    listener_free(e->listener);
    http_free(e->http);
    engine_servers_close(e);
    for (size_t i = 0; i < e->slot_count; i++)
        slot_free(e->slots[i]);
    free(e->slots);
    quota_list_done(&e->quotas);
    metrics_done(&e->metrics);
    setup_release(e->setup);
    for (size_t i = 0; i < ARRAY_LEN(w->signals); i++)
        free_event(w->signals[i]);
    free_event(w->start_timer);
    free_event(e->pump);
    free_event(e->beat);
    if (e->base)
        event_base_free(e->base);
    if (w->lock_fd >= 0)
        close(w->lock_fd);
    free(w);
}

static int status_of(enum err_code code)
{
    return code == ERR_NOMEM ? EX_UNAVAILABLE : EX_CONFIG;
}

int worker_run(const struct worker_options *options)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return EX_UNAVAILABLE;
    struct engine *e = &w->engine;
    struct err err;
    w->options = options;
    w->lock_fd = -1;
    e->log = (struct log){.program = "sluice-worker",
                          .level = LOG_INFO,
                          .fd = STDERR_FILENO,
                          .format = options->log_format};
    metrics_init(&e->metrics);
    e->dir = options->dir;
    e->slots_wanted = options->slots;
    e->redis_urls = options->redis;
    e->redis_url_count = options->redis_count;
    name_worker(e, options->prefix);
    signal(SIGPIPE, SIG_IGN);
    if (!follow_parent(options->parent)) {
        log_event(&e->log, LOG_WARN, "parent_gone", LOG_INT("parent", options->parent));
        worker_close(w);
        return 0;
    }
    enum err_code rc = worker_open(w, &err);
    if (rc) {
        log_event(&e->log, LOG_ERROR, "worker_not_started", LOG_STR("error", err.text));
        w->status = status_of(rc);
    } else {
        log_event(&e->log, LOG_INFO, "worker_started", LOG_STR("worker", e->name),
                  LOG_INT("slots", e->slot_count), LOG_INT("destinations", e->setup->target_count));
        event_base_dispatch(e->base);
        log_event(&e->log, LOG_INFO, "worker_ended", LOG_STR("worker", e->name),
                  LOG_INT("status", w->status));
    }
    int status = w->status;
    worker_close(w);
    return status;
}
