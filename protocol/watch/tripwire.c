#include "protocol/watch/tripwire.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not each write, but its end. */
static const uint32_t stirs = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                              IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR;

struct wire {
    int fd;
    size_t count;
    char last[PATH_MAX]; /* files of one folder follow one another */
};

/* The kernel gives one watch for a folder, however often it is named. */
static void add(struct wire *w, const char *folder)
{
    if (w->count >= TRIPWIRE_FOLDERS_MAX || strcmp(w->last, folder) == 0)
        return;
    snprintf(w->last, sizeof w->last, "%s", folder);
    if (inotify_add_watch(w->fd, folder, stirs) >= 0)
        w->count++;
}

/* The folder that holds path. */
static void add_above(struct wire *w, const char *path)
{
    char folder[PATH_MAX];
    const char *end = strrchr(path, '/');
    if (!end || (size_t)(end - path) >= sizeof folder)
        return;
    snprintf(folder, sizeof folder, "%.*s", end == path ? 1 : (int)(end - path), path);
    add(w, folder);
}

/* Every link on the way to the folder can be swapped. */
static void add_links(struct wire *w, const char *named)
{
    char path[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(path, sizeof path, "%s", named) >= sizeof path)
        return;
    for (char *p = path + 1; *p; p++) {
        char *end = p + strcspn(p, "/"), was = *end;
        *end = '\0';
        if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
            add_above(w, path);
        *end = was;
        p = end;
        if (!was)
            return;
    }
}

int tripwire_open(const char *named, const struct inputs *in)
{
    struct wire w = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    if (w.fd < 0)
        return -1;
    add_links(&w, named);
    add(&w, in->dir ? in->dir : named);
    for (size_t i = 0; i < in->count; i++) {
        char path[PATH_MAX];
        bool inside = in->items[i].kind == INPUT_YAML && in->dir;
        if ((size_t)snprintf(path, sizeof path, "%s%s%s", inside ? in->dir : "", inside ? "/" : "",
                             in->items[i].path) < sizeof path)
            add_above(&w, path);
    }
    return w.fd;
}

void tripwire_drain(int fd)
{
    char events[4096];
    while (fd >= 0) {
        ssize_t n = read(fd, events, sizeof events);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return;
    }
}
