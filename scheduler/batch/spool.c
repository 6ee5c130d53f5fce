/* Reads: frames from diff. Writes: one file per run. Invariant: only durable frames are published.
 * A crash here: the tail that was not synced is gone; it was never published, and the next diff
 * finds it. */
#include "scheduler/batch/spool.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPOOL_INDEX_FIRST = 256, SPOOL_PENDING_MAX = 2 * FRAME_BYTES_MAX };

struct span {
    uint64_t at;
    uint32_t bytes;
    uint32_t records;
};

struct spool {
    int fd;
    uint64_t size; /* bytes written to the file */
    struct span *index;
    size_t count, cap;
    struct span end; /* of the end frame; bytes 0: none */
    uint64_t durable_bytes;
    uint64_t durable_count;
    struct buf pending; /* appended, not yet written: the disk was full */
    struct buf scratch;
    spool_cb cb;
    void *ctx;
    struct event *wake;
    int wake_fd;
    /* shared with the syncing thread, under lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    uint64_t want_bytes, synced_bytes;
    int sync_errno;
    bool stop;
};

static void *sync_thread(void *arg)
{
    struct spool *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->stop && s->want_bytes == s->synced_bytes)
            pthread_cond_wait(&s->work, &s->lock);
        if (s->want_bytes == s->synced_bytes || s->sync_errno)
            break;
        uint64_t want = s->want_bytes;
        pthread_mutex_unlock(&s->lock);
        int failed = fdatasync(s->fd) ? errno : 0;
        pthread_mutex_lock(&s->lock);
        if (failed)
            s->sync_errno = failed;
        else
            s->synced_bytes = want;
        uint64_t one = 1;
        ssize_t n = write(s->wake_fd, &one, sizeof one);
        ensure(n == sizeof one);
        if (failed)
            break;
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void advance_durable(struct spool *s, uint64_t synced)
{
    s->durable_bytes = synced;
    while (s->durable_count < s->count) {
        struct span span = s->index[s->durable_count];
        if (span.at + span.bytes > synced)
            break;
        s->durable_count++;
    }
}

static void on_synced(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct spool *s = arg;
    uint64_t n;
    if (read(fd, &n, sizeof n) != sizeof n)
        return;
    pthread_mutex_lock(&s->lock);
    uint64_t synced = s->synced_bytes;
    int failed = s->sync_errno;
    pthread_mutex_unlock(&s->lock);
    advance_durable(s, synced);
    struct err err;
    if (failed)
        err_errno(&err, failed, "spool: the file could not be synced to disk");
    s->cb(s->ctx, failed ? &err : NULL);
}

static void ask_sync(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    s->want_bytes = s->size;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

static enum err_code start(struct spool *s, struct event_base *base, struct err *err)
{
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (s->wake_fd < 0)
        return err_errno(err, errno, "spool: no eventfd");
    s->wake = event_new(base, s->wake_fd, EV_READ | EV_PERSIST, on_synced, s);
    if (!s->wake || event_add(s->wake, NULL))
        return err_set(err, ERR_NOMEM, "spool: no memory for an event");
    s->stop = false; /* before the thread looks */
    int rc = pthread_create(&s->thread, NULL, sync_thread, s);
    if (!rc)
        return ERR_OK;
    s->stop = true;
    return err_errno(err, rc, "spool: no thread");
}

static struct spool *spool_alloc(spool_cb cb, void *ctx)
{
    struct spool *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->fd = s->wake_fd = -1;
    s->stop = true;
    s->cb = cb;
    s->ctx = ctx;
    buf_init(&s->pending, SPOOL_PENDING_MAX);
    buf_init(&s->scratch, FRAME_BYTES_MAX);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    return s;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    if (!s->stop) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_signal(&s->work);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    if (s->wake)
        event_free(s->wake);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    if (s->fd >= 0)
        close(s->fd);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    buf_done(&s->pending);
    buf_done(&s->scratch);
    free(s->index);
    free(s);
}

enum err_code spool_create(struct event_base *base, const char *path, spool_cb cb, void *ctx,
                           struct spool **ret_spool, struct err *err)
{
    struct spool *s = spool_alloc(cb, ctx);
    if (!s)
        return err_set(err, ERR_NOMEM, "spool: no memory");
    enum err_code rc;
    s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->fd < 0)
        rc = err_errno(err, errno, "spool: %s cannot be created", path);
    else
        rc = start(s, base, err);
    if (rc) {
        spool_close(s);
        return rc;
    }
    *ret_spool = s;
    return ERR_OK;
}

static enum err_code index_add(struct spool *s, struct span span)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : SPOOL_INDEX_FIRST;
        struct span *index = realloc(s->index, cap * sizeof *index);
        if (!index)
            return ERR_NOMEM;
        s->index = index;
        s->cap = cap;
    }
    s->index[s->count++] = span;
    return ERR_OK;
}

