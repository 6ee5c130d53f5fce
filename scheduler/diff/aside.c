/*
 * Reads and writes: a temporary file without a name in the state directory, one record per row
 * whose identity belongs to another key. Invariant: memory holds one of them at a time; the disk is
 * the limit. A crash here: the file is gone with the process, the rows are read again.
 */
#include "scheduler/diff/core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct aside_head {
    uint32_t slot;
    uint32_t known;
    uint32_t key, identity, values, extra; /* bytes that follow, in this order */
    uint8_t hash[16];
};

static int open_temporary(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/aside-XXXXXX", dir) >= sizeof path)
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static enum err_code file_error(struct err *err, const char *what)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(err, ERR_FULL, "diff: the disk of the state directory is full: make room");
    return err_errno(err, errno, "diff: cannot %s the temporary file of rows set aside", what);
}

static enum err_code open_aside(struct diff *d, struct err *err)
{
    int fd = open_temporary(state_dir(state_sync_state(d->o.entries)));
    if (fd < 0)
        return file_error(err, "make");
    d->aside = fdopen(fd, "w+");
    if (d->aside)
        return ERR_OK;
    close(fd);
    return file_error(err, "open");
}

enum err_code diff_aside_put(struct diff *d, const struct diff_decision *row, struct err *err)
{
    bool was;
    enum err_code code = d->aside ? ERR_OK : open_aside(d, err);
    if (!code && row->extra.n > 64 << 10)
        code = err_set(err, ERR_INVALID, "diff: %zu extra bytes of a row", row->extra.n);
    if (!code)
        code = bits_set(&d->set_aside, d->slot, &was, err);
    if (code)
        return code;
    struct aside_head h = {d->slot,
                           d->known,
                           (uint32_t)row->key.n,
                           (uint32_t)row->identity.n,
                           (uint32_t)row->values.n,
                           (uint32_t)row->extra.n,
                           {0}};
    memcpy(h.hash, row->hash, sizeof h.hash);
    if (fwrite(&h, sizeof h, 1, d->aside) != 1 ||
        fwrite(row->key.p, 1, row->key.n, d->aside) != row->key.n ||
        fwrite(row->identity.p, 1, row->identity.n, d->aside) != row->identity.n ||
        fwrite(row->values.p, 1, row->values.n, d->aside) != row->values.n ||
        (row->extra.n && fwrite(row->extra.p, 1, row->extra.n, d->aside) != row->extra.n))
        return file_error(err, "write");
    d->counts.aside++;
    return ERR_OK;
}

static enum err_code read_into(struct diff *d, struct buf *b, size_t n, struct err *err)
{
    buf_reset(b);
    if (buf_reserve(b, n))
        return err_set(err, ERR_NOMEM, "diff: out of memory");
    if (n && fread(b->p, 1, n, d->aside) != n)
        return file_error(err, "read");
    b->len = n;
    return ERR_OK;
}

static enum err_code read_row(struct diff *d, struct diff_decision *ret, struct err *err)
{
    struct aside_head h;
    if (fread(&h, sizeof h, 1, d->aside) != 1)
        return file_error(err, "read");
    enum err_code code = read_into(d, &d->key, h.key, err);
    if (!code)
        code = read_into(d, &d->identity, h.identity, err);
    if (!code)
        code = read_into(d, &d->values, h.values, err);
    if (!code)
        code = read_into(d, &d->aside_row, h.extra, err);
    if (!code)
        code = key_decode(buf_slice(&d->identity), d->values_of_key, d->o.key_count, err);
    if (!code)
        code = state_entry_get(d->o.entries, h.slot, &d->entry, err);
    if (code)
        return code;
    d->slot = ret->slot = h.slot;
    d->known = h.known;
    memcpy(ret->hash, h.hash, sizeof h.hash);
    ret->key = buf_slice(&d->key);
    ret->identity = buf_slice(&d->identity);
    ret->values = buf_slice(&d->values);
    ret->extra = buf_slice(&d->aside_row);
    ret->keys = d->values_of_key;
    return ERR_OK;
}

enum err_code diff_aside_next(struct diff *d, struct diff_decision *ret, struct err *err)
{
    bool taken = false;
    uint8_t marks = 0;
    enum err_code code = read_row(d, ret, err);
    if (!code && d->complete)
        code = diff_identity_decide(d, &taken, &marks, err);
    else if (!code)
        err_set(&d->reason, ERR_INVALID, "identity: another key has it, and the read did not end");
    if (!code)
        code = taken ? diff_classify(d, marks, ret, err)
                     : diff_invalid(d, REJECTED_INVALID, slice_str(d->reason.text), ret, err);
    if (!code)
        d->counts.aside--;
    return code;
}
