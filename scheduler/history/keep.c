/* Keeping: reads sizes, writes and removes files of the folder `history`. Invariant: a run's file
 * comes after its notes. A crash here: the next start removes what belongs to nobody. */
#include "scheduler/history/history_private.h"

#include "scheduler/batch/spool.h"
#include "scheduler/state/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char notes_suffix[] = ".notes";

bool history_path(const char *state_dir, const char *run, const char *suffix, char *out)
{
    return snprintf(out, PATH_MAX, "%s/history/%s%s", state_dir, run, suffix) < PATH_MAX;
}

void history_drop(const char *state_dir, const char *run)
{
    char path[PATH_MAX];
    if (history_path(state_dir, run, "", path))
        unlink(path);
    if (history_path(state_dir, run, notes_suffix, path))
        unlink(path);
}

/* ---- the folder ---- */

static int newest_first(const void *a, const void *b)
{
    const struct history_file *x = a, *y = b;
    return (y->written_ns > x->written_ns) - (y->written_ns < x->written_ns);
}

static uint64_t size_of(const char *path, int64_t *ret_written_ns)
{
    struct stat st;
    if (stat(path, &st))
        return 0;
    if (ret_written_ns)
        *ret_written_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return (uint64_t)st.st_size;
}

static bool is_run(const char *name)
{
    size_t n = strlen(name);
    return *name != '.' && n <= STATE_RUN_ID_MAX && !strchr(name, '.');
}

static enum err_code collect(DIR *d, const char *state_dir, struct history_file **files, size_t *n,
                             struct err *err)
{
    for (struct dirent *entry = readdir(d); entry && *n < HISTORY_FILES_MAX; entry = readdir(d)) {
        char path[PATH_MAX];
        if (!is_run(entry->d_name))
            continue;
        struct history_file *grown = realloc(*files, (*n + 1) * sizeof *grown);
        if (!grown)
            return err_set(err, ERR_NOMEM, "no memory for the history");
        *files = grown;
        struct history_file *f = &grown[(*n)++];
        *f = (struct history_file){0};
        snprintf(f->run, sizeof f->run, "%.*s", STATE_RUN_ID_MAX, entry->d_name);
        if (history_path(state_dir, f->run, "", path))
            f->bytes = size_of(path, &f->written_ns);
        if (history_path(state_dir, f->run, notes_suffix, path))
            f->bytes += size_of(path, NULL);
    }
    return ERR_OK;
}

enum err_code history_files(const char *state_dir, struct history_file **ret_files,
                            size_t *ret_count, struct err *err)
{
    char path[PATH_MAX];
    *ret_files = NULL;
    *ret_count = 0;
    snprintf(path, sizeof path, "%s/history", state_dir);
    DIR *d = opendir(path);
    if (!d)
        return errno == ENOENT ? ERR_OK : err_errno(err, errno, "%s cannot be read", path);
    enum err_code rc = collect(d, state_dir, ret_files, ret_count, err);
    closedir(d);
    if (*ret_count)
        qsort(*ret_files, *ret_count, sizeof **ret_files, newest_first);
    return rc;
}

/* ---- keeping ---- */

static enum err_code make_folder(const char *state_dir, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/history", state_dir);
    return mkdir(path, 0700) && errno != EEXIST ? err_errno(err, errno, "%s cannot be made", path)
                                                : ERR_OK;
}

static bool write_whole(int fd, struct slice s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            s = slice_of(s.p + n, s.n - (size_t)n);
    }
    return true;
}

/* The head says how many there were: fewer than the run counted means that some are lost. */
static enum err_code write_notes(const char *state_dir, const struct run_record *run,
                                 const struct history_notes *notes, struct err *err)
{
    char path[PATH_MAX];
    uint8_t head[16];
    struct pack k = {.p = head, .cap = sizeof head};
    uint64_t bad = run->counts.rejected + run->counts.failed + run->counts.cancelled;
    bool whole = notes ? notes->count == bad && !notes->full : bad == 0;
    if (whole && !bad)
        return ERR_OK; /* every record was accepted: without notes that is what is meant */
    pack_u8(&k, NOTES_VERSION);
    pack_u8(&k, whole);
    if (!history_path(state_dir, run->id, notes_suffix, path))
        return err_set(err, ERR_IO, "the path of the history is too long");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write_whole(fd, slice_of((const char *)head, k.n)) &&
                (!notes || write_whole(fd, buf_slice(&notes->bytes)));
    int code = errno;
    if (fd >= 0)
        close(fd);
    return good ? ERR_OK : err_errno(err, code, "%s cannot be written", path);
}

enum err_code history_prune(const char *state_dir, uint64_t max_bytes, struct err *err)
{
    struct history_file *files;
    size_t count;
    uint64_t sum = 0;
    enum err_code rc = history_files(state_dir, &files, &count, err);
    for (size_t i = 0; i < count && !rc; i++) {
        sum += files[i].bytes;
        if (sum > max_bytes)
            history_drop(state_dir, files[i].run);
    }
    free(files);
    return rc;
}

enum err_code history_keep(const char *state_dir, const struct run_record *run, const char *spool,
                           const struct history_notes *notes, uint64_t max_bytes, struct err *err)
{
    char path[PATH_MAX];
    uint64_t bytes = size_of(spool, NULL);
    if (!max_bytes || bytes > max_bytes || !run->batches || !run->counts.planned ||
        !history_path(state_dir, run->id, "", path))
        return spool_remove(spool, err);
    if (access(spool, F_OK))
        return ERR_OK;
    enum err_code rc = make_folder(state_dir, err);
    if (!rc)
        rc = write_notes(state_dir, run, notes, err);
    if (!rc && rename(spool, path))
        rc = err_errno(err, errno, "%s cannot be kept", spool);
    if (rc) { /* a full disk: better without history than without room */
        history_drop(state_dir, run->id);
        return spool_remove(spool, err);
    }
    return ERR_OK;
}
