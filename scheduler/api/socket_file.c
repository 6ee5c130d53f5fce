#include "scheduler/api/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 };

/* An address has little room: the folder is named by an open fd, which *ret_folder is to keep until
 * the address was used. */
static enum err_code address_of(const char *path, struct sockaddr_un *ret, int *ret_folder,
                                struct err *err)
{
    char folder[PATH_MAX], file[PATH_MAX];
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof folder)
        return err_set(err, ERR_IO, "%s: the path is too long", path);
    strcpy(folder, path);
    strcpy(file, path);
    *ret_folder = open(dirname(folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_folder < 0)
        return err_errno(err, errno, "%s cannot be used", path);
    int n = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", *ret_folder,
                     basename(file));
    if (n < (int)sizeof ret->sun_path)
        return ERR_OK;
    close(*ret_folder);
    return err_set(err, ERR_IO, "%s: the file's name is too long", path);
}

static int try_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address)) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

enum err_code socket_file_connect(const char *path, int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    int folder;
    struct err none;
    if (address_of(path, &address, &folder, &none))
        return err_set(err, ERR_UNREACHABLE, "nobody listens at %s", path);
    *ret_fd = try_connect(&address);
    int why = errno;
    close(folder);
    return *ret_fd >= 0
               ? ERR_OK
               : err_set(err, ERR_UNREACHABLE, "nobody listens at %s: %s", path, strerror(why));
}

/* Takes a socket of a process that is gone out of the way; nothing else. */
static enum err_code clear_way(const char *path, const struct sockaddr_un *address, struct err *err)
{
    struct stat st;
    if (lstat(path, &st))
        return errno == ENOENT ? ERR_OK : err_errno(err, errno, "%s cannot be used", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, ERR_BUSY, "%s is in the way: it is no socket", path);
    int fd = try_connect(address);
    if (fd >= 0) {
        close(fd);
        return err_set(err, ERR_BUSY, "another scheduler answers at %s", path);
    }
    if (errno != ECONNREFUSED)
        return err_errno(err, errno, "%s cannot be looked at", path);
    return unlink(path) ? err_errno(err, errno, "%s cannot be replaced", path) : ERR_OK;
}

/* The mask makes it private from its first moment on; nothing else runs meanwhile. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0177);
    int rc = bind(fd, (const struct sockaddr *)address, sizeof *address);
    umask(mask);
    return rc;
}

static enum err_code listen_at(const char *path, const struct sockaddr_un *address,
                               struct socket_file *ret, struct err *err)
{
    struct stat st;
    enum err_code rc = clear_way(path, address, err);
    if (rc)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_private(fd, address) || listen(fd, BACKLOG) || lstat(path, &st)) {
        rc = err_errno(err, errno, "%s cannot be listened at", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    *ret = (struct socket_file){fd, st.st_dev, st.st_ino};
    return ERR_OK;
}

enum err_code socket_file_listen(const char *path, struct socket_file *ret, struct err *err)
{
    struct sockaddr_un address;
    int folder;
    enum err_code rc = address_of(path, &address, &folder, err);
    if (rc)
        return rc;
    rc = listen_at(path, &address, ret, err);
    close(folder);
    return rc;
}

void socket_file_remove(const char *path, uint64_t device, uint64_t inode)
{
    struct stat st;
    if (lstat(path, &st) == 0 && st.st_dev == device && st.st_ino == inode)
        unlink(path);
}