static enum err_code read_at(struct spool *s, struct span span, struct frame *ret_frame,
                             struct err *err)
{
    buf_reset(&s->scratch);
    if (buf_reserve(&s->scratch, span.bytes))
        return err_set(err, ERR_NOMEM, "spool: no memory for a frame");
    size_t got = 0;
    while (got < span.bytes) {
        ssize_t n = pread(s->fd, s->scratch.p + got, span.bytes - got, (off_t)(span.at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? err_errno(err, errno, "spool: reading failed")
                     : err_set(err, ERR_INVALID, "spool: the file ends too early");
        got += (size_t)n;
    }
    s->scratch.len = span.bytes;
    return frame_parse(buf_slice(&s->scratch), ret_frame, err);
}

/* The span of the frame at offset, bytes 0 where there is no readable header or the file ends
 * before it does. */
static struct span span_at(const struct spool *s, uint64_t at, uint64_t file_bytes)
{
    char header[FRAME_HEADER_BYTES];
    struct span none = {.at = at};
    if (file_bytes - at < sizeof header ||
        pread(s->fd, header, sizeof header, (off_t)at) != (ssize_t)sizeof header)
        return none;
    size_t n = frame_size(header);
    return n && n <= file_bytes - at ? (struct span){.at = at, .bytes = (uint32_t)n} : none;
}

/* Indexes what is readable. The unreadable rest is a torn tail unless the file was whole once:
 * damaged then. */
static enum err_code scan(struct spool *s, uint64_t file_bytes, bool *ret_damaged, struct err *err)
{
    uint64_t at = 0;
    *ret_damaged = false;
    while (at < file_bytes) {
        struct span span = span_at(s, at, file_bytes);
        struct frame f;
        if (!span.bytes)
            break;
        if (read_at(s, span, &f, err)) {
            *ret_damaged = span_at(s, at + span.bytes, file_bytes).bytes != 0;
            break;
        }
        if (f.kind == FRAME_END)
            s->end = span;
        else if (f.number != s->count)
            return err_set(err, ERR_INVALID, "spool: batch %llu stands where %zu must be",
                           (unsigned long long)f.number, s->count);
        else if (index_add(s, (struct span){span.at, span.bytes, f.records}))
            return err_set(err, ERR_NOMEM, "spool: no memory for the index");
        at += span.bytes;
    }
    s->size = s->want_bytes = s->synced_bytes = at;
    advance_durable(s, at);
    if (at < file_bytes && ftruncate(s->fd, (off_t)at))
        return err_errno(err, errno, "spool: the torn tail cannot be cut off");
    return ERR_OK;
}

enum err_code spool_open(struct event_base *base, const char *path, spool_cb cb, void *ctx,
                         struct spool **ret_spool, bool *ret_damaged, struct err *err)
{
    struct spool *s = spool_alloc(cb, ctx);
    if (!s)
        return err_set(err, ERR_NOMEM, "spool: no memory");
    enum err_code rc;
    struct stat st;
    s->fd = open(path, O_RDWR | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st))
        rc = errno == ENOENT ? err_set(err, ERR_NOTFOUND, "spool: %s is missing", path)
                             : err_errno(err, errno, "spool: %s cannot be opened", path);
    else
        rc = scan(s, (uint64_t)st.st_size, ret_damaged, err);
    if (!rc)
        rc = start(s, base, err);
    if (rc) {
        spool_close(s);
        return rc;
    }
    *ret_spool = s;
    return ERR_OK;
}

enum err_code spool_remove(const char *path, struct err *err)
{
    return unlink(path) && errno != ENOENT
               ? err_errno(err, errno, "spool: %s cannot be removed", path)
               : ERR_OK;
}

enum err_code spool_flush(struct spool *s, struct err *err)
{
    size_t done = 0;
    enum err_code rc = ERR_OK;
    while (done < s->pending.len) {
        ssize_t n = pwrite(s->fd, s->pending.p + done, s->pending.len - done, (off_t)s->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            bool full = errno == ENOSPC || errno == EDQUOT;
            rc = err_errno(err, errno, "spool: writing failed");
            rc = full ? err_set(err, ERR_FULL, "the disk of the state directory is full") : rc;
            break;
        }
        done += (size_t)n;
        s->size += (uint64_t)n;
    }
    s->pending.len -= done;
    if (done && s->pending.len)
        memmove(s->pending.p, s->pending.p + done, s->pending.len);
    if (done)
        ask_sync(s);
    return rc;
}

enum err_code spool_append(struct spool *s, const struct frame *f, struct err *err)
{
    struct span span = {.at = s->size + s->pending.len, .records = f->records};
    size_t before = s->pending.len;
    enum err_code rc = frame_put(&s->pending, f, err);
    if (rc)
        return rc;
    span.bytes = (uint32_t)(s->pending.len - before);
    if (f->kind == FRAME_END) {
        s->end = span;
    } else {
        ensure(f->number == s->count);
        if (index_add(s, span)) {
            s->pending.len = before;
            return err_set(err, ERR_NOMEM, "spool: no memory for the index");
        }
    }
    return spool_flush(s, err);
}

uint64_t spool_count(const struct spool *s)
{
    return s->count;
}

uint32_t spool_records(const struct spool *s, uint64_t number)
{
    return number < s->count ? s->index[number].records : 0;
}

uint64_t spool_durable(const struct spool *s)
{
    return s->durable_count;
}

bool spool_ended(const struct spool *s)
{
    return s->end.bytes && s->end.at + s->end.bytes <= s->durable_bytes;
}

uint64_t spool_bytes(const struct spool *s)
{
    return s->size + s->pending.len;
}

enum err_code spool_read(struct spool *s, uint64_t number, struct frame *ret_frame, struct err *err)
{
    if (number >= s->count)
        return err_set(err, ERR_BUG, "spool: batch %llu of %zu was asked for",
                       (unsigned long long)number, s->count);
    if (s->index[number].at + s->index[number].bytes > s->size)
        return err_set(err, ERR_FULL, "spool: batch %llu is not written yet",
                       (unsigned long long)number);
    return read_at(s, s->index[number], ret_frame, err);
}

enum err_code spool_last_counts(struct spool *s, struct frame_counts *ret_counts, struct err *err)
{
    *ret_counts = (struct frame_counts){0};
    struct span last = s->end;
    if (!last.bytes && s->count)
        last = s->index[s->count - 1];
    if (!last.bytes)
        return ERR_OK;
    struct frame f;
    enum err_code rc = read_at(s, last, &f, err);
    if (!rc)
        *ret_counts = f.counts;
    return rc;
}
