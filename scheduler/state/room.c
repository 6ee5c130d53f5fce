/*
 * Room for a transaction, in the map and on the disk, looked at before LMDB would meet the end of
 * either. Reads: LMDB's page counts, the file's size. Writes: the file's length only. Invariant:
 * what is counted is an upper bound of what LMDB will write. A crash here: the file is longer than
 * it needs to be.
 */
#include "scheduler/state/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    STORE_PAGES_PER_WRITE = 3, /* a leaf, a share of the branches above it and of a split */
    STORE_SLACK_PAGES = 64,
    STORE_CHECK_WRITES = 4096,
    STORE_DUE_PAGES = 65536, /* 256 MiB of changed pages in memory are enough */
};

/* Pages of all tables as this transaction sees them: none can have been changed that is not among
 * them. */
static uint64_t live_pages(struct state *s)
{
    uint64_t pages = 0;
    for (int i = 0; i < TABLE_COUNT; i++) {
        MDB_stat st;
        if (mdb_stat(s->txn, s->tables[i], &st) == 0)
            pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
    }
    return pages;
}

/* An upper bound of the pages that a commit writes, its own free list among them. */
uint64_t store_changed_pages(struct state *s)
{
    uint64_t live = live_pages(s) + s->held_pages;
    uint64_t most = s->writes * STORE_PAGES_PER_WRITE;
    uint64_t pages = live < most ? live : most;
    return pages + pages / 128 + STORE_SLACK_PAGES;
}

uint64_t store_committed_bytes(struct state *s)
{
    MDB_envinfo info;
    return mdb_env_info(s->env, &info) == 0 ? ((uint64_t)info.me_last_pgno + 1) * s->page_bytes : 0;
}

/* The file gets its blocks before LMDB writes to them, so that a full disk is met here, with
 * nothing lost. */
enum err_code store_disk_room(struct state *s, uint64_t need_bytes, struct err *err)
{
    int fd;
    struct stat st;
    struct statvfs vfs;
    if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0 || fstatvfs(fd, &vfs) != 0)
        return err_errno(err, errno, "state: cannot look at %s", s->dir);
    uint64_t free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    uint64_t size = (uint64_t)st.st_size;
    uint64_t more = need_bytes > size ? need_bytes - size : 0;
    if (free_bytes < s->reserve_bytes || free_bytes - s->reserve_bytes < more)
        return err_set(
            err, ERR_FULL,
            "state: the disk of %s has %llu MiB free, %llu MiB are to stay free and %llu "
            "MiB are needed: make room",
            s->dir, (unsigned long long)(free_bytes >> 20),
            (unsigned long long)(s->reserve_bytes >> 20), (unsigned long long)((more >> 20) + 1));
    if (!more)
        return ERR_OK;
    int rc = posix_fallocate(fd, (off_t)size, (off_t)more);
    if (rc == EOPNOTSUPP || rc == EINVAL)
        rc = ftruncate(fd, (off_t)need_bytes) == 0 ? 0 : errno;
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
        return err_set(err, ERR_FULL, "state: the disk of %s is full: make room", s->dir);
    return rc ? err_errno(err, rc, "state: cannot make room in %s", s->dir) : ERR_OK;
}

static enum err_code check_room(struct state *s, struct err *err)
{
    uint64_t pages = store_changed_pages(s);
    uint64_t need = store_committed_bytes(s) + pages * s->page_bytes;
    uint64_t left = s->map_bytes > need ? (s->map_bytes - need) / s->page_bytes : 0;
    if (pages > STORE_DUE_PAGES || left < s->map_bytes / s->page_bytes / 4)
        s->due = true;
    if (left < STORE_SLACK_PAGES)
        return err_set(err, ERR_FULL,
                       "state: too many changes since the last commit: commit first");
    uint64_t step = (left - STORE_SLACK_PAGES) / STORE_PAGES_PER_WRITE / 2;
    s->next_check = s->writes + (step < STORE_CHECK_WRITES ? step : STORE_CHECK_WRITES) + 1;
    /* LMDB may write pages out before the commit when there are many. */
    uint64_t ahead = STORE_CHECK_WRITES * STORE_PAGES_PER_WRITE * s->page_bytes;
    return pages > STORE_DUE_PAGES ? store_disk_room(s, need + ahead, err) : ERR_OK;
}

enum err_code store_room(struct state *s, size_t bytes, struct err *err)
{
    if (UNLIKELY(s->broken || s->read_only))
        return err_set(err, s->broken ? ERR_IO : ERR_BUG, "state: %s",
                       s->broken ? "lost its transaction: open it again"
                                 : "opened for reading only");
    s->writes += 1 + bytes / 4096;
    s->dirty = true;
    if (LIKELY(s->writes < s->next_check || s->committing))
        return ERR_OK;
    enum err_code rc = check_room(s, err);
    if (rc)
        s->writes--; /* the write does not happen */
    return rc;
}
