#include "scheduler/run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOLDER_BYTES = 128 };

/* Whoever runs this may not write there: in a container most often a volume that is missing. */
static enum err_code cannot(const char *what, const char *path, struct err *err)
{
    int why = errno;
    if (why != EACCES && why != EPERM && why != EROFS)
        return err_errno(err, why, "state_dir: %s cannot be %s", path, what);
    return err_set(err, ERR_CONFIG,
                   "state_dir: %s cannot be %s: %s; it has to be a folder or a volume that user %u "
                   "may write",
                   path, what, strerror(why), (unsigned)geteuid());
}

static enum err_code make_folders(const char *dir, struct err *err)
{
    char path[PATH_MAX];
    for (const char *slash = dir; slash; slash = strchr(slash + 1, '/')) {
        size_t n = slash == dir ? 0 : (size_t)(slash - dir);
        if (n >= sizeof path)
            return err_set(err, ERR_CONFIG, "state_dir: the path is too long");
        memcpy(path, dir, n);
        path[n] = '\0';
        if (n && mkdir(path, 0700) && errno != EEXIST)
            return cannot("created", path, err);
    }
    if (mkdir(dir, 0700) && errno != EEXIST)
        return cannot("created", dir, err);
    if (snprintf(path, sizeof path, "%s/spool", dir) >= (int)sizeof path)
        return err_set(err, ERR_CONFIG, "state_dir: the path is too long");
    if (mkdir(path, 0700) && errno != EEXIST)
        return cannot("created", path, err);
    return ERR_OK;
}

static int open_in(const char *dir, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static enum err_code say_holder(const struct state_lock *lock, const char *dir, struct err *err)
{
    char holder[HOLDER_BYTES];
    ssize_t n = pread(lock->fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? n : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return err_set(err, ERR_BUSY, "state directory %s is in use by %s", dir,
                   *holder ? holder : "another process");
}

enum err_code state_lock_take(struct state_lock *lock, const char *dir, struct err *err)
{
    *lock = (struct state_lock){-1, -1};
    enum err_code rc = make_folders(dir, err);
    if (rc)
        return rc;
    lock->fd = open_in(dir, "lock");
    lock->workers_fd = open_in(dir, "workers.lock");
    if (lock->fd < 0 || lock->workers_fd < 0)
        rc = cannot("locked", dir, err);
    else if (flock(lock->fd, LOCK_EX | LOCK_NB))
        rc = errno == EWOULDBLOCK ? say_holder(lock, dir, err)
                                  : err_errno(err, errno, "state_dir: %s cannot be locked", dir);
    char holder[HOLDER_BYTES];
    int n = snprintf(holder, sizeof holder, "sluice, process %ld\n", (long)getpid());
    if (!rc && (ftruncate(lock->fd, 0) || pwrite(lock->fd, holder, (size_t)n, 0) != n))
        rc = err_errno(err, errno, "state_dir: %s/lock cannot be written", dir);
    if (rc)
        state_lock_release(lock);
    return rc;
}

void state_lock_release(struct state_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    if (lock->workers_fd >= 0)
        close(lock->workers_fd);
    *lock = (struct state_lock){-1, -1};
}

bool state_lock_workers_gone(const struct state_lock *lock)
{
    if (flock(lock->workers_fd, LOCK_EX | LOCK_NB))
        return false;
    flock(lock->workers_fd, LOCK_UN);
    return true;
}
