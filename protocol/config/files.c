#include "protocol/config/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 16 << 10 };

struct search {
    struct reader *rd;
    const char **paths;
    size_t count;
    bool full;
};

static void search_folder(struct search *s, const char *folder, uint32_t depth);

static bool is_yaml(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot != name && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static bool is_skipped_folder(const char *name)
{
    return *name == '.' || strcmp(name, "node_modules") == 0 || strcmp(name, "target") == 0 ||
           strcmp(name, "dbt_packages") == 0;
}

static const char *join(struct search *s, const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = reader_alloc(s->rd, n);
    if (path)
        snprintf(path, n, "%s%s%s", folder, *folder ? "/" : "", name);
    return path;
}

static void found(struct search *s, const char *path)
{
    if (s->count < FILES_LIMIT) {
        s->paths[s->count++] = path;
        return;
    }
    if (!s->full)
        mistake(s->rd, (struct config_place){path, 1, 1},
                "there are more than %d YAML files in this folder: give Sluice a folder of its own",
                FILES_LIMIT);
    s->full = true;
}

/* A folder of a ConfigMap or a Secret, as a kubelet lays it out: models -> ..data/models. */
static bool is_mounted_folder(const char *whole, const struct stat *st)
{
    static const char data[] = "..data/";
    char target[sizeof data];
    struct stat to;
    return S_ISLNK(st->st_mode) &&
           readlink(whole, target, sizeof target) >= (ssize_t)sizeof data - 1 &&
           memcmp(target, data, sizeof data - 1) == 0 && stat(whole, &to) == 0 &&
           S_ISDIR(to.st_mode);
}

static void search_name(struct search *s, const char *folder, const char *name, uint32_t depth)
{
    struct stat st;
    const char *path = join(s, folder, name);
    const char *whole = path ? reader_path(s->rd, path) : NULL;
    if (!whole || lstat(whole, &st) != 0)
        return;
    if (S_ISDIR(st.st_mode) || is_mounted_folder(whole, &st)) {
        if (!is_skipped_folder(name))
            search_folder(s, path, depth + 1);
        return;
    }
    if (!is_yaml(name))
        return;
    if (S_ISLNK(st.st_mode) && (stat(whole, &st) != 0 || S_ISDIR(st.st_mode)))
        return;
    found(s, path);
}

static void search_folder(struct search *s, const char *folder, uint32_t depth)
{
    struct config_place at = {*folder ? folder : ".", 0, 0};
    const char *whole = *folder ? reader_path(s->rd, folder) : s->rd->project->dir;
    if (!whole || s->full)
        return;
    if (depth > FILES_DEPTH) {
        mistake(s->rd, at, "this folder is nested more than %d deep: it is not read; move it",
                FILES_DEPTH);
        return;
    }
    DIR *dir = opendir(whole);
    if (!dir) {
        inputs_note(s->rd->inputs, INPUT_FOLDER, folder, SLICE_LIT(""), errno);
        mistake(s->rd, at, "%s cannot be read: %s", *folder ? "this folder" : whole,
                strerror(errno));
        return;
    }
    for (struct dirent *d = readdir(dir); d && !s->full && !s->rd->failed; d = readdir(dir))
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            search_name(s, folder, d->d_name, depth);
    closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void files_find(struct reader *rd, struct file_list *ret_list)
{
    struct search s = {.rd = rd, .paths = reader_alloc(rd, FILES_LIMIT * sizeof *s.paths)};
    if (!s.paths)
        return;
    search_folder(&s, "", 0);
    qsort(s.paths, s.count, sizeof *s.paths, by_path);
    *ret_list = (struct file_list){s.paths, s.count};
}

static enum err_code read_all(int fd, struct buf *b, struct err *err)
{
    for (;;) {
        /* One byte more than fits tells a full file from one that is too long. */
        size_t room = b->max - b->len < READ_BYTES ? b->max - b->len : READ_BYTES;
        char chunk[READ_BYTES];
        ssize_t n = read(fd, chunk, room + (room < READ_BYTES));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ERR_IO, "%s", strerror(errno));
        if (n == 0)
            return ERR_OK;
        enum err_code rc = buf_put(b, chunk, (size_t)n);
        if (rc == ERR_FULL)
            return err_set(err, rc, "it is longer than %zu bytes", b->max);
        if (rc)
            return err_set(err, rc, "out of memory");
    }
}

enum err_code file_read(const char *path, struct buf *b, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
    if (fd < 0)
        return err_set(err, ERR_IO, "%s", strerror(errno));
    enum err_code rc;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rc = err_set(err, ERR_IO, "it is a folder");
    else
        rc = read_all(fd, b, err);
    close(fd);
    return rc;
}
